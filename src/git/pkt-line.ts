/**
 * pkt-lines: the framing of everything git says on a wire.
 *
 *   pkt-line  = 4 hex digits giving the length of the whole packet, itself included, then the payload
 *   0000      = flush, 0001 = delimiter, 0002 = response end (protocol v2)
 *
 * Source: gitprotocol-common "pkt-line format", gitprotocol-v2 "Packet-Line Framing".
 */

export type Packet = { readonly kind: 'data'; readonly payload: Buffer } | { readonly kind: 'flush' | 'delimiter' | 'response-end' };

const LENGTH_DIGITS = 4;
/** Largest packet git allows (LARGE_PACKET_MAX), length digits included. */
export const LARGEST_PACKET_BYTES = 65520;
export const FLUSH_PACKET = Buffer.from('0000');

/**
 * Reads one packet at `offset`. Gives undefined when `bytes` ends before the packet does.
 * @throws SyntaxError when the length is no hex number, or one that git does not allow.
 */
export function parsePacket(bytes: Buffer, offset = 0): { readonly packet: Packet; readonly next: number } | undefined {
  if (bytes.length - offset < LENGTH_DIGITS) return undefined;
  const digits = bytes.toString('latin1', offset, offset + LENGTH_DIGITS);
  if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw new SyntaxError('pkt-line length is not four hex digits');
  const length = Number.parseInt(digits, 16);
  const next = offset + LENGTH_DIGITS;
  if (length === 0) return { packet: { kind: 'flush' }, next };
  if (length === 1) return { packet: { kind: 'delimiter' }, next };
  if (length === 2) return { packet: { kind: 'response-end' }, next };
  if (length === 3 || length > LARGEST_PACKET_BYTES) throw new SyntaxError(`pkt-line length ${length} is not allowed`);
  if (bytes.length - offset < length) return undefined;
  return { packet: { kind: 'data', payload: bytes.subarray(next, offset + length) }, next: offset + length };
}

/**
 * Writes one data packet.
 * @throws RangeError when the payload is larger than a packet holds.
 */
export function writePacket(payload: string | Buffer): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload, 'utf8') : payload;
  const length = body.length + LENGTH_DIGITS;
  if (length > LARGEST_PACKET_BYTES)
    throw new RangeError(`a packet holds ${LARGEST_PACKET_BYTES - LENGTH_DIGITS} bytes, not ${body.length}`);
  return Buffer.concat([Buffer.from(length.toString(16).padStart(LENGTH_DIGITS, '0'), 'latin1'), body]);
}

/** Cuts text so that it fits one packet with `prefixBytes` before it, on a character boundary. */
export function fitPacket(text: string, prefixBytes = 0): string {
  return fitBytes(text, LARGEST_PACKET_BYTES - LENGTH_DIGITS - prefixBytes);
}

/** The longest beginning of `text` that is whole characters and at most `mostBytes` of UTF-8. */
export function fitBytes(text: string, mostBytes: number): string {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length <= mostBytes) return text;
  // A decoder that expects more keeps a character that was cut to itself.
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(0, Math.max(0, mostBytes)), { stream: true });
}
