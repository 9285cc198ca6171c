/** A TCP relay that lets what is answered pass at a pace: it makes a transfer last long enough to be looked at, however fast the machine. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** How often it lets some through. */
const STEP_MS = 50;

export class SlowRelay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  /** `bytesPerSecond`: of each connection by itself. */
  static async open(port: number, bytesPerSecond: number): Promise<SlowRelay> {
    const relay = new SlowRelay(port, Math.ceil((bytesPerSecond * STEP_MS) / 1000));
    await new Promise<void>((resolve) => relay.#server.listen(0, '127.0.0.1', resolve));
    return relay;
  }

  private constructor(port: number, stepBytes: number) {
    this.#server = createServer((near) => {
      const far = connect(port, '127.0.0.1');
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
        socket.once('close', () => this.#sockets.delete(socket));
      }
      near.pipe(far);
      const timer = setInterval(() => {
        const length = Math.min(stepBytes, far.readableLength);
        const chunk = length === 0 ? null : (far.read(length) as Buffer | null); // because no encoding is set
        if (chunk !== null) near.write(chunk);
      }, STEP_MS);
      // So that it is read at all: what comes waits to be taken.
      far.on('readable', () => undefined);
      for (const socket of [near, far])
        socket.once('close', () => {
          clearInterval(timer);
          near.destroy();
          far.destroy();
        });
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port; // because it listens
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
