/**
 * A wire with an ear: hands every connection on to a port of this machine, byte for byte, and keeps the first request of each and
 * what was answered. Where it leads can be changed while it runs, as the address of a name that is rebound.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export interface Heard {
  /** Request line and headers, as sent. */
  readonly head: string;
  /** Status line, headers and body. */
  readonly answer: string;
}

export class Tap {
  /** Port that new connections are handed on to. */
  to: number;
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  #heard: { asked: string; answer: string; to: number }[] = [];

  static async open(to: number): Promise<Tap> {
    const tap = new Tap(to);
    await new Promise<void>((resolve) => tap.#server.listen(0, '127.0.0.1', resolve));
    return tap;
  }

  private constructor(to: number) {
    this.to = to;
    this.#server = createServer((near) => this.#join(near));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port; // because it listens on TCP
  }

  /** Requests that went to this port. */
  heard(to: number): Heard[] {
    return this.#heard
      .filter((each) => each.to === to && each.asked.includes('\r\n\r\n'))
      .map(({ asked, answer }) => ({ head: asked.slice(0, asked.indexOf('\r\n\r\n')), answer }));
  }

  /** Forgets what was heard until now. */
  forget(): void {
    this.#heard = [];
  }

  async close(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(near: Socket): void {
    const far = connect(this.to, '127.0.0.1');
    const entry = { asked: '', answer: '', to: this.to };
    this.#heard.push(entry);
    near.on('data', (chunk: Buffer) => (entry.asked += chunk.toString('latin1')));
    far.on('data', (chunk: Buffer) => (entry.answer += chunk.toString('latin1')));
    for (const socket of [near, far]) {
      this.#open.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => {
        this.#open.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  }
}
