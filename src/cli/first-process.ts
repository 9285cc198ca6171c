/**
 * Signals of the first process of a container. The kernel drops those for which it has no handler (pid_namespaces(7)), so that a
 * container that is stopped while it starts, or that runs a command which waits, would only end when it is killed.
 */
import { constants } from 'node:os';

const ENDING = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
const FIRST_PID = 1;
/** What a shell reports for a command that a signal ended: this and the signal's number. */
const SIGNALLED = 128;

/** Has the first process end by signals as any other one does, for as long as nobody else listens for them. */
export function endOnSignals(): void {
  if (process.pid !== FIRST_PID) return;
  for (const signal of ENDING) {
    process.on(signal, () => {
      if (process.listenerCount(signal) === 1) process.exit(SIGNALLED + constants.signals[signal]);
    });
  }
}
