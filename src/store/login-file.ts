/**
 * A sign-in as a file: a line of JSON that says whose it is and which key seals it, and a line with the sealed rest. The first
 * line is readable, so that `status` and `logout` can speak of a sign-in whose key is gone; it is authenticated with the rest
 * (AES-256-GCM, NIST SP 800-38D; the first line, identity and version are its additional data), so that no file passes for that of
 * another identity or an earlier one.
 */
import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from 'node:crypto';
import { Secret } from '../model/secret.js';
import type { KeptLogin, LoginKeeper, LoginLabel } from '../model/sign-in.js';

const FORMAT = 1;
const CIPHER = 'aes-256-gcm';
/** Random for each writing: a key seals some thousands a year, far from the bound of 2^32 for random nonces (SP 800-38D section 8.3). */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** A key and how the files that it seals name it. */
export interface LoginKey {
  /** Tells keys apart and tells nothing of them. */
  readonly id: string;
  readonly key: KeyObject;
  readonly keeper: LoginKeeper;
}

/** The first line: of a sign-in, or of one that was taken away. */
export type LoginHeader = { readonly kind: 'forgotten' } | (KeptLogin & { readonly kind: 'login'; readonly keyId: string });

/** Which file it is. */
export interface LoginPlace {
  readonly identity: string;
  readonly version: number;
}

/** What is written in the place of a sign-in that was taken away. */
export const FORGOTTEN = `${JSON.stringify({ format: FORMAT, forgotten: true })}\n`;

export function sealLogin({ text, label }: { text: Secret; label: LoginLabel }, { id, key, keeper }: LoginKey, place: LoginPlace): string {
  const { account, tenant, signedInAt } = label;
  const header = JSON.stringify({ format: FORMAT, account, tenant, signedInAt: signedInAt.toISOString(), keeper, keyId: id });
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(boundTo(header, place));
  const sealed = Buffer.concat([nonce, cipher.update(text.reveal(), 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return `${header}\n${sealed.toString('base64')}\n`;
}

/** The first line. @throws SyntaxError for what is none; it repeats nothing of the file */
export function readLoginHeader(file: string): LoginHeader {
  const line = file.slice(0, Math.max(0, file.indexOf('\n')));
  let map: Readonly<Record<string, unknown>>;
  try {
    map = { ...(JSON.parse(line) as object) };
  } catch {
    throw new SyntaxError('it does not begin as a sign-in does');
  }
  if (map['format'] !== FORMAT) throw new SyntaxError('it is not in a form that this version knows');
  if (map['forgotten'] === true) return { kind: 'forgotten' };
  const { account, tenant, signedInAt, keyId } = map;
  const since = new Date(typeof signedInAt === 'string' ? signedInAt : NaN);
  const keptBy = keeperOf(map['keeper']);
  if (
    typeof account !== 'string' ||
    typeof tenant !== 'string' ||
    typeof keyId !== 'string' ||
    keptBy === undefined ||
    isNaN(since.getTime())
  )
    throw new SyntaxError('its first line is not that of a sign-in');
  return { kind: 'login', label: { account, tenant, signedInAt: since }, keptBy, keyId };
}

/** The sealed text. @throws SyntaxError when the file is not what was written with this key at this place */
export function openLogin(file: string, key: KeyObject, place: LoginPlace): Secret {
  const end = file.indexOf('\n');
  const sealed = Buffer.from(file.slice(end + 1), 'base64');
  if (sealed.length < NONCE_BYTES + TAG_BYTES) throw new SyntaxError('it is cut short');
  try {
    const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAAD(boundTo(file.slice(0, end), place));
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
    const text = Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
    return new Secret(text.toString('utf8'));
  } catch {
    throw new SyntaxError('it was changed, or it is that of another identity or time');
  }
}

function boundTo(header: string, { identity, version }: LoginPlace): Buffer {
  return Buffer.from(JSON.stringify([identity, version, header]), 'utf8');
}

function keeperOf(raw: unknown): LoginKeeper | undefined {
  if (typeof raw !== 'object' || raw === null || !('kind' in raw)) return undefined;
  if (raw.kind === 'keyring') return { kind: 'keyring' };
  if (raw.kind === 'key-file' && 'path' in raw && typeof raw.path === 'string') return { kind: 'key-file', path: raw.path };
  if (raw.kind === 'systemd-credential' && 'name' in raw && typeof raw.name === 'string')
    return { kind: 'systemd-credential', name: raw.name };
  return undefined;
}
