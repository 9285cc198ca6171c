/**
 * How this process lives among others: with readers that go away, and as the first process of a container.
 *
 * Signals of the first process of a container. The kernel drops those for which it has no handler (pid_namespaces(7)), so that a
 * container that is stopped while it starts, or that runs a command which waits, would only end when it is killed.
 */
import { constants } from 'node:os';
import { systemCodeOf } from '../model/errors.js';

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

/**
 * Has a command go on to its end when nobody reads what it prints any more (`postern status | head -1`): one that changes something must
 * not stop in the middle for that. What has no end of its own ends by `whenOutputEnds`.
 */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (thrown) => {
      if (systemCodeOf(thrown) !== 'EPIPE') throw thrown;
    });
}
