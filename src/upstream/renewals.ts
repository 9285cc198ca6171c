/**
 * When a 401 is worth a renewal. A refused token is renewed once and the request repeated; if the new one is refused too,
 * it was not the token. That is remembered for where it was seen, and counted for the identity: callers can think up any
 * number of organisations that answer 401, and each would cost a token request and take the good token from everyone else.
 */
import type { Clock } from '../model/ports.js';

/** After a renewed token was refused too, a 401 from the same place is believed for this long. */
const BELIEVED_MS = 30_000;
/** Fruitless renewals that an identity may make at once, for people who are just mending it. */
export const MOST_FRUITLESS = 20;
/** And how soon another one is allowed after that. */
const ONE_MORE_AFTER_MS = 6_000;

export class Renewals {
  readonly #clock: Clock;
  /** When a renewed token was last refused too, by place; the oldest first. */
  readonly #fruitlessAt = new Map<string, number>();
  readonly #counts = new Map<string, { spent: number; since: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether the credential of `identity`, refused at `place`, should be renewed. */
  mayTry(identity: string, place: string): boolean {
    const now = this.#clock.now();
    const at = this.#fruitlessAt.get(place);
    if (at !== undefined && now >= at && now - at < BELIEVED_MS) return false;
    return this.#spent(identity, now) < MOST_FRUITLESS;
  }

  /** Says that the renewed credential was refused as well. */
  wasFruitless(identity: string, place: string): void {
    const now = this.#clock.now();
    // Places hold names that a caller may think up, so none may stay for good.
    for (const [key, at] of this.#fruitlessAt) {
      if (now - at < BELIEVED_MS && at <= now) break;
      this.#fruitlessAt.delete(key);
    }
    this.#fruitlessAt.delete(place);
    this.#fruitlessAt.set(place, now);
    this.#counts.set(identity, { spent: this.#spent(identity, now) + 1, since: now });
  }

  /** What is left of the fruitless renewals after the time that has passed. */
  #spent(identity: string, now: number): number {
    const count = this.#counts.get(identity);
    if (count === undefined || now < count.since) return 0;
    return Math.max(0, count.spent - (now - count.since) / ONE_MORE_AFTER_MS);
  }
}
