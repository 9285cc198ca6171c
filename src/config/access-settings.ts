/** Who may use the doors, `access`: what a listener takes as proof, and which local users are served besides the daemon's own. */
import type { EffectiveValue } from './effective-value.js';
import { asMap, ownValue, typeName } from './fault.js';
import type { Fault, Place, ShapeFault } from './fault.js';
import { pathKey, secretKey } from './identity-schema.js';
import { LOCAL_ENTRIES, REMOTE_ENTRIES, SCALARS } from './scalar-settings.js';
import type { AccessKey } from '../model/settings.js';
import { parseAccessKey } from './ssh-settings.js';
import { checked, list, section, text, word } from './schema-parts.js';
import type { SettingsSource } from './settings-source.js';

/** The largest is no uid: it stands for "leave as it is" in chown(2). */
const LARGEST_UID = 2 ** 32 - 2;
/** Of the user nobody, and on nearly every kernel also of all users that it cannot tell. */
const OVERFLOW_UID = 65_534;
const RIGHT = 'write a list of numbers, such as `[1001]`';

const uids = checked((raw) => (raw === undefined ? [] : uidFaults(raw)), {
  description: 'Local users besides the one of the daemon, as numbers; for `local: uid`.',
  default: [],
  examples: [[1001]],
  type: 'array',
  items: { type: 'integer', minimum: 0, maximum: LARGEST_UID },
  minItems: 1,
});

export const accessSchema = section('a map such as `{ local: lease }`', {
  local: word(
    LOCAL_ENTRIES,
    'What listeners on loopback take as proof. uid: the user of the daemon and those of `uids`, told by the kernel (Linux), or a lease; ' +
      'lease: a lease alone; anyone: every user and program of this machine.',
    SCALARS['access.local'].fallback,
  ).optional(),
  remote: word(
    REMOTE_ENTRIES,
    'What every other listener takes as proof. lease: a lease alone; anyone: whoever can reach it.',
    SCALARS['access.remote'].fallback,
  ).optional(),
  uids: uids.optional(),
  keys: list(
    'a list of public keys',
    text({ is: 'a line of `ssh-add -L`', about: 'A line as authorized_keys has it, without options.', parse: parseAccessKey }),
  )
    .meta({
      description: 'Public keys whose holders may use the SSH door like a user of `uids`. Default: none.',
      examples: [['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl ada']],
    })
    .optional(),
  leaseKey: secretKey(
    'Where the keys that seal leases are, as lines `KEYID BASE64KEY` (16 hex digits, 32 bytes), the one for new leases first; daemons ' +
      'with the same keys take the same leases. Default: a file of its own in the state directory.',
  ).optional(),
  revocations: pathKey(
    'File of revoked leases that several daemons share, on storage that all of them see; for daemons with one `leaseKey`. Without it, ' +
      'leases that such a key seals last an hour at most. Default: none.',
    '/srv/postern/revoked.json',
  ).optional(),
})
  .meta({ description: 'Who may use the doors.' })
  .optional();

/** The uids and keys of a file without faults, and where they come from. */
export function readAccess(source: SettingsSource): { uids: readonly number[]; keys: readonly AccessKey[]; effective: EffectiveValue[] } {
  const access = asMap(ownValue(asMap(source.raw), 'access'));
  const origin = (key: string): string => (ownValue(access, key) === undefined ? 'default' : source.place(['access', key]).text);
  const listed = (ownValue(access, 'uids') ?? []) as readonly number[]; // the shape was checked
  const keys = ((ownValue(access, 'keys') ?? []) as readonly string[]).map(parseAccessKey); // the shape was checked
  const shownKeys = keys.map(({ type, fingerprint, comment }) => [type, fingerprint, comment].join(' ').trim());
  return {
    uids: listed,
    keys,
    effective: [
      { path: 'access.uids', value: listed.map(String), origin: origin('uids') },
      { path: 'access.keys', value: shownKeys, origin: origin('keys') },
    ],
  };
}

/** What opens the doors wider than most people mean, and what has no effect. */
export function accessWarnings(found: {
  readonly local: { readonly value: string; readonly place: Place };
  readonly remote: { readonly value: string; readonly place: Place };
  readonly uids: readonly unknown[];
  readonly uidsPlace: Place;
}): Fault[] {
  const { local, remote, uids: listed, uidsPlace } = found;
  const warnings: Fault[] = [];
  const warn = (place: Place, path: string, text: string): void => void warnings.push({ place, path, text });
  if (local.value === 'anyone')
    warn(
      local.place,
      'access.local',
      'EVERY user and program of this machine may use the identities of the routes; write `uid` or `lease`',
    );
  if (remote.value === 'anyone')
    warn(remote.place, 'access.remote', 'EVERYONE who can reach a listener may use the identities of the routes; write `lease`');
  if (listed.length > 0 && local.value !== 'uid')
    warn(uidsPlace, 'access.uids', `has no effect, because \`access.local\` is \`${local.value}\`; leave it out`);
  if (listed.includes(OVERFLOW_UID))
    warn(uidsPlace, 'access.uids', `${OVERFLOW_UID} also stands for every user that the kernel cannot tell, so it is served nowhere`);
  return warnings;
}

/** Everything wrong with the value, with paths that begin below `access.uids`. */
function uidFaults(raw: unknown): ShapeFault[] {
  const wrong = (path: readonly number[], text: string): ShapeFault => ({ path, on: 'value', text });
  if (!Array.isArray(raw)) return [wrong([], `is ${typeName(raw)}; ${RIGHT}`)];
  const values = raw as readonly unknown[];
  if (values.length === 0) return [wrong([], `is an empty list; ${RIGHT}, or leave the key out`)];
  return values.flatMap((value, index) => {
    if (typeof value !== 'number') return [wrong([index], `is ${typeName(value)}; write the number of a user (\`id -u NAME\` tells it)`)];
    if (!Number.isInteger(value) || value < 0 || value > LARGEST_UID)
      return [wrong([index], `${value} is no uid; write a whole number from 0 to ${LARGEST_UID}`)];
    return values.indexOf(value) < index ? [wrong([index], `${value} comes twice; write it once`)] : [];
  });
}
