/**
 * The connections of listeners whose socket was inherited on which nothing has been asked yet. When the daemon stops, newcomers
 * wait in the kernel's queue for the next one; but who was accepted a moment before cannot go back there, and is still served.
 */
import { Server as NetServer, type Server, type Socket } from 'node:net';

/** How long a stopping daemon waits for what such a connection will ask: git asks at once, ssh after its key exchange. */
const FIRST_ASKED_MS = 5_000;

/** An empty book of them. */
export function createArrivals(): Arrivals {
  return new Arrivals();
}

export class Arrivals {
  /** When each was accepted, by the other end, which is the same for what TLS makes of a connection. */
  readonly #acceptedAt = new Map<string, number>();

  /** Notes a connection that was just accepted. */
  accepted(socket: Socket): void {
    const end = endOf(socket);
    this.#acceptedAt.set(end, performance.now());
    socket.once('close', () => this.#acceptedAt.delete(end));
  }

  /** Notes that something is asked on a connection; true when it is the first time. */
  asked(socket: Socket): boolean {
    return this.#acceptedAt.delete(endOf(socket));
  }

  /** How many connections have asked nothing yet, and are young enough to be about to. */
  get awaited(): number {
    const since = performance.now() - FIRST_ASKED_MS;
    return [...this.#acceptedAt.values()].filter((acceptedAt) => acceptedAt > since).length;
  }
}

/**
 * Has a server accept no more, and nothing else. The close() of an HTTP server would also end its idle connections, and the
 * watch over slow heads.
 */
export function stopAccepting(server: Server): void {
  NetServer.prototype.close.call(server);
}

function endOf({ remoteAddress = '', remotePort = 0 }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
