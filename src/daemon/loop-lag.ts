/**
 * How late the event loop is: everything in this process waits for it, so what blocks it (a computation, a slow disk under a
 * synchronous call, a machine that swaps) is felt by every operation, and shows nowhere else.
 */
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { Clock, Logger } from '../model/ports.js';

/** How fine it is measured, ms: the loop wakes up that often for it, which costs nothing that can be measured. */
const RESOLUTION_MS = 20;
/** How often it is looked at. */
const LOOK_MS = 10_000;
/** From here on it is told: a person notices, and TCP and git do not mind yet. */
const LATE_MS = 500;
/** It is told this often at most: whatever blocks a loop does so many times. */
const LOG_AGAIN_MS = 60_000;

/** Of the last ten seconds or so, ms above the usual; `worst` since the start. */
export interface LoopLagState {
  readonly mean: number;
  readonly p99: number;
  readonly max: number;
  readonly worst: number;
}

export class LoopLag {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #histogram: IntervalHistogram;
  #latest: LoopLagState | undefined;
  #worst = 0;
  #loggedAt = Number.NEGATIVE_INFINITY;
  #cancel: (() => void) | undefined;

  constructor(options: { readonly clock: Clock; readonly logger: Logger }) {
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  }

  /** Begins to watch. */
  start(): void {
    this.#histogram.enable();
    this.#next();
  }

  stop(): void {
    this.#cancel?.();
    this.#histogram.disable();
  }

  /** How late it is. */
  read(): LoopLagState {
    return this.#latest ?? this.#measure();
  }

  #next(): void {
    this.#cancel = this.#clock.after(LOOK_MS, () => {
      this.#look();
      this.#next();
    });
  }

  #look(): void {
    const state = this.#measure();
    this.#latest = state;
    this.#histogram.reset();
    if (state.max < LATE_MS || performance.now() - this.#loggedAt < LOG_AGAIN_MS) return;
    this.#loggedAt = performance.now();
    const { max, p99, mean } = state;
    this.#logger.log('warn', 'event-loop-late', { ms: max, p99Ms: p99, meanMs: mean });
  }

  #measure(): LoopLagState {
    const { mean, max, count } = this.#histogram;
    // Nothing was measured yet. The measure is the time between two wake-ups, of which the resolution is the usual part.
    if (count === 0) return { mean: 0, p99: 0, max: 0, worst: this.#worst };
    const above = (nanoseconds: number): number => Math.max(0, Math.round(nanoseconds / 1e6) - RESOLUTION_MS);
    this.#worst = Math.max(this.#worst, above(max));
    return { mean: above(mean), p99: above(this.#histogram.percentile(99)), max: above(max), worst: this.#worst };
  }
}
