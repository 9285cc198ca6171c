/**
 * Who is at the other end of each connection of a door. The look-up begins when the connection is accepted, so that it is
 * mostly done when the first request has been read, and is made once for each connection.
 *
 * A caller can reset its connection when everything is sent: the bytes are still read here, while the port at its end is free
 * again for another user, whose connection would then be found in its place. So whoever is found counts only if this end is
 * connected still when the search is over: then nobody else had that port in between.
 */
import type { Socket } from 'node:net';
import type { Peer, PeerUid } from '../model/caller.js';
import { messageOf, systemCodeOf } from '../model/errors.js';
import type { ConnectionEnds, Logger, PeerTable } from '../model/ports.js';

const MAPPED = /^::ffff:(?=[0-9.]+$)/i;
const ZONE = /%.*$/;
/** A table that cannot be read stays so for a while; what it means stands in every refusal. */
const LOG_AGAIN_MS = 60_000;

interface Found {
  /** The socket as it was accepted. */
  readonly socket: Socket;
  /** Undefined when the connection was gone before its peer could be told. */
  readonly peer: Promise<Peer | undefined>;
}

export class Peers {
  readonly #table: PeerTable | undefined;
  readonly #logger: Logger;
  readonly #bySocket = new WeakMap<Socket, Found>();
  /** By the ends of a connection, which no other has while it is open: TLS makes another socket of the accepted one. */
  readonly #byEnds = new Map<string, Found>();
  #loggedAt = Number.NEGATIVE_INFINITY;

  /** Without a table no peer has a uid. */
  constructor(options: { readonly table: PeerTable | undefined; readonly logger: Logger }) {
    this.#table = options.table;
    this.#logger = options.logger;
  }

  /** How many connections are open that were accepted. */
  get size(): number {
    return this.#byEnds.size;
  }

  /** Begins the look-up for a connection that was just accepted. */
  accepted(socket: Socket): void {
    const ends = endsOf(socket);
    // Gone already: there is nobody to look up.
    if (ends === undefined) return;
    const key = keyOf(ends);
    // The kernel gave the same ends out again, so the older connection is over, whatever of it is still to be read.
    this.#byEnds.get(key)?.socket.destroy();
    const found: Found = { socket, peer: this.#lookUp(ends, connectionOf(socket)) };
    this.#bySocket.set(socket, found);
    this.#byEnds.set(key, found);
    socket.once('close', () => {
      if (this.#byEnds.get(key) === found) this.#byEnds.delete(key);
    });
  }

  /** The socket that was accepted, of which TLS may have made another; the same one where that is not known. */
  acceptedOf(socket: Socket): Socket {
    const ends = endsOf(socket);
    return (this.#bySocket.get(socket) ?? (ends === undefined ? undefined : this.#byEnds.get(keyOf(ends))))?.socket ?? socket;
  }

  /** The peer of a connection; undefined when the connection is gone. `socket` is the accepted one or what TLS made of it. Never rejects. */
  of(socket: Socket): Promise<Peer | undefined> {
    let found = this.#bySocket.get(socket);
    if (found === undefined) {
      const ends = endsOf(socket);
      found = ends === undefined ? undefined : this.#byEnds.get(keyOf(ends));
      if (found === undefined) return Promise.resolve(undefined);
      this.#bySocket.set(socket, found);
    }
    return found.peer;
  }

  async #lookUp(ends: ConnectionEnds, connection: Connection): Promise<Peer | undefined> {
    const ip = ends.remoteAddress;
    const address = `${ip.includes(':') ? `[${ip}]` : ip}:${ends.remotePort}`;
    if (!isLoopbackAddress(ip) || !isLoopbackAddress(ends.localAddress)) return { address, ip, uid: { kind: 'remote' } };
    if (this.#table === undefined) return { address, ip, uid: { kind: 'unknown', why: 'this system does not tell' } };
    const uid = await this.#table.uidOf(ends).catch((thrown: unknown) => this.#unreadable(thrown));
    return isConnected(connection) ? { address, ip, uid } : undefined;
  }

  #unreadable(thrown: unknown): PeerUid {
    const now = performance.now();
    if (now - this.#loggedAt > LOG_AGAIN_MS) {
      this.#loggedAt = now;
      this.#logger.log('warn', 'caller-unknown', { what: messageOf(thrown) });
    }
    const code = systemCodeOf(thrown);
    if (code === 'EMFILE' || code === 'ENFILE')
      return { kind: 'unknown', why: "no file is left to open to read the kernel's table of connections", isOverload: true };
    return { kind: 'unknown', why: "the kernel's table of connections cannot be read" };
  }
}

/** Whose connection it is, as far as its peer tells: a local user's, or that of an address. */
export function ownerOf({ ip, uid }: Peer): string {
  return uid.kind === 'known' ? `uid ${uid.uid}` : `address ${ip}`;
}

/** Whether an IP literal (IPv4-mapped ones written as IPv4) is this machine's own loopback. */
export function isLoopbackAddress(ip: string): boolean {
  return ip === '::1' || /^127\.[0-9]+\.[0-9]+\.[0-9]+$/.test(ip);
}

/** What Node.js has below a socket; undefined when it is closed. */
type Connection = { readonly getpeername?: (out: object) => number } | null | undefined;

function connectionOf(socket: Socket): Connection {
  return (socket as Socket & { readonly _handle?: Connection })._handle; // because the public remoteAddress is what it was when first asked for
}

/** Asks the kernel; false for a connection that was reset, and where this Node.js has no way to ask. */
function isConnected(connection: Connection): boolean {
  return connection?.getpeername?.({}) === 0;
}

function endsOf(socket: Socket): ConnectionEnds | undefined {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  if (remoteAddress === undefined || remotePort === undefined || localAddress === undefined || localPort === undefined) return undefined;
  return { remoteAddress: plainAddress(remoteAddress), remotePort, localAddress: plainAddress(localAddress), localPort };
}

/** An address without its zone, an IPv4-mapped one as IPv4. */
export function plainAddress(address: string): string {
  return address.replace(MAPPED, '').replace(ZONE, '');
}

function keyOf({ remoteAddress, remotePort, localAddress, localPort }: ConnectionEnds): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
