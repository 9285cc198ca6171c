/**
 * The listeners of the HTTP door: opened and left one by one while the door goes on. Also by which names what is open is known.
 *
 * Limits are on heads and on silence. There is none on the length of a request: a push of gigabytes takes its time.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createArrivals } from '../gate/arrivals.js';
import { listenAt, openConnections } from '../gate/listening.js';
import { messageOf } from '../model/errors.js';
import type { CertificateSource, Logger } from '../model/ports.js';
import type { ListenAddress } from '../model/settings.js';
import { type DoorListener, plainListener, secureListener } from './door-listener.js';
import { DoorNames } from './door-names.js';
import { sayNoTunnel, sayUnreadable } from './speech.js';

/** Largest head of a request: a bearer of 4 KB in a client's stale Authorization and long paths fit several times over. */
const LARGEST_HEAD_BYTES = 32 * 1024;
const HEAD_MS = 30_000;
/** Longest silence that is ours while a caller waits: throttles waited out and tokens asked for, try by try. */
const OWN_WAITS_MS = 5 * 60_000;
/** An idle client connection is kept this long: git makes its next request within a second or never. */
const IDLE_MS = 65_000;
/**
 * Size of the buffers on the client's side. Four times as much was no faster here, and every upload that an upstream
 * holds back keeps this much (docs/PERFORMANCE.md).
 */
const BUFFER_BYTES = 64 * 1024;

export interface ListenerParts {
  readonly logger: Logger;
  /** Which listeners speak TLS, and what they show; none when absent. */
  readonly tls?: { readonly isFor: (host: string) => boolean; readonly certificates: CertificateSource } | undefined;
  /** ms of silence after which a client connection is closed; our own waits are added. */
  readonly stallMs: number;
  /** ms within which a head must be complete; default 30 s: a local client sends it in one piece. */
  readonly headMs?: number;
}

/** What is done with what comes in. */
export interface ListenerUse {
  /** Takes a request. `host`: what the listener listens on. */
  readonly take: (request: IncomingMessage, response: ServerResponse, host: string) => void;
  /** Looks at a connection that was just accepted; false when it was sent away. */
  readonly letIn: (socket: Socket, scheme: BoundAddress['scheme']) => boolean;
  /** Whether nothing more is to be said on a connection. */
  readonly isClosing: (socket: Duplex) => boolean;
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
  /** Whether its socket was handed to us and outlives us: who comes while we stop waits in the kernel's queue for the next daemon. */
  readonly isInherited: boolean;
}

export class DoorListeners {
  readonly #use: ListenerUse;
  /** Connections of inherited listeners that have asked nothing yet. */
  readonly arrivals = createArrivals();
  #opened: readonly Opened[] = [];
  /** Those that accept no more, until their last connection ends. */
  readonly #leaving = new Set<Opened>();
  #hostNames: readonly string[];
  #names: DoorNames;

  /** `hostNames`: names besides the listeners' own that may stand in the Host header, without port. */
  constructor(use: ListenerUse, hostNames: readonly string[]) {
    this.#use = use;
    this.#hostNames = hostNames;
    this.#names = new DoorNames(hostNames);
  }

  /** Addresses that are open, in the order of the configuration. */
  get bound(): readonly BoundAddress[] {
    return this.#opened.map(({ bound }) => bound);
  }

  /** The addresses that are open, as they were asked for. */
  get addresses(): readonly ListenAddress[] {
    return this.#opened.map(({ address }) => address);
  }

  /** Whether nothing that was opened has closed by itself. */
  get areListening(): boolean {
    return this.#opened.every(({ listener }) => listener.server.listening);
  }

  /** Connections that are open. */
  connections(): Promise<number> {
    return openConnections([...this.#opened, ...this.#leaving].map(({ listener }) => listener.server));
  }

  get names(): DoorNames {
    return this.#names;
  }

  /** Is known by other names from now on. */
  rename(hostNames: readonly string[]): void {
    this.#hostNames = hostNames;
    this.#name();
  }

  /**
   * Opens one address. Gives false when an optional one does not exist on this system. What comes in is served when `when` has
   * resolved.
   * @throws ProxyError `listen-failed`, `certificate-unusable`
   */
  async listen(
    address: ListenAddress,
    parts: ListenerParts,
    { when = Promise.resolve(), descriptor }: { when?: Promise<void> | undefined; descriptor?: number | undefined } = {},
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
      when.then(
        () => this.#use.take(request, response, address.host),
        () => request.socket.destroy(),
      );
    };
    const { tls } = parts;
    const listener =
      tls?.isFor(address.host) === true
        ? await secureListener(options, handle, { certificates: tls.certificates, handshakeMs: headMs })
        : plainListener(options, handle);
    const { server, scheme } = listener;
    const isInherited = descriptor !== undefined;
    server.on('connection', (socket) => {
      if (this.#use.letIn(socket, scheme) && isInherited) this.arrivals.accepted(socket);
    });
    // Node would answer an expectation that it does not know without a word; nothing here depends on one.
    server.on('checkExpectation', handle);
    server.on('connect', sayNoTunnel);
    // Node would read the first 2000 and drop the others unseen; the size of the head is bounded as it is.
    server.maxHeadersCount = 0;
    server.headersTimeout = headMs;
    server.requestTimeout = 0;
    server.keepAliveTimeout = IDLE_MS;
    // Upstream silence shows first; this is for a client that has gone silent itself.
    server.setTimeout(parts.stallMs + OWN_WAITS_MS);
    server.on('clientError', (fault: Error, socket: Duplex) => {
      // What cannot be read behind a refused request needs no second answer: the first one closes the connection.
      if (!this.#use.isClosing(socket)) sayUnreadable(fault, socket);
    });
    const port = await listenAt(server, address, { name: 'HTTP', key: 'listen.http' }, descriptor);
    if (port === undefined) return false;
    // Without this a fault while accepting (no more file descriptors) would end the process.
    server.on('error', (fault) => parts.logger.log('error', 'unexpected', { what: `accepting connections: ${messageOf(fault)}` }));
    this.#opened = [...this.#opened, { listener, address, bound: { scheme, host: address.host, port }, isInherited }];
    this.#name();
    return true;
  }

  /** Whether the socket of an address that was asked for so was handed to us. */
  isInherited(address: ListenAddress): boolean {
    return this.#opened.some((each) => each.address === address && each.isInherited);
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
    const names = new DoorNames(this.#hostNames);
    for (const { bound } of [...this.#opened, ...this.#leaving]) names.add(bound);
    this.#names = names;
  }

  /** Leaves newcomers to the next daemon where they can wait for it. Connections that are open stay so. */
  stopAccepting(): void {
    for (const { listener, isInherited } of this.#opened) if (isInherited) listener.stopAccepting();
  }

  /** Closes all listeners and every connection. */
  async close(): Promise<void> {
    await Promise.all(
      [...this.#opened, ...this.#leaving].map(
        ({ listener: { server, closeUnopened } }) =>
          new Promise<void>((resolve) => {
            server.close(() => resolve());
            server.closeAllConnections();
            closeUnopened();
          }),
      ),
    );
  }
}
