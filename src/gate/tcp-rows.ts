/**
 * The grammar of the kernel's tables of TCP connections: one row for each end of a connection, as text.
 *
 *   sl: LOCAL:PORT REMOTE:PORT ST TX:RX TR:WHEN RETRANSMITS UID TIMEOUT INODE ...
 *
 * An address is written as 32-bit words in the byte order of the machine, a port as a number; both in capital hexadecimal.
 *
 * Source: Documentation/networking/proc_net_tcp.rst of Linux; tcp4_seq_show and tcp6_seq_show (net/ipv4/tcp_ipv4.c, net/ipv6/tcp_ipv6.c).
 */
import { isIPv4 } from 'node:net';
import type { ConnectionEnds } from '../model/ports.js';

/** A row, as far as it tells whose it is. */
export interface TcpRow {
  /** Two hexadecimal digits of include/net/tcp_states.h. */
  readonly state: string;
  readonly uid: number;
  /** `0` when no process has the socket. */
  readonly inode: string;
}

/** What a row begins with, after its number, when its local end is the remote one of `ends` and the other way round. */
export function rowKey(ends: ConnectionEnds, form: { readonly table: 'tcp' | 'tcp6'; readonly isLittleEndian: boolean }): string {
  const end = (address: string, port: number): string => {
    const bytes = form.table === 'tcp' ? v4Bytes(address) : isIPv4(address) ? mappedBytes(address) : v6Bytes(address);
    if (form.isLittleEndian) bytes.swap32();
    return `${bytes.toString('hex').toUpperCase()}:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  };
  return `${end(ends.remoteAddress, ends.remotePort)} ${end(ends.localAddress, ends.localPort)}`;
}

const LINE_FEED = 0x0a;
const COLON = 0x3a;
const BLANK = 0x20;
/** Digits of a port, with the colon before them. */
const PORT_WIDTH = 5;
/** Of the columns after the two ends. */
const STATE_AT = 0;
const UID_AT = 4;
const INODE_AT = 6;

/**
 * Looks for rows in a table that comes piece by piece. Tables have thousands of rows of which a handful is looked for, so no row
 * becomes text unless its remote port is that of a row that is wanted.
 */
export class TcpRows {
  readonly #found: (key: string, row: TcpRow) => void;
  readonly #addressWidth: number;
  readonly #wanted: ReadonlySet<string>;
  /** The remote ports of the rows looked for, their four digits read as one number. */
  readonly #ports: ReadonlySet<number>;
  #rest: Buffer = Buffer.alloc(0);

  /** Calls `found` with each row whose `rowKey` is in `wanted`. */
  constructor(table: 'tcp' | 'tcp6', wanted: ReadonlySet<string>, found: (key: string, row: TcpRow) => void) {
    this.#found = found;
    this.#addressWidth = table === 'tcp' ? 8 : 32;
    this.#wanted = wanted;
    this.#ports = new Set([...wanted].map((key) => Buffer.from(key.slice(-4), 'latin1').readUInt32BE()));
  }

  /** Takes the next piece, cut anywhere; nothing of it is kept but the beginning of a row. */
  take(piece: Buffer): void {
    const bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    let start = 0;
    for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, start)) {
      this.#look(bytes, start, end);
      start = end + 1;
    }
    this.#rest = start === bytes.length ? Buffer.alloc(0) : Buffer.from(bytes.subarray(start));
  }

  /** Takes the end of the table. */
  end(): void {
    if (this.#rest.length > 0) this.take(Buffer.from('\n'));
  }

  #look(bytes: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end && bytes[at] !== COLON) at += 1;
    const local = at + 2;
    const localEnd = local + this.#addressWidth + PORT_WIDTH;
    const remoteEnd = localEnd + 1 + this.#addressWidth + PORT_WIDTH;
    // The heading, or nothing that we know.
    if (remoteEnd >= end || bytes[localEnd] !== BLANK || bytes[remoteEnd] !== BLANK) return;
    if (!this.#ports.has(bytes.readUInt32BE(remoteEnd - 4))) return;
    const key = bytes.toString('latin1', local, remoteEnd);
    if (!this.#wanted.has(key)) return;
    const columns = bytes.toString('latin1', remoteEnd, end).trim().split(/ +/);
    const uid = columns[UID_AT] ?? '';
    if (/^[0-9]+$/.test(uid)) this.#found(key, { state: columns[STATE_AT] ?? '', uid: Number(uid), inode: columns[INODE_AT] ?? '0' });
  }
}

function v4Bytes(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number));
}

/** An IPv4 address as a socket of IPv6 has it (RFC 4291 section 2.5.5.2). */
function mappedBytes(address: string): Buffer {
  return Buffer.concat([Buffer.from('00000000000000000000ffff', 'hex'), v4Bytes(address)]);
}

function v6Bytes(address: string): Buffer {
  const words = (text: string): string[] =>
    text === '' ? [] : text.split(':').flatMap((part) => (part.includes('.') ? [v4Bytes(part).toString('hex')] : [part.padStart(4, '0')]));
  const [head = '', tail] = address.split('::');
  const left = words(head).join('');
  const right = words(tail ?? '').join('');
  return Buffer.from(left + '0'.repeat(32 - left.length - right.length) + right, 'hex');
}
