/**
 * The answer to a push that is refused: git's own report, which it prints as `! [remote rejected] main -> main (reason)`.
 *
 *   report-status = "unpack ok" *( "ng" SP refname SP reason ) flush            each a pkt-line
 *
 * Source: gitprotocol-pack "Report Status"; gitprotocol-capabilities "side-band, side-band-64k".
 */
import { fitBytes, fitPacket, FLUSH_PACKET, writePacket } from './pkt-line.js';
import type { CommandList } from './receive-pack.js';

const BAND_DATA = 1;
const BAND_PROGRESS = 2;
/** Longest line of progress; more would be cut by a terminal. */
const LONGEST_LINE_BYTES = 900;

/**
 * The body that refuses every ref of a push: each with its reason (in the order of the list), and each of `lines` as
 * `remote: ...`. Undefined when the client did not ask for a report, so nothing can be told this way.
 */
export function writeRefusedPush(list: CommandList, reasons: readonly string[], lines: readonly string[]): Buffer | undefined {
  if (!list.capabilities.has('report-status') && !list.capabilities.has('report-status-v2')) return undefined;
  const report = Buffer.concat([
    writePacket('unpack ok\n'),
    ...list.commands.map(({ ref }, index) => writePacket(`ng ${ref} ${fitPacket(oneLine(reasons[index]), Buffer.byteLength(ref) + 8)}\n`)),
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

function oneLine(reason: string | undefined): string {
  return (reason ?? 'refused').replace(/\s+/g, ' ');
}

function band(number: number, payload: Buffer): Buffer {
  return writePacket(Buffer.concat([Buffer.from([number]), payload]));
}
