/**
 * The client's end of a bridged session: bytes out of it, bytes into it, and an end to everything at once when it goes away.
 * Whatever waits here wakes up then, and every stream of the upstream's that was taken into keeping is let go of.
 */
import type { Readable } from 'node:stream';
import type { GitSession } from './git-session.js';

/** The client is gone, or the operation was ended from outside: nobody is left to be told anything. */
export class ClientGone extends Error {
  constructor() {
    super('the client is gone');
  }
}

export class ClientLine {
  readonly #session: Pick<GitSession, 'input' | 'output' | 'over'>;
  /** What was read of the input and not yet asked for. */
  readonly #queue: Buffer[] = [];
  readonly #kept = new Set<Readable>();
  readonly #waiting = new Set<() => void>();
  readonly #stopping = new AbortController();
  #isListening = false;
  /** Why nothing goes on any more. */
  #cause: Error | undefined;
  /** Whether part of an answer was written whose end is not there yet: nothing else may be written then. */
  isInside = false;

  constructor(session: Pick<GitSession, 'input' | 'output' | 'over'>) {
    this.#session = session;
    const { input, output, over } = session;
    over.addEventListener('abort', this.#gone);
    input.on('close', this.#inputClosed).on('error', this.#gone);
    output.on('close', this.#gone).on('error', this.#gone);
    if (over.aborted || output.destroyed) this.#gone();
  }

  /** Why everything was stopped; undefined while nothing was. */
  get cause(): Error | undefined {
    return this.#cause;
  }

  /** Aborted when everything stops, for whoever waits for the client in a way of his own. */
  get stopped(): AbortSignal {
    return this.#stopping.signal;
  }

  /**
   * The next bytes of the client, one call at a time. With `limitMs`, `silence` when none came and the client did not end within.
   * @throws ClientGone, and what stop() was told
   */
  async read(limitMs?: number): Promise<Buffer | 'end' | 'silence'> {
    const { input } = this.#session;
    if (!this.#isListening) {
      this.#isListening = true;
      input.on('data', this.#take);
      input.pause();
    }
    for (;;) {
      this.#check();
      const chunk = this.#queue.shift();
      if (chunk !== undefined) return chunk;
      if (input.readableEnded) return 'end';
      const waited = { isSilent: false };
      await this.#wait((wake) => {
        const timer =
          limitMs === undefined
            ? undefined
            : setTimeout(() => {
                waited.isSilent = true;
                wake();
              }, limitMs);
        input.once('data', wake).once('end', wake);
        input.resume();
        return () => {
          clearTimeout(timer);
          input.off('data', wake).off('end', wake);
        };
      });
      if (waited.isSilent && this.#queue.length === 0) {
        input.pause();
        return 'silence';
      }
    }
  }

  /** Gives back what was read too far. */
  unread(bytes: Buffer): void {
    if (bytes.length > 0) this.#queue.unshift(bytes);
  }

  /**
   * Writes to the client and waits while it is slow.
   * @throws ClientGone, and what stop() was told
   */
  async write(bytes: Buffer): Promise<void> {
    const { output } = this.#session;
    if (output.destroyed) this.#gone();
    this.#check();
    if (bytes.length === 0 || output.write(bytes)) return;
    await this.#wait((wake) => {
      output.once('drain', wake);
      return () => output.off('drain', wake);
    });
    this.#check();
  }

  /**
   * Waits for `promise`, and no longer than the client is there.
   * @throws ClientGone, and what stop() was told
   */
  async during<T>(promise: Promise<T>): Promise<T> {
    this.#check();
    let settled: { readonly value: T } | undefined;
    let failure: { readonly thrown: unknown } | undefined;
    await this.#wait((wake) => {
      promise
        .then(
          (value) => (settled = { value }),
          (thrown: unknown) => (failure = { thrown }),
        )
        .finally(wake);
      return () => undefined;
    });
    this.#check();
    if (failure !== undefined) throw failure.thrown;
    if (settled === undefined) throw new ClientGone();
    return settled.value;
  }

  /** Takes a stream into keeping: it is destroyed when everything stops, at once when that has happened. */
  keep(stream: Readable): void {
    // Who reads the stream hears of its fault; when nobody does any more it is of no interest.
    stream.on('error', () => undefined);
    if (this.#cause !== undefined) {
      stream.destroy(this.#cause);
      return;
    }
    this.#kept.add(stream);
    stream.once('close', () => this.#kept.delete(stream));
  }

  /** Ends everything that waits with `cause`. Only the first counts. */
  stop(cause: Error): void {
    if (this.#cause !== undefined) return;
    this.#cause = cause;
    this.#stopping.abort();
    // With an error, so that an upload which was not finished never looks as if it were.
    for (const stream of this.#kept) stream.destroy(cause);
    for (const wake of [...this.#waiting]) wake();
  }

  /** Lets go of everything: no listener, timer or stream is left. */
  close(): void {
    const { input, output, over } = this.#session;
    this.stop(new ClientGone());
    over.removeEventListener('abort', this.#gone);
    input.off('close', this.#inputClosed).off('error', this.#gone).off('data', this.#take);
    output.off('close', this.#gone).off('error', this.#gone);
  }

  readonly #gone = (): void => this.stop(new ClientGone());

  readonly #inputClosed = (): void => {
    if (!this.#session.input.readableEnded) this.#gone();
  };

  readonly #take = (chunk: Buffer): void => {
    this.#session.input.pause();
    this.#queue.push(chunk);
  };

  #check(): void {
    if (this.#cause !== undefined) throw this.#cause;
  }

  /** Resolves when `begin` calls `wake`, later, or everything stops; what `begin` gives back takes it down again. */
  #wait(begin: (wake: () => void) => () => unknown): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        if (!this.#waiting.delete(wake)) return;
        undo();
        resolve();
      };
      this.#waiting.add(wake);
      const undo = begin(wake);
    });
  }
}
