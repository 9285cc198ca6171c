/**
 * The port behind which the token library stands: asked for one token, it makes one true request. Keeping, sharing and
 * renewing tokens is the vault's work, not a source's.
 */
import type { Secret } from '../model/secret.js';

export interface FetchedToken {
  readonly token: Secret;
  readonly expiresAt: Date;
  /** When the issuer advises to renew; undefined if it says nothing. */
  readonly refreshAfter: Date | undefined;
}

/** What a token is asked for with. */
export interface TokenOrder {
  /** Tenant to ask, when the identity names none: an id, or `organizations`. */
  readonly tenant: string | undefined;
  /** Claims that an upstream wants to see satisfied, JSON (OpenID Connect Core 1.0 section 5.5); undefined when none does. */
  readonly claims: string | undefined;
}

export interface TokenSource {
  /** Whether the tenant of the organisation makes a difference: the identity names none, and there is more than one to ask. */
  readonly wantsTenant?: boolean;
  /** What `status` says of its tokens besides their end. */
  readonly note?: string;
  /** What a user is told when the upstream does not take its tokens, instead of what can be said of any token. */
  readonly refused?: { readonly what: string; readonly todo: string };
  /** Who is asked, for the text when no answer comes: `the Azure CLI (az)`. */
  readonly asks?: string;
  /**
   * Fetches a token.
   * @throws TokenFailure, and ProxyError `secret-unreadable` for a secret that it needs
   */
  fetch(order: TokenOrder): Promise<FetchedToken>;
}

/**
 * Why no token came. `isDefinite` says that asking again will give the same answer until a person changes something;
 * anything else (network, 5xx, time) may pass by itself.
 */
export class TokenFailure extends Error {
  readonly isDefinite: boolean;
  readonly todo: string;
  /** How long whoever was asked wants to be left alone, ms. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, options: { isDefinite: boolean; todo: string; cause?: unknown; retryAfterMs?: number | undefined }) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'TokenFailure';
    this.isDefinite = options.isDefinite;
    this.todo = options.todo;
    this.retryAfterMs = options.retryAfterMs;
  }
}
