/**
 * The instance metadata service's token endpoint, plain http, as a virtual machine with a managed identity meets it.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Loopback } from './loopback.js';
import type { TokenBook } from './token-book.js';

export interface ImdsRequest {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly url: string;
  readonly resource: string;
  /** The user-assigned identity asked for, in whatever form; undefined for the machine's own. */
  readonly identity: string | undefined;
  readonly status: number;
}

export class Imds {
  readonly requests: ImdsRequest[] = [];
  /** User-assigned identities that exist (client id, object id or resource id); undefined: any. */
  known: ReadonlySet<string> | undefined;
  /** Every token request fails so, until undefined again. */
  failWith: { readonly status: number; readonly retryAfterSeconds?: number } | undefined;
  tokenLifeSeconds: number;
  /** Gives the latest token again, as the platform does for up to a day. */
  keepsToken = false;
  #latest: ReturnType<TokenBook['issue']> | undefined;
  readonly #book: TokenBook;
  readonly #loopback: Loopback;

  constructor(book: TokenBook, tokenLifeSeconds: number) {
    this.#book = book;
    this.tokenLifeSeconds = tokenLifeSeconds;
    this.#loopback = new Loopback(createServer((request, response) => this.#handle(request, response)));
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#loopback.port}`;
  }

  listen(port: number): Promise<void> {
    return this.#loopback.listen(port);
  }

  close(): Promise<void> {
    return this.#loopback.close();
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', this.origin);
    const identity =
      url.searchParams.get('client_id') ?? url.searchParams.get('msi_res_id') ?? url.searchParams.get('object_id') ?? undefined;
    const resource = url.searchParams.get('resource') ?? '';
    const answer = this.#answer(request, url, resource, identity);
    this.requests.push({ at: Date.now(), url: request.url ?? '', resource, identity, status: answer.status });
    response.writeHead(answer.status, {
      'Content-Type': 'application/json; charset=utf-8',
      Server: 'IMDS/150.870.65.1854',
      ...(answer.retryAfterSeconds === undefined ? {} : { 'Retry-After': String(answer.retryAfterSeconds) }),
    });
    response.end(JSON.stringify(answer.body));
  }

  #answer(request: IncomingMessage, url: URL, resource: string, identity: string | undefined): Answer {
    if (!/^\/metadata\/identity\/oauth2\/token\/?$/.test(url.pathname)) return { status: 404, body: { error: 'Not found' } };
    if (request.method !== 'GET') return { status: 405, body: { error: 'Method not allowed' } };
    if (request.headers.metadata !== 'true') return refuse('Required metadata header not specified');
    if (!url.searchParams.has('api-version')) return refuse("Required query variable 'api-version' is missing");
    if (resource === '') return refuse("Required query variable 'resource' is missing");
    if (this.failWith) return { body: { error: 'unavailable' }, ...this.failWith };
    if (identity !== undefined && this.known && !this.known.has(identity)) return refuse('Identity not found');
    if (!this.keepsToken) this.#latest = undefined;
    this.#latest ??= this.#book.issue({ audience: resource, lifeSeconds: this.tokenLifeSeconds });
    const { token, claims } = this.#latest;
    const body = {
      access_token: token,
      client_id: identity ?? claims.appid,
      expires_in: String(this.tokenLifeSeconds),
      expires_on: String(claims.exp),
      ext_expires_in: String(this.tokenLifeSeconds),
      not_before: String(claims.nbf),
      resource,
      token_type: 'Bearer',
    };
    return { status: 200, body };
  }
}

interface Answer {
  readonly status: number;
  readonly body: object;
  readonly retryAfterSeconds?: number;
}

function refuse(text: string): Answer {
  return { status: 400, body: { error: 'invalid_request', error_description: text } };
}
