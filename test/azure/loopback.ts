/**
 * One listening server on 127.0.0.1 and every socket it accepted, so that the emulator can end without leaving a handle.
 */
import type { AddressInfo, Server, Socket } from 'node:net';

/** Says whose connections are taken, for several servers together; the others are ended before a byte is read. */
export class Doorkeeper {
  /** By the port at the far end; everybody while undefined. */
  admits: ((port: number) => boolean) | undefined;
  /** Ports of those that were not taken. */
  readonly refused: number[] = [];
}

export class Loopback {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** TCP connections accepted since the start, also those whose TLS handshake failed. */
  accepted = 0;

  constructor(server: Server, doorkeeper = new Doorkeeper()) {
    this.#server = server;
    server.on('connection', (socket: Socket) => {
      this.accepted += 1;
      this.#sockets.add(socket);
      // A peer that resets is an everyday thing here; without a listener it would end the process.
      socket.on('error', () => socket.destroy());
      socket.on('close', () => this.#sockets.delete(socket));
      const port = socket.remotePort ?? 0;
      if (doorkeeper.admits?.(port) === false) {
        doorkeeper.refused.push(port);
        socket.destroy();
      }
    });
  }

  /** Port 0 asks for any free one. */
  listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, '127.0.0.1', () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port; // a string is given for pipes only
  }

  /** Destroys every connection that is open now; the server goes on. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Destroys every connection and resolves when the server has let go of its port. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.cut();
    });
  }
}
