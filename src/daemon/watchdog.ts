/**
 * The proof of life that a service manager asks for. A daemon is alive when its event loop turns in time and a real request to
 * one of its own listeners is answered, by the road of every other: accepted, read, its caller looked up.
 *
 * Busy is not stuck. An answer may take as long as the manager's patience; any answer counts, also a refusal; and a lack of
 * descriptors or ports is the machine's. A loop that was held up once is asked again soon, and only one that is held up every
 * time gets no further ping.
 */
import { performance } from 'node:perf_hooks';
import { messageOf } from '../model/errors.js';
import type { Logger } from '../model/ports.js';

/** Pings come this many times as often as they must, so that two may be lost. */
const TIMES_PER_PATIENCE = 4;
/** A turn of the loop that comes later than this part of the patience is too late. */
const LATE_PART = 1 / 8;
/** How soon it is looked again after that: long enough for a loop that is stuck in turns to show it. */
const AGAIN_PART = 1 / 16;

export interface WatchdogParts {
  /** ms without a ping after which the manager kills. */
  readonly patienceMs: number;
  /** A request to ourselves; rejects when nobody answers within `withinMs`. */
  readonly callSelf: (withinMs: number) => Promise<void>;
  readonly ping: () => void;
  readonly logger: Logger;
}

export class Watchdog {
  readonly #parts: WatchdogParts;
  #timer: NodeJS.Timeout | undefined;
  #isOn = false;

  constructor(parts: WatchdogParts) {
    this.#parts = parts;
  }

  start(): void {
    if (this.#isOn) return;
    this.#isOn = true;
    void this.#prove();
  }

  stop(): void {
    this.#isOn = false;
    clearTimeout(this.#timer);
  }

  #lookIn(ms: number): void {
    if (!this.#isOn) return;
    const dueAt = performance.now() + ms;
    this.#timer = setTimeout(() => {
      const { patienceMs, logger } = this.#parts;
      const lateMs = performance.now() - dueAt;
      if (lateMs <= patienceMs * LATE_PART) {
        void this.#prove();
        return;
      }
      logger.log('warn', 'event-loop-late', { lateMs: Math.round(lateMs), watchdogMs: patienceMs });
      this.#lookIn(patienceMs * AGAIN_PART);
    }, ms);
    this.#timer.unref();
  }

  async #prove(): Promise<void> {
    const { patienceMs, callSelf, ping, logger } = this.#parts;
    try {
      await callSelf(patienceMs);
      if (this.#isOn) ping();
    } catch (thrown) {
      if (this.#isOn) logger.log('error', 'unexpected', { what: `no answer from a listener of our own: ${messageOf(thrown)}` });
    }
    this.#lookIn(patienceMs / TIMES_PER_PATIENCE);
  }
}
