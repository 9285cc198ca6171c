/**
 * Where a credential becomes a header: the last line before the wire, and the only place that reveals one.
 *
 * Source: RFC 6750 section 2.1 (Bearer), RFC 7617 (Basic), RFC 7519 section 4.1 (claims).
 */
import type { TokenClaims } from '../hosts/failure.js';
import type { Credential } from '../model/credential.js';

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
  const claims = payloadOf(credential);
  if (claims === undefined) return undefined;
  const { aud, tid, nbf, exp } = claims;
  return {
    audience: typeof aud === 'string' ? aud : undefined,
    tenant: typeof tid === 'string' ? tid : undefined,
    notBefore: typeof nbf === 'number' ? nbf * 1000 : undefined,
    expiresAt: typeof exp === 'number' ? exp * 1000 : undefined,
  };
}

/** Whether a token says that it is an application's, not a person's (claim `idtyp`); false when it says nothing. */
export function isOfApplication(credential: Credential): boolean {
  return payloadOf(credential)?.['idtyp'] === 'app';
}

function payloadOf(credential: Credential): Readonly<Record<string, unknown>> | undefined {
  if (credential.kind !== 'bearer') return undefined;
  let claims: unknown;
  try {
    claims = JSON.parse(Buffer.from(credential.token.reveal().split('.')[1] ?? '', 'base64url').toString('utf8'));
  } catch {
    // An opaque token explains nothing.
    return undefined;
  }
  if (typeof claims !== 'object' || claims === null) return undefined;
  return claims as Readonly<Record<string, unknown>>; // because any object may be read so
}
