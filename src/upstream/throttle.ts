/**
 * Obeying the upstream's wish for less. Azure DevOps delays and then refuses an identity that uses too much, and says
 * so in headers, also on a 200. The wish holds for all callers of that identity at that upstream.
 *
 * Source: Azure DevOps "Rate and usage limits" (Retry-After, X-RateLimit-Delay, X-RateLimit-Remaining).
 */
import type { Clock } from '../model/ports.js';

/** Longest wait on a caller's behalf: below a minute git's users wait without wondering, and no client gives up. */
export const LONGEST_WAIT_MS = 30_000;
/** Wait when the upstream says 429 or 503 without saying how long. */
export const DEFAULT_WAIT_MS = 1_000;
/** Tries of one request in all. */
export const MOST_TRIES = 3;

/** Keys from which on the ended are looked for: a key holds an organisation's name, and a caller may think up any. */
const MANY_KEYS = 1000;

/** When each (upstream, identity) may be asked again. */
export class Throttle {
  readonly #clock: Clock;
  readonly #holds = new Map<string, { readonly since: number; readonly until: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** ms that a caller has to wait before asking; 0 when it may ask now. */
  waitFor(key: string): number {
    const hold = this.#holds.get(key);
    if (hold === undefined) return 0;
    const now = this.#clock.now();
    // A clock that was set back ends the hold: the upstream says so again if it still means it.
    const left = hold.until - now;
    if (left > 0 && now >= hold.since) return left;
    this.#holds.delete(key);
    return 0;
  }

  /** Notes that the upstream wants no request of this key for `ms`. */
  hold(key: string, ms: number): void {
    if (this.#holds.size >= MANY_KEYS) for (const other of this.#holds.keys()) this.waitFor(other);
    const since = this.#clock.now();
    if (ms > this.waitFor(key)) this.#holds.set(key, { since, until: since + ms });
  }

  /** Keys that are held now, with the ms left. */
  states(): { readonly key: string; readonly waitMs: number }[] {
    return [...this.#holds.keys()].map((key) => ({ key, waitMs: this.waitFor(key) })).filter(({ waitMs }) => waitMs > 0);
  }
}
