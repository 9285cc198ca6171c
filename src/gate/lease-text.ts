/**
 * A lease as text: `ptl1_` and base64url, without padding, of
 *
 *   lease = version(1) field(key id) 1*field(caveat) seal        field = length(2, big-endian) bytes       seal = 32 bytes
 *
 * There is one text for each lease: what decodes to the same bytes and is written otherwise is refused. What the caveats say is
 * in caveat-text.ts, what binds them in lease-seal.ts. Source of base64url: RFC 4648 section 5.
 */

/** What every lease begins with; nothing else that git or Azure sends as a credential does. */
export const LEASE_PREFIX = 'ptl1_';
/**
 * Longest lease, in characters. As user or password it is encoded once more, to 11 KB, which fits the door's 32 KB of head
 * beside everything else, and an environment variable (128 KB on Linux).
 */
export const LONGEST_LEASE_TEXT = 8 * 1024;
/** The grant and its narrowings. Each hand that a lease goes through adds one; more than this is an accident. */
export const MOST_CAVEATS = 16;

const VERSION = 1;
export const SEAL_BYTES = 32;
const LENGTH_BYTES = 2;
const KEY_ID = /^[0-9a-f]{16}$/;

/** The pieces of a lease; nothing of them is proved yet. */
export interface LeasePieces {
  /** Lower-case hex. */
  readonly keyId: string;
  /** The grant first; at least one. */
  readonly caveats: readonly Uint8Array[];
  readonly seal: Uint8Array;
}

/** Whether a text is meant as a lease, whatever it may turn out to hold. */
export function isLeaseText(text: string): boolean {
  return text.startsWith(LEASE_PREFIX);
}

/** Whether a text can be the id of a root key. */
export function isKeyId(text: string): boolean {
  return KEY_ID.test(text);
}

/**
 * Takes a text apart.
 * @throws SyntaxError that goes on from "the lease"; it repeats nothing of the text
 */
export function parseLeaseText(text: string): LeasePieces {
  if (!isLeaseText(text)) throw new SyntaxError(`does not begin with ${LEASE_PREFIX}`);
  if (text.length > LONGEST_LEASE_TEXT) throw new SyntaxError(`is longer than ${LONGEST_LEASE_TEXT} characters`);
  const encoded = text.slice(LEASE_PREFIX.length);
  const bytes = Buffer.from(encoded, 'base64url');
  if (bytes.toString('base64url') !== encoded) throw new SyntaxError('is not whole, or has characters that do not belong to it');
  if (bytes[0] !== VERSION) throw new SyntaxError('is of a version that this one does not know');
  const end = bytes.length - SEAL_BYTES;
  const fields: Uint8Array[] = [];
  let at = 1;
  while (at < end) {
    if (at + LENGTH_BYTES > end) throw cut();
    const length = bytes.readUInt16BE(at);
    at += LENGTH_BYTES;
    if (at + length > end) throw cut();
    fields.push(bytes.subarray(at, at + length));
    at += length;
  }
  const [keyId, ...caveats] = fields;
  if (keyId === undefined || caveats.length === 0) throw cut();
  if (caveats.length > MOST_CAVEATS) throw new SyntaxError(`has more than ${MOST_CAVEATS} caveats`);
  const name = Buffer.from(keyId).toString('latin1');
  if (!isKeyId(name)) throw new SyntaxError('names no key');
  return { keyId: name, caveats, seal: bytes.subarray(end) };
}

/**
 * Puts a text together.
 * @throws RangeError when it would be too long, or has too many caveats
 */
export function writeLeaseText({ keyId, caveats, seal }: LeasePieces): string {
  if (caveats.length > MOST_CAVEATS)
    throw new RangeError(`A lease can have ${MOST_CAVEATS} caveats, this one would have ${caveats.length}`);
  const fields = [Buffer.from(keyId, 'latin1'), ...caveats].flatMap((field) => {
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt16BE(field.length);
    return [length, field];
  });
  const text = LEASE_PREFIX + Buffer.concat([Uint8Array.of(VERSION), ...fields, seal]).toString('base64url');
  if (text.length > LONGEST_LEASE_TEXT)
    throw new RangeError(`A lease can have ${LONGEST_LEASE_TEXT} characters, this one would have ${text.length}`);
  return text;
}

function cut(): SyntaxError {
  return new SyntaxError('is not whole: something is missing at its end');
}
