/**
 * How the SSH door says no. git reads the text that is nearest to what it waits for:
 *
 *   before anything, or between answers   an ERR packet: `fatal: remote error: ...`
 *   a push whose refs were read           git's own report: `! [remote rejected] main -> main (...)`
 *   inside an answer, and to no git       stderr, which ssh shows as it comes
 *
 * Source: gitprotocol-pack "error-line"; RFC 4254 section 5.2 (extended data).
 */
import type { Writable } from 'node:stream';
import { type CommandList } from '../git/receive-pack.js';
import { writeRefusedPush } from '../git/report-status.js';
import { writeErrorPacket } from '../git/upload-pack.js';
import { type Refusal, refusalLines, refusalSentence } from '../model/refusal.js';

/** What git's own programs end with when they die. */
export const EXIT_FATAL = 128;

/** Says a refusal where the client reads a packet next. */
export function sayBetween(
  channel: { readonly output: Writable; readonly errors: Writable },
  refusal: Refusal,
  commands?: CommandList,
): void {
  const report = commands === undefined || commands.commands.length === 0 ? undefined : reportOf(refusal, commands);
  if (report !== undefined) channel.output.write(report);
  else if (commands === undefined) channel.output.write(writeErrorPacket(refusalLines(refusal).join('\n')));
  else sayAside(channel, refusal);
}

/** Says a refusal on stderr. */
export function sayAside({ errors }: { readonly errors: Writable }, refusal: Refusal): void {
  errors.write(`${refusalLines(refusal).join('\n')}\n`);
}

/** What is said of each ref: its own reason, or the refusal if that is about the push as a whole. */
function reportOf(refusal: Refusal, commands: CommandList): Buffer | undefined {
  const sentence = refusalSentence({ ...refusal, upstreamText: undefined });
  const reasons = refusal.refs?.map(({ reason }) => `postern: ${reason}`) ?? commands.commands.map(() => sentence);
  return writeRefusedPush(commands, reasons, refusalLines(refusal));
}
