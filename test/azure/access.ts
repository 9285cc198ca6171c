/**
 * Whether a request may pass, by the rules of the host it is for. The client is told nothing but 401; the reason is for the tests.
 */
import type { Address } from './addresses.js';
import { JobTokens } from './job-tokens.js';
import { PatApi } from './pat-api.js';
import { AZURE_DEVOPS, type ClaimsDemand, DEFAULT_TENANT, type TokenBook } from './token-book.js';

export type AuthorizationKind = 'none' | 'bearer' | 'basic' | 'ntlm';

export type RefusedFor =
  | 'missing'
  | 'unknown-token'
  | 'expired'
  | 'not-yet-valid'
  | 'wrong-audience'
  | 'wrong-tenant'
  | 'not-a-member'
  | 'revoked'
  | 'claims-required'
  | 'bad-pat'
  | 'expired-pat'
  | 'revoked-pat'
  /** Of another organisation. */
  | 'foreign-pat'
  /** Good for less than was asked. */
  | 'pat-scope'
  | 'bad-password'
  /** The first leg of a connection's authentication. */
  | 'handshake'
  | 'unsupported-scheme';

export type Verdict = { readonly kind: 'passed'; readonly user: string } | { readonly kind: 'refused'; readonly reason: RefusedFor };

/** What an organisation of Azure DevOps Services is like, as far as it is unlike others. */
export interface OrganisationRules {
  /** Object ids that may come in; everybody of the tenant when left out. */
  readonly members?: ReadonlySet<string>;
  /** Tokens of every tenant are taken, as from guests. */
  readonly takesGuests?: boolean;
  /** Tokens must have been asked for with these claims. */
  readonly demand?: ClaimsDemand | undefined;
  /** Bearer challenges of a 401, whole lines without `WWW-Authenticate:`; the usual one when left out. */
  readonly challenges?: readonly string[];
  /** X-VSS-ResourceTenant: the lines of its own, if any. The tenant when left out. */
  readonly resourceTenant?: readonly string[];
  /** X-VSS-ResourceTenant stands on good answers too. */
  readonly tellsTenant?: boolean;
  /** There is no such organisation. */
  readonly isMissing?: boolean;
  /** What becomes of requests for the organisation itself: the end of the connection, or a redirect with its tenant. */
  readonly discovery?: 'cut' | 'redirect';
}

/** Who may come in, shared by all hosts of the emulator. */
export class AccessRules {
  /** Personal access tokens that Azure DevOps and the on-premises server accept, as the password of any user. */
  readonly pats = new Set<string>();
  /** User and password on the generic hosts. */
  readonly basic = new Map<string, string>();
  /** Canonical names of generic repositories that may be fetched without a credential. */
  readonly anonymousRead = new Set<string>();
  /** Tenant of an organisation, key in lower case; one that is not listed belongs to the default tenant. */
  readonly tenants = new Map<string, string>();
  /** Tokens with a life of their own, and the API for them. */
  readonly patApi: PatApi;
  /** Tokens of pipeline jobs. */
  readonly jobs = new JobTokens();
  /** Organisations that are unlike others, key in lower case. */
  readonly organisations = new Map<string, OrganisationRules>();
  readonly #book: TokenBook;

  constructor(book: TokenBook) {
    this.#book = book;
    this.patApi = new PatApi(book);
  }

  tenantOf(organization: string): string {
    return this.tenants.get(organization.toLowerCase()) ?? DEFAULT_TENANT;
  }

  rulesOf(organization: string): OrganisationRules {
    return this.organisations.get(organization.toLowerCase()) ?? {};
  }

  /** Judges the Authorization header of a request to a host that authenticates requests (every kind but ntlm). */
  judge(address: Address, authorization: string | undefined): Verdict {
    const credential = readCredential(authorization);
    switch (address.kind) {
      case 'azure':
      case 'visualstudio':
      case 'family':
        if (credential.kind === 'none') return refuse('missing');
        if (credential.kind === 'other') return refuse('unsupported-scheme');
        if (credential.kind === 'bearer' && this.jobs.isGood(credential.token, address.organization)) return pass('job');
        if (credential.kind === 'basic') {
          if (this.pats.has(credential.password)) return pass('pat');
          const pat = this.patApi.judge(credential.password, address.organization, address.service === 'git-receive-pack');
          if (pat !== undefined) return pat === 'passed' ? pass('pat') : refuse(pat);
          // Git Credential Manager sends an Entra token as the password.
          if (credential.password.split('.').length !== 3) return refuse('bad-pat');
        }
        return this.#judgeToken(credential.kind === 'basic' ? credential.password : credential.token, address.organization);
      case 'server':
        if (credential.kind === 'none') return refuse('missing');
        if (credential.kind !== 'basic') return refuse('unsupported-scheme');
        return this.pats.has(credential.password) ? pass('pat') : refuse('bad-pat');
      case 'generic':
      case 'ntlm':
        if (credential.kind === 'none') return this.#judgeAnonymous(address);
        if (credential.kind === 'other') return refuse('unsupported-scheme');
        if (credential.kind === 'bearer') return this.#judgeToken(credential.token, undefined);
        return this.basic.get(credential.user) === credential.password ? pass(credential.user) : refuse('bad-password');
    }
  }

  /** Why a token is refused by an API of the organisation; undefined when it is not. */
  refusedFor(organization: string, authorization: string): RefusedFor | undefined {
    const verdict = this.#judgeToken(authorization.replace(/^bearer +/i, ''), this.tenantOf(organization));
    return verdict.kind === 'refused' ? verdict.reason : undefined;
  }

  /** True when the header carries a token obtained with the answer to a claims challenge. */
  answersChallenge(authorization: string | undefined): boolean {
    const credential = readCredential(authorization);
    const token = credential.kind === 'bearer' ? credential.token : credential.kind === 'basic' ? credential.password : '';
    return this.#book.satisfies(token, undefined);
  }

  #judgeAnonymous(address: Address): Verdict {
    const open = address.repository !== undefined && this.anonymousRead.has(address.repository);
    return open && address.service === 'git-upload-pack' ? pass('anonymous') : refuse('missing');
  }

  /** Without an organisation no tenant in particular is asked for. */
  #judgeToken(token: string, organization: string | undefined): Verdict {
    const claims = this.#book.issued.get(token);
    if (!claims) return refuse('unknown-token');
    if (claims.aud !== AZURE_DEVOPS) return refuse('wrong-audience');
    const now = Date.now() / 1000;
    if (claims.exp <= now) return refuse('expired');
    if (claims.nbf > now) return refuse('not-yet-valid');
    const { members, takesGuests, demand } = this.rulesOf(organization ?? '');
    if (organization !== undefined && takesGuests !== true && claims.tid !== this.tenantOf(organization)) return refuse('wrong-tenant');
    if (this.#book.revoked.has(token)) return refuse('revoked');
    if ((this.#book.requireClaims || demand !== undefined) && !this.#book.satisfies(token, demand)) return refuse('claims-required');
    if (members?.has(claims.oid) === false) return refuse('not-a-member');
    return pass(claims.oid);
  }
}

type Credential =
  | { readonly kind: 'none' }
  | { readonly kind: 'other' }
  | { readonly kind: 'bearer'; readonly token: string }
  | { readonly kind: 'basic'; readonly user: string; readonly password: string };

/** The scheme of an Authorization header, as the journal names it. */
export function authorizationKind(authorization: string | undefined): AuthorizationKind {
  const scheme = authorization?.split(' ', 1)[0]?.toLowerCase();
  return scheme === 'bearer' || scheme === 'basic' || scheme === 'ntlm' ? scheme : 'none';
}

function readCredential(authorization: string | undefined): Credential {
  if (!authorization) return { kind: 'none' };
  const [scheme = '', value = ''] = authorization.split(/ +/, 2);
  if (scheme.toLowerCase() === 'bearer') return { kind: 'bearer', token: value };
  if (scheme.toLowerCase() !== 'basic') return { kind: 'other' };
  const [user = '', ...password] = Buffer.from(value, 'base64').toString('utf8').split(':');
  return { kind: 'basic', user, password: password.join(':') };
}

function pass(user: string): Verdict {
  return { kind: 'passed', user };
}

function refuse(reason: RefusedFor): Verdict {
  return { kind: 'refused', reason };
}
