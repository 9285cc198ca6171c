/**
 * One fetch of a token: a few tries for what may pass by itself, all of them within one time limit. The library does not
 * honour an abort signal, so time is kept here and a late answer is dropped.
 */
import { ProxyError } from '../model/errors.js';
import type { Clock } from '../model/ports.js';
import { type FetchedToken, TokenFailure, type TokenOrder, type TokenSource } from './token-source.js';

/** Tries within one flight, for faults that may pass by themselves. */
const TRIES = 3;
const TRY_WAIT_MS = 300;

export interface FetchLimits {
  readonly clock: Clock;
  /** ms for all tries together. */
  readonly timeoutMs: number;
  /** Whether nobody wants the token any more; asked before each further try. */
  readonly isUnwanted: () => boolean;
  /** Told of each try. */
  readonly onTry: () => void;
}

/**
 * Fetches a token.
 * @throws What the source threw last; ProxyError `identity-timeout` at the limit, when it has thrown nothing yet
 */
export function fetchWithin(source: TokenSource, order: TokenOrder, limits: FetchLimits): Promise<FetchedToken> {
  const { clock, timeoutMs } = limits;
  let isLate = false;
  let last: Error | undefined;
  const fetch = async (): Promise<FetchedToken> => {
    try {
      return await source.fetch(order);
    } catch (thrown) {
      if (thrown instanceof Error) last = thrown;
      throw thrown;
    }
  };
  return new Promise((resolve, reject) => {
    const { asks } = source;
    const cancel = clock.after(timeoutMs, () => {
      isLate = true;
      // A try that failed says more than that the next one had no time left.
      reject(last ?? tooLate(timeoutMs, asks));
    });
    tryToFetch(fetch, limits, () => isLate || limits.isUnwanted())
      .then(resolve, reject)
      .finally(cancel);
  });
}

function tooLate(timeoutMs: number, asks: string | undefined): ProxyError {
  const whom = asks === undefined ? '' : `: ${asks} did not answer`;
  return new ProxyError('identity-timeout', `No token came within ${timeoutMs / 1000} s${whom}`, {
    todo: `check the network and ${asks ?? 'the sign-in service'}, or raise timeouts.token`,
  });
}

async function tryToFetch(fetch: () => Promise<FetchedToken>, { clock, onTry }: FetchLimits, isOver: () => boolean): Promise<FetchedToken> {
  for (let attempt = 1; ; attempt++) {
    onTry();
    try {
      return await fetch();
    } catch (thrown) {
      // A ProxyError is a secret that cannot be read: that, too, stays so until a person acts.
      const isDefinite = thrown instanceof ProxyError || (thrown instanceof TokenFailure && thrown.isDefinite);
      const waitMs = TRY_WAIT_MS * 2 ** (attempt - 1);
      const wantsPeace = thrown instanceof TokenFailure && (thrown.retryAfterMs ?? 0) > waitMs;
      if (isDefinite || wantsPeace || attempt >= TRIES || isOver()) throw thrown;
      await new Promise<void>((resume) => clock.after(waitMs, resume));
      if (isOver()) throw thrown;
    }
  }
}
