/**
 * Where the time of one operation goes. At each moment it is in one phase, so that the phases add up to the whole: what Postern
 * took itself stands apart from what it waited for. One that sends a body as it comes and waits for the answer meanwhile is in
 * the phase that the wait is for.
 */

export const PHASES = [
  /** Postern's own work: reading the request, asking the gate, judging the answer. */
  'own',
  /** For the caller: the rest of its request, before anything goes upstream. */
  'caller',
  /** For the credential of the identity. */
  'token',
  /** Because the upstream asked to come later. */
  'throttle',
  /** For a connection to the upstream, kept or new. */
  'connect',
  /** For the upstream to answer, from the end of the request to the head of the answer, and its first bytes where those are judged. */
  'upstream',
  /** For bytes that pass through, either way; over SSH also for the client's next words. */
  'transfer',
] as const;

export type Phase = (typeof PHASES)[number];

/** ms by phase; a phase that the operation was never in is absent. */
export type SpentMs = Readonly<Partial<Record<Phase, number>>>;

export class TimeSpent {
  readonly #now: () => number;
  readonly #startedAt: number;
  readonly #spent: Partial<Record<Phase, number>> = {};
  #phase: Phase = 'own';
  #since: number;
  #endedAt: number | undefined;

  /** `now`: ms on a clock that nobody sets. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#startedAt = this.#since = now();
  }

  /** From now on the time is that phase's; after `end` nothing changes any more. */
  enter(phase: Phase): void {
    if (this.#endedAt !== undefined) return;
    this.#leave(this.#now());
    this.#phase = phase;
  }

  /** Has `work` counted to a phase, and what comes after it to `then`. */
  async during<T>(phase: Phase, work: Promise<T>, then: Phase = 'own'): Promise<T> {
    this.enter(phase);
    try {
      return await work;
    } finally {
      this.enter(then);
    }
  }

  /** Ends the count. */
  end(): void {
    if (this.#endedAt !== undefined) return;
    this.#leave(this.#now());
    this.#endedAt = this.#since;
  }

  /** ms of the whole until its end; of one that runs, until the latest change of phase. */
  get wholeMs(): number {
    return this.#since - this.#startedAt;
  }

  /** ms by phase, of what `wholeMs` is of. */
  get byPhase(): SpentMs {
    return this.#spent;
  }

  /** As `status --json` has it: whole tenths of a ms. */
  toJSON(): SpentMs {
    return Object.fromEntries(Object.entries(this.#spent).map(([phase, ms]) => [phase, tenths(ms)]));
  }

  #leave(now: number): void {
    this.#spent[this.#phase] = (this.#spent[this.#phase] ?? 0) + now - this.#since;
    this.#since = now;
  }
}

/** As a person reads it. */
export function tenths(ms: number): number {
  return Math.round(ms * 10) / 10;
}
