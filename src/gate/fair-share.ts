/**
 * A number of places that several callers share. One that is alone may have all of them. As long as another has asked lately none
 * may have more than three times as many as are free: that is three quarters for one that floods, and it always leaves some for
 * whoever comes, however many there are. It is the rule by which switches share a buffer between their ports (Choudhury and
 * Hahne, "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches", 1998).
 */

/** How many times what is free one caller may have. */
const SHARE = 3;
/** For how long a caller counts as one that asks: the jobs of a pipeline fetch every few minutes. */
const LATELY_MS = 10 * 60_000;

/** A place that is taken, with the function that gives it back; or why none is to be had: none is free, or the caller has its share. */
export type Place = { readonly kind: 'taken'; readonly giveBack: () => void } | { readonly kind: 'full' } | { readonly kind: 'share' };

export class FairShare {
  readonly #held = new Map<string, number>();
  readonly #now: () => number;
  #taken = 0;
  /** The caller that asked last, and the last one besides. */
  #latest: { readonly who: string; at: number } | undefined;
  #other: { readonly who: string; at: number } | undefined;

  /** `now`: ms that never go back. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** How many are taken. */
  get taken(): number {
    return this.#taken;
  }

  /** Asks for a place of `limit` for a caller. */
  take(who: string, limit: number): Place {
    this.#note(who);
    if (this.#taken >= limit) return { kind: 'full' };
    const has = this.#held.get(who) ?? 0;
    if (has > 0 && has >= SHARE * (limit - this.#taken) && this.#isOtherAsking(who)) return { kind: 'share' };
    this.#held.set(who, has + 1);
    this.#taken += 1;
    let isBack = false;
    const giveBack = (): void => {
      if (isBack) return;
      isBack = true;
      this.#taken -= 1;
      const left = (this.#held.get(who) ?? 1) - 1;
      if (left === 0) this.#held.delete(who);
      else this.#held.set(who, left);
    };
    return { kind: 'taken', giveBack };
  }

  #note(who: string): void {
    const at = this.#now();
    if (this.#latest?.who !== who) {
      this.#other = this.#latest;
      this.#latest = { who, at };
    } else this.#latest.at = at;
  }

  #isOtherAsking(who: string): boolean {
    const other = this.#latest?.who === who ? this.#other : this.#latest;
    return other !== undefined && this.#now() - other.at < LATELY_MS;
  }
}
