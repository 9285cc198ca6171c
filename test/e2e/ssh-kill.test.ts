/**
 * Whoever goes away in the middle of a command over SSH takes it with them: a client that is killed frees the upstream at once, an
 * upstream that dies ends the client with a failure, and nothing is left of either. And many at once come through whole.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import ssh2 from 'ssh2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DaemonStatus } from '../../src/daemon/status.js';
import type { Ran } from '../support/scene.js';
import { openSshStage, type Road, type SshStage } from '../support/ssh-stage.js';

const LARGE_BYTES = 64 * 1024 * 1024;
/** A second is promised; the machine may be ten times slower. */
const GONE_MS = 10_000;
const LOOK_MS = 20;
const AT_ONCE = 50;
/** How far into a pack a transfer is when somebody dies. */
const UNDER_WAY_BYTES = 1024 * 1024;

type RoadName = 'bridge' | 'agent' | 'azure';
const ROADS: readonly RoadName[] = ['bridge', 'agent', 'azure'];

let stage: SshStage;
let count = 0;
const bares = new Map<string, string>();
/** How long it took until nothing was left, worst of all. */
let slowest = 0;

beforeAll(async () => {
  stage = await openSshStage({ logLevel: 'info' });
  for (const name of ROADS) {
    const road = stage.roads[name];
    const create = async (repository: string, options: object): Promise<void> => {
      bares.set(road.repository(repository), await stage.scene.emulator.createRepository(road.repository(repository), options));
    };
    await create('large', { commits: 1, largeFileBytes: LARGE_BYTES });
    await create('small', { commits: 3 });
    await create('inbox', { commits: 1 });
  }
}, 120_000);

afterAll(() => stage.close());

function git(road: Road, args: readonly string[], cwd?: string): Promise<Ran> {
  return stage.scene.git(args, { env: road.environment, ...(cwd === undefined ? {} : { cwd }) });
}

/** A git in a process group of its own, whose ssh dies with it. */
function startGit(road: Road, args: readonly string[]): ChildProcess {
  return spawn('git', args, { env: { ...stage.scene.environment, ...road.environment }, detached: true, stdio: 'ignore' });
}

/** Where the repository is kept. */
function bareOf(road: Road, name: string): string {
  return bares.get(road.repository(name)) ?? '';
}

function fresh(): string {
  count += 1;
  return join(stage.scene.directory, `work-${count}`);
}

async function until<Value>(what: string, look: () => Promise<Value | undefined>, limitMs = GONE_MS): Promise<Value> {
  const startedAt = performance.now();
  for (;;) {
    const value = await look();
    if (value !== undefined) return value;
    if (performance.now() - startedAt > limitMs)
      throw new Error(`${what}: not within ${limitMs} ms\n${JSON.stringify(await stage.daemon.status(), null, 1)}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** Nothing runs, no connection upstream has a command, and no program runs at the other end. */
async function nothingLeft(since = performance.now()): Promise<void> {
  const isClean = ({ running, upstreams, sshUpstreams }: DaemonStatus): boolean =>
    running.length === 0 && [...upstreams, ...sshUpstreams].every(({ busy }) => busy === 0);
  await until('something is left', async () => (isClean(await stage.daemon.status()) ? true : undefined));
  slowest = Math.max(slowest, performance.now() - since);
  await until('programs of the upstream are left', async () => (programs() === 0 ? true : undefined));
}

/** Commands of git's that the upstreams run for somebody. */
function programs(): number {
  return stage.scene.emulator.git.children + stage.scene.emulator.ssh.children;
}

async function underWay(): Promise<void> {
  await until('the transfer', async () =>
    (await stage.daemon.status()).running.some(({ bytesUp, bytesDown }) => bytesUp + bytesDown > UNDER_WAY_BYTES) ? true : undefined,
  );
}

describe.each(ROADS)('a client that is killed, %s', (name) => {
  it('at every step before there is a command', async () => {
    for (const event of ['connect', 'handshake', 'ready'] as const) {
      const client = new ssh2.Client();
      const reached = once(client, event);
      client.on('error', () => undefined);
      client.connect({ host: '127.0.0.1', port: stage.daemon.sshPort, username: 'git' });
      await reached;
      client.destroy();
    }
    await nothingLeft();
  });

  it('at every step of a command', async () => {
    const road = stage.roads[name];
    const path = new URL(road.url('large').replace(/^\[(.*)\]:/, 'ssh://$1/')).pathname;
    for (const [service, bytes] of [
      ['git-upload-pack', 0],
      ['git-upload-pack', 1],
      ['git-receive-pack', 0],
      ['git-receive-pack', 1],
    ] as const) {
      const client = new ssh2.Client();
      client.on('error', () => undefined);
      client.connect({ host: '127.0.0.1', port: stage.daemon.sshPort, username: 'git' });
      await once(client, 'ready');
      const channel = await new Promise<ssh2.ClientChannel>((resolve, reject) => {
        client.exec(`${service} '${path}'`, (fault, opened) => {
          if (fault) reject(fault);
          else resolve(opened);
        });
      });
      if (bytes > 0) await once(channel, 'data');
      const since = performance.now();
      client.destroy();
      await nothingLeft(since);
    }
  });

  it('in the middle of a clone', async () => {
    const road = stage.roads[name];
    const directory = fresh();
    const child = startGit(road, ['clone', '-q', road.url('large'), directory]);
    await underWay();
    const since = performance.now();
    process.kill(-(child.pid ?? 0), 'SIGKILL');
    await nothingLeft(since);
  });

  it('in the middle of a push, of which nothing is there then', async () => {
    const road = stage.roads[name];
    const directory = fresh();
    const bare = bareOf(road, 'large');
    await stage.scene.git(['clone', '-q', bare, directory]);
    const child = startGit(road, ['-C', directory, '-c', 'pack.compression=9', 'push', '-q', road.url('inbox'), 'HEAD:refs/heads/cut']);
    await underWay();
    const since = performance.now();
    process.kill(-(child.pid ?? 0), 'SIGKILL');
    await nothingLeft(since);
    const inbox = bareOf(road, 'inbox');
    expect((await stage.scene.git(['--git-dir', inbox, 'rev-parse', '--verify', '-q', 'refs/heads/cut'])).code).toBe(1);
  });
});

describe('an upstream that dies', () => {
  /** A clone during which somebody does something to the upstream. Now and then git itself dies of a broken pipe, so its exit code is one of several. */
  async function clone(road: Road, repository: string, act?: () => Promise<unknown>): Promise<Ran & { directory: string }> {
    const directory = fresh();
    const cloning = git(road, ['clone', '-q', road.url(repository), directory]);
    if (act !== undefined) {
      await underWay();
      await act();
    }
    return { ...(await cloning), directory };
  }

  it.each([
    ['die-before-answer', 'advertisement', 0],
    ['die-midbody', 'advertisement', 0],
    ['die-midbody', 'advertisement', 30],
    ['die-before-answer', 'exchange', 0],
    ['die-midbody', 'exchange', 0],
    ['die-midbody', 'exchange', 5],
    ['die-midbody', 'exchange', 3_000_000],
  ] as const)('bridge: %s of the %s after %i bytes', async (kind, step, afterBytes) => {
    const road = stage.roads.bridge;
    stage.scene.emulator.git.faults.set(road.repository('large'), { kind, step, afterBytes });
    const { code, stderr, directory } = await clone(road, 'large');
    stage.scene.emulator.git.faults.clear();
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/postern: The upstream (closed the connection before it answered|broke off its answer|answered)/);
    expect(existsSync(directory)).toBe(false);
    await nothingLeft();
  });

  it.each([1, 100, 3_000_000])('azure: after %i bytes', async (afterBytes) => {
    const road = stage.roads.azure;
    stage.scene.emulator.ssh.fault = { kind: 'die', afterBytes };
    const { code, stderr, directory } = await clone(road, 'large');
    stage.scene.emulator.ssh.fault = undefined;
    expect(code).not.toBe(0);
    expect(stderr).toContain('postern: ');
    expect(existsSync(directory)).toBe(false);
    await nothingLeft();
  });

  it.each(['close-at-sign-in', 'no-channel'] as const)('azure: %s', async (kind) => {
    stage.scene.emulator.ssh.fault = { kind };
    const { code, stderr } = await clone(stage.roads.azure, 'small');
    stage.scene.emulator.ssh.fault = undefined;
    expect(code).not.toBe(0);
    expect(stderr).toContain('postern: ');
    await nothingLeft();
  });

  it('agent: sshd and all that it runs, in the middle of a clone', async () => {
    // What git says depends on which of its programs is killed last.
    const { code, directory } = await clone(stage.roads.agent, 'large', () => stage.sshd.cut());
    expect(code).not.toBe(0);
    expect(existsSync(directory)).toBe(false);
    await nothingLeft();
    // And it is found again by the next.
    expect((await clone(stage.roads.agent, 'small')).code).toBe(0);
  });
});

describe.each(ROADS)(`${AT_ONCE} clones at once, %s`, (name) => {
  it('are all whole', { timeout: 180_000 }, async () => {
    const road = stage.roads[name];
    const directories = Array.from({ length: AT_ONCE }, fresh);
    const cloned = await Promise.all(directories.map((directory) => git(road, ['clone', '-q', road.url('small'), directory])));
    expect(cloned.map(({ code, stderr }) => `${code} ${stderr}`)).toEqual(cloned.map(() => '0 '));
    const heads = await Promise.all(directories.map((cwd) => stage.scene.git(['rev-parse', 'HEAD'], { cwd })));
    expect(new Set(heads.map(({ stdout }) => stdout)).size).toBe(1);
    await nothingLeft();
  });
});

it('took no longer than it may until nothing was left', () => {
  expect(slowest).toBeGreaterThan(0);
  expect(slowest).toBeLessThan(GONE_MS);
});
