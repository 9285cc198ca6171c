/**
 * The rows of sockets that listen, in the kernel's tables of TCP connections: which address a descriptor has that somebody else
 * opened. Node tells it only of a server that accepts already.
 *
 *   sl: LOCAL:PORT REMOTE:PORT ST TX:RX TR:WHEN RETRANSMITS UID TIMEOUT INODE ...
 *
 * Source: as for tcp-rows.ts; the states are those of include/net/tcp_states.h.
 */
import { SocketAddress } from 'node:net';
import { endianness } from 'node:os';
import { systemCodeOf } from '../model/errors.js';
import { procFiles, type TableFiles } from './proc-files.js';

/** TCP_LISTEN. */
const LISTENING = '0A';

/** Where a socket listens: IP literal without brackets, in its shortest form. */
export interface SocketPlace {
  readonly host: string;
  readonly port: number;
}

/** Reads the listening sockets out of the text of one table, by inode. */
export function parseListening(text: string, form: { readonly isLittleEndian: boolean }): Map<string, SocketPlace> {
  const found = new Map<string, SocketPlace>();
  for (const line of text.split('\n')) {
    const match = /^ *[0-9]+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2}) (?:\S+ +){5}([0-9]+)/.exec(line);
    if (match === null) continue;
    const [, address = '', port = '', state, inode = ''] = match;
    if (state === LISTENING) found.set(inode, { host: ipOf(address, form.isLittleEndian), port: Number.parseInt(port, 16) });
  }
  return found;
}

/**
 * The listening sockets of the network namespace that this process is in, by inode. Rejects when the kernel's tables cannot be
 * read; a kernel without IPv6 has only one of them.
 */
export async function listeningSockets(files: Pick<TableFiles, 'read'> = procFiles): Promise<Map<string, SocketPlace>> {
  const all = new Map<string, SocketPlace>();
  for (const table of ['tcp', 'tcp6'] as const) {
    const pieces: Buffer[] = [];
    try {
      await files.read(table, (piece) => pieces.push(Buffer.from(piece)));
    } catch (thrown) {
      if (table === 'tcp' || systemCodeOf(thrown) !== 'ENOENT') throw thrown;
    }
    const rows = parseListening(Buffer.concat(pieces).toString('latin1'), { isLittleEndian: endianness() === 'LE' });
    for (const [inode, place] of rows) all.set(inode, place);
  }
  return all;
}

function ipOf(hex: string, isLittleEndian: boolean): string {
  const bytes = Buffer.from(hex, 'hex');
  if (isLittleEndian) bytes.swap32();
  if (bytes.length === 4) return bytes.join('.');
  const words = bytes.toString('hex').match(/.{4}/g) ?? [];
  return new SocketAddress({ address: words.join(':'), family: 'ipv6' }).address;
}
