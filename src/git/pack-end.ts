/**
 * Whether what has come of a pack so far can be all of it: a pack ends in the hash of everything before that, so that its end can
 * be told without reading what is in it. Only a possible end: a pack can hold, in an object that is stored as it is, the hash of
 * its own beginning.
 *
 *   pack = "PACK" version(4) count(4) *object hash
 *
 * Source: gitformat-pack "pack-*.pack files have the following format".
 */
import { createHash, type Hash } from 'node:crypto';

export type ObjectFormat = 'sha1' | 'sha256';

const HASH_BYTES: Readonly<Record<ObjectFormat, number>> = { sha1: 20, sha256: 32 };
/** The magic word, the version and the number of objects. */
const HEAD_BYTES = 12;
const MAGIC = 'PACK';

/** Follows a pack whose bytes come cut anywhere. Every byte is hashed once; of the pack only its last bytes are kept. */
export class PackEnd {
  readonly #hash: Hash;
  readonly #hashBytes: number;
  /** The last bytes, as many as a hash has: hashed only when more follow. */
  #tail: Buffer = Buffer.alloc(0);
  #magic = '';
  #size = 0;

  constructor(format: ObjectFormat) {
    this.#hash = createHash(format);
    this.#hashBytes = HASH_BYTES[format];
  }

  /** Takes the next bytes of the pack. */
  push(chunk: Buffer): void {
    if (this.#magic.length < MAGIC.length) this.#magic += chunk.toString('latin1', 0, MAGIC.length - this.#magic.length);
    this.#size += chunk.length;
    const behind = chunk.length - this.#hashBytes;
    if (behind >= 0) {
      this.#hash.update(this.#tail).update(chunk.subarray(0, behind));
      // Copied, because the chunk may be large and its memory used again.
      this.#tail = Buffer.from(chunk.subarray(behind));
      return;
    }
    const joined = Buffer.concat([this.#tail, chunk]);
    const hashed = Math.max(0, joined.length - this.#hashBytes);
    this.#hash.update(joined.subarray(0, hashed));
    this.#tail = joined.subarray(hashed);
  }

  /** Whether what has come so far ends in the hash of everything before. */
  get isPossible(): boolean {
    if (this.#size < HEAD_BYTES + this.#hashBytes || this.#magic !== MAGIC) return false;
    return this.#hash.copy().digest().equals(this.#tail);
  }
}
