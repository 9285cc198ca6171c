/** Packets out of chunks that are cut anywhere, one at a time, so that who reads them can stop and take the rest as it is. */
import { type Packet, parsePacket } from './pkt-line.js';

const LENGTH_DIGITS = 4;
const NOTHING = Buffer.alloc(0);

export class PacketReader {
  #held: Buffer = NOTHING;
  /** What came after `held`: put together only when a packet can be whole. */
  #later: Buffer[] = [];
  #size = 0;
  #needed = LENGTH_DIGITS;

  /** Takes the next bytes. */
  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#later.push(chunk);
    this.#size += chunk.length;
  }

  /** Whether bytes are left that no packet was made of. */
  get isEmpty(): boolean {
    return this.#size === 0;
  }

  /**
   * The next packet, or undefined when there is none that is whole.
   * @throws SyntaxError as parsePacket
   */
  next(): Packet | undefined {
    for (;;) {
      if (this.#size < this.#needed) return undefined;
      this.#join();
      const parsed = parsePacket(this.#held);
      if (parsed !== undefined) {
        this.#held = this.#held.subarray(parsed.next);
        this.#size -= parsed.next;
        this.#needed = LENGTH_DIGITS;
        return parsed.packet;
      }
      this.#needed = Number.parseInt(this.#held.toString('latin1', 0, LENGTH_DIGITS), 16);
    }
  }

  /** Takes out everything that was not read as a packet. */
  rest(): Buffer {
    this.#join();
    const rest = this.#held;
    this.#held = NOTHING;
    this.#size = 0;
    this.#needed = LENGTH_DIGITS;
    return rest;
  }

  #join(): void {
    if (this.#later.length === 0) return;
    this.#held =
      this.#held.length === 0 && this.#later.length === 1 ? (this.#later[0] ?? NOTHING) : Buffer.concat([this.#held, ...this.#later]);
    this.#later = [];
  }
}
