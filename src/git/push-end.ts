/**
 * Where a push ends that does not say so: a client over SSH may hold its side open until it has read the report.
 *
 *   push         = command-list flush [ *push-option flush ] [ pack ]
 *
 * The options are there when the capabilities name `push-options`; the pack when any command is not a deletion.
 *
 * Source: gitprotocol-pack "Reference Update Request and Packfile Transfer"; receive-pack.c, cmd_receive_pack.
 */
import { PackEnd } from './pack-end.js';
import { PacketWalk } from './packet-walk.js';
import type { CommandList } from './receive-pack.js';

/**
 * `open`: more must come. `possible`: what has come can be all of it, and only silence tells. `over`: nothing may follow.
 * `beyond`: something did.
 */
export type PushState = 'open' | 'possible' | 'over' | 'beyond';

/** Follows a push whose command list has been read and found good, from its first byte, cut anywhere. */
export class PushEnd {
  readonly #walk = new PacketWalk();
  /** Flush packets that are to come: of the list, and of the options. */
  #flushes: number;
  readonly #pack: PackEnd | undefined;
  #isBeyond = false;

  constructor(list: CommandList) {
    this.#flushes = list.capabilities.has('push-options') ? 2 : 1;
    const isWithPack = list.commands.some(({ newOid }) => !/^0+$/.test(newOid));
    this.#pack = isWithPack ? new PackEnd(list.commands[0]?.newOid.length === 64 ? 'sha256' : 'sha1') : undefined;
  }

  /**
   * Takes the next bytes.
   * @throws SyntaxError when the options are no packets
   */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && this.#flushes > 0) {
      at = this.#walk.walk(chunk, at);
      if (this.#walk.isAtFlush) this.#flushes -= 1;
    }
    if (at === chunk.length) return;
    if (this.#pack === undefined) this.#isBeyond = true;
    else this.#pack.push(at === 0 ? chunk : chunk.subarray(at));
  }

  /** Costs a hash's end when a pack has begun: to be asked once for each chunk. */
  get state(): PushState {
    if (this.#isBeyond) return 'beyond';
    if (this.#flushes > 0) return 'open';
    if (this.#pack === undefined) return 'over';
    return this.#pack.isPossible ? 'possible' : 'open';
  }
}
