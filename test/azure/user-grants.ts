/**
 * People who sign in: the authorization code flow with PKCE (RFC 6749 section 4.1, RFC 7636), the device code flow (RFC 8628) and refresh
 * tokens that are replaced with each use, as Entra does them for a public client. Nobody is asked for a password: the one who sits
 * at the browser is named by `inBrowser`, and what goes wrong by the fields beside it.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { StsFailure } from './sts-answers.js';
import { DEFAULT_TENANT } from './token-book.js';

/** An account. */
export interface Person {
  /** As it is written: `dana@contoso.com`. */
  readonly upn: string;
  readonly name: string;
  readonly oid: string;
  readonly homeTenant: string;
  /** Tenants beside the own one, in which it is a guest; `*` is all. */
  readonly guestOf: readonly string[];
}

/** What a person has agreed to. */
interface Grant {
  readonly person: Person;
  readonly clientId: string;
  /** Claims that the person was asked to satisfy, JSON; tokens that come of it satisfy them too. */
  readonly claims: string;
}

interface Code extends Grant {
  readonly redirectUri: string;
  readonly challenge: string;
  readonly nonce: string;
}

/** How the person treats a device code. */
export type DeviceAnswer = 'approved' | 'pending' | 'slow-down' | 'declined' | 'expired';

/** Where the browser is sent, or the page that it is shown. */
export type Authorized = { readonly kind: 'redirect'; readonly location: string } | { readonly kind: 'page'; readonly text: string };

export class UserGrants {
  readonly people = new Map<string, Person>();
  /** Who sits at the browser; undefined is whom the client asks for, else the first of `people`. */
  inBrowser: string | undefined;
  /** What the browser is sent back with instead of a code. */
  refuseWith: { readonly error: string; readonly aadsts: number; readonly text: string } | undefined;
  /** How a refresh token is refused from now on. */
  refreshFailure: StsFailure | undefined;
  /** Whether claims are only satisfied by a new sign-in of the person that is made for them. */
  claimsNeedSignIn = false;
  /** Whether a refresh token is dead once it was used. Entra leaves it alive until its own end. */
  isRefreshOnce = false;
  device: DeviceAnswer = 'approved';
  /** Seconds between two questions that a device is told. */
  deviceInterval = 1;
  deviceLifeSeconds = 900;
  /** Polls that came before the interval was over. */
  hasty = 0;
  /** What was asked of the authorize endpoint and, after it, of the device code endpoint. */
  readonly asked: URLSearchParams[] = [];
  readonly #codes = new Map<string, Code>();
  readonly #spent = new Set<string>();
  readonly #devices = new Map<
    string,
    { readonly clientId: string; readonly claims: string; readonly endsAt: number; lastAskedAt: number }
  >();
  readonly #refreshTokens = new Map<string, Grant>();
  readonly #everIssued: string[] = [];

  constructor() {
    this.add({ upn: 'dana@example.com', name: 'Dana Example' });
  }

  /** Makes an account. */
  add({ upn, name, homeTenant = DEFAULT_TENANT, guestOf = [] }: Pick<Person, 'upn' | 'name'> & Partial<Person>): Person {
    const person: Person = { upn, name, oid: randomUUID(), homeTenant, guestOf };
    this.people.set(upn, person);
    return person;
  }

  /** Whether the person has entered the code: until then polling is told to wait. */
  get deviceApproved(): boolean {
    return this.device === 'approved';
  }

  set deviceApproved(isApproved: boolean) {
    this.device = isApproved ? 'approved' : 'pending';
  }

  /** Every refresh token and code that was ever given out. */
  get secrets(): readonly string[] {
    return this.#everIssued;
  }

  /** Ends every refresh token: what comes after a password was changed. */
  endAll(): void {
    this.#refreshTokens.clear();
  }

  /** The authorize endpoint, when the person has done what the page asks for. */
  authorize(query: URLSearchParams): Authorized {
    this.asked.push(query);
    const field = (name: string): string => query.get(name) ?? '';
    const redirect = field('redirect_uri');
    // Until the address is known to be the client's, nothing may be sent there.
    if (!/^http:\/\/localhost(?::[0-9]+)?\/?$/.test(redirect))
      return {
        kind: 'page',
        text: `AADSTS50011: The redirect URI '${redirect}' specified in the request does not match the redirect URIs configured for the application.`,
      };
    const back = (fields: Readonly<Record<string, string>>): Authorized => {
      const location = new URL(redirect);
      for (const [name, value] of Object.entries({ ...fields, state: field('state') }))
        if (value !== '') location.searchParams.set(name, value);
      return { kind: 'redirect', location: location.href };
    };
    if (field('response_type') !== 'code' || !['', 'query'].includes(field('response_mode')))
      return back({
        error: 'unsupported_response_type',
        error_description: 'AADSTS70005: response_type or response_mode is not supported',
      });
    if (field('code_challenge') === '' || field('code_challenge_method') !== 'S256')
      return back({
        error: 'invalid_request',
        error_description: 'AADSTS9002325: Proof Key for Code Exchange is required for cross-origin authorization code redemption.',
      });
    if (this.refuseWith !== undefined) {
      const { error, aadsts, text } = this.refuseWith;
      return back({ error, error_description: `AADSTS${aadsts}: ${text} Trace ID: ${randomUUID()}` });
    }
    const person = this.people.get(this.inBrowser ?? field('login_hint')) ?? [...this.people.values()][0];
    if (person === undefined) return { kind: 'page', text: 'AADSTS50034: The user account does not exist.' };
    const code = this.#secret('0.', 600);
    this.#codes.set(code, {
      person,
      clientId: field('client_id'),
      claims: field('claims'),
      redirectUri: redirect,
      challenge: field('code_challenge'),
      nonce: field('nonce'),
    });
    return back({ code, session_state: randomUUID() });
  }

  /** The answer of the device-code endpoint. */
  startDevice(form: URLSearchParams, origin: string): object {
    this.asked.push(form);
    const code = this.#secret('', 30);
    const endsAt = Date.now() + this.deviceLifeSeconds * 1000;
    this.#devices.set(code, {
      clientId: form.get('client_id') ?? '',
      claims: form.get('claims') ?? '',
      endsAt,
      lastAskedAt: Date.now(),
    });
    const userCode = randomBytes(5).toString('hex').slice(0, 9).toUpperCase();
    const message = `To sign in, use a web browser to open the page ${origin}/devicelogin and enter the code ${userCode} to authenticate.`;
    return {
      user_code: userCode,
      device_code: code,
      verification_uri: `${origin}/devicelogin`,
      expires_in: this.deviceLifeSeconds,
      interval: this.deviceInterval,
      message,
      client_id: form.get('client_id') ?? undefined,
    };
  }

  /** Who signed in, or why nobody has. `tenant` is that of the request's address. */
  check(grant: string, form: URLSearchParams, tenant: string): (Grant & { readonly nonce?: string }) | StsFailure {
    const found = this.#grantOf(grant, form);
    if (!('person' in found)) return found;
    const { person } = found;
    const isKnown = [person.homeTenant, 'organizations', 'common', ...person.guestOf].includes(tenant) || person.guestOf.includes('*');
    if (!isKnown) return { aadsts: 50020, detail: person.upn };
    if (this.claimsNeedSignIn && isChallenge(form.get('claims') ?? '') && !isChallenge(found.claims))
      return { aadsts: 50076, detail: 'Azure DevOps' };
    return found;
  }

  #grantOf(grant: string, form: URLSearchParams): (Grant & { readonly nonce?: string }) | StsFailure {
    const field = (name: string): string => form.get(name) ?? '';
    switch (grant) {
      case 'refresh_token': {
        if (this.refreshFailure !== undefined) return this.refreshFailure;
        const known = this.#refreshTokens.get(field('refresh_token'));
        if (known === undefined) return { aadsts: 700082 };
        if (known.clientId !== field('client_id')) return { aadsts: 700005, detail: known.clientId };
        if (this.isRefreshOnce) this.#refreshTokens.delete(field('refresh_token'));
        return known;
      }
      case 'authorization_code': {
        const code = field('code');
        const known = this.#codes.get(code);
        if (this.#spent.has(code)) return { aadsts: 54005 };
        if (known === undefined) return { aadsts: 70008 };
        this.#spent.add(code);
        if (known.clientId !== field('client_id')) return { aadsts: 700005, detail: known.clientId };
        if (known.redirectUri !== field('redirect_uri')) return { aadsts: 500112, detail: field('redirect_uri') };
        if (createHash('sha256').update(field('code_verifier')).digest('base64url') !== known.challenge) return { aadsts: 501481 };
        return known;
      }
      case 'device_code':
      case 'urn:ietf:params:oauth:grant-type:device_code':
        return this.#device(field('device_code'));
      default:
        return { aadsts: 70003, detail: grant };
    }
  }

  #device(code: string): Grant | StsFailure {
    const known = this.#devices.get(code);
    const now = Date.now();
    if (known !== undefined) {
      // A quarter of a second for the way.
      if (now - known.lastAskedAt < this.deviceInterval * 1000 - 250) this.hasty += 1;
      known.lastAskedAt = now;
    }
    if (known === undefined || this.device === 'expired' || now > known.endsAt) return { aadsts: 70019 };
    if (this.device === 'declined') return { aadsts: 70020 };
    if (this.device === 'pending') return { aadsts: 70016 };
    if (this.device === 'slow-down') return { body: { error: 'slow_down' } };
    this.#devices.delete(code);
    const person = this.people.get(this.inBrowser ?? '') ?? [...this.people.values()][0];
    return person === undefined ? { aadsts: 50034 } : { person, clientId: known.clientId, claims: known.claims };
  }

  /** What comes with the access token of a person; the refresh token takes the place of the one that was used. */
  companions(grant: Grant & { readonly nonce?: string }, tenant: string, scope: string, origin: string): object {
    const { person, clientId, claims: asked, nonce } = grant;
    const refreshToken = this.#secret('1.', 400);
    this.#refreshTokens.set(refreshToken, { person, clientId, claims: asked });
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      aud: clientId,
      iss: `${origin}/${tenant}/v2.0`,
      iat: now,
      nbf: now,
      exp: now + 3600,
      name: person.name,
      preferred_username: person.upn,
      oid: person.oid,
      sub: subjectOf(person, clientId),
      tid: tenant,
      ver: '2.0',
      ...(nonce === undefined || nonce === '' ? {} : { nonce }),
    };
    return {
      scope,
      refresh_token: refreshToken,
      id_token: `${encode({ typ: 'JWT', alg: 'none' })}.${encode(claims)}.`,
      // The account where it is at home, whatever tenant was asked.
      client_info: encode({ uid: person.oid, utid: person.homeTenant }),
    };
  }

  #secret(prefix: string, bytes: number): string {
    const made = prefix + randomBytes(bytes).toString('base64url');
    this.#everIssued.push(made);
    return made;
  }
}

/** What an access token says of a person. */
export function personClaims({ person, clientId }: Grant): Readonly<Record<string, unknown>> {
  const { upn, name, oid } = person;
  return { idtyp: 'user', oid, sub: subjectOf(person, clientId), upn, unique_name: upn, name, scp: 'user_impersonation' };
}

/** The same person is another subject to each client (OpenID Connect Core 1.0 section 8, pairwise). */
function subjectOf({ oid }: Person, clientId: string): string {
  return createHash('sha256').update(`${oid} ${clientId}`).digest('base64url');
}

/** Whether the claims ask more of the access token than what a client says of itself. */
function isChallenge(claims: string): boolean {
  if (claims === '') return false;
  const { access_token: wanted } = JSON.parse(claims) as { access_token?: object }; // as the library writes it
  return Object.keys(wanted ?? {}).some((name) => name !== 'xms_cc');
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
