/**
 * All git hosts in one https server (HTTP/1.1, keep-alive): admits a request, then hands it to the real git http-backend. The host
 * played follows from the address (addresses.ts), the rules from access.ts, the wording from azure-answers.ts.
 */
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { AccessRules, authorizationKind, type Verdict } from './access.js';
import { parseAddress, type Address } from './addresses.js';
import {
  answerHtml,
  answerText,
  answerUnauthorized,
  azureHeaders,
  claimsChallenge,
  NOT_FOUND_PAGE,
  repositoryMissing,
  SIGN_IN_PAGE,
} from './azure-answers.js';
import type { CertificateSet, TlsFault } from './certificates.js';
import { HttpBackend, type BackendAnswer } from './http-backend.js';
import { Exchange, type SeenFilter, type SeenRequest } from './journal.js';
import { Loopback } from './loopback.js';
import type { Repositories } from './repositories.js';
import type { TokenBook } from './token-book.js';

/** Longest header block accepted: tokens are long, and a test may make them longer. */
const MAX_HEADER_BYTES = 65_536;

export class GitHosts extends AccessRules {
  readonly seen: SeenRequest[] = [];
  /** Names behind the GUIDs of projects and repositories; keys in lower case. */
  readonly guids = new Map<string, string>();
  /** TLS connections: open now, and made since the start. `attempts` counts TCP, also where the handshake failed. */
  readonly connections = { open: 0, opened: 0, attempts: 0 };
  readonly #server: Server;
  readonly #loopback: Loopback;
  readonly #backend = new HttpBackend();
  readonly #repositories: Repositories;
  readonly #certificates: CertificateSet;
  readonly #passProtocol: boolean;
  readonly #numbers = new WeakMap<Socket, number>();
  readonly #viaProxy = new Set<number>();
  #tlsFault: TlsFault | undefined;

  constructor(book: TokenBook, repositories: Repositories, certificates: CertificateSet, passProtocol: boolean) {
    super(book);
    this.#repositories = repositories;
    this.#certificates = certificates;
    this.#passProtocol = passProtocol;
    this.#server = createServer({ ...certificates.good, maxHeaderSize: MAX_HEADER_BYTES }, (request, response) => {
      this.#handle(request, response).catch(() => request.socket.destroy());
    });
    // A push may take as long as it likes.
    this.#server.requestTimeout = 0;
    this.#server.keepAliveTimeout = 60_000;
    this.#server.on('connection', () => (this.connections.attempts += 1));
    this.#server.on('secureConnection', (socket) => {
      this.connections.open += 1;
      this.connections.opened += 1;
      this.#numbers.set(socket, this.connections.opened);
      socket.on('close', () => (this.connections.open -= 1));
    });
    this.#loopback = new Loopback(this.#server);
  }

  get origin(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  get port(): number {
    return this.#loopback.port;
  }

  /** What is wrong with the certificate shown to new connections; undefined for a good one. */
  get tlsFault(): TlsFault | undefined {
    return this.#tlsFault;
  }

  set tlsFault(fault: TlsFault | undefined) {
    this.#tlsFault = fault;
    this.#server.setSecureContext(fault ? this.#certificates.faulty[fault] : this.#certificates.good);
    this.#server.closeIdleConnections();
  }

  /** How many requests were seen that match. */
  count(filter: SeenFilter | ((entry: SeenRequest) => boolean) = {}): number {
    const matches =
      typeof filter === 'function'
        ? filter
        : (entry: SeenRequest): boolean => Object.entries(filter).every(([key, value]) => entry[key as keyof SeenRequest] === value); // keys of SeenFilter
    return this.seen.filter(matches).length;
  }

  /** Says that the connection from this local port comes out of the emulator's own proxy. */
  noteProxied(localPort: number): void {
    this.#viaProxy.add(localPort);
  }

  listen(port: number): Promise<void> {
    return this.#loopback.listen(port);
  }

  async close(): Promise<void> {
    this.#backend.stop();
    await this.#loopback.close();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { authorization, ...headers } = request.headers;
    const address = parseAddress(request.headers.host ?? '', request.url ?? '/', this.guids);
    const entry: SeenRequest = {
      at: Date.now(),
      host: address?.host ?? request.headers.host ?? '',
      method: request.method ?? '',
      url: request.url ?? '',
      status: 0,
      authorization: authorizationKind(authorization),
      headers,
      connection: this.#numbers.get(request.socket) ?? 0,
      ...(this.#viaProxy.has(request.socket.remotePort ?? 0) ? { viaProxy: true } : {}),
    };
    this.seen.push(entry);
    const exchange = new Exchange(request, response, entry);
    if (!address) {
      answerHtml(exchange, 404, NOT_FOUND_PAGE);
      return;
    }
    if (address.base.toLowerCase() === '/_signin') {
      answerHtml(exchange, 203, SIGN_IN_PAGE);
      return;
    }
    const verdict = this.judge(address, authorization);
    if (verdict.kind === 'refused') {
      this.#refuse(exchange, address, verdict);
      return;
    }
    const repository = await this.#repository(exchange, address);
    if (repository === undefined) return;
    const answer = await this.#backend.run(request, {
      repository,
      rest: address.rest,
      user: verdict.user,
      passProtocol: this.#passProtocol,
    });
    await this.#relay(exchange, address, answer);
  }

  #refuse(exchange: Exchange, address: Address, verdict: Verdict & { kind: 'refused' }): void {
    exchange.entry.refusedFor = verdict.reason;
    const tenant = this.tenantOf(address.organization);
    answerUnauthorized(exchange, address, tenant, verdict.reason === 'claims-required' ? claimsChallenge(tenant) : undefined);
  }

  /** The path of the repository; when there is none, the request has been answered. */
  async #repository(exchange: Exchange, address: Address): Promise<string | undefined> {
    const azure = address.kind !== 'generic' && address.kind !== 'ntlm';
    const name = address.repository;
    if (name === undefined) {
      answerHtml(exchange, 404, NOT_FOUND_PAGE);
    } else if (address.step === 'other' || (azure && address.leaf.endsWith('.git')) || !this.#repositories.exists(name)) {
      if (azure) answerText(exchange, 404, repositoryMissing(address.leaf));
      else exchange.answer(404, { 'Content-Type': 'text/plain' }, 'Repository not found\n');
    } else {
      return this.#repositories.path(name);
    }
    return undefined;
  }

  async #relay(exchange: Exchange, address: Address, answer: BackendAnswer): Promise<void> {
    const { response } = exchange;
    response.once('close', () => {
      if (!response.writableFinished) answer.abandon();
    });
    const azure = address.kind !== 'generic' && address.kind !== 'ntlm';
    const headers: OutgoingHttpHeaders = azure ? { ...azureHeaders(), ...answer.headers } : answer.headers;
    if (azure && address.step === 'exchange') {
      delete headers['Expires'];
      delete headers['Pragma'];
      headers['Cache-Control'] = 'private';
    }
    exchange.begin(answer.status, headers);
    await pipeline(answer.body, response);
  }
}
