/**
 * What a stop does to real git: whatever has begun goes on to its end, for as long as `drain.max`, whoever comes is told, and what is
 * cut is named.
 */
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { GateRelay } from '../support/gate-relay.js';
import { ask, oneConnection } from '../support/plain-request.js';
import { type Ran, type RunningDaemon, Scene } from '../support/scene.js';

const WEB = 'contoso/Payments/web';
const OTHER = 'contoso/Payments/other';
/** What git clones, as a door names it. */
const SHOWN = 'dev.azure.com/contoso/Payments/web';
const INFO_REFS = 'dev.azure.com/contoso/Payments/_git/web/info/refs?service=git-upload-pack';
const CLONES = 20;
/** Each exchange is answered this late, so that all clones run at once and are in the middle when the stop comes. */
const LATE_MS = 1_500;
/** A bound for what ends as soon as it is true. */
const SETTLE_MS = 30_000;
const LOOK_MS = 30;
const STOPPING = 'postern: Postern is stopping';

let scene: Scene;
let count = 0;

beforeAll(async () => {
  scene = await Scene.open();
  for (const name of [WEB, OTHER]) await scene.emulator.createRepository(name, { commits: 3 });
});
afterEach(() => {
  scene.emulator.git.faults.clear();
  scene.emulator.git.cutConnections();
});
afterAll(() => scene.close());

test('SIGTERM during 20 clones: all finish, newcomers are told, an idle connection stays usable, and the exit code is 0', async () => {
  const daemon = await scene.daemon();
  const idle = oneConnection();
  expect((await ask(daemon.url(INFO_REFS), { agent: idle })).status).toBe(200);
  scene.emulator.git.faults.set(WEB, { kind: 'soft-throttle', step: 'exchange', delayMs: LATE_MS });
  const clones = Array.from({ length: CLONES }, () => clone(daemon.base));
  await until('all have begun', async () => (await busy(daemon)) > CLONES);

  const ended = daemon.stop();
  await daemon.logged(({ event }) => event === 'stopping');
  const late = await clone(daemon.base, OTHER);
  expect(late.code).not.toBe(0);
  expect(late.stderr).toMatch(/^remote: postern: Postern is stopping *$/m);
  expect(late.stderr).toContain('what to do: try again when it has started again');
  const told = await ask(daemon.url(INFO_REFS), { agent: idle });
  expect([told.status, told.headers['content-type'], told.headers['retry-after']]).toEqual([503, 'text/plain; charset=utf-8', '5']);
  expect(told.body.toString()).toContain(STOPPING);
  // Of the operation that this connection began before: v2's list of refs.
  const lsRefs = '0014command=ls-refs\n0001000csymrefs\n0000';
  const headers = { 'content-type': 'application/x-git-upload-pack-request', 'git-protocol': 'version=2' };
  const exchange = daemon.url('dev.azure.com/contoso/Payments/_git/web/git-upload-pack');
  const served = await ask(exchange, { method: 'POST', headers, body: lsRefs, agent: idle });
  expect([served.status, served.headers['content-type']]).toEqual([200, 'application/x-git-upload-pack-result']);
  expect(served.body.toString()).toContain('refs/heads/main');
  idle.destroy();

  for (const ran of await Promise.all(clones)) expect(ran.stderr).toBe('');
  expect(await ended).toBe(0);
  expect(daemon.log.filter(({ event }) => event === 'transfer-cut')).toEqual([]);
  expect(daemon.log.find(({ event }) => event === 'stopped')).toMatchObject({ code: 0 });
});

test.each([
  ['a signal', 143],
  ['`postern stop`', 0],
] as const)('what drain.max cuts is named; by %s the exit code is %d', async (how, code) => {
  const daemon = await scene.daemon(`${scene.plainConfiguration}drain: { max: 1s }\n`);
  scene.emulator.git.faults.set(WEB, { kind: 'stall', step: 'exchange', skip: 1 });
  const cloning = clone(daemon.base);
  await until('it is under way', async () => (await daemon.status()).running.some(({ bytesDown }) => bytesDown > 0));
  const [running] = (await daemon.status()).running;
  const stopped = how === 'a signal' ? undefined : daemon.postern(['stop']);
  const ended = how === 'a signal' ? daemon.stop() : daemon.ended();
  expect(await ended).toBe(code);
  expect((await cloning).code).not.toBe(0);
  const cut = daemon.log.filter(({ event }) => event === 'transfer-cut');
  expect(cut).toEqual([expect.objectContaining({ level: 'warn', id: running?.id, operation: 'fetch', repository: SHOWN })]);
  expect((await stopped)?.code ?? 0).toBe(0);
});

test('a clone that stands between info/refs and its next request when the stop comes succeeds', async () => {
  const daemon = await scene.daemon();
  const relay = await GateRelay.open(Number(new URL(daemon.base).port), 'POST /');
  const cloning = clone(relay.base);
  await relay.holds();
  expect((await daemon.status()).betweenRequests).toMatchObject([{ kind: 'fetch', repository: SHOWN }]);
  const ended = daemon.stop();
  await until('newcomers are refused', async () => (await statusOf(daemon)) === 503);
  relay.release();
  expect((await cloning).stderr).toBe('');
  expect(await ended).toBe(0);
  await relay.close();
});

test('an operation that is cut between two requests is named too', async () => {
  const daemon = await scene.daemon(`${scene.plainConfiguration}drain: { max: 1s }\n`);
  const relay = await GateRelay.open(Number(new URL(daemon.base).port), 'POST /');
  const cloning = clone(relay.base);
  await relay.holds();
  expect(await daemon.stop()).toBe(143);
  const cut = daemon.log.filter(({ event }) => event === 'transfer-cut');
  expect(cut).toEqual([expect.objectContaining({ operation: 'fetch', repository: SHOWN, betweenRequests: true })]);
  await relay.close();
  expect((await cloning).code).not.toBe(0);
});

test('a second signal cuts at once, also while drain.min runs', async () => {
  const daemon = await scene.daemon(`${scene.plainConfiguration}drain: { min: 5m, max: 10m }\n`);
  scene.emulator.git.faults.set(WEB, { kind: 'stall-before-answer', step: 'exchange' });
  const cloning = clone(daemon.base);
  await until('it waits', async () => (await daemon.status()).running.some(({ step }) => step === 'exchange'));
  void daemon.stop();
  await daemon.logged(({ event }) => event === 'stopping');
  expect(await daemon.stop()).toBe(143);
  expect(daemon.log.filter(({ event }) => event === 'transfer-cut')).toMatchObject([{ operation: 'fetch', repository: SHOWN }]);
  expect((await cloning).code).not.toBe(0);
});

test('until drain.min has passed new operations are taken', async () => {
  const daemon = await scene.daemon(`${scene.plainConfiguration}drain: { min: 3s, max: 30s }\n`);
  const ended = daemon.stop();
  await daemon.logged(({ event }) => event === 'stopping');
  expect(await statusOf(daemon)).toBe(200);
  expect(await ended).toBe(0);
});

test('a push that packs for a while after info/refs survives the stop', async () => {
  const daemon = await scene.daemon();
  const work = fresh();
  expect((await scene.git(['clone', '-q', url(daemon.base, OTHER), work])).code).toBe(0);
  await writeFile(join(work, 'new.txt'), 'new\n');
  expect((await scene.git(['add', '.'], { cwd: work })).code).toBe(0);
  expect((await scene.git(['commit', '-q', '-m', 'new'], { cwd: work })).code).toBe(0);
  // git runs this hook between the refs of the far side and the pack: as long as it waits, git is silent.
  const hooks = join(work, '.git', 'hooks');
  await mkdir(hooks, { recursive: true });
  await writeFile(join(hooks, 'pre-push'), '#!/bin/sh\n: > asked\nwhile [ ! -e go ]; do sleep 0.05; done\n', { mode: 0o755 });
  const pushing = scene.git(['push', '-q', 'origin', 'HEAD:refs/heads/packed'], { cwd: work });
  await until('git has the refs', () => exists(join(work, 'asked')));
  expect((await daemon.status()).betweenRequests).toMatchObject([{ kind: 'push', step: 'advertisement' }]);
  const ended = daemon.stop();
  await until('newcomers are refused', async () => (await statusOf(daemon)) === 503);
  await writeFile(join(work, 'go'), '');
  expect((await pushing).stderr).toBe('');
  expect(await ended).toBe(0);
});

test('a clone over SSH finishes, and who comes meanwhile is told', async () => {
  const daemon = await scene.daemon(scene.plainConfiguration.replace('127.0.0.1:0 }', '127.0.0.1:0, ssh: 127.0.0.1:0 }'));
  const env = await scene.sshEnvironment();
  const sshUrl = (name: string): string => daemon.sshUrl(`ssh.dev.azure.com/v3/contoso/Payments/${name}`);
  scene.emulator.git.faults.set(WEB, { kind: 'soft-throttle', step: 'exchange', delayMs: LATE_MS });
  const cloning = scene.git(['clone', '-q', sshUrl('web'), fresh()], { env });
  await until('it runs', async () => (await daemon.status()).running.some(({ door }) => door === 'ssh'));
  const ended = daemon.stop();
  await daemon.logged(({ event }) => event === 'stopping');
  const late = await scene.git(['clone', '-q', sshUrl('other'), fresh()], { env });
  expect(late.code).not.toBe(0);
  expect(late.stderr).toContain(`fatal: remote error: ${STOPPING}`);
  expect(await cloning).toMatchObject({ code: 0, stderr: '' });
  expect(await ended).toBe(0);
});

test('docs/OPERATING.md names every exit code that was seen here', async () => {
  const text = await readFile('docs/OPERATING.md', 'utf8');
  for (const code of [0, 1, 2, 130, 143]) expect(text).toMatch(new RegExp(`^\\| ${code} \\|`, 'm'));
});

function clone(base: string, name = WEB): Promise<Ran> {
  return scene.git(['clone', '-q', url(base, name), fresh()]);
}

function url(base: string, name: string): string {
  const [organisation = '', project = '', repository = ''] = name.split('/');
  return `${base}/dev.azure.com/${organisation}/${project}/_git/${repository}`;
}

function fresh(): string {
  count += 1;
  return join(scene.directory, `clone-${count}`);
}

/** Status of the answer to a client that asks for refs and goes. */
async function statusOf(daemon: RunningDaemon): Promise<number> {
  const agent = oneConnection();
  const { status } = await ask(daemon.url(INFO_REFS), { agent });
  agent.destroy();
  return status;
}

/** How many operations have begun and not ended. */
async function busy(daemon: RunningDaemon): Promise<number> {
  const { running, betweenRequests } = await daemon.status();
  return running.length + betweenRequests.length;
}

function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + SETTLE_MS;
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`not within ${SETTLE_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
