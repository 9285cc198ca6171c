/**
 * The claims that an upstream wants to see in a token, out of its 401 (continuous access evaluation).
 *
 * Source: Microsoft identity platform, "Claims challenges, claims requests, and client capabilities": base64 of a JSON claims
 * request (OpenID Connect Core 1.0 section 5.5) in the parameter `claims` of `WWW-Authenticate: Bearer`.
 */

/** Longest claims that are passed on: challenges have a few hundred bytes, and the text goes into every token request. */
const LONGEST_CLAIMS = 4096;

/** The claims of a challenge as JSON; undefined when there are none that can be read. `header`: WWW-Authenticate, several joined. */
export function challengedClaims(header: string | undefined): string | undefined {
  const encoded = /\bBearer\b[^]*?\bclaims="?([A-Za-z0-9+/_-]+=*)/i.exec(header ?? '')?.[1];
  if (encoded === undefined || encoded.length > LONGEST_CLAIMS) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? text : undefined;
  } catch {
    return undefined;
  }
}
