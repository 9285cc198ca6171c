/**
 * Where a credential becomes a header: the last line before the wire, and the only place that reveals one.
 *
 * Source: RFC 6750 section 2.1 (Bearer), RFC 7617 (Basic), RFC 7519 section 4.1 (claims).
 */
import type { Credential } from '../model/credential.js';
import { readTokenClaims, type TokenClaims } from '../model/token-claims.js';

/** The value of the Authorization header, or undefined when the identity adds none. */
export function authorizationOf(credential: Credential): string | undefined {
  switch (credential.kind) {
    case 'bearer':
      return `Bearer ${credential.token.reveal()}`;
    case 'basic':
      return `Basic ${Buffer.from(`${credential.user}:${credential.password.reveal()}`, 'utf8').toString('base64')}`;
    case 'none':
    case 'passthrough':
      return undefined;
  }
}

/** The claims of a token, to explain why it was refused; undefined for what is no JWT. They are not verified: that is the upstream's part. */
export function claimsOf(credential: Credential): TokenClaims | undefined {
  return credential.kind === 'bearer' ? readTokenClaims(credential.token.reveal()) : undefined;
}
