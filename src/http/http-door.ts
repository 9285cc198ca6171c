/**
 * The HTTP door: listeners on loopback, and the walk of a request to the gate. How it is read is in read-operation.ts, what
 * happens after the gate says yes in forward.ts.
 *
 * Limits are on heads and on silence. There is none on the length of a request: a push of gigabytes takes its time.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { admit } from '../gate/admit.js';
import type { Ledger } from '../gate/ledger.js';
import type { RouteTable } from '../gate/route-table.js';
import { messageOf, ProxyError, systemCodeOf } from '../model/errors.js';
import type { Logger } from '../model/ports.js';
import type { Refusal } from '../model/refusal.js';
import type { ListenAddress } from '../model/settings.js';
import type { Forwarder } from './forward.js';
import { readOperation } from './read-operation.js';
import { sayGit, sayNoTunnel, sayPlain, sayUnreadable } from './speech.js';

/** Largest head of a request: a bearer of 4 KB in a client's stale Authorization and long paths fit several times over. */
const LARGEST_HEAD_BYTES = 32 * 1024;
const HEAD_MS = 30_000;
/** Longest silence that is ours while a caller waits: throttles waited out and tokens asked for, try by try. */
const OWN_WAITS_MS = 5 * 60_000;
/** An idle client connection is kept this long: git makes its next request within a second or never. */
const IDLE_MS = 65_000;
/** Connections at once; a build host's parallel jobs are in the hundreds. */
const MOST_CONNECTIONS = 2048;
/**
 * Size of the buffers on the client's side. Four times as much was no faster here, and every upload that an upstream
 * holds back keeps this much (docs/PERFORMANCE.md).
 */
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

const STOPPING: Refusal = {
  kind: 'refusal',
  code: 'upstream-unavailable',
  status: 503,
  what: 'Postern is stopping',
  todo: 'try again when it has started again',
};

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
    server.on('connect', sayNoTunnel);
    server.headersTimeout = headMs;
    server.requestTimeout = 0;
    server.keepAliveTimeout = IDLE_MS;
    server.maxConnections = MOST_CONNECTIONS;
    // Upstream silence shows first; this is for a client that has gone silent itself.
    server.setTimeout(this.#parts.stallMs + OWN_WAITS_MS);
    server.on('clientError', (fault: Error, socket: Duplex) => {
      // What cannot be read behind a refused request needs no second answer: the first one closes the connection.
      if (!this.#closing.has(socket)) sayUnreadable(fault, socket);
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
    const read = this.#isDraining ? STOPPING : readOperation(request, this.#names, routes, record);
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
}

function display(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
