/**
 * What a push asks for, read from the first packets of its body, before the pack; and the answer to a push that
 * is refused.
 *
 *   update-requests = *shallow ( command-list | push-cert ) flush
 *   command         = old-oid SP new-oid SP refname [NUL capability-list]      (capabilities on the first only)
 *
 * Source: gitprotocol-pack "Reference Update Request and Packfile Transfer", "Report Status".
 */
import type { RefCommand } from '../model/refs.js';
import { fitBytes, FLUSH_PACKET, fitPacket, parsePacket, writePacket } from './pkt-line.js';

export interface CommandList {
  readonly commands: readonly RefCommand[];
  readonly capabilities: ReadonlySet<string>;
}

/**
 * Largest command list that is kept in memory while it is read: about 100,000 refs of usual length. A longer one
 * counts as unreadable.
 */
export const LARGEST_COMMAND_LIST_BYTES = 16 * 1024 * 1024;

/**
 * Reads a command list from chunks as they pass. It keeps only what it has not understood yet, and nothing once
 * it is done.
 */
export class CommandListReader {
  #pending: Buffer = Buffer.alloc(0);
  #consumed = 0;
  readonly #commands: RefCommand[] = [];
  #capabilities: ReadonlySet<string> | undefined;
  #state: 'reading' | 'done' | 'unreadable' = 'reading';

  /** The list, once its flush packet has passed; undefined before that and when the body is no push. */
  get list(): CommandList | undefined {
    return this.#state === 'done' ? { commands: this.#commands, capabilities: this.#capabilities ?? new Set() } : undefined;
  }

  get isReading(): boolean {
    return this.#state === 'reading';
  }

  push(chunk: Buffer): void {
    if (this.#state !== 'reading') return;
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    let offset = 0;
    try {
      while (this.#isStillReading()) {
        const read = parsePacket(this.#pending, offset);
        if (read === undefined) break;
        offset = read.next;
        if (read.packet.kind === 'flush') this.#state = 'done';
        else if (read.packet.kind === 'data') this.#line(read.packet.payload);
        else this.#state = 'unreadable';
      }
    } catch {
      // Not pkt-lines, or no UTF-8: whoever sent it, the upstream will say so. There is nothing to report refs about.
      this.#state = 'unreadable';
    }
    this.#consumed += offset;
    if (this.#consumed + this.#pending.length - offset > LARGEST_COMMAND_LIST_BYTES && this.#isStillReading()) this.#state = 'unreadable';
    this.#pending = this.#isStillReading() ? Buffer.from(this.#pending.subarray(offset)) : Buffer.alloc(0);
  }

  // A method, because the compiler would otherwise hold on to the state it saw before the loop.
  #isStillReading(): boolean {
    return this.#state === 'reading';
  }

  #line(payload: Buffer): void {
    const nul = payload.indexOf(0);
    // Fatal: two refs that are no UTF-8 must not become one text, and a report must name a ref by its own bytes.
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
      .decode(nul < 0 ? payload : payload.subarray(0, nul))
      .replace(/\n$/, '');
    if (nul >= 0 && this.#capabilities === undefined) {
      this.#capabilities = new Set(
        payload
          .subarray(nul + 1)
          .toString('utf8')
          .trim()
          .split(' '),
      );
    }
    if (text.startsWith('shallow ')) return;
    const match = /^([0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) (.+)$/s.exec(text);
    if (match?.[1] === undefined || match[2] === undefined || match[3] === undefined) {
      // push-cert wraps commands in a signed text; its refs are not read here.
      this.#state = 'unreadable';
      return;
    }
    this.#commands.push({ oldOid: match[1], newOid: match[2], ref: match[3] });
  }
}

const BAND_DATA = 1;
const BAND_PROGRESS = 2;
/** Longest line of progress; more would be cut by a terminal. */
const LONGEST_LINE_BYTES = 900;

/**
 * The body that refuses every ref of a push: git prints `! [remote rejected] main -> main (reason)` and each of
 * `lines` as `remote: ...`. Undefined when the client did not ask for a report, so nothing can be told this way.
 */
export function writeRefusedPush(list: CommandList, reason: string, lines: readonly string[]): Buffer | undefined {
  if (!list.capabilities.has('report-status') && !list.capabilities.has('report-status-v2')) return undefined;
  const oneLine = reason.replace(/\s+/g, ' ');
  const report = Buffer.concat([
    writePacket('unpack ok\n'),
    ...list.commands.map(({ ref }) => writePacket(`ng ${ref} ${fitPacket(oneLine, Buffer.byteLength(ref) + 8)}\n`)),
    FLUSH_PACKET,
  ]);
  const isBanded = list.capabilities.has('side-band-64k') || list.capabilities.has('side-band');
  if (!isBanded) return report;
  // side-band (without -64k) allows 1000 bytes a packet, its length and the number of the band included.
  const pieceBytes = list.capabilities.has('side-band-64k') ? 60_000 : 990;
  const packets: Buffer[] = lines.map((line) => band(BAND_PROGRESS, Buffer.from(`${fitBytes(line, LONGEST_LINE_BYTES)}\n`, 'utf8')));
  for (let at = 0; at < report.length; at += pieceBytes) packets.push(band(BAND_DATA, report.subarray(at, at + pieceBytes)));
  return Buffer.concat([...packets, FLUSH_PACKET]);
}

function band(number: number, payload: Buffer): Buffer {
  return writePacket(Buffer.concat([Buffer.from([number]), payload]));
}
