/**
 * When the configuration is read again: because someone asked, by a signal or the admin socket, or because the file changed. One
 * at a time; what is asked meanwhile is one more time after. A configuration that cannot be used changes nothing, and the reason
 * stands in the log and in `postern status` until one can.
 */
import { type ErrorCode, ProxyError } from '../model/errors.js';
import type { Clock, Logger } from '../model/ports.js';

export type ReloadCause = 'SIGHUP' | 'admin' | 'file';

/** How the latest one went. */
export type ReloadState =
  | { readonly kind: 'done'; readonly at: string; readonly cause: ReloadCause; readonly warnings: readonly string[] }
  | {
      readonly kind: 'failed';
      readonly at: string;
      readonly cause: ReloadCause;
      readonly code: ErrorCode;
      readonly what: string;
      readonly details: readonly string[];
      readonly todo: string | undefined;
    };

/** How many went well and how many did not, since the start. */
export interface ReloadCounts {
  readonly done: number;
  readonly failed: number;
}

export interface ReloadParts {
  /** Reads, checks and goes over; gives the warnings. @throws ProxyError when nothing has changed */
  readonly apply: () => Promise<readonly string[]>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Is told of every one when it has ended. */
  readonly onEnd: () => void;
}

export class Reloads {
  readonly #parts: ReloadParts;
  #running: Promise<ReloadState> | undefined;
  #next: Promise<ReloadState> | undefined;
  #latest: ReloadState | undefined;
  #done = 0;
  #failed = 0;

  constructor(parts: ReloadParts) {
    this.#parts = parts;
  }

  get latest(): ReloadState | undefined {
    return this.#latest;
  }

  get counts(): ReloadCounts {
    return { done: this.#done, failed: this.#failed };
  }

  /** Reads the configuration again; one that begins after this was called. Never rejects. */
  reload(cause: ReloadCause): Promise<ReloadState> {
    if (this.#running === undefined) return this.#begin(cause);
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      return this.#begin(cause);
    });
    return this.#next;
  }

  /** Resolves when none is under way. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  #begin(cause: ReloadCause): Promise<ReloadState> {
    this.#running = this.#run(cause).finally(() => {
      this.#running = undefined;
      this.#parts.onEnd();
    });
    return this.#running;
  }

  async #run(cause: ReloadCause): Promise<ReloadState> {
    const { apply, clock, logger } = this.#parts;
    const at = (): string => new Date(clock.now()).toISOString();
    try {
      const warnings = await apply();
      this.#done += 1;
      logger.log('info', 'reloaded', { cause });
      for (const what of warnings) logger.log('warn', 'config-warning', { what });
      this.#latest = { kind: 'done', at: at(), cause, warnings };
    } catch (thrown) {
      const { code, message, details, todo } =
        thrown instanceof ProxyError ? thrown : new ProxyError('internal', String(thrown), { todo: 'report this with the log' });
      this.#failed += 1;
      // The lines of a faulty file are for a reader of the log too, who sees nothing else.
      logger.log('error', 'reload-failed', { cause, what: message, details: details.join('; ') || undefined, todo });
      this.#latest = { kind: 'failed', at: at(), cause, code, what: message, details, todo };
    }
    return this.#latest;
  }
}
