/**
 * A caveat as bytes: UTF-8 JSON in exactly one form. The keys stand in the order of the table below, none twice, no blank
 * between them, and a key that is not in the table is refused: what is not understood may be a condition.
 *
 *   id       "3f2a..."                  16 hex digits, names this link
 *   label    "nightly"                  the grant only
 *   repos    [["azure-services","dev.azure.com","contoso","*"], ...]   kind of host, then the parts of a canonical pattern
 *   allow    ["fetch","push"]           refs, protect ["refs/heads/x", ...]      changes ["create","update"]
 *   exp      1893456000                 seconds since the epoch
 *   from     ["10.0.0.0/8", "::1"]      uids [1000]
 */
import { isIP, SocketAddress } from 'node:net';
import { HOST_KINDS } from '../model/address.js';
import { caselessName, foldName } from '../model/fold.js';
import { ignoresCase } from '../model/host-name.js';
import type { Caveat, RepoPattern } from '../model/lease.js';
import { PERMISSIONS } from '../model/operation.js';
import { REF_CHANGES } from '../model/refs.js';

/** Longest caveat: with the other bounds a lease stays within `LONGEST_LEASE_TEXT`, and so does what is parsed before a seal is checked. */
export const LONGEST_CAVEAT_BYTES = 4096;
/** Entries of one list; who needs more of them has use for a pattern, or for two leases. */
export const MOST_ENTRIES = 32;
/** A label is a name in an audit line, not a text. */
export const LONGEST_LABEL = 64;
/** Longest glob; git takes refs up to some 250 bytes on most file systems. */
export const LONGEST_GLOB = 256;
/** Parts of a pattern, and characters of one: Azure's longest name has 64, a path on another host may have more. */
const MOST_PARTS = 32;
const LONGEST_PART = 256;
/** The year 9999: what a Date writes in four digits. */
const LATEST_SECOND = 253_402_300_799;
/** One below the kernel's "no user" (uid_t -1). */
const LARGEST_UID = 2 ** 32 - 2;

/** What a terminal would act on (as in addresses, hosts/segments.ts), and halves of characters. */
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\p{Cs}]/u;

const KEYS: readonly string[] = ['id', 'label', 'repos', 'allow', 'refs', 'protect', 'changes', 'exp', 'from', 'uids'];

/**
 * Reads a caveat.
 * @throws SyntaxError that goes on from "the lease"; its text repeats nothing of the bytes
 */
export function parseCaveat(bytes: Uint8Array): Caveat {
  if (bytes.length > LONGEST_CAVEAT_BYTES) throw new SyntaxError(`has a caveat of more than ${LONGEST_CAVEAT_BYTES} bytes`);
  let text: string;
  let raw: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    raw = JSON.parse(text);
  } catch {
    // What the library says would repeat a piece of it.
    throw new SyntaxError('has a caveat that is no JSON');
  }
  const caveat = readCaveat(raw);
  if (JSON.stringify(plainOf(caveat)) !== text) throw new SyntaxError('has a caveat that is not written in its one form');
  return caveat;
}

/**
 * Writes a caveat.
 * @throws SyntaxError when it is one that `parseCaveat` refuses
 */
export function writeCaveat(caveat: Caveat): Uint8Array {
  const bytes = Buffer.from(JSON.stringify(plainOf(caveat)), 'utf8');
  parseCaveat(bytes);
  return bytes;
}

/** Whether a text can be a holder's name: printable, with nothing that turns or breaks a line. */
export function isLabel(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.length > 0 &&
    value.length <= LONGEST_LABEL &&
    /^[\p{L}\p{N}\p{M}\p{P}\p{S} ]+$/u.test(value) &&
    value.trim() === value
  );
}

/** Whether a text can be a glob of refs (model/refs.ts): a full name, such as git-check-ref-format(1) takes, with `*` in it. */
export function isRefGlob(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.length <= LONGEST_GLOB &&
    /^refs(?:\/[^\s/~^:?[\\]+)+$/.test(value) &&
    !UNPRINTABLE.test(value) &&
    !/\.\.|\*{3}/.test(value)
  );
}

/** Whether a text is one address or a block of them, in the form in which the system writes addresses. */
export function isAddressBlock(value: unknown): value is string {
  if (typeof value !== 'string') return false;
  const [address = '', prefix, more] = value.split('/');
  const family = isIP(address);
  if (family === 0 || more !== undefined || address.includes('%') || /^::ffff:/i.test(address)) return false;
  if (prefix !== undefined && !(/^(?:0|[1-9][0-9]{0,2})$/.test(prefix) && Number(prefix) <= (family === 6 ? 128 : 32))) return false;
  return new SocketAddress({ address, family: family === 6 ? 'ipv6' : 'ipv4' }).address === address;
}

/** Whether a number can be a user's. */
export function isUid(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= LARGEST_UID;
}

function readCaveat(raw: unknown): Caveat {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) throw new SyntaxError('has a caveat that is no map');
  const map = raw as Readonly<Record<string, unknown>>; // a map that JSON.parse made
  const unknown = Object.keys(map).some((key) => !KEYS.includes(key));
  if (unknown) throw new SyntaxError('has a caveat that this version does not know, so it cannot be judged');
  const read = <Value>(key: string, fits: (value: unknown) => value is Value): Value | undefined => {
    const value = Object.hasOwn(map, key) ? map[key] : undefined;
    if (value === undefined) return undefined;
    if (!fits(value)) throw new SyntaxError(`has a caveat whose \`${key}\` cannot be used`);
    return value;
  };
  const id = read('id', isId);
  if (id === undefined) throw new SyntaxError('has a caveat without an id');
  const exp = read('exp', isSecond);
  return {
    id,
    label: read('label', isLabel),
    repos: read('repos', listOf(isPlainPattern))?.map(([hostKind, ...parts]) => ({ hostKind, parts })),
    allow: read('allow', inOrder(PERMISSIONS)),
    refs: read('refs', listOf(isRefGlob)),
    protect: read('protect', listOf(isRefGlob)),
    changes: read('changes', inOrder(REF_CHANGES)),
    expiresAt: exp === undefined ? undefined : new Date(exp * 1000),
    from: read('from', listOf(isAddressBlock)),
    uids: read('uids', listOf(isUid)),
  };
}

type PlainPattern = readonly [hostKind: RepoPattern['hostKind'], ...parts: string[]];

function plainOf(caveat: Caveat): Readonly<Record<string, unknown>> {
  const { id, label, repos, allow, refs, protect, changes, expiresAt, from, uids } = caveat;
  // JSON.stringify leaves out what is undefined and keeps this order.
  return {
    id,
    label,
    repos: repos?.map(({ hostKind, parts }) => [hostKind, ...parts]),
    allow,
    refs,
    protect,
    changes,
    exp: expiresAt === undefined ? undefined : expiresAt.getTime() / 1000,
    from,
    uids,
  };
}

/** Whether a text is the id of a link. */
export function isId(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{16}$/.test(value);
}

function isSecond(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= LATEST_SECOND;
}

function isPlainPattern(value: unknown): value is PlainPattern {
  if (!Array.isArray(value) || value.length < 3 || value.length > MOST_PARTS + 1) return false;
  const [kind, host, ...names] = value as readonly unknown[];
  if (!HOST_KINDS.some((known) => known === kind) || !isPart(host)) return false;
  if (foldName(host) !== host || host.replace(/^\*\./, '').includes('*')) return false;
  const isCased = kind === 'generic' && !ignoresCase(host);
  return names.every((name, at) => {
    if (!isPart(name)) return false;
    if (name === '*' || (name === '**' && at === names.length - 1)) return true;
    return !foldName(name).includes('*') && (isCased || caselessName(name) === name);
  });
}

function isPart(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= LONGEST_PART && !/[/\\]/.test(value) && !UNPRINTABLE.test(value);
}

/** A list that is not empty, not too long, and holds nothing twice. */
function listOf<Value>(fits: (value: unknown) => value is Value): (value: unknown) => value is readonly Value[] {
  return (value): value is readonly Value[] =>
    Array.isArray(value) &&
    value.length > 0 &&
    value.length <= MOST_ENTRIES &&
    value.every(fits) &&
    new Set(value.map((entry) => JSON.stringify(entry))).size === value.length;
}

/** Some words of a table, in its order. */
function inOrder<Word extends string>(words: readonly Word[]): (value: unknown) => value is readonly Word[] {
  return (value): value is readonly Word[] =>
    Array.isArray(value) && value.length > 0 && JSON.stringify(words.filter((word) => value.includes(word))) === JSON.stringify(value);
}
