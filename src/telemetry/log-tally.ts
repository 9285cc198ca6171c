/**
 * Counts what is logged. The events of the log are one closed table (model/ports.ts), so they are also the cheapest way to count
 * what happens anywhere in the house: renewals, retries, refusals for want of room, reloads.
 */
import type { Clock, LogEvent, Logger, LogLevel } from '../model/ports.js';
import type { LoggedEvent } from './house-view.js';

export interface LogTally {
  /** The same log, counted. */
  watch<Log extends Logger>(log: Log): Log;
  readonly logged: () => readonly LoggedEvent[];
}

/** Makes one, with nothing counted. */
export function logTally(clock: Clock): LogTally {
  const seen = new Map<string, { readonly level: LogLevel; readonly event: LogEvent; count: number; lastAt: number }>();
  const note = (level: LogLevel, event: LogEvent): void => {
    const key = `${level} ${event}`;
    const known = seen.get(key);
    if (known === undefined) seen.set(key, { level, event, count: 1, lastAt: clock.now() });
    else {
      known.count += 1;
      known.lastAt = clock.now();
    }
  };
  return {
    watch: (log) => {
      // What else the log can do it still does, also what it learns to do later.
      const counted = Object.create(log) as typeof log; // because Object.create gives any
      counted.log = (level, event, fields) => {
        note(level, event);
        log.log(level, event, fields);
      };
      return counted;
    },
    logged: () => [...seen.values()],
  };
}
