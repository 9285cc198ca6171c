/**
 * Who is at the other end of each connection of this door. The look-up begins when the connection is accepted, so that it is
 * mostly done when the first request has been read, and is made once for each connection.
 */
import type { Socket } from 'node:net';
import type { Peer } from '../model/caller.js';
import type { ConnectionEnds, PeerTable } from '../model/ports.js';

const MAPPED = /^::ffff:(?=[0-9.]+$)/i;

export class Peers {
  readonly #table: PeerTable | undefined;
  /** By the ends of a connection, which no other has while it is open: TLS makes another socket of the accepted one. */
  readonly #byEnds = new Map<string, Promise<Peer>>();

  /** Without a table no peer has a uid. */
  constructor(table: PeerTable | undefined) {
    this.#table = table;
  }

  /** Begins the look-up for a connection that was just accepted. */
  accepted(socket: Socket): void {
    const ends = endsOf(socket);
    // Gone already: there is nobody to look up.
    if (ends === undefined) return;
    const key = keyOf(ends);
    this.#byEnds.set(key, this.#lookUp(ends));
    socket.once('close', () => this.#byEnds.delete(key));
  }

  /** The peer of a connection; undefined when the connection is closed. Never rejects. */
  of(socket: Socket): Promise<Peer | undefined> {
    const ends = endsOf(socket);
    return ends === undefined ? Promise.resolve(undefined) : (this.#byEnds.get(keyOf(ends)) ?? Promise.resolve(undefined));
  }

  async #lookUp(ends: ConnectionEnds): Promise<Peer> {
    const ip = ends.remoteAddress;
    const address = `${ip.includes(':') ? `[${ip}]` : ip}:${ends.remotePort}`;
    if (!isLoopbackAddress(ip) || !isLoopbackAddress(ends.localAddress)) return { address, ip, uid: { kind: 'remote' } };
    if (this.#table === undefined) return { address, ip, uid: { kind: 'unknown', why: 'this system does not tell' } };
    const uid = await this.#table
      .uidOf(ends)
      .catch(() => ({ kind: 'unknown', why: "the kernel's table of connections cannot be read" }) as const);
    return { address, ip, uid };
  }
}

/** Whether an IP literal (IPv4-mapped ones written as IPv4) is this machine's own loopback. */
export function isLoopbackAddress(ip: string): boolean {
  return ip === '::1' || /^127\.[0-9]+\.[0-9]+\.[0-9]+$/.test(ip);
}

function endsOf(socket: Socket): ConnectionEnds | undefined {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  if (remoteAddress === undefined || remotePort === undefined || localAddress === undefined || localPort === undefined) return undefined;
  return { remoteAddress: remoteAddress.replace(MAPPED, ''), remotePort, localAddress: localAddress.replace(MAPPED, ''), localPort };
}

function keyOf({ remoteAddress, remotePort, localAddress, localPort }: ConnectionEnds): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
