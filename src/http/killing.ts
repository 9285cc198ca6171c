/**
 * An operation that is ended from outside (`postern kill`). Whoever carries it leaves what it was waiting for. A caller that has
 * got nothing yet is told in git's way; one that has part of an answer is cut off, because an answer that ends in good order
 * would look whole.
 */
import type { ServerResponse } from 'node:http';
import type { Clock } from '../model/ports.js';
import type { Refusal } from '../model/refusal.js';

/**
 * How long a caller may still take to finish its request, without which git would not read what it is told. The rest of a push
 * comes over loopback and is dropped; one that is held back, or drips, is cut off by then.
 */
export const LAST_WORDS_MS = 10_000;

/** The operation was ended; `refusal` says so. */
export class Killed extends Error {
  readonly refusal: Refusal;

  constructor(killed: AbortSignal) {
    const refusal = killed.reason as Refusal; // because the ledger aborts it with one
    super(refusal.what);
    this.name = 'Killed';
    this.refusal = refusal;
  }
}

/** Settles as `work` does, or rejects with Killed as soon as the operation is ended; what `work` comes to is dropped then. */
export function unlessKilled<T>(killed: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    onKill(killed, () => reject(new Killed(killed)));
    work.then(resolve, reject);
  });
}

/** Sees to it that the caller of an ended operation is off the line: at once if part of its answer is out, soon if not. */
export function cutWhenKilled({ response, killed }: { response: ServerResponse; killed: AbortSignal }, clock: Clock): void {
  onKill(killed, () => {
    if (response.headersSent) {
      response.destroy();
      return;
    }
    response.once(
      'close',
      clock.after(LAST_WORDS_MS, () => response.destroy()),
    );
  });
}

function onKill(killed: AbortSignal, run: () => void): void {
  if (killed.aborted) run();
  else killed.addEventListener('abort', run, { once: true });
}
