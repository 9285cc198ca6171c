/**
 * All git hosts in one https server (HTTP/1.1, keep-alive): admits a request, then hands it to the real git http-backend. The host
 * played follows from the address (addresses.ts), the rules from access.ts, the wording from azure-answers.ts.
 */
import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { AccessRules, authorizationKind } from './access.js';
import { parseAddress, type Address } from './addresses.js';
import {
  answerHtml,
  answerText,
  answerUnauthorized,
  azureHeaders,
  claimsChallenge,
  NOT_FOUND_PAGE,
  notAuthorized,
  repositoryMissing,
  resourceTenant,
  SIGN_IN_PAGE,
} from './azure-answers.js';
import type { BlobStorage } from './blob-storage.js';
import type { CertificateSet, TlsFault } from './certificates.js';
import { answerFault, noPush } from './fault-answers.js';
import { existsByName, FaultBook, type Fault } from './faults.js';
import { Feeds } from './feeds.js';
import { HttpBackend, type BackendAnswer } from './http-backend.js';
import { Exchange, type SeenFilter, type SeenRequest } from './journal.js';
import type { Lfs } from './lfs.js';
import { messageOf, refuseLfs } from './lfs-answers.js';
import { type Doorkeeper, Loopback } from './loopback.js';
import { NtlmConnections } from './ntlm.js';
import { PatApi } from './pat-api.js';
import type { Replay } from './replay.js';
import type { Repositories } from './repositories.js';
import { type HostApi, RestApi } from './rest-api.js';
import { RestLists } from './rest-lists.js';
import type { TokenBook } from './token-book.js';

/** Longest header block accepted: tokens are long, and a test may make them longer. */
const MAX_HEADER_BYTES = 65_536;

export interface GitHostParts {
  readonly book: TokenBook;
  readonly repositories: Repositories;
  readonly certificates: CertificateSet;
  readonly lfs: Lfs;
  readonly doorkeeper: Doorkeeper;
  /** Where packages are. */
  readonly storage: BlobStorage;
  /** False plays a server that ignores Git-Protocol. */
  readonly passProtocol: boolean;
}

export class GitHosts extends AccessRules {
  readonly seen: SeenRequest[] = [];
  /** Names behind the GUIDs of projects and repositories; keys in lower case. */
  readonly guids = new Map<string, string>();
  /** TLS connections: open now, and made since the start. `attempts` counts TCP, also where the handshake failed. */
  readonly connections = { open: 0, opened: 0, attempts: 0 };
  readonly faults = new FaultBook();
  readonly rest: RestApi;
  readonly feeds: Feeds;
  /** What answers for addresses that are none of git. */
  readonly apis: readonly HostApi[];
  readonly restLists = new RestLists();
  /** A record that is played; undefined for the emulator's own answers. */
  replay: Replay | undefined;
  readonly #server: Server;
  readonly #loopback: Loopback;
  readonly #backend = new HttpBackend();
  readonly #lfs: Lfs;
  readonly #repositories: Repositories;
  readonly #certificates: CertificateSet;
  readonly #passProtocol: boolean;
  readonly #numbers = new WeakMap<Socket, number>();
  readonly #viaProxy = new Set<number>();
  readonly #ntlm = new NtlmConnections();
  /** How far its clock is ahead of this machine's, ms; it shows in the Date of its answers. */
  aheadMs = 0;
  #tlsFault: TlsFault | undefined;

  constructor({ book, repositories, certificates, lfs, storage, doorkeeper, passProtocol }: GitHostParts) {
    super(book);
    this.#lfs = lfs;
    this.rest = new RestApi(repositories, this.guids);
    this.feeds = new Feeds(storage, this.rest.catalog);
    this.apis = [this.feeds, this.rest];
    this.#repositories = repositories;
    this.#certificates = certificates;
    this.#passProtocol = passProtocol;
    this.#server = createServer({ ...certificates.good, maxHeaderSize: MAX_HEADER_BYTES }, (request, response) => {
      if (this.aheadMs !== 0) response.setHeader('Date', new Date(Date.now() + this.aheadMs).toUTCString());
      this.#handle(request, response).catch((error: unknown) => fail(response, error));
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
    this.#loopback = new Loopback(this.#server, doorkeeper);
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

  /** git http-backend processes that run now. */
  get children(): number {
    return this.#backend.children;
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

  /** Destroys every connection that is open now, as a server that dies would. */
  cutConnections(): void {
    this.#loopback.cut();
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
      organization: address?.organization ?? '',
      headers,
      connection: this.#numbers.get(request.socket) ?? 0,
      ...(this.#viaProxy.has(request.socket.remotePort ?? 0) ? { viaProxy: true } : {}),
      ...(address?.repository === undefined || address.step === 'other' ? {} : { repository: address.repository }),
    };
    this.seen.push(entry);
    const exchange = new Exchange(request, response, entry);
    const organization = PatApi.organizationOf(request);
    if (organization !== undefined) {
      await this.patApi.answer(exchange, organization, (token) => this.refusedFor(organization, token));
      return;
    }
    if (!address) {
      answerHtml(exchange, 404, NOT_FOUND_PAGE);
      return;
    }
    if (address.base.toLowerCase() === '/_signin') {
      answerHtml(exchange, 203, SIGN_IN_PAGE);
      return;
    }
    if (this.#isRuledOut(exchange, address)) return;
    if (this.replay !== undefined) {
      if (await this.replay.answer(exchange, address, { tenant: this.tenantOf(address.organization) })) return;
      // What a record says was well has to be there.
      if (address.repository !== undefined && address.step !== 'other') await this.#repositories.ensure(address.repository);
    }
    const api = this.restLists.knows(address) ? undefined : this.apis.find((each) => each.takes(address));
    if (api !== undefined) {
      const { organization: name } = address;
      await api.answer(exchange, address, {
        verdict: this.judge(address, authorization),
        tenant: this.tenantOf(name),
        rules: this.rulesOf(name),
      });
      return;
    }
    if (address.step === 'lfs') {
      await this.#answerLfs(exchange, address, authorization);
      return;
    }
    const early = this.faults.take(address, 'before-access');
    if (early) {
      await this.#spoil(early, exchange, address, '');
      return;
    }
    const user = address.kind === 'ntlm' ? this.#admitConnection(exchange, address) : this.#admitRequest(exchange, address, authorization);
    if (user === undefined) return;
    const late = this.faults.take(
      address,
      'after-access',
      (fault) => fault.kind !== 'cae-challenge' || !this.answersChallenge(authorization),
    );
    if (late) {
      await this.#spoil(late, exchange, address, user);
      return;
    }
    if (this.restLists.answer(exchange, address)) return;
    const repository = await this.#repository(exchange, address);
    if (repository === undefined) return;
    const answer = await this.#run(exchange, address, repository, user);
    const rules = this.rulesOf(address.organization);
    const tenant = rules.tellsTenant === true ? resourceTenant(this.tenantOf(address.organization), rules) : {};
    exchange.begin(answer.status, { ...headersOf(address, answer), ...tenant });
    await pipeline(answer.body, response);
  }

  /** What an organisation does before anyone is asked who they are; true when the request has had its end. */
  #isRuledOut(exchange: Exchange, address: Address): boolean {
    if (address.kind !== 'azure' && address.kind !== 'visualstudio' && address.kind !== 'family') return false;
    const rules = this.rulesOf(address.organization);
    if (rules.isMissing === true) answerHtml(exchange, 404, NOT_FOUND_PAGE);
    else if (rules.discovery === undefined || address.repository !== undefined) return false;
    else if (rules.discovery === 'cut') exchange.cut();
    else {
      const tenant = resourceTenant(this.tenantOf(address.organization), rules);
      answerHtml(exchange, 302, SIGN_IN_PAGE, { Location: `${this.origin}/elsewhere`, ...tenant });
    }
    return true;
  }

  /** The user, when the request carries what this host wants; otherwise it has been answered. */
  #admitRequest(exchange: Exchange, address: Address, authorization: string | undefined): string | undefined {
    const verdict = this.judge(address, authorization);
    if (verdict.kind === 'passed') {
      exchange.entry.user = verdict.user;
      return verdict.user;
    }
    exchange.entry.refusedFor = verdict.reason;
    if (verdict.reason === 'pat-scope') {
      if (address.step === 'lfs') refuseLfs(exchange, 403, messageOf(403));
      else answerText(exchange, 403, noPush());
      return undefined;
    }
    const tenant = this.tenantOf(address.organization);
    const rules = this.rulesOf(address.organization);
    if (verdict.reason === 'not-a-member') answerText(exchange, 403, notAuthorized(randomUUID()), resourceTenant(tenant, rules));
    else
      answerUnauthorized(
        exchange,
        address,
        tenant,
        verdict.reason === 'claims-required' ? claimsChallenge(tenant, rules.demand) : undefined,
        rules,
      );
    return undefined;
  }

  async #answerLfs(exchange: Exchange, address: Address, authorization: string | undefined): Promise<void> {
    const name = address.repository ?? '';
    await this.#lfs.answer({
      exchange,
      address,
      repository: this.#repositories.exists(name) ? name : undefined,
      admit: (isWrite) => {
        const asked: Address = { ...address, service: isWrite ? 'git-receive-pack' : 'git-upload-pack' };
        return address.kind === 'ntlm' ? this.#admitConnection(exchange, asked) : this.#admitRequest(exchange, asked, authorization);
      },
      unauthorized: () => answerUnauthorized(exchange, address, this.tenantOf(address.organization)),
    });
  }

  #admitConnection(exchange: Exchange, address: Address): string | undefined {
    const verdict = this.#ntlm.judge(exchange.request.socket, exchange.request.headers.authorization);
    if (verdict.kind === 'passed') return verdict.user;
    exchange.entry.refusedFor = verdict.handshake ? 'handshake' : 'missing';
    answerUnauthorized(exchange, address, '', verdict.challenge);
    return undefined;
  }

  async #spoil(fault: Fault, exchange: Exchange, address: Address, user: string): Promise<void> {
    const truth = async (): Promise<BackendAnswer> => {
      const name = address.repository ?? '';
      const repository = this.#repositories.exists(name) ? this.#repositories.path(name) : await this.#repositories.ensure(name);
      return this.#run(exchange, address, repository, user);
    };
    const tenant = this.tenantOf(address.organization);
    await answerFault(fault, { exchange, address, tenant, truth, headersOf: (answer) => headersOf(address, answer) });
  }

  /** The path of the repository; when there is none, the request has been answered. */
  async #repository(exchange: Exchange, address: Address): Promise<string | undefined> {
    const azure = isAzure(address);
    const name = address.repository;
    if (name === undefined) {
      answerHtml(exchange, 404, NOT_FOUND_PAGE);
    } else if (address.step === 'other' || (azure && address.leaf.endsWith('.git'))) {
      answerMissing(exchange, address);
    } else if (this.#repositories.exists(name)) {
      return this.#repositories.path(name);
    } else if (existsByName(address.leaf)) {
      return this.#repositories.ensure(name);
    } else {
      answerMissing(exchange, address);
    }
    return undefined;
  }

  async #run(exchange: Exchange, address: Address, repository: string, user: string): Promise<BackendAnswer> {
    const { request, response } = exchange;
    const answer = await this.#backend.run(request, { repository, rest: address.rest, user, passProtocol: this.#passProtocol });
    const abandon = (): void => {
      if (!response.writableFinished) answer.abandon();
    };
    if (response.destroyed) abandon();
    else response.once('close', abandon);
    return answer;
  }
}

/** A fault of the emulator itself must not look like one that was asked for: it says what it is, if it still can. */
function fail(response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) response.destroy();
  else response.writeHead(500, { 'Content-Type': 'text/plain' }).end(`The emulator failed: ${String(error)}\n`);
}

function isAzure(address: Address): boolean {
  return address.kind !== 'generic' && address.kind !== 'ntlm';
}

function answerMissing(exchange: Exchange, address: Address): void {
  if (isAzure(address)) answerText(exchange, 404, repositoryMissing(address.leaf));
  else exchange.answer(404, { 'Content-Type': 'text/plain' }, 'Repository not found\n');
}

function headersOf(address: Address, answer: BackendAnswer): OutgoingHttpHeaders {
  if (!isAzure(address)) return answer.headers;
  const headers: OutgoingHttpHeaders = { ...azureHeaders(), ...answer.headers };
  if (address.step === 'exchange') {
    delete headers['Expires'];
    delete headers['Pragma'];
    headers['Cache-Control'] = 'private';
  }
  return headers;
}
