/**
 * What can go wrong on purpose with one LFS object, or with a call that is about none. How each looks on the wire is in lfs-answers.ts.
 */
import type { LfsStep } from './lfs-calls.js';

export type LfsFaultKind =
  /** A refusal with a status; in a batch answer it is the object's own error. */
  | { readonly kind: 'status'; readonly status: number; readonly message?: string; readonly retryAfterSeconds?: number }
  /** The connection ends after so many bytes of the body, of whichever direction carries the object. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** The body stops after so many bytes until `until` has resolved. */
  | { readonly kind: 'hold'; readonly afterBytes: number; readonly until: Promise<void> }
  /** One byte of the object is another one. */
  | { readonly kind: 'corrupt' }
  /** The page for a browser, with 203. */
  | { readonly kind: 'sign-in' };

export type LfsFault = LfsFaultKind & {
  /** `object-in-batch`: what a batch answer says of the object, while the others are served. */
  readonly at: LfsStep | 'object-in-batch';
  /** How many requests meet it. Default: for ever. */
  readonly times?: number;
  /** How many requests that it fits pass unharmed first. Default none. */
  readonly skip?: number;
};

export class LfsFaultBook {
  readonly #faults: { readonly of: string; readonly fault: LfsFault; left: number; skip: number }[] = [];

  /** Adds a fault of one object, or of all calls at that point by `*`. */
  set(oid: string, fault: LfsFault): void {
    this.#faults.push({ of: oid, fault, left: fault.times ?? Infinity, skip: fault.skip ?? 0 });
  }

  clear(): void {
    this.#faults.length = 0;
  }

  /** The fault that is met at this point, if any; it is then used up once. */
  take(at: LfsFault['at'], oid = '*'): LfsFault | undefined {
    for (const entry of this.#faults) {
      if (entry.fault.at !== at || entry.left <= 0 || (entry.of !== '*' && entry.of !== oid)) continue;
      if (entry.skip > 0) {
        entry.skip -= 1;
        continue;
      }
      entry.left -= 1;
      return entry.fault;
    }
    return undefined;
  }
}
