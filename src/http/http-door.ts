/**
 * The HTTP door: listeners on loopback, and the walk of a request from its target to the gate. What happens after the
 * gate says yes is in forward.ts.
 *
 * Limits are on heads and on silence. There is none on the length of a request: a push of gigabytes takes its time.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { AddressInfo } from 'node:net';
import { admit } from '../gate/admit.js';
import { refuseBrowser } from '../gate/browser.js';
import type { Ledger } from '../gate/ledger.js';
import type { RouteTable } from '../gate/route-table.js';
import { classifySmartRequest, type NotSmart } from '../git/smart-http.js';
import { inferHostKind, parseHost } from '../model/host-name.js';
import { type ParsedAddress, parseRepoAddress } from '../hosts/repo-address.js';
import type { HostKind } from '../model/address.js';
import { messageOf, ProxyError, systemCodeOf } from '../model/errors.js';
import type { GitOperation } from '../model/operation.js';
import type { Logger } from '../model/ports.js';
import type { OperationRecord } from '../model/record.js';
import type { Refusal } from '../model/refusal.js';
import type { ListenAddress } from '../model/settings.js';
import type { Forwarder } from './forward.js';
import { readRequestTarget } from './request-target.js';
import { sayGit, sayPlain } from './speech.js';

/** Largest head of a request: a bearer of 4 KB in a client's stale Authorization and long paths fit several times over. */
const LARGEST_HEAD_BYTES = 32 * 1024;
const HEAD_MS = 30_000;
/** Longest silence that is ours while a caller waits: throttles waited out and tokens asked for, try by try. */
const OWN_WAITS_MS = 5 * 60_000;
/** An idle client connection is kept this long: git makes its next request within a second or never. */
const IDLE_MS = 65_000;
/** Connections at once; a build host's parallel jobs are in the hundreds. */
const MOST_CONNECTIONS = 2048;
/** Size of the buffers on the client's side, four times Node's default: fewer and larger reads of an upload. */
const BUFFER_BYTES = 64 * 1024;

export interface HttpDoorParts {
  readonly routes: RouteTable;
  readonly ledger: Ledger;
  readonly logger: Logger;
  readonly forwarder: Forwarder;
  /** ms of silence after which a client connection is closed; our own waits are added. */
  readonly stallMs: number;
  /** ms within which a head must be complete; default 30 s: a local client sends it in one piece. */
  readonly headMs?: number;
}

export interface BoundAddress {
  readonly host: string;
  readonly port: number;
}

export class HttpDoor {
  readonly #parts: HttpDoorParts;
  readonly #servers: Server[] = [];
  readonly #bound: BoundAddress[] = [];
  readonly #names = new Set<string>();
  /** Connections on which a refusal was the last answer. */
  readonly #closing = new WeakSet<Duplex>();
  #isDraining = false;

  constructor(parts: HttpDoorParts) {
    this.#parts = parts;
  }

  /** Addresses that are open, in the order of the configuration. */
  get bound(): readonly BoundAddress[] {
    return this.#bound;
  }

  /**
   * Opens one address. Gives false when an optional one does not exist on this system.
   * @throws ProxyError `listen-failed`
   */
  async listen(address: ListenAddress): Promise<boolean> {
    const headMs = this.#parts.headMs ?? HEAD_MS;
    const server = createServer(
      {
        maxHeaderSize: LARGEST_HEAD_BYTES,
        highWaterMark: BUFFER_BYTES,
        noDelay: true,
        // Node would answer a missing Host without a word; it is refused further down.
        requireHostHeader: false,
        connectionsCheckingInterval: Math.ceil(headMs / 3),
      },
      (request, response) => void this.#walk(request, response),
    );
    // Node would answer an expectation that it does not know without a word; nothing here depends on one.
    server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => void this.#walk(request, response));
    server.on('connect', refuseTunnel);
    server.headersTimeout = headMs;
    server.requestTimeout = 0;
    server.keepAliveTimeout = IDLE_MS;
    server.maxConnections = MOST_CONNECTIONS;
    // Upstream silence shows first; this is for a client that has gone silent itself.
    server.setTimeout(this.#parts.stallMs + OWN_WAITS_MS);
    server.on('clientError', (fault: Error, socket: Duplex) => {
      // What cannot be read behind a refused request needs no second answer: the first one closes the connection.
      if (!this.#closing.has(socket)) refuseUnreadable(fault, socket);
    });
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host: address.host, port: address.port, ipv6Only: true, exclusive: true }, () => {
          server.off('error', reject);
          resolve();
        });
      });
    } catch (thrown) {
      const code = systemCodeOf(thrown);
      if (address.optional && (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT' || code === 'EINVAL')) return false;
      throw new ProxyError(
        'listen-failed',
        `The HTTP door cannot listen on ${display(address.host)}:${address.port} (${code ?? messageOf(thrown)})`,
        {
          todo: code === 'EADDRINUSE' ? 'stop what uses the port, or set `listen.http` to another one' : 'check `listen.http`',
          cause: thrown,
        },
      );
    }
    // Without this a fault while accepting (no more file descriptors) would end the process.
    server.on('error', (fault) => this.#parts.logger.log('error', 'unexpected', { what: `accepting connections: ${messageOf(fault)}` }));
    this.#servers.push(server);
    const { port } = server.address() as AddressInfo; // because a TCP server that listens has such an address
    this.#bound.push({ host: address.host, port });
    for (const name of [address.host, 'localhost']) {
      this.#names.add(`${display(name)}:${port}`);
      if (port === 80) this.#names.add(display(name));
    }
    return true;
  }

  /** Refuses new operations from now on; running ones go on. */
  drain(): void {
    this.#isDraining = true;
    for (const server of this.#servers) {
      server.close();
      server.closeIdleConnections();
    }
  }

  /** Closes all listeners and every connection. */
  async close(): Promise<void> {
    this.#isDraining = true;
    await Promise.all(
      this.#servers.map(
        (server) =>
          new Promise<void>((resolve) => {
            server.close(() => resolve());
            server.closeAllConnections();
          }),
      ),
    );
  }

  async #walk(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { ledger, routes, forwarder } = this.#parts;
    // What a client sent behind a request that was refused and closed is not answered: it may be that request's body.
    if (this.#closing.has(request.socket)) return;
    const record = ledger.begin(`${request.socket.remoteAddress ?? 'gone'}:${request.socket.remotePort ?? 0}`);
    const read = this.#read(request, record);
    if (read.kind === 'refusal') {
      ledger.finish(record, { verdict: 'refused', refusal: read });
      this.#closing.add(request.socket);
      sayPlain(response, read, { isHead: request.method === 'HEAD', close: true });
      return;
    }
    const decision = admit(read.operation, { kind: 'loopback', address: record.caller }, routes);
    if (decision.kind === 'refusal') {
      record.route = decision.route;
      record.identity = decision.identity;
      ledger.finish(record, { verdict: 'refused', refusal: decision });
      if (read.operation.step === 'advertisement') sayGit(response, read.operation, decision, undefined);
      else {
        this.#closing.add(request.socket);
        sayPlain(response, decision, { close: true });
      }
      return;
    }
    await forwarder.forward(request, response, read.operation, decision.route, record);
  }

  /** From the bytes of a request to an operation, or why there is none. */
  #read(request: IncomingMessage, record: OperationRecord): { readonly kind: 'operation'; readonly operation: GitOperation } | Refusal {
    const { routes } = this.#parts;
    if (this.#isDraining) return refusal('upstream-unavailable', 503, 'Postern is stopping', 'try again when it has started again');
    const browser = refuseBrowser((name) => request.headersDistinct[name]?.join(', '), this.#names);
    if (browser !== undefined) return browser;
    const framing = framingFault(request);
    if (framing !== undefined) return malformed(framing);
    const read = readRequestTarget(request.url ?? '');
    if (read.kind === 'fault') return malformed(read.what);
    const { host: hostSegment, path, query } = read.target;
    const host = parseHost(hostSegment);
    if (host === undefined) return malformed(`${printable(hostSegment)} is not a host name`);
    record.repository = `${host}${printable(path)}`;
    const smart = classifySmartRequest(request.method ?? '', path, query);
    if ('why' in smart) return notSmart(smart);
    const parsed = parseAddress(routes.kindOf(host), host, smart.repositoryPath);
    if (parsed.kind === 'fault') return malformed(`The address is not a repository's: ${printable(parsed.what)}`);
    const operation: GitOperation = {
      kind: smart.service === 'git-upload-pack' ? 'fetch' : 'push',
      step: smart.step,
      address: parsed.address,
    };
    record.kind = operation.kind;
    record.step = operation.step;
    record.repository = parsed.address.display;
    return { kind: 'operation', operation };
  }
}

/** A host that no route names is most likely no Azure DevOps Server: that there is no route says more than a wrong grammar. */
function parseAddress(kind: HostKind | undefined, host: string, path: string): ParsedAddress {
  const inferred = inferHostKind(host);
  const parsed = parseRepoAddress(kind ?? inferred, host, path);
  return parsed.kind === 'fault' && kind === undefined && inferred === 'azure-server' ? parseRepoAddress('generic', host, path) : parsed;
}

/** What could make this request's end a matter of opinion between us and the upstream (RFC 9112 section 6). */
function framingFault(request: IncomingMessage): string | undefined {
  if (request.httpVersion !== '1.1') return `HTTP/${request.httpVersion} is not spoken here, HTTP/1.1 is`;
  const coding = request.headersDistinct['transfer-encoding'];
  const length = request.headersDistinct['content-length'];
  if (coding !== undefined && (length !== undefined || coding.length !== 1 || coding[0]?.toLowerCase() !== 'chunked')) {
    return 'The request has a Transfer-Encoding other than chunked alone';
  }
  if (length !== undefined && length.length !== 1) return 'The request has more than one Content-Length';
  if (request.method === 'GET' && (coding !== undefined || (length !== undefined && length[0] !== '0'))) {
    return 'The request is a GET with a body';
  }
  return undefined;
}

function notSmart({ why }: NotSmart): Refusal {
  switch (why) {
    case 'dumb':
      return refusal(
        'operation-unknown',
        403,
        'The dumb HTTP protocol is not served',
        'use a git client with smart HTTP, which is every one since 2010',
      );
    case 'bad-service':
      return refusal('operation-unknown', 403, 'The service in the address is not git-upload-pack or git-receive-pack', 'use a git client');
    case 'bad-query':
      return malformed('The query of the address is not one of git');
    case 'bad-method':
      return refusal(
        'operation-unknown',
        405,
        'The method does not fit the address',
        'use GET for info/refs, POST for git-upload-pack and git-receive-pack',
      );
    case 'not-git':
      return refusal(
        'operation-unknown',
        404,
        'The address is none of git: only info/refs, git-upload-pack and git-receive-pack of a repository are served',
        'use the address with git; LFS and the REST API are not served by this version',
      );
  }
}

function malformed(what: string): Refusal {
  return refusal('request-malformed', 400, what, 'check the address; `postern route explain URL` shows how one is read');
}

function refusal(code: Refusal['code'], status: number, what: string, todo: string): Refusal {
  return { kind: 'refusal', code, status, what, todo };
}

/** A request that Node's parser refuses (both lengths, two lengths, a head too large or too slow, no HTTP): said in plain text, and closed. */
function refuseUnreadable(fault: Error, socket: Duplex): void {
  const code = systemCodeOf(fault);
  if (!socket.writable || code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  let status = '400 Bad Request';
  if (code === 'HPE_HEADER_OVERFLOW') status = '431 Request Header Fields Too Large';
  else if (code === 'ERR_HTTP_REQUEST_TIMEOUT') status = '408 Request Timeout';
  sayUnasked(socket, status, `The request cannot be read as HTTP/1.1 (${code ?? 'malformed'})`);
}

/** CONNECT: Node has taken the connection out of HTTP, so there is no response object. */
function refuseTunnel(_request: IncomingMessage, socket: Duplex): void {
  sayUnasked(socket, '405 Method Not Allowed', 'This is no forward proxy: CONNECT is not served');
}

function sayUnasked(socket: Duplex, status: string, what: string): void {
  const text = `postern: ${what}\n  what to do: use a git client, with url.<base>.insteadOf as \`postern setup\` writes it\n`;
  socket.on('error', () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`,
  );
}

function display(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/** Text of an address for a person: nothing that a terminal would act on. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e\u00a0-\uffff]/g, '?').slice(0, 300);
}
