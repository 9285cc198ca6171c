/**
 * The HTTP door: the walk of a request. How it comes in is in door-listeners.ts, what the gate asks in ask-gate.ts, whether there is
 * room in entrance.ts, what happens after it says yes in forward.ts.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { displayHost } from '../gate/listening.js';
import type { CertificateSource } from '../model/ports.js';
import type { OperationRecord } from '../model/record.js';
import type { ListenAddress } from '../model/settings.js';
import { askGate, type GateParts, type Walked } from './ask-gate.js';
import type { Ends } from './courier.js';
import { type BoundAddress, DoorListeners, type ListenerParts } from './door-listeners.js';
import { type EntranceParts, letIn, place } from './entrance.js';
import type { ApiCarrier } from './api/api-carrier.js';
import type { Forwarder } from './forward.js';
import type { LfsCarrier } from './lfs/lfs-carrier.js';
import { traceOf } from './headers.js';
import { isPageRequest } from './page-requests.js';
import { SelfCalls } from './self-calls.js';
import type { StatusPage } from './status-page.js';
import { dialectOf } from './read-operation.js';
import { sayIn, sayTo } from './speech.js';

export interface HttpDoorParts extends ListenerParts, GateParts, EntranceParts {
  readonly forwarder: Forwarder;
  readonly lfs: LfsCarrier;
  readonly api: ApiCarrier;
  /** What is below `/-/`; nothing when absent. */
  readonly page?: StatusPage | undefined;
  /** Names besides the listeners' own that may stand in the Host header, without port. */
  readonly hostNames: readonly string[];
}

export class HttpDoor {
  #parts: HttpDoorParts;
  readonly #listeners: DoorListeners;
  /** Connections on which a refusal was the last answer. */
  readonly #closing = new WeakSet<Duplex>();
  /** The latest request of each connection, settled when the gate has answered. */
  readonly #asked = new WeakMap<Duplex, Promise<void>>();
  #isDraining = false;
  /** How this process asks its own door whether it answers. */
  readonly selfCalls = new SelfCalls();

  constructor(parts: HttpDoorParts) {
    this.#parts = parts;
    this.#listeners = new DoorListeners(
      {
        take: (request, response, host) => void this.#walk(request, response, host),
        isClosing: (socket) => this.#closing.has(socket),
        letIn: (socket, scheme) => letIn(socket, scheme, this.#parts),
      },
      parts.hostNames,
    );
  }

  /** Addresses that are open, in the order of the configuration. */
  get bound(): readonly BoundAddress[] {
    return this.#listeners.bound;
  }

  /** The addresses that are open, as they were asked for. */
  get addresses(): readonly ListenAddress[] {
    return this.#listeners.addresses;
  }

  /** Serves every request that comes from now on with other parts; those under way keep theirs. */
  change(parts: HttpDoorParts): void {
    this.#parts = parts;
    this.#listeners.rename(parts.hostNames);
  }

  /** Whether nothing that was opened has closed by itself. */
  get isListening(): boolean {
    return this.#listeners.areListening;
  }

  /** Connections that are open. */
  connections(): Promise<number> {
    return this.#listeners.connections();
  }

  /**
   * Opens one address, or takes the `descriptor` of a socket that listens there. Gives false when an optional one does not exist
   * on this system.
   * @param whether to speak TLS is what `parts` say; what comes in is served when `when` has resolved
   * @throws ProxyError `listen-failed`, `certificate-unusable`
   */
  listen(
    address: ListenAddress,
    { parts = this.#parts, ...options }: { parts?: HttpDoorParts; when?: Promise<void>; descriptor?: number | undefined } = {},
  ): Promise<boolean> {
    return this.#listeners.listen(address, parts, options);
  }

  /** Whether the socket of an address that was asked for so was handed to us. */
  isInherited(address: ListenAddress): boolean {
    return this.#listeners.isInherited(address);
  }

  /** Accepts nothing more at an address that was asked for so; connections that are open live on. */
  leave(address: ListenAddress): void {
    this.#listeners.leave(address);
  }

  /** Shows other certificates at every listener with TLS. @throws ProxyError `certificate-unusable` */
  show(certificates: CertificateSource): Promise<void> {
    return this.#listeners.show(certificates);
  }

  /** Leaves newcomers to the next daemon where they can wait for it. Connections that are open stay so. */
  stopAccepting(): void {
    this.#listeners.stopAccepting();
  }

  /** Refuses new operations from now on, with a text; what has begun goes on, and every connection stays open. */
  drain(): void {
    this.#isDraining = true;
  }

  /** Connections that were accepted just before accepting stopped, and whose first request is on its way: nobody else can serve it. */
  get awaited(): number {
    return this.#listeners.arrivals.awaited;
  }

  /** Closes all listeners and every connection. */
  close(): Promise<void> {
    this.#isDraining = true;
    return this.#listeners.close();
  }

  /** `host`: what the listener listens on. */
  async #walk(request: IncomingMessage, response: ServerResponse, host: string): Promise<void> {
    // To the end of the request: what is changed meanwhile is for the next one.
    const parts = this.#parts;
    const { ledger } = parts;
    const { socket } = request;
    const dialect = dialectOf(request);
    if (this.selfCalls.isOne(request)) {
      await parts.peers.of(socket);
      response.writeHead(204, { connection: 'close' }).end();
      return;
    }
    if (parts.page !== undefined && isPageRequest(request)) {
      this.#show(parts.page, request, response, host);
      return;
    }
    // One after the other on a connection: what was sent behind a request that is refused must not be looked at meanwhile.
    const asked = (this.#asked.get(socket) ?? Promise.resolve()).then(() => this.#ask(request, response, host, parts));
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
    } else if (walked.kind === 'pass') await carry({ request, response, record }, walked, parts);
    else {
      const { refusal, operation } = walked;
      record.route ??= refusal.route;
      record.identity ??= refusal.identity;
      if (operation !== undefined && mayHaveBody(request)) {
        await parts.forwarder.refuse({ request, response, record }, operation, refusal);
        return;
      }
      ledger.finish(record, { verdict: 'refused', refusal });
      const isHead = request.method === 'HEAD';
      if (operation !== undefined) sayTo(response, operation, refusal, undefined, { isHead });
      else sayIn(dialect, response, refusal, { isHead, close: true });
    }
  }

  /** Leaves a request to the status page, in its turn on its connection. It is no operation, and nothing is noted of it. */
  #show(page: StatusPage, request: IncomingMessage, response: ServerResponse, host: string): void {
    const { socket } = request;
    const turn = (this.#asked.get(socket) ?? Promise.resolve()).then(async () => {
      // Whoever was awaited has come.
      this.#listeners.arrivals.asked(socket);
      if (this.#closing.has(socket)) return;
      if (mayHaveBody(request)) this.#closing.add(socket);
      const { traffic, peers } = this.#parts;
      if (traffic.isCrowded(peers.acceptedOf(socket))) response.shouldKeepAlive = false;
      await page.answer(request, response, this.#listeners.names.on(socket, host));
    });
    this.#asked.set(socket, turn);
  }

  /** Asks the gate; undefined when nothing on this connection is answered any more. */
  async #ask(
    request: IncomingMessage,
    response: ServerResponse,
    host: string,
    parts: HttpDoorParts,
  ): Promise<{ record: OperationRecord; walked: Walked } | undefined> {
    const { ledger } = parts;
    const { socket } = request;
    const isFirst = this.#listeners.arrivals.asked(socket);
    // What a client sent behind a request that was refused and closed is not answered: it may be that request's body.
    if (this.#closing.has(socket)) return undefined;
    const { remoteAddress = 'gone', remotePort = 0 } = socket;
    const record = ledger.begin(`${displayHost(remoteAddress)}:${remotePort}`);
    record.trace = traceOf(request.headers);
    // What has come before the end was asked for is served, however long the gate takes.
    const isStopping = this.#isDraining && !isFirst;
    const asked = await askGate(request, { parts, names: this.#listeners.names, host, record });
    const walked = place(asked, parts, { record, socket, isStopping });
    // Those that come later have no place on it, and nothing else would end it.
    if (parts.traffic.isCrowded(parts.peers.acceptedOf(socket))) response.shouldKeepAlive = false;
    // That it closes then tells nothing of the operation.
    if (!response.shouldKeepAlive) ledger.conversations.unties(socket);
    if (walked.kind === 'no' && (walked.operation === undefined || mayHaveBody(request))) this.#closing.add(socket);
    return { record, walked };
  }
}

/** Has what was admitted carried by those who know its protocol. Never rejects. */
function carry(
  ends: Ends,
  { operation, pass, caller }: Extract<Walked, { kind: 'pass' }>,
  { forwarder, lfs, api }: HttpDoorParts,
): Promise<void> {
  switch (operation.kind) {
    case 'fetch':
    case 'push':
      return forwarder.forward(ends, operation, pass);
    case 'lfs':
      return lfs.carry(ends, operation, pass, caller);
    case 'api':
      return api.carry(ends, operation, pass);
  }
}

/** Whether something may follow the head of a request, so that the connection cannot be used again after a refusal. */
function mayHaveBody({ method }: IncomingMessage): boolean {
  return method !== 'GET' && method !== 'HEAD';
}
