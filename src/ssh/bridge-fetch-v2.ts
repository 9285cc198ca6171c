/**
 * A fetch of protocol version 2 over the bridge: on both sides every command stands alone, so that each goes up as it is and its
 * answer comes down as it is.
 *
 *   session = *( command-request ) [ flush ]            command-request = packets up to and with a flush
 *
 * Source: gitprotocol-v2 "Command Request".
 */
import type { Readable } from 'node:stream';
import { PacketWalk } from '../git/packet-walk.js';
import {
  ask,
  brokenOff,
  chunksOf,
  FAILED_UPSTREAM,
  KEPT_REQUEST_BYTES,
  PASSED,
  passPackets,
  readRequest,
  type Trip,
  uploadOf,
} from './bridge-trip.js';
import { ClientGone, type ClientLine } from './client-line.js';
import type { Carried } from './git-session.js';

const LONE_FLUSH_BYTES = 4;

/** One command: `isRead` tells whether all of it was taken from the client. */
interface Command {
  readonly body: Buffer | Readable;
  readonly isRead: () => boolean;
}

/**
 * Serves commands until the client ends.
 * @throws ProxyError `request-malformed`, `upstream-broken`, `upstream-not-git`; and as ask()
 */
export async function carryFetchV2(trip: Trip, gitProtocol: string): Promise<Carried> {
  for (;;) {
    const command = await nextCommand(trip.line);
    if (command === undefined) return PASSED;
    const asked = await ask(trip, { service: 'git-upload-pack', step: 'exchange', body: command.body, gitProtocol });
    if (asked.kind === 'failed') return asked;
    if ((await passPackets(trip, chunksOf(asked.body))) === 'error') return FAILED_UPSTREAM;
    // What is left of a command that was answered too early would be taken for the next one.
    if (!command.isRead()) throw brokenOff();
  }
}

/** The next command; undefined when the client is done. */
async function nextCommand(line: ClientLine): Promise<Command | undefined> {
  const walk = new PacketWalk();
  const chunks: Buffer[] = [];
  let size = 0;
  const next = async (): Promise<Buffer | undefined> => {
    if (walk.isAtFlush) return undefined;
    const chunk = await line.read();
    if (!Buffer.isBuffer(chunk)) {
      if (size === 0) return undefined;
      // Cut in the middle: who sent it has died.
      throw new ClientGone();
    }
    const end = readRequest(() => walk.walk(chunk));
    line.unread(chunk.subarray(end));
    size += end;
    return chunk.subarray(0, end);
  };
  while (size <= KEPT_REQUEST_BYTES) {
    const chunk = await next();
    if (chunk === undefined) return size <= LONE_FLUSH_BYTES ? undefined : { body: Buffer.concat(chunks), isRead: () => true };
    chunks.push(chunk);
  }
  return { body: uploadOf(line, chunks, next), isRead: () => walk.isAtFlush };
}
