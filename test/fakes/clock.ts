/**
 * A clock that a test moves. Timers fire only while `advance` passes them, in the order of their times; `jump` moves
 * the wall clock alone, as a suspend or an operator does.
 */
import type { Clock } from '../../src/model/ports.js';

interface Timer {
  readonly dueAt: number;
  readonly run: () => void;
}

export class FakeClock implements Clock {
  #wallMs: number;
  /** What timers run on: never jumps. */
  #steadyMs = 0;
  readonly #timers = new Set<Timer>();

  constructor(startMs = Date.UTC(2030, 0, 1)) {
    this.#wallMs = startMs;
  }

  now(): number {
    return this.#wallMs;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { dueAt: this.#steadyMs + Math.max(0, ms), run };
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  }

  /** Timers that wait. */
  get waiting(): number {
    return this.#timers.size;
  }

  /** ms until the next timer; undefined when none waits. */
  get nextInMs(): number | undefined {
    const dues = [...this.#timers].map(({ dueAt }) => dueAt);
    return dues.length === 0 ? undefined : Math.min(...dues) - this.#steadyMs;
  }

  /** Lets time pass, with every promise settled before it, between timers and after it. */
  async advance(ms: number): Promise<void> {
    await settle();
    const end = this.#steadyMs + ms;
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#timers.delete(next);
      this.#pass(next.dueAt - this.#steadyMs);
      next.run();
      await settle();
    }
    this.#pass(end - this.#steadyMs);
    await settle();
  }

  /** Sets the wall clock forward or, with a negative number, back. No timer notices. */
  jump(ms: number): void {
    this.#wallMs += ms;
  }

  #next(until: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) if (timer.dueAt <= until && (next === undefined || timer.dueAt < next.dueAt)) next = timer;
    return next;
  }

  #pass(ms: number): void {
    this.#steadyMs += ms;
    this.#wallMs += ms;
  }
}

/** The same clock for a part whose waits are of no interest: each is over at once, and the time has passed. */
export function hasty(clock: FakeClock): Clock {
  return {
    now: () => clock.now(),
    after: (ms, run) => {
      const timer = setImmediate(() => {
        clock.jump(ms);
        run();
      });
      return () => clearImmediate(timer);
    },
  };
}

/** Lets everything that waits for promises alone run to its end. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise<void>((resume) => setImmediate(resume));
}
