/**
 * Microsoft Entra's sign-in service as far as a client of Azure Repos meets it: discovery and the token endpoint of every tenant, over
 * https. Who may have a token is in client-proof.ts; the error shapes are in sts-answers.ts.
 */
import { createServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type { CertificateSet, TlsFault } from './certificates.js';
import { proveClient, type ClientRegistration } from './client-proof.js';
import { Loopback } from './loopback.js';
import { answerAs, answerFailure, sendJson, type StandIn, type StsFailure } from './sts-answers.js';
import { DEFAULT_TENANT, type TokenBook, type TokenClaims, type TokenOrder } from './token-book.js';
import { personClaims, UserGrants } from './user-grants.js';

export interface TokenRequest {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly grant: string;
  readonly clientId: string;
  readonly tenant: string;
  readonly scope: string;
  readonly hasClaims: boolean;
  /** The claims request as sent, JSON; empty when there is none. */
  readonly claims: string;
}

/** Ready-made clients, one of every kind, all of the same tenant. */
export interface StsSamples {
  readonly tenant: string;
  readonly secretClient: { readonly clientId: string; readonly secret: string };
  /** The file holds key and certificate. */
  readonly certificateClient: { readonly clientId: string; readonly pemFile: string };
  readonly federatedClient: { readonly clientId: string; readonly tokenFile: string };
}

export class Sts {
  readonly samples: StsSamples;
  readonly clients = new Map<string, ClientRegistration>();
  /** Tenants that exist, beside the aliases organizations, common and consumers. */
  readonly tenants = new Set<string>([DEFAULT_TENANT]);
  readonly tokenRequests: TokenRequest[] = [];
  /** Requests for discovery documents. */
  discoveries = 0;
  inFlight = 0;
  maxInFlight = 0;
  /** Every token request fails so, until undefined again. */
  failWith: StsFailure | undefined;
  /** Time that a token request takes. */
  delayMs = 0;
  tokenLifeSeconds: number;
  refreshInSeconds: number | undefined;
  /** Makes tokens that are wrong in one respect. */
  mint: Pick<TokenOrder, 'audience' | 'tenant' | 'notYet'> = {};
  /** Gives tokens as if no claims had been asked for. */
  ignoresClaims = false;
  /** What answers in its place, to whatever is asked. */
  standIn: StandIn | undefined;
  /** How far its clock is ahead of this machine's, ms; it shows in the Date of its answers. */
  aheadMs = 0;
  /** Where its discovery document says that tokens are to be had; undefined: of itself. */
  tokenOrigin: string | undefined;
  /** Host and port that were asked for, of every request. */
  readonly hosts: string[] = [];
  /** While true every connection is destroyed. */
  down = false;
  /** People: in a browser, with a code, and by what they left. */
  readonly users = new UserGrants();
  readonly #book: TokenBook;
  readonly #loopback: Loopback;
  readonly #show: (fault: TlsFault | undefined) => void;

  constructor(book: TokenBook, samples: StsSamples, certificates: CertificateSet, tokenLifeSeconds: number) {
    this.#book = book;
    this.samples = samples;
    this.tokenLifeSeconds = tokenLifeSeconds;
    const server = createServer(certificates.good, (request, response) => {
      this.hosts.push(request.headers.host ?? '');
      if (this.aheadMs !== 0) response.setHeader('Date', new Date(Date.now() + this.aheadMs).toUTCString());
      if (this.standIn !== undefined) {
        answerAs(response, this.standIn);
        return;
      }
      this.#handle(request, response).catch(() => request.socket.destroy());
    });
    server.on('connection', (socket) => {
      if (this.down) socket.destroy();
    });
    this.#loopback = new Loopback(server);
    this.#show = (fault) => server.setSecureContext(fault === undefined ? certificates.good : certificates.faulty[fault]);
  }

  /** Shows a certificate with this fault from the next handshake on; undefined mends it. */
  showTls(fault: TlsFault | undefined): void {
    this.#show(fault);
  }

  get origin(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  get port(): number {
    return this.#loopback.port;
  }

  /** Tokens that exist, with their claims, from whatever door. */
  get issued(): ReadonlyMap<string, TokenClaims> {
    return this.#book.issued;
  }

  tokens(): string[] {
    return [...this.#book.issued.keys()];
  }

  /** Makes a token at once, without a request. */
  issue(order: TokenOrder = {}): string {
    return this.#book.issue({ lifeSeconds: this.tokenLifeSeconds, ...order }).token;
  }

  /** From now on the git hosts refuse this token, although its time is not over. */
  revoke(token: string): void {
    this.#book.revoked.add(token);
  }

  /** While true the git hosts meet every token with a claims challenge, unless it was obtained with the answer to one. */
  get requireClaims(): boolean {
    return this.#book.requireClaims;
  }

  set requireClaims(required: boolean) {
    this.#book.requireClaims = required;
  }

  listen(port: number): Promise<void> {
    return this.#loopback.listen(port);
  }

  close(): Promise<void> {
    return this.#loopback.close();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.down) {
      request.socket.destroy();
      return;
    }
    const [, tenant = '', rest = ''] = /^\/([^/]+)\/([^?]*)/.exec(request.url ?? '') ?? [];
    if (request.method === 'GET' && /^(?:v2\.0\/)?\.well-known\/openid-configuration$/.test(rest)) {
      this.discoveries += 1;
      if (this.#knows(tenant))
        sendJson(response, 200, discovery(`${addressed(request)}/${tenant}`, `${this.tokenOrigin ?? addressed(request)}/${tenant}`));
      else answerFailure(response, { aadsts: 90002, detail: tenant });
    } else if (request.method === 'POST' && rest === 'oauth2/v2.0/token') {
      this.inFlight += 1;
      this.maxInFlight = Math.max(this.maxInFlight, this.inFlight);
      try {
        await this.#token(request, response, tenant);
      } finally {
        this.inFlight -= 1;
      }
    } else if (request.method === 'GET' && rest === 'oauth2/v2.0/authorize') {
      const answer = this.users.authorize(new URL(request.url ?? '', this.origin).searchParams);
      if (answer.kind === 'redirect') response.writeHead(302, { location: answer.location }).end();
      else response.writeHead(200, { 'content-type': 'text/html' }).end(`<!DOCTYPE html><title>Sign in</title><p>${answer.text}</p>`);
    } else if (request.method === 'POST' && rest === 'oauth2/v2.0/devicecode') {
      if (this.failWith) answerFailure(response, this.failWith);
      else sendJson(response, 200, this.users.startDevice(new URLSearchParams(await text(request)), addressed(request)));
    } else {
      sendJson(response, 404, { error: 'not_found' });
    }
  }

  async #token(request: IncomingMessage, response: ServerResponse, tenant: string): Promise<void> {
    const form = new URLSearchParams(await text(request));
    const field = (name: string): string => form.get(name) ?? '';
    const grant = field('grant_type');
    const clientId = field('client_id');
    const claims = field('claims');
    this.tokenRequests.push({ at: Date.now(), grant, clientId, tenant, scope: field('scope'), hasClaims: claims !== '', claims });
    if (this.delayMs > 0) await pause(this.delayMs, request);
    if (this.failWith) {
      answerFailure(response, this.failWith);
      return;
    }
    if (!this.#knows(tenant)) {
      answerFailure(response, { aadsts: 90002, detail: tenant });
      return;
    }
    const proved =
      grant === 'client_credentials'
        ? proveClient(form, this.clients.get(clientId), `${addressed(request)}/${tenant}`)
        : this.users.check(grant, form, tenant);
    if (proved !== undefined && !('person' in proved)) {
      answerFailure(response, proved);
      return;
    }
    const issuedIn = this.tenants.has(tenant) ? tenant : (proved?.person.homeTenant ?? this.samples.tenant);
    const { token } = this.#book.issue({
      clientId,
      tenant: issuedIn,
      subject: proved === undefined ? {} : personClaims(proved),
      audience:
        field('scope')
          .split(' ')[0]
          ?.replace(/\/\.default$|\/user_impersonation$/, '') ?? '',
      lifeSeconds: this.tokenLifeSeconds,
      cae: claims.includes('xms_cc'),
      claimsRequest: this.ignoresClaims ? '' : claims.includes('"access_token"') ? claims : (proved?.claims ?? claims),
      ...this.mint,
    });
    sendJson(response, 200, {
      token_type: 'Bearer',
      expires_in: this.tokenLifeSeconds,
      ext_expires_in: this.tokenLifeSeconds,
      ...(this.refreshInSeconds === undefined ? {} : { refresh_in: this.refreshInSeconds }),
      access_token: token,
      ...(proved === undefined ? {} : this.users.companions(proved, issuedIn, field('scope'), addressed(request))),
    });
  }

  #knows(tenant: string): boolean {
    return this.tenants.has(tenant) || ['organizations', 'common', 'consumers'].includes(tenant);
  }
}

/** The origin as the client knows it: through a proxy that is the name of the real service, and MSAL compares the issuer with it. */
function addressed(request: IncomingMessage): string {
  return `https://${request.headers.host ?? 'localhost'}`;
}

function discovery(base: string, tokens: string): object {
  return {
    token_endpoint: `${tokens}/oauth2/v2.0/token`,
    token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'],
    jwks_uri: `${base}/discovery/v2.0/keys`,
    response_types_supported: ['code', 'id_token', 'code id_token', 'id_token token'],
    scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
    issuer: `${base}/v2.0`,
    authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
    device_authorization_endpoint: `${base}/oauth2/v2.0/devicecode`,
    end_session_endpoint: `${base}/oauth2/v2.0/logout`,
    tenant_region_scope: 'EU',
    cloud_instance_name: 'microsoftonline.com',
  };
}

/** Waits, but not for a client that has gone. */
function pause(ms: number, request: IncomingMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    const gone = (): void => {
      clearTimeout(timer);
      reject(new Error('The client has gone'));
    };
    const timer = setTimeout(() => {
      request.socket.off('close', gone);
      resolve();
    }, ms);
    request.socket.once('close', gone);
  });
}
