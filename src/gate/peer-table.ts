/**
 * Whose socket the other end of a loopback connection is, by the kernel's tables of TCP connections. The row looked for is the
 * peer's own: its local end is our remote one. It must be live (established, or closed for sending by the peer only) and have an
 * inode: what a process has left behind has none, and shows uid 0 or that of whoever is gone.
 *
 * A read costs milliseconds, so one at a time runs, and it serves every connection that was accepted before it began: such a
 * connection's row is there for as long as both ends hold it. One that is accepted meanwhile waits for the next read.
 *
 * Source: proc(5), include/net/tcp_states.h; the grammar is in tcp-rows.ts.
 */
import { isIPv4 } from 'node:net';
import { endianness } from 'node:os';
import type { PeerUid } from '../model/caller.js';
import { systemCodeOf } from '../model/errors.js';
import type { ConnectionEnds, PeerTable } from '../model/ports.js';
import { procFiles, type TableFiles } from './proc-files.js';
import { rowKey, type TcpRow, TcpRows } from './tcp-rows.js';

/** TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2. */
const LIVE_STATES: ReadonlySet<string> = new Set(['01', '04', '05']);
/**
 * The uid in whose place the kernel puts every one that it cannot tell, where the kernel does not say it: DEFAULT_OVERFLOWUID of
 * include/linux/highuid.h.
 */
const USUAL_OVERFLOW_UID = 65_534;
/**
 * Connections that may wait for a read. Two listeners' worth at their limit of connections; beyond it someone opens them faster
 * than they can be looked at, and each would hold memory.
 */
const MOST_WAITING = 4096;

interface Waiting {
  readonly ends: ConnectionEnds;
  readonly resolve: (uid: PeerUid) => void;
  readonly reject: (fault: unknown) => void;
  /** Looked for once already, and not there. */
  readonly isSecondTry: boolean;
}

export interface PeerTableOptions {
  /** Where the tables are read; default /proc. */
  readonly files?: TableFiles;
  /** Byte order of the addresses; default this machine's. */
  readonly isLittleEndian?: boolean;
}

/** Reads the tables of the network namespace that this process is in. */
export class KernelPeerTable implements PeerTable {
  readonly #files: TableFiles;
  readonly #isLittleEndian: boolean;
  #waiting: Waiting[] = [];
  #isReading = false;
  #overflowUid: Promise<number> | undefined;

  constructor({ files = procFiles, isLittleEndian = endianness() === 'LE' }: PeerTableOptions = {}) {
    this.#files = files;
    this.#isLittleEndian = isLittleEndian;
  }

  /** Never from a read that began before the call. Rejects when the kernel's files cannot be read. */
  uidOf(ends: ConnectionEnds): Promise<PeerUid> {
    if (this.#waiting.length >= MOST_WAITING)
      return Promise.resolve({ kind: 'unknown', why: 'too many connections were opened at once to look at all of them', isOverload: true });
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ends, resolve, reject, isSecondTry: false });
      if (!this.#isReading) void this.#readOn();
    });
  }

  async #readOn(): Promise<void> {
    this.#isReading = true;
    while (this.#waiting.length > 0) {
      const served = this.#waiting;
      this.#waiting = [];
      try {
        await this.#serve(served);
      } catch (thrown) {
        for (const { reject } of served) reject(thrown);
      }
    }
    this.#isReading = false;
  }

  /** Answers all of `served` out of one read, or has them wait for one more. */
  async #serve(served: readonly Waiting[]): Promise<void> {
    this.#overflowUid ??= this.#files.overflowUid().catch(() => USUAL_OVERFLOW_UID);
    const overflowUid = await this.#overflowUid;
    const v4 = served.filter(({ ends }) => isIPv4(ends.remoteAddress));
    const rows = v4.length === 0 ? new Map<Waiting, TcpRow>() : await this.#rowsIn('tcp', v4);
    // Also those of IPv4 that are not there: a socket of IPv6 that connected to ::ffff:127.0.0.1 has its row in the other table.
    const rest = served.filter((each) => !rows.has(each));
    if (rest.length > 0) for (const [each, row] of await this.#rowsIn('tcp6', rest)) rows.set(each, row);
    for (const each of served) {
      const row = rows.get(each);
      if (row !== undefined) each.resolve(verdict(row, overflowUid));
      // The kernel writes the table in pieces, and a row can slip through between two of them while others come and go.
      else if (!each.isSecondTry) this.#waiting.push({ ...each, isSecondTry: true });
      else each.resolve({ kind: 'unknown', why: 'the kernel shows no such connection' });
    }
  }

  async #rowsIn(table: 'tcp' | 'tcp6', wanted: readonly Waiting[]): Promise<Map<Waiting, TcpRow>> {
    const byKey = new Map<string, Waiting[]>();
    for (const each of wanted) {
      const key = rowKey(each.ends, { table, isLittleEndian: this.#isLittleEndian });
      byKey.set(key, [...(byKey.get(key) ?? []), each]);
    }
    const found = new Map<Waiting, TcpRow>();
    const rows = new TcpRows(table, new Set(byKey.keys()), (key, row) => {
      for (const each of byKey.get(key) ?? []) if (!isLive(found.get(each))) found.set(each, row);
    });
    try {
      await this.#files.read(table, (piece) => rows.take(piece));
    } catch (thrown) {
      // A kernel without IPv6 has no such table.
      if (table === 'tcp' || systemCodeOf(thrown) !== 'ENOENT') throw thrown;
    }
    rows.end();
    return found;
  }
}

function isLive(row: TcpRow | undefined): boolean {
  return row !== undefined && LIVE_STATES.has(row.state) && row.inode !== '0';
}

function verdict(row: TcpRow, overflowUid: number): PeerUid {
  if (!isLive(row)) return { kind: 'unknown', why: 'whoever opened the connection has left it' };
  if (row.uid === overflowUid)
    return { kind: 'unknown', why: `the kernel shows uid ${row.uid}, which stands for every user that it cannot tell` };
  return { kind: 'known', uid: row.uid };
}
