/**
 * The identity endpoint of App Service, Functions and Container Apps, plain http, as an app meets it.
 *
 * Source: App Service, "How to use managed identities", REST endpoint reference (2019-08-01).
 */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { ImdsRequest } from './imds.js';
import { Loopback } from './loopback.js';
import type { TokenBook } from './token-book.js';

export class AppService {
  readonly requests: ImdsRequest[] = [];
  /** IDENTITY_HEADER of the app: what keeps other programs of the machine away. */
  readonly header = randomUUID();
  /** User-assigned identities that the app has; all when undefined. */
  known: Set<string> | undefined;
  failWith: number | undefined;
  tokenLifeSeconds: number;
  readonly #book: TokenBook;
  readonly #loopback: Loopback;

  constructor(book: TokenBook, tokenLifeSeconds: number) {
    this.#book = book;
    this.tokenLifeSeconds = tokenLifeSeconds;
    this.#loopback = new Loopback(createServer((request, response) => this.#handle(request, response)));
  }

  /** IDENTITY_ENDPOINT of the app. */
  get endpoint(): string {
    return `http://127.0.0.1:${this.#loopback.port}/msi/token`;
  }

  listen(port: number): Promise<void> {
    return this.#loopback.listen(port);
  }

  close(): Promise<void> {
    return this.#loopback.close();
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', this.endpoint);
    const named = ['client_id', 'mi_res_id', 'object_id'].map((name) => url.searchParams.get(name)).find((id) => id !== null);
    const resource = url.searchParams.get('resource') ?? '';
    const [status, body] = this.#answer(request, url, resource, named ?? undefined);
    this.requests.push({ at: Date.now(), url: request.url ?? '', resource, identity: named ?? undefined, status });
    response.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8' }).end(JSON.stringify(body));
  }

  #answer(request: IncomingMessage, url: URL, resource: string, identity: string | undefined): [number, object] {
    if (request.headers['x-identity-header'] !== this.header) return [403, { StatusCode: 403, Message: 'Forbidden' }];
    if (url.searchParams.get('api-version') !== '2019-08-01' || resource === '') return [400, { StatusCode: 400, Message: 'Bad request' }];
    if (this.failWith !== undefined) return [this.failWith, { StatusCode: this.failWith, Message: 'The service is in trouble' }];
    if (identity !== undefined && this.known?.has(identity) === false)
      return [400, { StatusCode: 400, Message: 'Unable to load the proper Managed Identity.' }];
    const { token, claims } = this.#book.issue({ audience: resource, lifeSeconds: this.tokenLifeSeconds });
    return [
      200,
      { access_token: token, client_id: identity ?? claims.appid, expires_on: String(claims.exp), resource, token_type: 'Bearer' },
    ];
  }
}
