/**
 * A relay that makes a server as far away as a delay: bytes wait and go on in order, as many as come. Nothing is throttled.
 *
 * A connection takes its round trip, too: over a real road the client may send after two delays, and the server sees the
 * connection after three (RFC 9293 section 3.5). Here the client is connected at once, so its first bytes wait until then.
 */
import { createServer, type AddressInfo, type Server, Socket } from 'node:net';

export class DelayRelay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  /** `delayMs` is what bytes wait on each of the two ways. */
  static start(port: number, delayMs: number): Promise<DelayRelay> {
    return new Promise((resolve, reject) => {
      const relay = new DelayRelay(port, delayMs);
      relay.#server.once('error', reject);
      relay.#server.listen(0, '127.0.0.1', () => resolve(relay));
    });
  }

  private constructor(port: number, delayMs: number) {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
      const far = new Socket({ allowHalfOpen: true });
      // As an option of connect() it has no effect on a socket that was made before.
      far.setNoDelay(true);
      this.#sockets.add(near);
      near.on('error', () => near.destroy());
      setTimeout(() => {
        // Before any byte of the client: its delay begins later and is as long.
        setTimeout(() => {
          if (!near.destroyed) far.connect({ port, host: '127.0.0.1' });
        }, delayMs);
        this.#pass(near, far, delayMs);
        this.#pass(far, near, delayMs);
      }, 2 * delayMs);
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port; // because it listens on TCP
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      for (const socket of this.#sockets) socket.destroy();
    });
  }

  #pass(from: Socket, to: Socket, delayMs: number): void {
    this.#sockets.add(from);
    // Timers of one length run out in the order in which they were set.
    const later = (act: () => void): void => {
      setTimeout(() => {
        if (!to.destroyed) act();
      }, delayMs);
    };
    from.on('data', (chunk: Buffer) => later(() => void to.write(chunk)));
    from.on('end', () => later(() => void to.end()));
    from.on('error', () => from.destroy());
    from.on('close', () => {
      this.#sockets.delete(from);
      later(() => to.destroySoon());
    });
  }
}
