/**
 * Where a host's list of refs ends, seen as its bytes pass: at the first flush packet. After that a client says what it wants.
 *
 * Source: gitprotocol-pack "Reference Discovery".
 */
import { LARGEST_PACKET_BYTES } from '../git/pkt-line.js';

const LENGTH_DIGITS = 4;

/** Watches an advertisement, cut anywhere. What is no packet never ends. */
export class AdvertisementWatch {
  #state: 'length' | 'payload' | 'whole' | 'odd' = 'length';
  #digits = '';
  #left = 0;

  /** Whether its flush packet has passed. */
  get isWhole(): boolean {
    return this.#state === 'whole';
  }

  /** Takes the next bytes. */
  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length && (this.#state === 'length' || this.#state === 'payload');) {
      if (this.#state === 'payload') {
        const taken = Math.min(this.#left, chunk.length - at);
        this.#left -= taken;
        at += taken;
        if (this.#left === 0) this.#state = 'length';
        continue;
      }
      this.#digits += String.fromCharCode(chunk[at] ?? 0);
      at += 1;
      if (this.#digits.length === LENGTH_DIGITS) this.#begin();
    }
  }

  #begin(): void {
    const length = /^[0-9a-fA-F]{4}$/.test(this.#digits) ? Number.parseInt(this.#digits, 16) : -1;
    this.#digits = '';
    if (length === 0) this.#state = 'whole';
    else if (length < LENGTH_DIGITS || length > LARGEST_PACKET_BYTES) this.#state = 'odd';
    else if (length > LENGTH_DIGITS) {
      this.#left = length - LENGTH_DIGITS;
      this.#state = 'payload';
    }
  }
}
