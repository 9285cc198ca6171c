/**
 * What an access token says of itself. It is read to explain and to compare, never to believe: nobody here verifies the signature,
 * which is the upstream's part.
 *
 * Source: RFC 7519 section 4.1; Microsoft identity platform, "Access token claims reference".
 */

/** Claims of a token as its JWT carries them; what is absent or of another type is undefined. */
export interface TokenClaims {
  readonly audience: string | undefined;
  /** Tenant id. */
  readonly tenant: string | undefined;
  /** ms since the epoch. */
  readonly notBefore: number | undefined;
  readonly expiresAt: number | undefined;
  /** Who is signed in, as the directory writes it (`dana@contoso.com`); none for an application. */
  readonly account: string | undefined;
  /** Client id of the application that asked for it. */
  readonly application: string | undefined;
  /** Whether it is an application's own, not a person's; false when it does not say. */
  readonly isApplications: boolean;
  /** What a person allowed the application to do (`user_impersonation`); none for an application's own. */
  readonly scopes: readonly string[];
}

/** Names of an account, the most telling first: tokens of version 1 and of version 2 have different ones. */
const ACCOUNT_CLAIMS = ['upn', 'preferred_username', 'unique_name', 'email'];
/** Longest name that is shown; an address has at most 254 characters (RFC 5321). */
const LONGEST_NAME = 254;

/** The claims of a JWT; undefined for what is none, such as an opaque token. */
export function readTokenClaims(token: string): TokenClaims | undefined {
  let claims: unknown;
  try {
    claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
  } catch {
    // An opaque token says nothing of itself.
    return undefined;
  }
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) return undefined;
  const named = claims as Readonly<Record<string, unknown>>; // because any object may be read so
  const { aud, tid, nbf, exp, appid, azp, idtyp, scp } = named;
  return {
    audience: typeof aud === 'string' ? aud : undefined,
    tenant: typeof tid === 'string' ? tid : undefined,
    notBefore: typeof nbf === 'number' ? nbf * 1000 : undefined,
    expiresAt: typeof exp === 'number' ? exp * 1000 : undefined,
    account: ACCOUNT_CLAIMS.map((name) => nameOf(named[name])).find((name) => name !== undefined),
    application: nameOf(appid) ?? nameOf(azp),
    isApplications: idtyp === 'app',
    scopes: nameOf(scp)?.split(' ') ?? [],
  };
}

/** A claim that is shown to people: short, and nothing that a terminal would act on. */
function nameOf(value: unknown): string | undefined {
  if (typeof value !== 'string' || value === '' || value.length > LONGEST_NAME || /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(value))
    return undefined;
  return value;
}
