/**
 * The HTTP door: its listeners, and the walk of a request to the gate: is it a web page, who asks, what for, may they. How it is
 * read is in read-operation.ts, what happens after the gate says yes in forward.ts.
 *
 * Limits are on heads and on silence. There is none on the length of a request: a push of gigabytes takes its time.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { admit } from '../gate/admit.js';
import { refuseBrowser } from '../gate/browser.js';
import type { Callers } from '../gate/callers.js';
import type { Ledger } from '../gate/ledger.js';
import { displayHost, listenAt, STOPPING } from '../gate/listening.js';
import { isLoopbackAddress, type Peers } from '../gate/peers.js';
import type { RouteTable } from '../gate/route-table.js';
import type { Caller } from '../model/caller.js';
import { messageOf } from '../model/errors.js';
import type { HttpOperation } from '../model/operation.js';
import type { AuditTrail, CertificateSource, Clock, Logger } from '../model/ports.js';
import type { OperationRecord } from '../model/record.js';
import type { Refusal } from '../model/refusal.js';
import type { AccessSettings, ListenAddress } from '../model/settings.js';
import type { Pass } from '../model/decision.js';
import { type DoorListener, plainListener, secureListener } from './door-listener.js';
import { DoorNames, sharedName } from './door-names.js';
import type { Forwarder } from './forward.js';
import { forwardedBy } from './forwarded.js';
import { takeLease } from './presented-lease.js';
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
  readonly peers: Peers;
  readonly callers: Callers;
  readonly access: Pick<AccessSettings, 'local' | 'remote'>;
  readonly audit: AuditTrail;
  readonly clock: Clock;
  /** Which listeners speak TLS, and what they show; none when absent. */
  readonly tls?: { readonly isFor: (host: string) => boolean; readonly certificates: CertificateSource } | undefined;
  /** Names besides the listeners' own that may stand in the Host header, without port. */
  readonly hostNames: readonly string[];
  /** ms of silence after which a client connection is closed; our own waits are added. */
  readonly stallMs: number;
  /** ms within which a head must be complete; default 30 s: a local client sends it in one piece. */
  readonly headMs?: number;
}

export interface BoundAddress {
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly port: number;
}

/** A listener that is open. */
interface Opened {
  readonly listener: DoorListener;
  /** As it was asked for. */
  readonly address: ListenAddress;
  readonly bound: BoundAddress;
}

export class HttpDoor {
  #parts: HttpDoorParts;
  #opened: readonly Opened[] = [];
  /** Those that accept no more, until their last connection ends. */
  readonly #leaving = new Set<Opened>();
  #names: DoorNames;
  /** Connections on which a refusal was the last answer. */
  readonly #closing = new WeakSet<Duplex>();
  /** The latest request of each connection, settled when the gate has answered. */
  readonly #asked = new WeakMap<Duplex, Promise<void>>();
  #isDraining = false;

  constructor(parts: HttpDoorParts) {
    this.#parts = parts;
    this.#names = new DoorNames(parts.hostNames);
  }

  /** Addresses that are open, in the order of the configuration. */
  get bound(): readonly BoundAddress[] {
    return this.#opened.map(({ bound }) => bound);
  }

  /** The addresses that are open, as they were asked for. */
  get addresses(): readonly ListenAddress[] {
    return this.#opened.map(({ address }) => address);
  }

  /** Serves every request that comes from now on with other parts; those under way keep theirs. */
  change(parts: HttpDoorParts): void {
    this.#parts = parts;
    this.#name();
  }

  /**
   * Opens one address. Gives false when an optional one does not exist on this system.
   * @param whether to speak TLS is what `parts` say; what comes in is served when `when` has resolved
   * @throws ProxyError `listen-failed`, `certificate-unusable`
   */
  async listen(
    address: ListenAddress,
    { parts = this.#parts, when = Promise.resolve() }: { parts?: HttpDoorParts; when?: Promise<void> } = {},
  ): Promise<boolean> {
    const headMs = parts.headMs ?? HEAD_MS;
    const options = {
      maxHeaderSize: LARGEST_HEAD_BYTES,
      highWaterMark: BUFFER_BYTES,
      noDelay: true,
      // Node would answer a missing Host without a word; it is refused further down.
      requireHostHeader: false,
      connectionsCheckingInterval: Math.ceil(headMs / 3),
    };
    const handle = (request: IncomingMessage, response: ServerResponse): void => {
      void when.then(() => this.#walk(request, response, address.host));
    };
    const { tls } = parts;
    const listener =
      tls?.isFor(address.host) === true
        ? await secureListener(options, handle, { certificates: tls.certificates, handshakeMs: headMs })
        : plainListener(options, handle);
    const { server, scheme } = listener;
    server.on('connection', (socket) => parts.peers.accepted(socket));
    // Node would answer an expectation that it does not know without a word; nothing here depends on one.
    server.on('checkExpectation', handle);
    server.on('connect', sayNoTunnel);
    // Node would read the first 2000 and drop the others unseen; the size of the head is bounded as it is.
    server.maxHeadersCount = 0;
    server.headersTimeout = headMs;
    server.requestTimeout = 0;
    server.keepAliveTimeout = IDLE_MS;
    server.maxConnections = MOST_CONNECTIONS;
    // Upstream silence shows first; this is for a client that has gone silent itself.
    server.setTimeout(parts.stallMs + OWN_WAITS_MS);
    server.on('clientError', (fault: Error, socket: Duplex) => {
      // What cannot be read behind a refused request needs no second answer: the first one closes the connection.
      if (!this.#closing.has(socket)) sayUnreadable(fault, socket);
    });
    const port = await listenAt(server, address, { name: 'HTTP', key: 'listen.http' });
    if (port === undefined) return false;
    // Without this a fault while accepting (no more file descriptors) would end the process.
    server.on('error', (fault) => this.#parts.logger.log('error', 'unexpected', { what: `accepting connections: ${messageOf(fault)}` }));
    this.#opened = [...this.#opened, { listener, address, bound: { scheme, host: address.host, port } }];
    this.#name();
    return true;
  }

  /** Accepts nothing more at an address that was asked for so; connections that are open live on. */
  leave(address: ListenAddress): void {
    const left = this.#opened.find((each) => each.address === address);
    if (left === undefined) return;
    this.#opened = this.#opened.filter((each) => each !== left);
    this.#leaving.add(left);
    left.listener.server.once('close', () => {
      this.#leaving.delete(left);
      this.#name();
    });
    left.listener.stopAccepting();
    left.listener.closeUnopened();
  }

  /** Shows other certificates at every listener with TLS. @throws ProxyError `certificate-unusable` */
  async show(certificates: CertificateSource): Promise<void> {
    for (const { listener } of this.#opened) await listener.showThoseOf(certificates);
  }

  /** What is open is known by its names, also for those who are still connected to what is not any more. */
  #name(): void {
    const names = new DoorNames(this.#parts.hostNames);
    for (const { bound } of [...this.#opened, ...this.#leaving]) names.add(bound);
    this.#names = names;
  }

  /** Refuses new operations from now on; running ones go on. */
  drain(): void {
    this.#isDraining = true;
    for (const { server, closeUnopened } of this.#all()) {
      server.close();
      server.closeIdleConnections();
      closeUnopened();
    }
  }

  /** Closes all listeners and every connection. */
  async close(): Promise<void> {
    this.#isDraining = true;
    await Promise.all(
      this.#all().map(
        ({ server, closeUnopened }) =>
          new Promise<void>((resolve) => {
            server.close(() => resolve());
            server.closeAllConnections();
            closeUnopened();
          }),
      ),
    );
  }

  #all(): DoorListener[] {
    return [...this.#opened, ...this.#leaving].map(({ listener }) => listener);
  }

  /** `host`: what the listener listens on. */
  async #walk(request: IncomingMessage, response: ServerResponse, host: string): Promise<void> {
    // To the end of the request: what is changed meanwhile is for the next one.
    const parts = this.#parts;
    const { ledger, forwarder } = parts;
    const { socket } = request;
    // One after the other on a connection: what was sent behind a request that is refused must not be looked at meanwhile.
    const asked = (this.#asked.get(socket) ?? Promise.resolve()).then(() => this.#ask(request, host, parts));
    this.#asked.set(
      socket,
      asked.then(() => undefined),
    );
    const outcome = await asked;
    if (outcome === undefined) return;
    const { record, walked } = outcome;
    if (walked.kind === 'gone') {
      ledger.finish(record, { verdict: 'client-gone' });
      // A socket that is not read on would not notice by itself.
      socket.destroy();
    } else if (walked.kind === 'pass') await forwarder.forward(request, response, walked.operation, walked.pass, record);
    else {
      const { refusal, operation } = walked;
      record.route ??= refusal.route;
      record.identity ??= refusal.identity;
      if (operation?.step === 'exchange') {
        await forwarder.refuse(request, response, operation, refusal, record);
        return;
      }
      ledger.finish(record, { verdict: 'refused', refusal });
      if (operation !== undefined) sayGit(response, operation, refusal, undefined);
      else sayPlain(response, refusal, { isHead: request.method === 'HEAD', close: true });
    }
  }

  /** Asks the gate; undefined when nothing on this connection is answered any more. */
  async #ask(
    request: IncomingMessage,
    host: string,
    parts: HttpDoorParts,
  ): Promise<{ record: OperationRecord; walked: Walked } | undefined> {
    const { socket } = request;
    // What a client sent behind a request that was refused and closed is not answered: it may be that request's body.
    if (this.#closing.has(socket)) return undefined;
    const { remoteAddress = 'gone', remotePort = 0 } = socket;
    const record = parts.ledger.begin(`${displayHost(remoteAddress)}:${remotePort}`);
    const walked = await this.#askGate(request, host, parts, record);
    if (walked.kind === 'no' && !isKeptOpen(walked)) this.#closing.add(socket);
    return { record, walked };
  }

  /** The questions that a request has to pass, in their order. What is understood on the way is noted in `record`. */
  async #askGate(request: IncomingMessage, host: string, parts: HttpDoorParts, record: OperationRecord): Promise<Walked> {
    const { routes, audit, clock } = parts;
    if (this.#isDraining) return no(STOPPING);
    const browser = refuseBrowser((name) => request.headersDistinct[name]?.join(', '), this.#names.on(request.socket, host));
    if (browser !== undefined) return no(browser);
    const caller = await this.#callerOf(request, host, parts, record);
    if (caller === undefined) return { kind: 'gone' };
    if (caller.kind === 'refusal') return no(caller);
    const read = readOperation(request, routes, record);
    if (read.kind === 'refusal') return no(read);
    const { operation } = read;
    const unrecorded = audit.refusal();
    if (unrecorded !== undefined) return no(unrecorded, operation);
    const decision = admit(operation, caller, routes, clock.now());
    return decision.kind === 'refusal' ? no(decision, operation) : { kind: 'pass', operation, pass: decision };
  }

  /** Who asks; undefined when they have gone. */
  async #callerOf(
    request: IncomingMessage,
    host: string,
    { peers, callers, access }: HttpDoorParts,
    record: OperationRecord,
  ): Promise<Caller | Refusal | undefined> {
    // Before anything is waited for: what holds a lease must be gone from the headers whatever comes of it.
    const presented = takeLease(request);
    const peer = await peers.of(request.socket);
    if (peer === undefined || request.socket.destroyed) return undefined;
    record.uid = peer.uid.kind === 'known' ? peer.uid.uid : undefined;
    const second = { forwardedBy: forwardedBy(request), calledBy: sharedName(request) };
    const entry = isLoopbackAddress(host) ? access.local : access.remote;
    const caller = callers.identify({ peer, ...presented, entry, ...second });
    if (caller.kind === 'lease') record.lease = caller.lease;
    return caller;
  }
}

type Walked =
  | { readonly kind: 'pass'; readonly operation: HttpOperation; readonly pass: Pass }
  | { readonly kind: 'no'; readonly refusal: Refusal; readonly operation: HttpOperation | undefined }
  | { readonly kind: 'gone' };

/** Whether the connection can be used again after a refusal: an advertisement has no body that could follow. */
function isKeptOpen(walked: Extract<Walked, { kind: 'no' }>): boolean {
  return walked.operation?.step === 'advertisement';
}

function no(refusal: Refusal, operation?: HttpOperation): Walked {
  return { kind: 'no', refusal, operation };
}
