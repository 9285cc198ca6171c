/**
 * A token source whose answers a test gives by hand or in advance. Counts what it was asked, and how much of it at once.
 */
import { Secret } from '../../src/model/secret.js';
import type { FetchedToken, TokenOrder, TokenSource } from '../../src/identity/token-source.js';

type Answer = ((order: TokenOrder) => FetchedToken) | 'wait';

interface OpenFetch {
  readonly resolve: (token: FetchedToken) => void;
  readonly reject: (fault: unknown) => void;
}

export class FakeTokenSource implements TokenSource {
  /** Fetches begun. */
  calls = 0;
  inFlight = 0;
  mostInFlight = 0;
  /** What it was asked with, each time. */
  readonly orders: TokenOrder[] = [];
  wantsTenant = false;
  /** What a fetch gives; `wait` leaves it open until `settle`. */
  answer: Answer = 'wait';
  readonly #open: OpenFetch[] = [];

  async fetch(order: TokenOrder): Promise<FetchedToken> {
    this.calls += 1;
    this.orders.push(order);
    this.inFlight += 1;
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight);
    try {
      if (this.answer !== 'wait') {
        // Even the quickest source answers a turn later.
        await Promise.resolve();
        return this.answer(order);
      }
      return await new Promise<FetchedToken>((resolve, reject) => this.#open.push({ resolve, reject }));
    } finally {
      this.inFlight -= 1;
    }
  }

  /** Answers the oldest fetch that waits. */
  give(token: FetchedToken): void {
    this.#take().resolve(token);
  }

  /** Fails the oldest fetch that waits. */
  fail(fault: unknown): void {
    this.#take().reject(fault);
  }

  #take(): OpenFetch {
    const open = this.#open.shift();
    if (open === undefined) throw new Error('no fetch waits for an answer');
    return open;
  }
}

/** A token as an issuer gives it; times in ms since the epoch. */
export function tokenUntil(text: string, expiresAt: number, refreshAfter?: number): FetchedToken {
  return {
    token: new Secret(text),
    expiresAt: new Date(expiresAt),
    refreshAfter: refreshAfter === undefined ? undefined : new Date(refreshAfter),
  };
}
