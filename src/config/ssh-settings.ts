/**
 * What a configuration says about SSH: where the door listens (`listen.ssh`), which keys open it (`access.keys`), and how the
 * remotes of a route are served (`ssh`, `key`, `knownHosts`, `sshUpstream`).
 */
import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { isHostName } from '../model/host-name.js';
import type { AccessKey, ListenAddress, RouteSsh, SshUpstream } from '../model/settings.js';
import type { ShownValue } from './effective-value.js';
import { asMap, ownValue, quote, type ShapeFault, typeName } from './fault.js';
import { listenFaults, parseListenAddresses } from './listen-address.js';
import { unknownKeyText } from './not-yet.js';

const SSH_PORT = 22;
const OFF = 'off';
const MODES = ['bridge', 'agent'] as const;
const AGENT_KEYS = ['mode', 'socket', 'legacy'] as const;
const SSH_RIGHT = 'write `bridge`, `agent`, or `{ mode: agent, socket: FILE }`';
/** Types whose signatures can be checked here; those of hardware keys (sk-...) cannot. */
const KEY_TYPES: readonly string[] = ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521', 'ssh-rsa'];
/** A shorter modulus can be taken apart with means that are within reach (NIST SP 800-131A). */
const LEAST_RSA_BITS = 2048;

/** For editors. */
export const ROUTE_SSH_SCHEMA = {
  description:
    'How SSH remotes are served. bridge: over HTTPS with the identity of the route, so that no SSH key is needed; agent: over SSH, ' +
    'signed with a key that an ssh-agent holds. `legacy: true` allows what servers before 2020 need (SHA-1).',
  default: 'bridge',
  anyOf: [
    { enum: [...MODES] },
    {
      type: 'object',
      properties: {
        mode: { enum: [...MODES], description: 'As the word alone.' },
        socket: { type: 'string', description: "The agent's socket. Default: SSH_AUTH_SOCK of the service." },
        legacy: { type: 'boolean', description: 'Key exchange and signatures with SHA-1. Default: false.' },
      },
      required: ['mode'],
      additionalProperties: false,
    },
  ],
};

/** Reads `listen.ssh` as a flag or variable holds it; none for `off`. @throws {SyntaxError} as parseListenAddresses */
export function parseSshListen(text: string): readonly ListenAddress[] {
  if (text.trim() === OFF) return [];
  try {
    return parseListenAddresses(text);
  } catch (thrown) {
    if (!(thrown instanceof SyntaxError)) throw thrown;
    throw new SyntaxError(
      thrown.message.replace('write `127.0.0.1:8417` or `[::1]:8417`', 'write `127.0.0.1:8422`, `[::1]:8422`, or `off`'),
    );
  }
}

/** Everything wrong with the value of `listen.ssh`. */
export function sshListenFaults(raw: unknown): ShapeFault[] {
  if (raw === OFF) return [];
  if (asMap(raw) !== undefined)
    return [{ path: [], on: 'value', text: 'is a map; write `127.0.0.1:8422`, a list of such addresses, or `off`' }];
  return listenFaults(raw);
}

/**
 * Reads a line of authorized_keys without options: `ssh-ed25519 AAAA... comment`.
 *
 * Source: sshd(8) AUTHORIZED_KEYS FILE FORMAT; RFC 4253 section 6.6.
 * @throws {SyntaxError} for anything else, for a type that cannot be checked, and for an RSA key that is too short
 */
export function parseAccessKey(text: string): AccessKey {
  if (text.includes('PRIVATE KEY')) throw new SyntaxError('is a private key, which nobody but an agent should hold; write the public one');
  const [, type = '', blob = '', comment = ''] = /^(\S+)\s+([A-Za-z0-9+/]+={0,2})(?:\s+(.*))?$/.exec(text.trim()) ?? [];
  if (type === '') throw new SyntaxError('is not a public key; write a line as `ssh-add -L` prints it: `ssh-ed25519 AAAA... name`');
  if (!KEY_TYPES.includes(type))
    throw new SyntaxError(`${quote(type)} is not a type of key that can be used here; write one of ${KEY_TYPES.join(', ')}`);
  const bytes = Buffer.from(blob, 'base64');
  const fields = fieldsOf(bytes);
  if (fields === undefined || fields[0]?.toString('latin1') !== type || fields.length < 2)
    throw new SyntaxError('is a public key that was cut or changed; copy the whole line');
  if (type === 'ssh-rsa' && bitsOf(fields[2]) < LEAST_RSA_BITS)
    throw new SyntaxError(`is an RSA key of less than ${LEAST_RSA_BITS} bits; use a longer one`);
  return { type, blob: bytes.toString('base64'), fingerprint: fingerprintOf(bytes), comment: comment.trim() };
}

/** Reads `key` of a route: the fingerprint as `ssh-add -l` shows it. @throws {SyntaxError} for anything else */
export function parseFingerprint(text: string): string {
  const bare = text.trim().replace(/=+$/, '');
  if (!/^SHA256:[A-Za-z0-9+/]{43}$/.test(bare))
    throw new SyntaxError('is not a fingerprint; write it as `ssh-add -l` shows it: `SHA256:` and 43 characters');
  return bare;
}

/** Reads `sshUpstream`. @throws {SyntaxError} for anything but `ssh://[user@]host[:port]` */
export function parseSshUpstream(text: string): SshUpstream {
  const [, user, v6, name, port] = /^ssh:\/\/(?:([^@/:\s]+)@)?(?:\[([0-9a-fA-F:.]+)\]|([^:/@\s[\]]+))(?::(\d{1,5}))?\/?$/.exec(text) ?? [];
  const host = (v6 ?? name ?? '').toLowerCase();
  if (host === '' || (v6 === undefined ? isIP(host) !== 4 && !isHostName(host) : isIP(host) !== 6))
    throw new SyntaxError('is not `ssh://user@host:port`; leave out password and path');
  const number = port === undefined ? SSH_PORT : Number(port);
  if (number < 1 || number > 65_535) throw new SyntaxError('has no valid port; write one from 1 to 65535');
  return { user, host, port: number };
}

/** Everything wrong with `ssh` of a route. */
export function routeSshFaults(raw: unknown): ShapeFault[] {
  if (MODES.some((mode) => mode === raw)) return [];
  const map = asMap(raw);
  if (map === undefined) {
    const text = typeof raw === 'string' ? `${quote(raw)} is not a way to serve SSH; ${SSH_RIGHT}` : `is ${typeName(raw)}; ${SSH_RIGHT}`;
    return [{ path: [], on: 'value', text }];
  }
  const faults = Object.keys(map)
    .filter((key) => !AGENT_KEYS.some((known) => known === key))
    .map((key): ShapeFault => ({ path: [key], on: 'key', text: unknownKeyText(key, AGENT_KEYS, []) }));
  const wrong = (key: string, text: string): void => void faults.push({ path: [key], on: 'value', text });
  const mode = ownValue(map, 'mode');
  const socket = ownValue(map, 'socket');
  const legacy = ownValue(map, 'legacy');
  if (!MODES.some((each) => each === mode))
    wrong('mode', `${mode === undefined ? 'is missing' : 'is not one of them'}; write \`bridge\` or \`agent\``);
  if (socket !== undefined && (typeof socket !== 'string' || socket === ''))
    wrong('socket', "is not a path; write that of the agent's socket");
  if (legacy !== undefined && typeof legacy !== 'boolean') wrong('legacy', `is ${typeName(legacy)}; write \`true\` or \`false\``);
  if (mode === 'bridge') {
    for (const key of ['socket', 'legacy'] as const)
      if (ownValue(map, key) !== undefined)
        faults.push({ path: [key], on: 'key', text: 'has no effect on `bridge`, which uses no SSH; leave it out, or write `mode: agent`' });
  }
  return faults;
}

/** Everything wrong with `knownHosts` of a route: a path, or a list of them. */
export function knownHostsFaults(raw: unknown): ShapeFault[] {
  const right = 'write the path of a known_hosts file, or a list of such paths';
  if (!Array.isArray(raw))
    return typeof raw === 'string' && raw !== ''
      ? []
      : [{ path: [], on: 'value', text: `is ${raw === '' ? 'empty' : typeName(raw)}; ${right}` }];
  const values = raw as readonly unknown[];
  if (values.length === 0) return [{ path: [], on: 'value', text: `is an empty list; ${right}, or leave the key out` }];
  return values.flatMap((value, index): ShapeFault[] =>
    typeof value === 'string' && value !== ''
      ? []
      : [{ path: [index], on: 'value', text: `is ${value === '' ? 'empty' : typeName(value)}; write a path` }],
  );
}

/** Keys of a route that only `ssh: agent` uses. */
const AGENT_ONLY = ['key', 'knownHosts', 'sshUpstream'] as const;

/** Keys of a route that would have no effect. */
export function idleSshKeys(route: Readonly<Record<string, unknown>>): readonly { key: string; text: string }[] {
  if (modeOf(ownValue(route, 'ssh')) === 'agent') return [];
  return AGENT_ONLY.filter((key) => ownValue(route, key) !== undefined).map((key) => ({
    key,
    text: 'has an effect with `ssh: agent` only; write that too, or leave it out',
  }));
}

function modeOf(raw: unknown): unknown {
  return asMap(raw) === undefined ? raw : ownValue(asMap(raw), 'mode');
}

/** How a route without faults serves SSH. `resolve` makes a path of the file absolute. */
export function readRouteSsh(route: Readonly<Record<string, unknown>>, resolve: (path: string) => string): RouteSsh {
  const raw = ownValue(route, 'ssh');
  if (modeOf(raw) !== 'agent') return { kind: 'bridge' };
  const map = asMap(raw);
  const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
  const key = text(ownValue(route, 'key'));
  const socket = text(ownValue(map, 'socket'));
  const upstream = text(ownValue(route, 'sshUpstream'));
  const known = ownValue(route, 'knownHosts');
  const files = known === undefined ? undefined : ((Array.isArray(known) ? known : [known]) as readonly string[]); // the shape was checked
  return {
    kind: 'agent',
    key: key === undefined ? undefined : parseFingerprint(key),
    socket: socket === undefined ? undefined : resolve(socket),
    knownHosts: files?.map(resolve),
    isLegacyAllowed: ownValue(map, 'legacy') === true,
    upstream: upstream === undefined ? undefined : parseSshUpstream(upstream),
  };
}

/** The values under the keys of the file. */
export function shownRouteSsh(ssh: RouteSsh): Record<string, ShownValue | undefined> {
  if (ssh.kind === 'bridge') return { ssh: 'bridge' };
  const { key, socket, knownHosts, isLegacyAllowed, upstream } = ssh;
  const isPlain = socket === undefined && !isLegacyAllowed;
  const more = { ...(socket === undefined ? {} : { socket }), ...(isLegacyAllowed ? { legacy: 'true' } : {}) };
  return { ssh: isPlain ? 'agent' : { mode: 'agent', ...more }, key, knownHosts, sshUpstream: upstream && writeSshUpstream(upstream) };
}

/** `ssh://git@host:22`. */
export function writeSshUpstream({ user, host, port }: SshUpstream): string {
  return `ssh://${user === undefined ? '' : `${user}@`}${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** `SHA256:` and base64 without padding, as OpenSSH shows a key. */
function fingerprintOf(blob: Buffer): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

/** The length-prefixed strings that a key is made of (RFC 4251 section 5); undefined when they do not fill it exactly. */
function fieldsOf(bytes: Buffer): Buffer[] | undefined {
  const fields: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    if (bytes.length - at < 4) return undefined;
    const end = at + 4 + bytes.readUInt32BE(at);
    if (end > bytes.length) return undefined;
    fields.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return fields;
}

/** Bits of an unsigned number in big-endian bytes. */
function bitsOf(number: Buffer | undefined): number {
  const first = number?.findIndex((byte) => byte !== 0) ?? -1;
  return number === undefined || first < 0 ? 0 : (number.length - first) * 8 - Math.clz32(number[first] ?? 0) + 24;
}
