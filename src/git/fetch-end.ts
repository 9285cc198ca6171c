/**
 * Where a fetch over a stream is over, seen from both sides: the client says so with a flush packet by itself, where a request
 * would begin. Nothing follows on either side but the server's end.
 *
 * Source: gitprotocol-v2 "Command Request" (a lone flush ends the session); gitprotocol-pack "Packfile Negotiation" (a client that
 * wants nothing sends one flush).
 */
import { PacketWalk } from './packet-walk.js';

const VERSION_2 = '000eversion 2\n';
const FLUSH_BYTES = 4;

/** Watches both directions, cut anywhere. What is no packet never ends. */
export class FetchEnd {
  readonly #up = new PacketWalk();
  readonly #down = new PacketWalk();
  /** Bytes of the request that is running, its flush included. */
  #requestBytes = 0;
  #requests = 0;
  #beginning = '';
  #isOdd = false;
  #isSaid = false;

  /** Whether the client has said that it is done, and the server has nothing half said. */
  get isOver(): boolean {
    return this.#isSaid && !this.#isOdd && this.#down.isAtFlush && this.#down.isBetweenPackets;
  }

  /** Takes the next bytes of the client. */
  up(chunk: Buffer): void {
    this.#watch(() => {
      for (let at = 0; at < chunk.length;) {
        // Something behind the end: it was none.
        this.#isOdd ||= this.#isSaid;
        const next = this.#up.walk(chunk, at);
        this.#requestBytes += next - at;
        at = next;
        if (!this.#up.isAtFlush) continue;
        const isLone = this.#requestBytes === FLUSH_BYTES;
        // Before version 2 a flush stands between rounds, too; only as the first word it says that nothing is wanted.
        if (isLone && (this.#requests === 0 || this.#beginning === VERSION_2)) this.#isSaid = true;
        this.#requestBytes = 0;
        this.#requests += 1;
      }
    });
  }

  /** Takes the next bytes of the server. */
  down(chunk: Buffer): void {
    if (this.#beginning.length < VERSION_2.length)
      this.#beginning += chunk.toString('latin1', 0, VERSION_2.length - this.#beginning.length);
    this.#watch(() => this.#down.walkAll(chunk));
  }

  #watch(run: () => void): void {
    if (this.#isOdd) return;
    try {
      run();
    } catch (thrown) {
      if (!(thrown instanceof SyntaxError)) throw thrown;
      this.#isOdd = true;
    }
  }
}
