/**
 * Rows as Linux 6.18 wrote them (`cat /proc/net/tcp /proc/net/tcp6`), with ports and uids changed to those of the cases.
 *
 * The attacks: another user's socket that is taken for ours, because its row says so little (an orphan shows uid 0, or the uid
 * of whoever left it), because a row of someone else is read in its place (the other direction, a port that begins alike), or
 * because the kernel puts one uid in place of all that it cannot tell.
 */
import { describe, expect, it } from 'vitest';
import { KernelPeerTable } from '../../../src/gate/peer-table.js';
import type { TableFiles } from '../../../src/gate/proc-files.js';
import type { ConnectionEnds } from '../../../src/model/ports.js';

const HEADING = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';
const HEADING6 =
  '  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';
/** 127.0.0.1:36618 -> 127.0.0.1:8417. */
const ENDS: ConnectionEnds = { remoteAddress: '127.0.0.1', remotePort: 36618, localAddress: '127.0.0.1', localPort: 8417 };
const ENDS6: ConnectionEnds = { ...ENDS, remoteAddress: '::1', localAddress: '::1' };
const HERE = '0100007F:20E1';
const THERE = '0100007F:8F0A';
const HERE6 = '00000000000000000000000001000000:20E1';
const THERE6 = '00000000000000000000000001000000:8F0A';
const MAPPED_HERE = '0000000000000000FFFF00000100007F:20E1';
const MAPPED_THERE = '0000000000000000FFFF00000100007F:8F0A';

/** A row of the table for IPv4, which the kernel fills up to 149 characters. */
function row(local: string, remote: string, { state = '01', uid = 1000, inode = 3488468 } = {}, number = 12): string {
  return tail(`${String(number).padStart(4)}: ${local} ${remote} ${state}`, uid, inode).padEnd(149);
}

function tail(head: string, uid: number, inode: number): string {
  return `${head} 00000000:00000000 00:00000000 00000000 ${String(uid).padStart(5)}        0 ${inode} 2 000000006f0823f3 20 0 0 10 -1`;
}

function row6(local: string, remote: string, { state = '01', uid = 1000, inode = 3488468 } = {}): string {
  return tail(`   3: ${local} ${remote} ${state}`, uid, inode);
}

interface Tables {
  readonly tcp?: readonly string[];
  readonly tcp6?: readonly string[];
}

/** Gives one state of the tables for each read of `tcp` (or of `tcp6` where only that is read); the last one again and again. */
function filesOf(
  states: readonly Tables[],
  { pieceBytes = 4096, overflow = 65534 }: { pieceBytes?: number; overflow?: number | Error } = {},
): TableFiles & { reads: string[] } {
  const reads: string[] = [];
  return {
    reads,
    async read(table, take) {
      const round = reads.filter((each) => each === table).length;
      reads.push(table);
      const lines = (states[round] ?? states.at(-1))?.[table] ?? [];
      const bytes = Buffer.from([table === 'tcp' ? HEADING : HEADING6, ...lines, ''].join('\n'), 'latin1');
      for (let at = 0; at < bytes.length; at += pieceBytes) take(bytes.subarray(at, at + pieceBytes));
    },
    overflowUid: () => (typeof overflow === 'number' ? Promise.resolve(overflow) : Promise.reject(overflow)),
  };
}

function lookUp(tables: Tables, ends = ENDS): Promise<unknown> {
  return new KernelPeerTable({ files: filesOf([tables]), isLittleEndian: true }).uidOf(ends);
}

const known = (uid: number): object => ({ kind: 'known', uid });
const left = { kind: 'unknown', why: 'whoever opened the connection has left it' };
const nowhere = { kind: 'unknown', why: 'the kernel shows no such connection' };

describe('uidOf() of a connection over IPv4', () => {
  it.each([
    ['established', '01'],
    ['half-closed by the caller', '04'],
    ['half-closed by the caller and acknowledged', '05'],
  ])('tells the uid when it is %s', async (_, state) => {
    expect(await lookUp({ tcp: [row(THERE, HERE, { state, uid: 12346 })] })).toEqual(known(12346));
  });

  it.each([
    ['TCP_SYN_SENT', '02'],
    ['TCP_SYN_RECV', '03'],
    ['TCP_TIME_WAIT', '06'],
    ['TCP_CLOSE', '07'],
    ['TCP_CLOSE_WAIT', '08'],
    ['TCP_LAST_ACK', '09'],
    ['TCP_LISTEN', '0A'],
    ['TCP_CLOSING', '0B'],
    ['TCP_NEW_SYN_RECV', '0C'],
  ])('takes nobody for the caller in %s', async (_, state) => {
    expect(await lookUp({ tcp: [row(THERE, HERE, { state })] })).toEqual(left);
  });

  it('takes an orphan for nobody, whichever uid it shows', async () => {
    for (const uid of [0, 1000])
      for (const state of ['01', '04', '05']) expect(await lookUp({ tcp: [row(THERE, HERE, { state, uid, inode: 0 })] })).toEqual(left);
  });

  it('reads the row of the caller, not our own', async () => {
    expect(await lookUp({ tcp: [row(HERE, THERE, { uid: 1000 })] })).toEqual(nowhere);
    expect(await lookUp({ tcp: [row(HERE, THERE, { uid: 1000 }), row(THERE, HERE, { uid: 1001 })] })).toEqual(known(1001));
  });

  it.each([
    ['a port that ends alike', '0100007F:18F0A'],
    ['a port that begins alike', '0100007F:8F0'],
    ['another port', '0100007F:8F0B'],
    ['another address', '0200007F:8F0A'],
    ['the address backwards', '7F000001:8F0A'],
  ])('does not take %s for the caller', async (_, local) => {
    expect(await lookUp({ tcp: [row(local, HERE)] })).toEqual(nowhere);
  });

  it('does not take a connection of the same port to another door for the caller', async () => {
    expect(await lookUp({ tcp: [row(THERE, '0100007F:20E2'), row(THERE, '0200007F:20E1'), row(THERE, '00000000:0000')] })).toEqual(nowhere);
  });

  it('finds its row among others, wherever the table is cut', async () => {
    const others = Array.from({ length: 30 }, (_, index) =>
      row(`0100007F:${(0x9000 + index).toString(16).toUpperCase()}`, HERE, { uid: 7 }, 9990 + index),
    );
    const tcp = [...others, row(THERE, HERE, { uid: 12346 }, 12345), ...others];
    for (const pieceBytes of [1, 7, 149, 150, 151, 4096, 65536]) {
      const table = new KernelPeerTable({ files: filesOf([{ tcp }], { pieceBytes }), isLittleEndian: true });
      expect(await table.uidOf(ENDS), `pieces of ${pieceBytes}`).toEqual(known(12346));
    }
  });

  it('finds the last row of a table that does not end with a line', async () => {
    const files = filesOf([{}]);
    const table = new KernelPeerTable({
      isLittleEndian: true,
      files: { ...files, read: async (_, take) => take(Buffer.from(`${HEADING}\n${row(THERE, HERE, { uid: 5 })}`)) },
    });
    expect(await table.uidOf(ENDS)).toEqual(known(5));
  });

  it('finds a socket of IPv6 that connected to the IPv4-mapped address, in the other table', async () => {
    expect(await lookUp({ tcp6: [row6(MAPPED_THERE, MAPPED_HERE, { uid: 12346 })] })).toEqual(known(12346));
    expect(await lookUp({ tcp6: [row6(MAPPED_THERE, MAPPED_HERE, { inode: 0 })] })).toEqual(left);
    expect(await lookUp({ tcp6: [row6(MAPPED_HERE, MAPPED_THERE)] })).toEqual(nowhere);
    // IPv6 loopback with the same ports is another connection.
    expect(await lookUp({ tcp6: [row6(THERE6, HERE6)] })).toEqual(nowhere);
  });
});

describe('uidOf() of a connection over IPv6', () => {
  it('reads the table for IPv6 alone', async () => {
    const files = filesOf([{ tcp: [row(THERE, HERE)], tcp6: [row6(HERE6, THERE6), row6(THERE6, HERE6, { uid: 12346 })] }]);
    expect(await new KernelPeerTable({ files, isLittleEndian: true }).uidOf(ENDS6)).toEqual(known(12346));
    expect(files.reads).toEqual(['tcp6']);
  });

  it.each([
    ['::1', '00000000000000000000000001000000'],
    ['fd00::12:3', '000000FD000000000000000003001200'],
    ['2001:db8:1:2:3:4:5:6', 'B80D0120020001000400030006000500'],
    ['::192.0.2.1', '000000000000000000000000010200C0'],
  ])('reads %s as %s', async (address, written) => {
    const ends = { ...ENDS6, remoteAddress: address };
    expect(await lookUp({ tcp6: [row6(`${written}:8F0A`, HERE6, { uid: 5 })] }, ends)).toEqual(known(5));
  });
});

describe('uidOf()', () => {
  it('reads addresses in the byte order of the machine', async () => {
    const files = filesOf([
      {
        tcp: [row('7F000001:8F0A', '7F000001:20E1', { uid: 5 })],
        tcp6: [row6(`${'0'.repeat(31)}1:8F0A`, `${'0'.repeat(31)}1:20E1`, { uid: 6 })],
      },
    ]);
    const table = new KernelPeerTable({ files, isLittleEndian: false });
    expect(await table.uidOf(ENDS)).toEqual(known(5));
    expect(await table.uidOf(ENDS6)).toEqual(known(6));
  });

  it('never takes the overflow uid for a user, and asks for it once', async () => {
    let asked = 0;
    const files = filesOf([{ tcp: [row(THERE, HERE, { uid: 4711 })] }]);
    const table = new KernelPeerTable({
      isLittleEndian: true,
      files: { ...files, overflowUid: () => Promise.resolve(((asked += 1), 4711)) },
    });
    for (let time = 0; time < 2; time++)
      expect(await table.uidOf(ENDS)).toEqual({
        kind: 'unknown',
        why: 'the kernel shows uid 4711, which stands for every user that it cannot tell',
      });
    expect(asked).toBe(1);
  });

  it('takes 65534 for the overflow uid where the kernel does not say it', async () => {
    const files = filesOf([{ tcp: [row(THERE, HERE, { uid: 65534 })] }], { overflow: new Error('no such file') });
    expect(await new KernelPeerTable({ files, isLittleEndian: true }).uidOf(ENDS)).toMatchObject({ kind: 'unknown' });
  });

  it('reads once more before it says that there is no such row', async () => {
    const files = filesOf([{}, { tcp: [row(THERE, HERE, { uid: 12346 })] }]);
    expect(await new KernelPeerTable({ files, isLittleEndian: true }).uidOf(ENDS)).toEqual(known(12346));
    const never = filesOf([{}]);
    expect(await new KernelPeerTable({ files: never, isLittleEndian: true }).uidOf(ENDS)).toEqual(nowhere);
    expect(never.reads).toEqual(['tcp', 'tcp6', 'tcp', 'tcp6']);
  });

  it('reads no second time for a row that is there and says no', async () => {
    const files = filesOf([{ tcp: [row(THERE, HERE, { inode: 0 })] }, { tcp: [row(THERE, HERE)] }]);
    expect(await new KernelPeerTable({ files, isLittleEndian: true }).uidOf(ENDS)).toEqual(left);
    expect(files.reads).toEqual(['tcp']);
  });

  it('does without the table for IPv6 where the kernel has none, and not without the other', async () => {
    const without = (missing: string): TableFiles => ({
      ...filesOf([]),
      read: (table) => (table === missing ? Promise.reject(Object.assign(new Error('gone'), { code: 'ENOENT' })) : Promise.resolve()),
    });
    expect(await new KernelPeerTable({ files: without('tcp6') }).uidOf(ENDS)).toEqual(nowhere);
    await expect(new KernelPeerTable({ files: without('tcp') }).uidOf(ENDS)).rejects.toThrow('gone');
  });

  it('goes on after a read that failed', async () => {
    let fails = true;
    const files = filesOf([{ tcp: [row(THERE, HERE)] }]);
    const table = new KernelPeerTable({
      isLittleEndian: true,
      files: { ...files, read: (name, take) => (fails ? Promise.reject(new Error('no descriptors')) : files.read(name, take)) },
    });
    await expect(table.uidOf(ENDS)).rejects.toThrow('no descriptors');
    fails = false;
    expect(await table.uidOf(ENDS)).toEqual(known(1000));
  });
});

describe('sharing a read', () => {
  /** Files whose reads wait to be let go. */
  function held(): { files: TableFiles; begun: () => number; letGo: () => Promise<void> } {
    const lets: (() => void)[] = [];
    let begun = 0;
    const ends = Array.from({ length: 50 }, (_, index) =>
      row(`0100007F:${(0x9000 + index).toString(16).toUpperCase()}`, HERE, { uid: index }),
    );
    const inner = filesOf([{ tcp: [...ends, row(THERE, HERE)] }]);
    return {
      files: {
        ...inner,
        async read(table, take) {
          begun += 1;
          await new Promise<void>((resolve) => lets.push(resolve));
          await inner.read(table, take);
        },
      },
      begun: () => begun,
      async letGo() {
        await expect.poll(() => lets.length).toBeGreaterThan(0);
        lets.shift()?.();
      },
    };
  }

  it('gives each of many its own row out of one read, which began after all of them were accepted', async () => {
    const { files, begun, letGo } = held();
    const table = new KernelPeerTable({ files, isLittleEndian: true });
    const first = table.uidOf(ENDS);
    await expect.poll(begun).toBe(1);
    const others = Array.from({ length: 50 }, (_, index) => table.uidOf({ ...ENDS, remotePort: 0x9000 + index }));
    await letGo();
    expect(await first).toEqual(known(1000));
    // What was read for the first must not answer those who came while it was read.
    expect(await Promise.race([Promise.all(others), Promise.resolve('waiting')])).toBe('waiting');
    await letGo();
    expect(await Promise.all(others)).toEqual(others.map((_, index) => known(index)));
    expect(begun()).toBe(2);
  });

  it('says so when more wait than it will hold', async () => {
    const { files, letGo } = held();
    const table = new KernelPeerTable({ files, isLittleEndian: true });
    const first = table.uidOf(ENDS);
    const waiting = Array.from({ length: 4096 }, () => table.uidOf(ENDS));
    expect(await table.uidOf(ENDS)).toEqual({
      kind: 'unknown',
      why: 'too many connections were opened at once to look at all of them',
      isOverload: true,
    });
    await letGo();
    await letGo();
    expect(await first).toEqual(known(1000));
    expect(new Set((await Promise.all(waiting)).map((uid) => JSON.stringify(uid)))).toEqual(new Set([JSON.stringify(known(1000))]));
  });
});
