/**
 * Personal access tokens of an organisation, and the API by which their owner makes, lists and revokes them: `_apis/tokens/pats` of
 * vssps.dev.azure.com, with Azure's shapes (PatTokenResult, PagedPatTokens, SessionTokenError). Only an Entra token of a person
 * is let in.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';
import type { AuthorizationKind, RefusedFor } from './access.js';
import { azureHeaders } from './azure-answers.js';
import type { Exchange } from './journal.js';
import type { TokenBook } from './token-book.js';

export interface Pat {
  readonly authorizationId: string;
  displayName: string;
  /** Separated by blanks. */
  scope: string;
  validFrom: Date;
  validTo: Date;
  /** Names in lower case; undefined is every organisation of the owner. */
  organizations: readonly string[] | undefined;
  readonly token: string;
  isRevoked: boolean;
}

export interface PatRequest {
  readonly method: string;
  readonly organization: string;
  /** The host as the client named it, without a port. */
  readonly host: string;
  readonly query: URLSearchParams;
  readonly authorization: AuthorizationKind;
  /** Of a POST. */
  readonly body?: Readonly<Record<string, unknown>>;
}

/** A rule of the tenant or the organisation: which error making a token meets, and in which of Azure's two shapes. */
export interface PatPolicy {
  readonly error: string;
  readonly shape: 'result' | 'exception';
}

const PATH = /^(?:\/vssps\.dev\.azure\.com)?\/([^/?]+)\/_apis\/tokens\/pats$/i;
const LONGEST_LIFE_MS = 366 * 24 * 60 * 60 * 1000;

export class PatApi {
  readonly pats = new Map<string, Pat>();
  readonly requests: PatRequest[] = [];
  /** What making a token is refused with. */
  policy: PatPolicy | undefined;
  /** Every request is answered with this status and no JSON. */
  failWith: number | undefined;
  /** Tokens of one page. */
  pageSize = 100;
  readonly #book: TokenBook;
  readonly #ids = new Map<string, string>();

  constructor(book: TokenBook) {
    this.#book = book;
  }

  /** Makes a token without a request. */
  add(order: Partial<Omit<Pat, 'authorizationId' | 'token'>> = {}): Pat {
    const pat: Pat = {
      authorizationId: randomUUID(),
      displayName: 'by hand',
      scope: 'vso.code',
      validFrom: new Date(),
      validTo: new Date(Date.now() + 30 * 86_400_000),
      organizations: ['contoso'],
      token: newToken(),
      isRevoked: false,
      ...order,
    };
    this.pats.set(pat.authorizationId, pat);
    return pat;
  }

  /** Whether a request is for this API. */
  static organizationOf(request: IncomingMessage): string | undefined {
    const [path = ''] = (request.url ?? '').split('?', 1);
    return PATH.exec(path)?.[1];
  }

  /** How a token that was sent as a password stands with an organisation; undefined for one that is not ours. */
  judge(token: string, organization: string, isPush: boolean): RefusedFor | 'passed' | undefined {
    const pat = [...this.pats.values()].find((each) => each.token === token);
    if (pat === undefined) return undefined;
    if (pat.isRevoked) return 'revoked-pat';
    if (pat.validTo.getTime() <= Date.now()) return 'expired-pat';
    if (pat.organizations?.includes(organization.toLowerCase()) === false) return 'foreign-pat';
    const scopes = pat.scope.split(' ');
    if (isPush) return scopes.some((scope) => /^vso\.code_(?:write|manage|full)$/.test(scope)) ? 'passed' : 'pat-scope';
    return scopes.some((scope) => /^vso\.code(?:_write|_manage|_full)?$/.test(scope)) ? 'passed' : 'bad-pat';
  }

  async answer(exchange: Exchange, organization: string, refusedFor: (authorization: string) => RefusedFor | undefined): Promise<void> {
    const { request } = exchange;
    const { authorization = '' } = request.headers;
    const scheme = exchange.entry.authorization;
    const method = request.method ?? '';
    const query = new URL(request.url ?? '/', 'https://localhost').searchParams;
    const body = method === 'POST' ? ((await json(request)) as Record<string, unknown>) : undefined; // the client of this API writes an object
    this.requests.push({
      method,
      organization,
      host: (request.headers.host ?? '').replace(/:\d+$/, ''),
      query,
      authorization: scheme,
      ...(body === undefined ? {} : { body }),
    });
    const reason = scheme === 'none' ? 'missing' : scheme === 'bearer' ? refusedFor(authorization) : 'unsupported-scheme';
    if (reason !== undefined) {
      exchange.entry.refusedFor = reason;
      exception(exchange, 401, 'TF400813: The user is not authorized to access this resource.', 'UnauthorizedRequestException');
      return;
    }
    if (this.failWith !== undefined) {
      exchange.answer(this.failWith, { ...azureHeaders(), 'Content-Type': 'text/html' }, '<html><title>Unavailable</title></html>');
      return;
    }
    const claims = this.#book.issued.get(authorization.replace(/^bearer +/i, ''));
    if (claims?.['idtyp'] === 'app') {
      result(exchange, 400, undefined, 'invalidUserType');
      return;
    }
    switch (method) {
      case 'POST':
        this.#create(exchange, organization, body ?? {});
        return;
      case 'DELETE':
        this.#revoke(exchange, organization, query.get('authorizationId') ?? '');
        return;
      case 'GET':
        if (query.has('authorizationId')) this.#get(exchange, organization, query.get('authorizationId') ?? '');
        else this.#list(exchange, organization, query.get('continuationToken'));
        return;
      default:
        exception(exchange, 405, `The requested resource does not support http method '${method}'.`, 'VssRequestException');
    }
  }

  #create(exchange: Exchange, organization: string, body: Readonly<Record<string, unknown>>): void {
    const { policy } = this;
    const { displayName, scope, validTo, allOrgs } = body;
    if (policy?.shape === 'result') result(exchange, 400, undefined, policy.error);
    else if (policy !== undefined) exception(exchange, 400, policy.error, 'SessionTokenCreateException');
    else if (typeof displayName !== 'string' || displayName === '') result(exchange, 400, undefined, 'displayNameRequired');
    else if (typeof scope !== 'string' || !scope.split(' ').every((each) => /^(?:vso\.[a-z_]+|app_token)$/.test(each)))
      result(exchange, 400, undefined, 'invalidScope');
    else if (typeof validTo !== 'string' || !(Date.parse(validTo) > Date.now() && Date.parse(validTo) < Date.now() + LONGEST_LIFE_MS))
      result(exchange, 400, undefined, 'invalidValidTo');
    else if (allOrgs !== false) result(exchange, 400, undefined, 'globalPATCreationBlocked');
    else {
      const pat = this.add({ displayName, scope, validTo: new Date(validTo), organizations: [organization.toLowerCase()] });
      result(exchange, 200, this.#told(pat, true), 'none');
    }
  }

  #get(exchange: Exchange, organization: string, id: string): void {
    const pat = this.#find(organization, id);
    if (pat === undefined) result(exchange, 404, undefined, 'tokenNotFound');
    else result(exchange, 200, this.#told(pat), 'none');
  }

  #revoke(exchange: Exchange, organization: string, id: string): void {
    const pat = this.#find(organization, id);
    if (pat === undefined) {
      result(exchange, 404, undefined, 'authorizationNotFound');
      return;
    }
    pat.isRevoked = true;
    exchange.answer(204, azureHeaders());
  }

  #list(exchange: Exchange, organization: string, from: string | null): void {
    const all = [...this.pats.values()].filter((pat) => !pat.isRevoked && isIn(pat, organization));
    const start = from === null ? 0 : Number(Buffer.from(from, 'base64').toString('utf8'));
    const end = start + this.pageSize;
    sendJson(exchange, 200, {
      continuationToken: end < all.length ? Buffer.from(String(end)).toString('base64') : '',
      patTokens: all.slice(start, end).map((pat) => this.#told(pat)),
    });
  }

  #find(organization: string, id: string): Pat | undefined {
    const pat = this.pats.get(id.toLowerCase());
    return pat === undefined || pat.isRevoked || !isIn(pat, organization) ? undefined : pat;
  }

  /** The token itself is in the answer to its making alone. */
  #told(pat: Pat, isNew = false): object {
    const { authorizationId, displayName, scope, validFrom, validTo, organizations, token } = pat;
    return {
      displayName,
      validTo: validTo.toISOString(),
      scope,
      targetAccounts: organizations?.map((name) => this.#idOf(name)) ?? null,
      validFrom: validFrom.toISOString(),
      authorizationId,
      token: isNew ? token : null,
    };
  }

  #idOf(organization: string): string {
    const known = this.#ids.get(organization) ?? randomUUID();
    this.#ids.set(organization, known);
    return known;
  }
}

function isIn({ organizations }: Pat, organization: string): boolean {
  return organizations?.includes(organization.toLowerCase()) !== false;
}

/** In the present form: 84 letters and digits, `AZDO` before the last four. */
function newToken(): string {
  const letters = (count: number): string =>
    Array.from(randomBytes(count), (byte) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'.charAt(byte % 62)).join('');
  return `${letters(76)}AZDO${letters(4)}`;
}

function result(exchange: Exchange, status: number, patToken: object | undefined, patTokenError: string): void {
  sendJson(exchange, status, { patToken: patToken ?? null, patTokenError });
}

function exception(exchange: Exchange, status: number, message: string, type: string): void {
  sendJson(exchange, status, {
    $id: '1',
    innerException: null,
    message,
    typeName: `Microsoft.VisualStudio.Services.DelegatedAuthorization.${type}, Microsoft.VisualStudio.Services.WebApi`,
    typeKey: type,
    errorCode: 0,
    eventId: 3000,
  });
}

function sendJson(exchange: Exchange, status: number, body: object): void {
  exchange.answer(status, { ...azureHeaders(), 'Content-Type': 'application/json; charset=utf-8' }, JSON.stringify(body));
}
