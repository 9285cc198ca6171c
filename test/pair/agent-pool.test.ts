/** Which commands share a connection, and what becomes of one that dies: real git and sshd, whose log counts the connections. */
import { writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type AgentStage, type Hand, openAgentStage, routeTo, until } from './agent-rig.js';

let stage: AgentStage;

beforeAll(async () => {
  stage = await openAgentStage();
  const { rig } = stage;
  await rig.git('init', '-q', '--bare', 'team/tools.git');
  await rig.git('clone', '-q', 'team/tools.git', 'seed');
  writeFileSync(join(rig.folder, 'seed', 'a.txt'), 'a\n');
  await rig.git('-C', 'seed', 'add', '.');
  await rig.git('-C', 'seed', 'commit', '-qm', 'first');
  await rig.git('-C', 'seed', 'push', '-q', 'origin', 'main');
});

afterAll(() => stage.close());
afterEach(() => {
  stage.ssh = routeTo(stage.sshd, stage.knownHosts);
});

const begin = (): Hand => stage.session('fetch', '/team/tools.git');

/** A session whose advertisement has come. */
async function running(): Promise<Hand> {
  const hand = begin();
  await until(() => hand.said().out.endsWith('0000'));
  return hand;
}

async function finish(hand: Hand): Promise<void> {
  hand.input.end('0000');
  expect(await hand.carried).toEqual({ kind: 'passed', exitCode: 0 });
}

/** A server of its own, so that its log begins empty, and no connection to it is there yet. */
async function fresh(options: Parameters<AgentStage['server']>[0] = {}): Promise<Awaited<ReturnType<AgentStage['server']>>> {
  const sshd = await stage.server(options);
  writeFileSync(stage.knownHosts, sshd.knownHosts, { flag: 'a' });
  stage.ssh = routeTo(sshd, stage.knownHosts);
  return sshd;
}

const stateOf = (port: number): unknown => stage.upstreams.states().find(({ host }) => host === `[127.0.0.1]:${String(port)}`);

describe('SshUpstreams', () => {
  it('runs commands side by side on one connection, and the next ones on the same, and tells of it', async () => {
    const sshd = await fresh();
    const [one, two] = [await running(), await running()];
    const state = { host: `[127.0.0.1]:${String(sshd.port)}`, user: sshd.user, key: stage.key.fingerprint };
    expect(stateOf(sshd.port)).toEqual({ ...state, busy: 1, idle: 0 });
    await Promise.all([finish(one), finish(two)]);
    await until(() => JSON.stringify(stateOf(sshd.port)) === JSON.stringify({ ...state, busy: 0, idle: 1 }));
    await finish(begin());
    expect(await sshd.connections()).toBe(1);
    expect((await sshd.keys()).filter(({ kind }) => kind === 'accepted')).toHaveLength(1);
  });

  it('carries 30 clones at once over three connections', async () => {
    const sshd = await fresh();
    const { rig } = stage;
    const clones = Array.from({ length: 30 }, (_, index) => `clone-${String(index)}`);
    await Promise.all(clones.map((name) => rig.git('clone', '-q', rig.url('/team/tools.git'), name)));
    const head = await rig.git('-C', 'team/tools.git', 'rev-parse', 'main');
    for (const name of clones) expect(await rig.git('-C', name, 'rev-parse', 'HEAD')).toBe(head);
    expect(await sshd.connections()).toBeLessThanOrEqual(3);
    await until(async () => (await sshd.children()).length <= 2 * 3);
  });

  it('opens another connection when the server opens no more sessions on one, and keeps to that', async () => {
    const sshd = await fresh({ maxSessions: 2 });
    const hands = await Promise.all(Array.from({ length: 5 }, running));
    expect(await sshd.connections()).toBe(3);
    await Promise.all(hands.map(finish));
    // For sshd a session is over when its process is.
    await until(async () => (await sshd.children()).length <= 2 * 3);
    const again = await Promise.all(Array.from({ length: 4 }, running));
    await Promise.all(again.map(finish));
    expect(await sshd.connections()).toBe(3);
  });

  it('tells of a server that opens no session at all', async () => {
    await fresh({ maxSessions: 0 });
    const carried = await begin().carried;
    expect(carried).toMatchObject({ kind: 'failed', verdict: 'failed', where: 'between', refusal: { code: 'upstream-error' } });
    expect(JSON.stringify(carried)).toContain('opens no session for a command');
  });

  it('replaces a connection that the server has closed, and dials once for it', async () => {
    const sshd = await fresh();
    await finish(begin());
    await sshd.cut();
    await finish(begin());
    expect(await sshd.connections()).toBe(2);
  });

  it('dials once more when the connection dies while a command begins', async () => {
    const sshd = await fresh();
    // A line to the server whose first connection dies when the next bytes come up.
    let isDeadly = false;
    let taken = 0;
    const sockets = new Set<Socket>();
    const relay = createServer((socket) => {
      taken += 1;
      const isFirst = taken === 1;
      const up = connect(sshd.port, '127.0.0.1');
      for (const each of [socket, up]) {
        sockets.add(each);
        each.on('error', () => undefined);
      }
      socket.on('data', (chunk) => {
        if (isFirst && isDeadly) socket.destroy();
        else up.write(chunk);
      });
      up.pipe(socket);
      socket.on('close', () => up.destroy());
    });
    await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
    const { port } = relay.address() as { port: number };
    writeFileSync(stage.knownHosts, sshd.knownHosts.replaceAll(`:${String(sshd.port)} `, `:${String(port)} `), { flag: 'a' });
    stage.ssh = routeTo({ port, user: sshd.user }, stage.knownHosts);
    await finish(begin());
    expect(taken).toBe(1);
    isDeadly = true;
    await finish(begin());
    expect(taken).toBe(2);
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => relay.close(resolve));
  });

  it('lets all who wait for a dial know when it fails, without another one', async () => {
    const sshd = await fresh();
    stage.ssh = { ...stage.ssh, knownHosts: [join(stage.rig.folder, 'nobody')] };
    const carried = await Promise.all(Array.from({ length: 8 }, async () => begin().carried));
    expect(carried.map((each) => each.kind === 'failed' && each.refusal.code)).toEqual(Array.from({ length: 8 }, () => 'host-key-refused'));
    expect(await sshd.connections()).toBe(1);
  });

  it('keeps what another route may not have apart: other known_hosts, other algorithms', async () => {
    const sshd = await fresh();
    await finish(begin());
    stage.ssh = { ...stage.ssh, isLegacyAllowed: true };
    await finish(begin());
    expect(await sshd.connections()).toBe(2);
    stage.ssh = { ...stage.ssh, isLegacyAllowed: false, knownHosts: [join(stage.rig.folder, 'nobody')] };
    expect(await begin().carried).toMatchObject({ kind: 'failed', refusal: { code: 'host-key-refused' } });
  });

  it('gives up a dial when nobody waits for it any more', async () => {
    const sockets = new Set<Socket>();
    const mute = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.resume();
      socket.once('close', () => sockets.delete(socket));
    });
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    const { port } = mute.address() as { port: number };
    stage.ssh = routeTo({ port, user: 'git' }, stage.knownHosts);
    const hands = [begin(), begin()];
    await until(() => sockets.size === 1);
    hands[0]!.over.abort();
    expect(await hands[0]!.carried).toEqual({ kind: 'over' });
    expect(sockets.size).toBe(1);
    hands[1]!.over.abort();
    expect(await hands[1]!.carried).toEqual({ kind: 'over' });
    await until(() => sockets.size === 0);
    await new Promise((resolve) => mute.close(resolve));
  });
});
