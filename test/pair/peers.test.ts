/**
 * Who is at the other end, on real sockets and with the kernel's own tables.
 *
 * The attack of the last part: someone sends a whole request and resets the connection. The bytes are still read, while the
 * port is free again; the next to connect from it may be the user whom the door serves, whose row would then vouch for what
 * somebody else sent.
 */
import { EventEmitter } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { KernelPeerTable } from '../../src/gate/peer-table.js';
import { procFiles } from '../../src/gate/proc-files.js';
import { Peers } from '../../src/gate/peers.js';
import type { PeerUid } from '../../src/model/caller.js';
import type { PeerTable } from '../../src/model/ports.js';
import { FakeLogger } from '../fakes/logger.js';

const OWN = { kind: 'known', uid: process.getuid?.() };

const sockets: Socket[] = [];
const servers: Server[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
});

interface Rig {
  readonly port: number;
  /** Sockets as they were accepted. */
  readonly accepted: readonly Socket[];
  readonly peers: Peers;
}

async function listen(table: PeerTable, host = '127.0.0.1'): Promise<Rig> {
  const peers = new Peers({ table, logger: new FakeLogger() });
  const accepted: Socket[] = [];
  // As an HTTP server has it: the caller's end does not end ours.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    peers.accepted(socket);
    accepted.push(socket);
    sockets.push(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen({ port: 0, host, backlog: 1024 }, resolve));
  return { port: (server.address() as AddressInfo).port, accepted, peers };
}

/** From an address of loopback that nobody else uses: a port that is to be had again must not be somebody's meanwhile. */
const APART = '127.0.0.77';

function dial(port: number, host: string, from: { readonly localAddress?: string; readonly localPort?: number } = {}): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host, ...from });
    sockets.push(socket);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      socket.on('error', () => undefined);
      resolve(socket);
    });
  });
}

/** Waits for the accepted end that has this one as its other end. */
async function otherEnd(rig: Rig, socket: Socket): Promise<Socket> {
  const find = (): Socket | undefined => rig.accepted.find((each) => each.remotePort === socket.localPort);
  await expect.poll(find).toBeDefined();
  return find() as Socket; // because the poll has seen it
}

describe.runIf(process.platform === 'linux')("the kernel's table", () => {
  test.each([
    ['127.0.0.1', '127.0.0.1'],
    ['::1', '::1'],
    ['::ffff:127.0.0.1', '127.0.0.1'],
    ['127.0.0.77', '127.0.0.77'],
  ])('tells our own uid of a connection to %s', async (to, host) => {
    const rig = await listen(new KernelPeerTable(), host);
    const socket = await dial(rig.port, to);
    const there = await otherEnd(rig, socket);
    const peer = await rig.peers.of(there);
    expect(peer).toMatchObject({ uid: OWN, ip: host.startsWith('127') ? '127.0.0.1' : '::1' });
    // Asked again, it is the same answer, not another look.
    expect(await rig.peers.of(there)).toBe(peer);
  });

  test('a connection that the caller has closed for sending is still theirs', async () => {
    const rig = await listen(new KernelPeerTable());
    const socket = await dial(rig.port, '127.0.0.1');
    socket.end();
    expect(await rig.peers.of(await otherEnd(rig, socket))).toMatchObject({ uid: OWN });
  });

  test('200 connections at once take a handful of reads', async () => {
    let reads = 0;
    const table = new KernelPeerTable({ files: { ...procFiles, read: (name, take) => ((reads += 1), procFiles.read(name, take)) } });
    const server = createServer({ pauseOnConnect: true });
    servers.push(server);
    const accepted: Socket[] = [];
    server.on('connection', (socket) => {
      accepted.push(socket);
      sockets.push(socket);
    });
    await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1', backlog: 1024 }, resolve));
    const { port } = server.address() as AddressInfo;
    await Promise.all(Array.from({ length: 200 }, () => dial(port, '127.0.0.1')));
    await expect.poll(() => accepted.length).toBe(200);
    const peers = new Peers({ table, logger: new FakeLogger() });
    for (const socket of accepted) peers.accepted(socket);
    const found = await Promise.all(accepted.map((socket) => peers.of(socket)));
    expect(found.map((peer) => peer?.uid)).toEqual(found.map(() => OWN));
    // One began with the first of them, one serves the others; rows that slip through between two pages cost one more.
    expect(reads).toBeGreaterThanOrEqual(2);
    expect(reads).toBeLessThanOrEqual(4);
  });

  test("a connection whose caller has exited is nobody's", async () => {
    const rig = await listen(new KernelPeerTable());
    const socket = await dial(rig.port, '127.0.0.1');
    const there = await otherEnd(rig, socket);
    await rig.peers.of(there);
    socket.destroy();
    there.resume();
    await expect.poll(() => there.readableEnded).toBe(true);
    const again = new Peers({ table: new KernelPeerTable(), logger: new FakeLogger() });
    again.accepted(there);
    expect((await again.of(there))?.uid).toEqual({ kind: 'unknown', why: 'whoever opened the connection has left it' });
  });
});

describe('Peers', () => {
  /** A table that answers when it is told to. */
  class HeldTable implements PeerTable {
    readonly asked: ((uid: PeerUid) => void)[] = [];
    uidOf(): Promise<PeerUid> {
      return new Promise((resolve) => this.asked.push(resolve));
    }
  }

  test('begin the look-up when the connection is accepted, and make one', async () => {
    const table = new HeldTable();
    const rig = await listen(table);
    const there = await otherEnd(rig, await dial(rig.port, '127.0.0.1'));
    expect(table.asked).toHaveLength(1);
    const [first, second] = [rig.peers.of(there), rig.peers.of(there)];
    table.asked[0]?.({ kind: 'known', uid: 5 });
    expect([(await first)?.uid, (await second)?.uid]).toEqual([known(5), known(5)]);
    expect(table.asked).toHaveLength(1);
  });

  test('keep nothing of connections that are closed', async () => {
    const rig = await listen(new KernelPeerTable());
    const callers = await Promise.all(Array.from({ length: 20 }, () => dial(rig.port, '127.0.0.1')));
    await expect.poll(() => rig.peers.size).toBe(20);
    for (const socket of callers) socket.destroy();
    for (const there of rig.accepted) there.resume().end();
    await expect.poll(() => rig.peers.size).toBe(0);
    for (const there of rig.accepted) if (there.remoteAddress === undefined) expect(await rig.peers.of(there)).toBeUndefined();
  });

  test('a connection from elsewhere is not looked up', async () => {
    const table = new HeldTable();
    const peers = new Peers({ table, logger: new FakeLogger() });
    const from = (remoteAddress: string, localAddress: string): Socket => {
      const events = new EventEmitter();
      return Object.assign(events, { remoteAddress, localAddress, remotePort: 1, localPort: 2 }) as unknown as Socket; // because loopback is all that a test has
    };
    const far = from('10.88.0.7', '127.0.0.1');
    peers.accepted(far);
    expect(await peers.of(far)).toEqual({ address: '10.88.0.7:1', ip: '10.88.0.7', uid: { kind: 'remote' } });
    const zoned = from('fe80::1%eth0', 'fe80::2%eth0');
    peers.accepted(zoned);
    expect((await peers.of(zoned))?.ip).toBe('fe80::1');
    expect(table.asked).toHaveLength(0);
  });

  test('a table that cannot be read lets nobody in, and is told once', async () => {
    const logger = new FakeLogger();
    const peers = new Peers({ table: { uidOf: () => Promise.reject(new Error('EMFILE')) }, logger });
    const rig = await listen(new HeldTable());
    for (let time = 0; time < 2; time++) {
      const there = await otherEnd(rig, await dial(rig.port, '127.0.0.1'));
      peers.accepted(there);
      expect((await peers.of(there))?.uid).toEqual({ kind: 'unknown', why: "the kernel's table of connections cannot be read" });
    }
    expect(logger.lines).toMatchObject([{ level: 'warn', event: 'caller-unknown', fields: { what: 'EMFILE' } }]);
  });

  test("a caller that has reset the connection is nobody, although the port is another user's by the time it is looked up", async () => {
    const table = new HeldTable();
    const rig = await listen(table);
    const attacker = await dial(rig.port, '127.0.0.1');
    const there = await otherEnd(rig, attacker);
    await held(attacker, there);
    attacker.resetAndDestroy();
    await closed(attacker);
    // Nothing reads the accepted end, so nothing here notices.
    expect(there.destroyed).toBe(false);
    const found = rig.peers.of(there);
    table.asked[0]?.({ kind: 'known', uid: 5 });
    expect(await found).toBeUndefined();
  });

  test('the next connection from the same port does not vouch for one that was reset', async () => {
    const table = new HeldTable();
    const rig = await listen(table);
    const attacker = await dial(rig.port, '127.0.0.1', { localAddress: APART });
    const there = await otherEnd(rig, attacker);
    const { localPort = 0 } = attacker;
    await held(attacker, there);
    attacker.resetAndDestroy();
    await closed(attacker);
    expect(there.destroyed).toBe(false);
    const user = await dial(rig.port, '127.0.0.1', { localAddress: APART, localPort });
    await expect.poll(() => rig.accepted.length).toBe(2);
    const next = rig.accepted[1] as Socket; // because the poll has seen it
    expect(user.localPort).toBe(localPort);
    // The older one is over, whatever of it is still to be read.
    expect(there.destroyed).toBe(true);
    table.asked[0]?.({ kind: 'known', uid: 5 });
    table.asked[1]?.({ kind: 'known', uid: 5 });
    expect(await rig.peers.of(there)).toBeUndefined();
    expect((await rig.peers.of(next))?.uid).toEqual(known(5));
    // That the older one closes takes nothing from the next.
    await closed(there);
    expect(rig.peers.size).toBe(1);
    expect((await rig.peers.of(next))?.uid).toEqual(known(5));
  });
});

function known(uid: number): PeerUid {
  return { kind: 'known', uid };
}

/** Sends more than the accepted end takes without being read, as a large body is that has to wait. */
async function held(from: Socket, at: Socket): Promise<void> {
  from.write(Buffer.alloc(1024 * 1024));
  await expect.poll(() => at.readableLength >= at.readableHighWaterMark).toBe(true);
}

async function closed(socket: Socket): Promise<void> {
  await expect.poll(() => socket.closed).toBe(true);
}
