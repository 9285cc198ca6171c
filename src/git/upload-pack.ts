/**
 * A refusal in git's own words on a fetch: an ERR packet before any other byte, which every client of protocol
 * v0, v1 and v2 prints as `fatal: remote error: <text>`.
 *
 * Source: gitprotocol-pack "error-line", gitprotocol-v2 "Error packets".
 */
import { fitPacket, writePacket } from './pkt-line.js';

const PREFIX = 'ERR ';

/** One ERR packet holding `text`, cut to what a packet holds. */
export function writeErrorPacket(text: string): Buffer {
  return writePacket(PREFIX + fitPacket(text, PREFIX.length));
}
