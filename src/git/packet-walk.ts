/**
 * Going through pkt-lines as they pass, without taking them out: where one ends, and what stood last. For streams that are passed
 * on as they are, however long.
 *
 * Source: gitprotocol-common "pkt-line format"; gitprotocol-pack "Server Response" (ERR), "Packfile Data" (side-band 3).
 */
import { LARGEST_PACKET_BYTES } from './pkt-line.js';

const LENGTH_DIGITS = 4;
const ERROR = 'ERR ';
/** The side-band of a fatal error; no packet outside a side-band begins with this byte. */
const FATAL_BAND = '\u0003';

/** Follows packets that come cut anywhere. */
export class PacketWalk {
  #digits = '';
  /** Bytes of the running packet that are still to come. */
  #left = 0;
  /** The first bytes of the last packet's payload. */
  #beginning = '';
  #last: 'nothing' | 'data' | 'flush' | 'other' = 'nothing';

  /** Whether the last byte that was seen is the last of a flush packet. */
  get isAtFlush(): boolean {
    return this.#last === 'flush' && this.#digits === '';
  }

  /** Whether nothing is open: no packet has begun, or the last is whole. */
  get isBetweenPackets(): boolean {
    return this.#digits === '' && this.#left === 0;
  }

  /** Whether the last packet, whole, says that the other side has failed: after it nothing more is to be expected. */
  get isAtError(): boolean {
    return this.isBetweenPackets && this.#last === 'data' && (this.#beginning === ERROR || this.#beginning.startsWith(FATAL_BAND));
  }

  /**
   * Goes through `chunk` from `at` and stops behind the first flush packet that ends in it; gives the place where it stopped, the
   * chunk's end when there is none.
   * @throws SyntaxError when a length is no hex number, or one that git does not allow
   */
  walk(chunk: Buffer, at = 0): number {
    let place = at;
    while (place < chunk.length) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, chunk.length - place);
        const missing = ERROR.length - this.#beginning.length;
        if (missing > 0) this.#beginning += chunk.toString('latin1', place, place + Math.min(missing, taken));
        this.#left -= taken;
        place += taken;
        continue;
      }
      this.#digits += String.fromCharCode(chunk[place] ?? 0);
      place += 1;
      if (this.#digits.length === LENGTH_DIGITS && this.#begin() === 'flush') return place;
    }
    return place;
  }

  /** Goes through all of `chunk`. */
  walkAll(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) at = this.walk(chunk, at);
  }

  #begin(): 'nothing' | 'data' | 'flush' | 'other' {
    if (!/^[0-9a-fA-F]{4}$/.test(this.#digits)) throw new SyntaxError('pkt-line length is not four hex digits');
    const length = Number.parseInt(this.#digits, 16);
    if (length === 3 || length > LARGEST_PACKET_BYTES) throw new SyntaxError(`pkt-line length ${length} is not allowed`);
    this.#digits = '';
    this.#beginning = '';
    this.#left = Math.max(0, length - LENGTH_DIGITS);
    this.#last = length === 0 ? 'flush' : length < LENGTH_DIGITS ? 'other' : 'data';
    return this.#last;
  }
}
