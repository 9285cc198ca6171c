/** A TCP relay that holds back what a client sends from a given word on, until it is told to go on: it has git stand still between two requests. */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export class GateRelay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #held: (() => void)[] = [];
  readonly #word: string;
  #isOpen = false;
  #waiters: (() => void)[] = [];

  static async open(port: number, word: string): Promise<GateRelay> {
    const relay = new GateRelay(port, word);
    await new Promise<void>((resolve) => relay.#server.listen(0, '127.0.0.1', resolve));
    return relay;
  }

  private constructor(port: number, word: string) {
    this.#word = word;
    this.#server = createServer((client) => {
      const upstream = connect(port, '127.0.0.1');
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
        socket.once('close', () => this.#sockets.delete(socket));
      }
      upstream.pipe(client);
      let isHeld = false;
      client.on('data', (sent: Buffer) => {
        // The door looks at the name that it is called by.
        const chunk = Buffer.from(sent.toString('latin1').replace(/^Host: 127\.0\.0\.1:[0-9]+/im, `Host: 127.0.0.1:${port}`), 'latin1');
        if (!isHeld && !this.#isOpen && chunk.includes(this.#word)) {
          isHeld = true;
          for (const tell of this.#waiters.splice(0)) tell();
        }
        if (isHeld && !this.#isOpen) this.#held.push(() => upstream.write(chunk));
        else upstream.write(chunk);
      });
      client.once('end', () => upstream.end());
      client.once('close', () => upstream.destroy());
      upstream.once('close', () => client.destroy());
    });
  }

  get base(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`; // because it listens
  }

  /** Resolves when something is held back. */
  holds(): Promise<void> {
    return this.#held.length > 0 ? Promise.resolve() : new Promise((resolve) => this.#waiters.push(resolve));
  }

  /** Lets everything through, from now on too. */
  release(): void {
    this.#isOpen = true;
    for (const go of this.#held.splice(0)) go();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
