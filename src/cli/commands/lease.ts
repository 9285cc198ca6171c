/** `postern lease create|narrow|list|revoke|rotate`: leases given out, made smaller and ended. `explain` is in lease-explain.ts. */
import { askCreate, askList, askRevoke, askRotate } from '../../daemon/lease-actions.js';
import { readLeaseRepo } from '../../daemon/lease-repos.js';
import { narrowLease, newLeaseId } from '../../gate/lease-seal.js';
import { isLeaseText } from '../../gate/lease-text.js';
import { readLease } from '../../gate/lease-verifier.js';
import { endOf, patternText } from '../../gate/lease-words.js';
import type { HostKind } from '../../model/address.js';
import { ProxyError } from '../../model/errors.js';
import type { Caveat, Lease, RepoPattern } from '../../model/lease.js';
import { overlaps } from '../../model/route-pattern.js';
import type { Secret } from '../../model/secret.js';
import { type Context, type SettingsFlags, STANDARD_INPUT } from '../context.js';
import { type LeaseFlags, readGrantFlags, readLeaseFlags } from '../lease-flags.js';
import { readLeaseInput, refuseArgument } from '../lease-input.js';
import { prepareHandOut } from './hand-out.js';
import { notRunning } from './stop.js';

/** @throws ProxyError `usage`, `not-running`, `state-unusable`, `secret-unreadable` */
export async function leaseCreate(context: Context, flags: SettingsFlags): Promise<number> {
  const asked = readGrantFlags(flags);
  const socket = context.places.adminSocket;
  // First of all: a lease that cannot be handed out is not to be made.
  const handOut = await prepareHandOut(context, flags);
  const made = await askCreate(socket, asked);
  if (made === undefined) throw notRunning(socket);
  const { printer } = context;
  for (const note of made.notes) printer.note(`note: ${note}`);
  const label = asked.label === undefined ? '' : ` (${asked.label})`;
  printer.note(`Lease ${made.id}${label}, ends ${made.expiresAt}; \`postern lease revoke ${made.id}\` ends it before`);
  await handOut({ ...made, written: asked.repos });
  return 0;
}

/** @throws ProxyError `usage`, `lease-invalid` */
export async function leaseNarrow(context: Context, flags: SettingsFlags): Promise<number> {
  const text = await readLeaseInput(context, flags['from-stdin']);
  const lease = parsed(text);
  const asked = readLeaseFlags(flags);
  if (Object.values(asked).every((value) => value === undefined))
    throw new ProxyError('usage', 'Nothing says how the lease is to be narrowed', {
      todo: 'add --repo, --allow, --ref, --for or another of its flags',
    });
  const handOut = await prepareHandOut(context, flags);
  const narrowing = narrowingOf(asked, lease, Date.now());
  refuseEmpty(narrowing, lease);
  let narrowed: Secret;
  try {
    narrowed = narrowLease(text, narrowing);
  } catch (thrown) {
    if (!(thrown instanceof SyntaxError || thrown instanceof RangeError)) throw thrown;
    throw new ProxyError('usage', `The lease cannot be narrowed so: ${thrown.message}`, { todo: 'say less in one step', cause: thrown });
  }
  const end = endOf(parsed(narrowed));
  context.printer.note(`Lease ${narrowing.id}, a part of ${lease.caveats.at(-1)?.id ?? ''}, ends ${end?.toISOString() ?? 'never'}`);
  const repos = narrowing.repos ?? lease.caveats.findLast((caveat) => caveat.repos !== undefined)?.repos ?? [];
  await handOut({ lease: narrowed.reveal(), repos, written: asked.repos ?? [] });
  return 0;
}

/** @throws ProxyError `not-running` */
export async function leaseList({ places, printer }: Context, { json }: { json: boolean }): Promise<number> {
  const all = await askList(places.adminSocket);
  if (all === undefined) throw notRunning(places.adminSocket);
  if (json) printer.json(all);
  else if (all.length === 0) printer.line('No lease is alive');
  else
    for (const { id, label, grant, expiresAt, revokedAt } of all) {
      printer.line(
        `${printer.bold(id)}${label === undefined ? '' : ` (${label})`}  ends ${expiresAt}${revokedAt === undefined ? '' : `, REVOKED ${revokedAt}`}`,
      );
      printer.line(`  ${grant}`);
    }
  return 0;
}

/** @throws ProxyError `usage`, `lease-invalid`, `not-running`, `state-unusable` */
export async function leaseRevoke(context: Context, flags: SettingsFlags): Promise<number> {
  const given = Array.isArray(flags['id']) ? flags['id'].map(String) : [];
  if (given.some(isLeaseText)) throw refuseArgument();
  const ids = await Promise.all(
    given.map(async (id) => (id === STANDARD_INPUT ? (parsed(await readLeaseInput(context, id)).caveats.at(-1)?.id ?? '') : id)),
  );
  const done = await askRevoke(context.places.adminSocket, ids);
  if (done === undefined) throw notRunning(context.places.adminSocket);
  for (const id of ids) context.printer.line(`Revoked ${id}, and all that come from it`);
  if (done.unknown.length > 0)
    context.printer.note(
      `note: not given out here: ${done.unknown.join(', ')}. Right for a narrowed lease; ${
        done.isShared
          ? 'a lease of another daemon is revoked there too, by the list that they share'
          : 'a lease of another daemon has to be revoked there too'
      }`,
    );
  return 0;
}

/** @throws ProxyError `usage`, `not-running`, `state-unusable`, `secret-unreadable` */
export async function leaseRotate({ places, printer }: Context, flags: SettingsFlags): Promise<number> {
  const forgetOld = flags['forget-old'] === true;
  const done = await askRotate(places.adminSocket, forgetOld);
  if (done === undefined) throw notRunning(places.adminSocket);
  printer.line(
    `New leases are sealed with the key ${done.keyId}; ${forgetOld ? 'every older lease has ended' : 'older leases stay good until they end'}`,
  );
  return 0;
}

/**
 * Reads a lease that someone holds.
 * @throws ProxyError `lease-invalid`
 */
export function parsed(text: Secret): Lease {
  try {
    return readLease(text);
  } catch (thrown) {
    if (!(thrown instanceof SyntaxError)) throw thrown;
    throw new ProxyError('lease-invalid', `The lease ${thrown.message}`, { todo: 'copy it whole, or ask whoever gave it for a new one' });
  }
}

function narrowingOf(asked: LeaseFlags, lease: Lease, now: number): Caveat {
  const { repos, forMs, ...rest } = asked;
  // The lease itself tells the kinds of its hosts, which may differ from what their names say.
  const kindOf = (host: string): HostKind | undefined =>
    lease.caveats.flatMap((caveat) => caveat.repos ?? []).find(({ parts }) => parts[0] === host)?.hostKind;
  return {
    ...rest,
    id: newLeaseId(),
    repos: repos?.map((text) => readLeaseRepo(text, kindOf)),
    expiresAt: forMs === undefined ? undefined : new Date(Math.floor((now + forMs) / 1000) * 1000),
  };
}

/** What would leave nothing is most likely a slip: the door would refuse everything, later and elsewhere. */
function refuseEmpty(narrowing: Caveat, { caveats }: Lease): void {
  for (const { repos, allow } of caveats) {
    const foreign = narrowing.repos?.find((wanted) => repos !== undefined && !repos.some((has) => meet(has, wanted)));
    if (foreign !== undefined)
      throw new ProxyError('usage', `The lease is not for ${patternText(foreign)}, and narrowing gives nothing new`, {
        todo: `name what it is for: ${(repos ?? []).map(patternText).join(', ')}`,
      });
    const missing = narrowing.allow?.find((wanted) => allow !== undefined && !allow.includes(wanted));
    if (missing !== undefined)
      throw new ProxyError('usage', `The lease does not allow ${missing}, and narrowing gives nothing new`, {
        todo: `choose of what it allows: ${(allow ?? []).join(', ')}`,
      });
  }
}

function meet(a: RepoPattern, b: RepoPattern): boolean {
  return a.hostKind === b.hostKind && overlaps(a.parts, b.parts);
}
