/**
 * Addresses that an upstream names for something to be fetched or sent (an object of LFS, a package in its storage), as they come
 * back to the client: an address of the door, with the true one sealed into its query. The seal covers all that the address is good for, so
 * that nothing of it can be changed; and it hides what the upstream gave with it (a storage's signature, headers), so that
 * no client holds that.
 *
 *   text  = base64url( key id (8 bytes) nonce (12 bytes) ciphertext tag (16 bytes) )
 *   AES-256-GCM; associated data: "postern onward 1" NUL key id; plaintext: JSON in the one form below
 *
 * What a seal permits is decided at each use all the same: the present caller must be admitted to that operation.
 *
 * Source: NIST SP 800-38D (GCM), RFC 5869 (HKDF).
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import type { Secret } from '../model/secret.js';

const DOMAIN = 'postern onward 1\0';
const ALGORITHM = 'aes-256-gcm';
const ID_BYTES = 8;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;
/** Longest text: with the path it must fit into a request target (16 KiB). */
export const LONGEST_SEAL = 12 * 1024;

/** What is done there, as LFS calls it; `get` is what a redirect of the REST API or of a package feed leads to. */
export type OnwardAction = 'download' | 'upload' | 'verify' | 'get';

export interface OnwardTarget {
  /** Where it leads, whole. */
  readonly url: string;
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST';
  readonly action: OnwardAction;
  /** The route (its `match`) by which it was learned. */
  readonly route: string;
  /** The address of the operation in which it was learned, as policy compares it (RepoAddress.canonical). */
  readonly canonical: readonly string[];
  /** The object, SHA-256 in hex, where it is one of LFS. */
  readonly oid?: string | undefined;
  readonly expiresAt: Date;
  /** Headers that the upstream wants to see there. */
  readonly headers: Readonly<Record<string, string>>;
}

/** The keys that other daemons and the next start may have too: those of leases. */
export interface OnwardKeys {
  /** Ids of 16 hex digits, the newest first. */
  readonly ids: readonly string[];
  /** base64 of 32 bytes. */
  keyOf(id: string): Secret | undefined;
}

export class OnwardSeal {
  readonly #keys: OnwardKeys | undefined;
  /** Where there are no such keys: an address is good until the daemon ends. */
  readonly #own: { readonly id: string; readonly key: Uint8Array };

  /** `previous`: one that this one takes the place of; what it sealed with a key of its own stays good. */
  constructor(keys: OnwardKeys | undefined, previous?: OnwardSeal) {
    this.#keys = keys;
    this.#own = previous === undefined ? { id: randomBytes(ID_BYTES).toString('hex'), key: randomBytes(KEY_BYTES) } : previous.#own;
  }

  /** Undefined for a target too long to stand in an address. */
  seal(target: OnwardTarget): string | undefined {
    const id = this.#keys?.ids[0] ?? this.#own.id;
    const key = this.#keyOf(id);
    if (key === undefined) return undefined;
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, key, nonce).setAAD(aadOf(id));
    const { url, method, action, route, canonical, oid, expiresAt, headers } = target;
    const plain = JSON.stringify({ url, method, action, route, canonical, oid, exp: expiresAt.getTime(), headers });
    const sealed = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
    const text = Buffer.concat([Buffer.from(id, 'hex'), nonce, sealed, cipher.getAuthTag()]).toString('base64url');
    return text.length > LONGEST_SEAL ? undefined : text;
  }

  /** What was sealed; undefined for any text that was not sealed here, in exactly this form. Its time may be over. */
  open(text: string): OnwardTarget | undefined {
    if (text.length > LONGEST_SEAL || !/^[A-Za-z0-9_-]+$/.test(text)) return undefined;
    const bytes = Buffer.from(text, 'base64url');
    // The last character may hold bits that are dropped: one text for one seal.
    if (bytes.toString('base64url') !== text || bytes.length <= ID_BYTES + NONCE_BYTES + TAG_BYTES) return undefined;
    const id = bytes.toString('hex', 0, ID_BYTES);
    const key = this.#keyOf(id);
    if (key === undefined) return undefined;
    const nonce = bytes.subarray(ID_BYTES, ID_BYTES + NONCE_BYTES);
    const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES }).setAAD(aadOf(id));
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    let plain: string;
    try {
      const body = bytes.subarray(ID_BYTES + NONCE_BYTES, -TAG_BYTES);
      plain = Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8');
    } catch {
      // Something of it was changed.
      return undefined;
    }
    const { exp, ...rest } = JSON.parse(plain) as Omit<OnwardTarget, 'expiresAt'> & { readonly exp: number }; // we wrote it
    return { ...rest, expiresAt: new Date(exp) };
  }

  #keyOf(id: string): Uint8Array | undefined {
    if (id === this.#own.id) return this.#own.key;
    const root = this.#keys?.keyOf(id);
    if (root === undefined) return undefined;
    return new Uint8Array(hkdfSync('sha256', Buffer.from(root.reveal(), 'base64'), '', DOMAIN, KEY_BYTES));
  }
}

function aadOf(id: string): Buffer {
  return Buffer.from(`${DOMAIN}${id}`, 'latin1');
}
