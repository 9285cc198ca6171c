/**
 * Requests of this very process to its own door, by which it proves that the door answers. They walk as far as the look-up of
 * the caller and end there: no operation, no record, nothing in the audit. Whoever does not know the word that was made up at
 * the start gets the door's usual answer.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

const HEADER = 'x-postern-self';
const WORD_BYTES = 32;

export class SelfCalls {
  readonly #word = randomBytes(WORD_BYTES).toString('base64url');

  /** The headers of such a request. */
  get headers(): Readonly<Record<string, string>> {
    return { [HEADER]: this.#word };
  }

  /** Whether a request is one. */
  isOne({ headers }: IncomingMessage): boolean {
    const given = Buffer.from(String(headers[HEADER] ?? ''));
    const word = Buffer.from(this.#word);
    return given.length === word.length && timingSafeEqual(given, word);
  }
}
