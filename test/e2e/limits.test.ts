/**
 * More than is served at once, with real git and the built program: who comes beyond the limits hears why and when to try again, what
 * has begun is not touched, one caller that floods does not shut out the others, and all of it mends itself.
 */
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { ask, oneConnection } from '../support/plain-request.js';
import { type Ran, type RunningDaemon, Scene } from '../support/scene.js';

const WEB = 'contoso/Payments/web';
const SLOW = 'contoso/Payments/slow';
const INFO_REFS = 'dev.azure.com/contoso/Payments/_git/web/info/refs?service=git-upload-pack';
const SETTLE_MS = 30_000;
const LOOK_MS = 30;
/** Files of a daemon that has few: it needs some thirty itself. */
const FEW_FILES = 72;

let scene: Scene;
let count = 0;
const sockets = new Set<Socket>();

beforeAll(async () => {
  scene = await Scene.open();
  for (const name of [WEB, SLOW]) await scene.emulator.createRepository(name, { commits: 3 });
});
afterEach(async () => {
  scene.emulator.git.faults.clear();
  scene.emulator.git.cutConnections();
  await hangUp();
});
afterAll(() => scene.close());

test('beyond limits.operations a clone is refused with a text, what has begun finishes, and then there is room again', async () => {
  const daemon = await scene.daemon(`${withSsh()}limits: { operations: 3 }\n`);
  const env = await scene.sshEnvironment();
  const overSsh = (): Promise<Ran> =>
    scene.git(['clone', '-q', daemon.sshUrl('ssh.dev.azure.com/v3/contoso/Payments/web'), fresh()], { env });
  // Each has more requests to come when the places are all taken.
  scene.emulator.git.faults.set(SLOW, { kind: 'soft-throttle', step: 'exchange', delayMs: 2_500 });
  const clones = [1, 2, 3].map(() => clone(daemon, SLOW));
  await until('all have begun', async () => (await daemon.status()).traffic.operations === 3);

  const late = await clone(daemon, WEB);
  expect(late.code).not.toBe(0);
  expect(late.stderr).toMatch(/^remote: postern: Postern serves no more than 3 operations at once, and all are taken *$/m);
  expect(late.stderr).toMatch(/^remote: {3}what to do: try again in 5 s; whoever looks after Postern can raise `limits\.operations` *$/m);
  const plain = await ask(daemon.url(INFO_REFS));
  expect([plain.status, plain.headers['content-type'], plain.headers['retry-after']]).toEqual([503, 'text/plain; charset=utf-8', '5']);
  const lateOverSsh = await overSsh();
  expect(lateOverSsh.code).not.toBe(0);
  expect(lateOverSsh.stderr).toContain('postern: Postern serves no more than 3 operations at once, and all are taken');

  for (const ran of await Promise.all(clones)) expect(ran).toMatchObject({ code: 0, stderr: '' });
  expect(await clone(daemon, WEB)).toMatchObject({ code: 0, stderr: '' });
  expect(await overSsh()).toMatchObject({ code: 0, stderr: '' });
  const { traffic, failures } = await daemon.status();
  expect(traffic.refused.operations).toBe(3);
  expect(failures.map(({ failure }) => failure?.code)).toEqual(['overloaded', 'overloaded', 'overloaded']);
  // Once in plain sight, not once for each.
  expect(daemon.log.filter(({ event }) => event === 'overloaded')).toMatchObject([{ level: 'warn', of: 'operations', refused: 1 }]);
});

test('a caller that floods leaves room for another one that asks', async () => {
  const daemon = await scene.daemon(`${scene.plainConfiguration}limits: { operations: 8 }\n`);
  const made = await daemon.postern([
    'lease',
    'create',
    '--repo',
    'contoso/Payments/web',
    '--allow',
    'fetch',
    '--for',
    '1h',
    '--format',
    'json',
  ]);
  const lease = /ptl1_[A-Za-z0-9_-]+/.exec(made.stdout)?.[0] ?? '';
  const other = { 'x-postern-lease': lease };
  const refs = daemon.url(INFO_REFS);
  const mine = Array.from({ length: 8 }, () => oneConnection());
  // Each stays begun for as long as its connection is open. Alone a caller may have all.
  for (const agent of mine) expect((await ask(refs, { agent })).status).toBe(200);
  // There is nothing left for another one; but from now on it is known that there is one.
  expect((await ask(refs, { headers: other })).status).toBe(503);
  mine[0]?.destroy();
  await until('a place is free', async () => (await daemon.status()).traffic.operations === 7);
  const flood = await ask(refs);
  expect(flood.status).toBe(503);
  expect(flood.body.toString()).toContain('This caller has its share of the 8 operations that Postern serves at once, and others ask too');
  const theirs = oneConnection();
  expect((await ask(refs, { headers: other, agent: theirs })).status).toBe(200);
  for (const agent of [...mine, theirs]) agent.destroy();
});

test('beyond limits.connections git hears why, a request of what has begun is served all the same, and there is room again', async () => {
  const daemon = await scene.daemon(`${scene.plainConfiguration}limits: { connections: 6 }\n`);
  const begun = oneConnection();
  expect((await ask(daemon.url(INFO_REFS), { agent: begun })).status).toBe(200);
  await occupy(daemon, 5);
  const late = await clone(daemon, WEB);
  expect(late.code).not.toBe(0);
  expect(late.stderr).toMatch(/^remote: postern: Postern serves no more than 6 connections at once, and all are taken *$/m);
  // By another connection than it began with, as git does when its own was closed.
  const exchange = daemon.url('dev.azure.com/contoso/Payments/_git/web/git-upload-pack');
  const headers = { 'content-type': 'application/x-git-upload-pack-request', 'git-protocol': 'version=2' };
  const served = await ask(exchange, { method: 'POST', headers, body: '0014command=ls-refs\n0001000csymrefs\n0000' });
  expect([served.status, served.headers.connection]).toEqual([200, 'close']);
  begun.destroy();
  await hangUp();
  await until('they are gone', async () => (await daemon.status()).traffic.connections.http === 0);
  expect(await clone(daemon, WEB)).toMatchObject({ code: 0, stderr: '' });
  expect((await daemon.status()).traffic.refused.connections).toBeGreaterThan(0);
});

test('when files run out git hears why, the processor is left alone, and it recovers by itself', async () => {
  const daemon = await scene.daemon(withSsh(), { through: ['prlimit', `--nofile=${FEW_FILES}:${FEW_FILES}`] });
  await daemon.logged(
    ({ event, what }) => event === 'config-warning' && String(what).startsWith('limits.connections is 2048, for which up to 4136 files'),
  );
  expect(await clone(daemon, WEB)).toMatchObject({ code: 0, stderr: '' });
  // Twice as many as there are files for: those that are in stay, those that are refused are closed.
  await occupy(daemon, FEW_FILES * 2);
  const before = await processorMs(daemon);
  const startedAt = performance.now();
  const late = await clone(daemon, WEB);
  expect(late.code).not.toBe(0);
  expect(late.stderr).toMatch(/^remote: postern: Postern has no more files to open, and every connection takes one *$/m);
  expect(late.stderr).toContain('LimitNOFILE');
  const env = await scene.sshEnvironment();
  const overSsh = await scene.git(['clone', '-q', daemon.sshUrl('ssh.dev.azure.com/v3/contoso/Payments/web'), fresh()], { env });
  expect(overSsh.stderr).toContain('postern: Postern has no more files to open');
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  // A loop that accepts in vain would take all of the time.
  expect((await processorMs(daemon)) - before).toBeLessThan((performance.now() - startedAt) / 2 + 500);
  await hangUp();
  await until('they are gone', async () => (await daemon.status()).traffic.connections.http === 0);
  expect(await clone(daemon, WEB)).toMatchObject({ code: 0, stderr: '' });
  expect(daemon.log.filter(({ event }) => event === 'unexpected')).toEqual([]);
  expect(daemon.log.filter(({ event, of }) => event === 'overloaded' && of === 'files')).toHaveLength(1);
  expect(await daemon.stop()).toBe(0);
}, 120_000);

function withSsh(): string {
  return scene.plainConfiguration.replace('127.0.0.1:0 }', '127.0.0.1:0, ssh: 127.0.0.1:0 }');
}

/** Opens connections that have asked once and stay; those that are refused do not. */
async function occupy(daemon: RunningDaemon, many: number): Promise<void> {
  const port = Number(new URL(daemon.base).port);
  for (let each = 0; each < many; each += 1) {
    await new Promise<void>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('data', () => resolve());
      socket.once('close', () => {
        sockets.delete(socket);
        resolve();
      });
      socket.write(`GET /git.example.com/no/route/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
    });
  }
}

async function hangUp(): Promise<void> {
  const closed = [...sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve)));
  for (const socket of sockets) socket.destroy();
  await Promise.all(closed);
}

/** Processor time of a daemon, ms: user and system (proc(5), in ticks of 10 ms). */
async function processorMs({ pid }: RunningDaemon): Promise<number> {
  const [user = '0', system = '0'] = (await readFile(`/proc/${pid}/stat`, 'latin1'))
    .replace(/^.*\) /, '')
    .split(' ')
    .slice(11, 13);
  return (Number(user) + Number(system)) * 10;
}

function clone(daemon: RunningDaemon, name: string): Promise<Ran> {
  const [organisation = '', project = '', repository = ''] = name.split('/');
  return scene.git(['clone', '-q', daemon.url(`dev.azure.com/${organisation}/${project}/_git/${repository}`), fresh()]);
}

function fresh(): string {
  count += 1;
  return join(scene.directory, `clone-${count}`);
}

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + SETTLE_MS;
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`not within ${SETTLE_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
