/**
 * The claims that an upstream wants to see in a token, out of its 401 (continuous access evaluation).
 *
 * Source: Microsoft identity platform, "Claims challenges, claims requests, and client capabilities": base64 of a JSON claims
 * request (OpenID Connect Core 1.0 section 5.5) in the parameter `claims` of `WWW-Authenticate: Bearer`.
 */
import { bearerChallenges } from './challenges.js';

/** Longest claims that are passed on, as base64: challenges have a few hundred bytes, and the text goes into every token request. */
const LONGEST_CLAIMS = 4096;

/** Whether a token with more in it is asked for, be it in a way that can be read or not. `header`: WWW-Authenticate, several joined. */
export function isClaimsChallenge(header: string | undefined): boolean {
  return bearerChallenges(header ?? '').some(
    (parameters) => parameters.has('claims') || parameters.get('error')?.toLowerCase() === 'insufficient_claims',
  );
}

/** The claims of the first challenge that has some as JSON, an object; undefined when there are none that can be read. */
export function challengedClaims(header: string | undefined): string | undefined {
  for (const parameters of bearerChallenges(header ?? '')) {
    const claims = decode(parameters.get('claims') ?? '');
    if (claims !== undefined) return claims;
  }
  return undefined;
}

/** Either alphabet of base64 (RFC 4648), padded or not: both are met. */
function decode(encoded: string): string | undefined {
  if (encoded.length > LONGEST_CLAIMS || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(encoded)) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? text : undefined;
  } catch {
    // Not JSON: nobody could ask for it.
    return undefined;
  }
}
