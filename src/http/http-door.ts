/**
 * The HTTP door: the walk of a request to the gate: is it a web page, who asks, what for, may they. How it comes in is in
 * door-listeners.ts, how it is read in read-operation.ts, what happens after the gate says yes in forward.ts.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { admit } from '../gate/admit.js';
import { refuseBrowser } from '../gate/browser.js';
import type { Callers } from '../gate/callers.js';
import type { Ledger } from '../gate/ledger.js';
import { displayHost, STOPPING } from '../gate/listening.js';
import { isLoopbackAddress } from '../gate/peers.js';
import type { RouteTable } from '../gate/route-table.js';
import type { Caller } from '../model/caller.js';
import type { HttpOperation } from '../model/operation.js';
import type { AuditTrail, CertificateSource, Clock } from '../model/ports.js';
import type { OperationRecord } from '../model/record.js';
import type { Refusal } from '../model/refusal.js';
import type { AccessSettings, ListenAddress } from '../model/settings.js';
import type { Pass } from '../model/decision.js';
import { type BoundAddress, DoorListeners, type ListenerParts } from './door-listeners.js';
import { sharedName } from './door-names.js';
import type { Forwarder } from './forward.js';
import { forwardedBy } from './forwarded.js';
import { traceOf } from './headers.js';
import { takeLease } from './presented-lease.js';
import { readOperation } from './read-operation.js';
import { SelfCalls } from './self-calls.js';
import { sayGit, sayPlain } from './speech.js';

export interface HttpDoorParts extends ListenerParts {
  readonly routes: RouteTable;
  readonly ledger: Ledger;
  readonly forwarder: Forwarder;
  readonly callers: Callers;
  readonly access: Pick<AccessSettings, 'local' | 'remote'>;
  readonly audit: AuditTrail;
  readonly clock: Clock;
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
    const { ledger, forwarder } = parts;
    const { socket } = request;
    if (this.selfCalls.isOne(request)) {
      await parts.peers.of(socket);
      response.writeHead(204, { connection: 'close' }).end();
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
    const walked = this.#join(await this.#askGate(request, host, parts, record), record, { socket, isFirst });
    // That it closes then tells nothing of the operation.
    if (!response.shouldKeepAlive) ledger.conversations.unties(socket);
    if (walked.kind === 'no' && !isKeptOpen(walked)) this.#closing.add(socket);
    return { record, walked };
  }

  /** The questions that a request has to pass, in their order. What is understood on the way is noted in `record`. */
  async #askGate(request: IncomingMessage, host: string, parts: HttpDoorParts, record: OperationRecord): Promise<Walked> {
    const { routes, audit, clock } = parts;
    const browser = refuseBrowser((name) => request.headersDistinct[name]?.join(', '), this.#listeners.names.on(request.socket, host));
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

  /** Has what was admitted belong to an operation that has begun, or begin one if that may be now. */
  #join(walked: Walked, record: OperationRecord, { socket, isFirst }: { socket: Socket; isFirst: boolean }): Walked {
    const { conversations } = this.#parts.ledger;
    if (walked.kind !== 'pass' || conversations.join(record, socket)) return walked;
    if (this.#isDraining && !isFirst) return no(STOPPING, walked.operation);
    conversations.begin(record, socket);
    return walked;
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
    const askedAt = performance.now();
    const peer = await peers.of(request.socket);
    record.lookUpMs = performance.now() - askedAt;
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
