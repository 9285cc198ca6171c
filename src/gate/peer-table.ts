/**
 * The kernel's tables of TCP connections, which tell whose socket the other end of a loopback connection is. The row looked for
 * is the peer's own: its local end is our remote one. It must be live (established, or closed for sending by the peer only) and
 * have an inode: a socket that its process has left behind shows uid 0 and inode 0.
 *
 * Source: proc_net_tcp (Documentation/networking/proc_net_tcp.rst of Linux), proc(5), include/net/tcp_states.h.
 */
import { readFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { endianness } from 'node:os';
import type { PeerUid } from '../model/caller.js';
import type { ConnectionEnds, PeerTable } from '../model/ports.js';

/** TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2. */
const LIVE_STATES: ReadonlySet<string> = new Set(['01', '04', '05']);
/** The uid in whose place the kernel puts this one cannot be told. */
const OVERFLOW_FILE = '/proc/sys/kernel/overflowuid';

/** Reads the tables of the network namespace that this process is in. */
export class KernelPeerTable implements PeerTable {
  async uidOf(ends: ConnectionEnds): Promise<PeerUid> {
    const overflow = Number((await readFile(OVERFLOW_FILE, 'utf8')).trim());
    const wanted = `${hexEnd(ends.remoteAddress, ends.remotePort)} ${hexEnd(ends.localAddress, ends.localPort)}`;
    const table = await readFile(isIPv4(ends.remoteAddress) ? '/proc/net/tcp' : '/proc/net/tcp6', 'latin1');
    for (const line of table.split('\n')) {
      const columns = line.trim().split(/\s+/);
      if (`${columns[1] ?? ''} ${columns[2] ?? ''}` !== wanted || !LIVE_STATES.has(columns[3] ?? '') || columns[9] === '0') continue;
      const uid = Number(columns[7]);
      if (uid === overflow) return { kind: 'unknown', why: 'the kernel shows it as the overflow uid' };
      return { kind: 'known', uid };
    }
    return { kind: 'unknown', why: 'the kernel shows no such connection' };
  }
}

function hexEnd(address: string, port: number): string {
  const bytes = isIPv4(address) ? Buffer.from(address.split('.').map(Number)) : v6Bytes(address);
  if (endianness() === 'LE') bytes.swap32();
  return `${bytes.toString('hex').toUpperCase()}:${port.toString(16).toUpperCase().padStart(4, '0')}`;
}

function v6Bytes(address: string): Buffer {
  const [head = '', tail = ''] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === '' ? [] : tail.split(':');
  const all = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => '0'), ...right];
  return Buffer.from(all.map((part) => part.padStart(4, '0')).join(''), 'hex');
}
