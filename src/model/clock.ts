/** The real clock. Timers are unref'd: waiting for a renewal must not keep a stopping process alive. */
import type { Clock } from './ports.js';

/** setTimeout takes a signed 32-bit number of milliseconds and fires at once above it. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, Math.min(Math.max(0, ms), LONGEST_TIMER_MS));
    timer.unref();
    return () => {
      clearTimeout(timer);
    };
  },
};
