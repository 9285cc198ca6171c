/**
 * `postern kill`, with real git: the operation that was named ends, whoever waited for it is told as far as git can be told, the
 * upstream is let go of, and what runs beside it goes on.
 */
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { RunningOperation } from '../../src/daemon/status.js';
import { type Ran, type RunningDaemon, Scene } from '../support/scene.js';

const MIB = 1024 * 1024;
/** More than sockets and buffers between git and an upstream that does not read hold. */
const LARGE_BYTES = 40 * MIB;
/** A bound for polls that end as soon as they are true. */
const SETTLE_MS = 20_000;
const LOOK_MS = 50;
/** The pack comes with git's second POST: the first one lists refs, or asks whether a large body is welcome. */
const THE_PACK = { step: 'exchange', skip: 1 } as const;

const LARGE = 'contoso/Payments/large';
const EMPTY = 'contoso/Payments/empty';
const SMALL = 'contoso/Payments/small';
const OWN_UID = process.getuid?.() ?? -1;

let scene: Scene;
let daemon: RunningDaemon;
/** A clone of LARGE, to push from. */
let work: string;

beforeAll(async () => {
  scene = await Scene.open();
  for (const key of ['core.compression', 'pack.compression']) await told(['config', '--global', key, '0']);
  await scene.emulator.createRepository(SMALL);
  for (const name of [LARGE, EMPTY]) await scene.emulator.createRepository(name, { commits: 0 });
  work = join(scene.directory, 'work');
  await mkdir(work);
  await told(['init', '-q', '-b', 'main'], work);
  await writeFile(join(work, 'large.bin'), randomBytes(LARGE_BYTES));
  await told(['add', '.'], work);
  await told(['commit', '-q', '-m', 'large'], work);
  daemon = await scene.daemon();
  await told(['push', '-q', at(LARGE), 'main'], work);
}, 120_000);

afterEach(async () => {
  scene.emulator.git.faults.clear();
  scene.emulator.git.cutConnections();
  await until('nothing runs', async () => (await running()).length === 0);
});

afterAll(() => scene.close());

test('a clone that is under way is cut off, its upstream freed at once, and what runs beside it goes on', async () => {
  scene.emulator.git.faults.set(LARGE, { kind: 'stall', ...THE_PACK, afterBytes: 3 * MIB });
  const bystander = await HalfRequest.open();
  const cloning = scene.git(['clone', '-q', at(LARGE), join(scene.directory, 'cut')]);
  const operation = await theOne((each) => each.repository.endsWith('/large') && each.bytesDown >= 3 * MIB);

  const killed = await kill(operation.id);
  expect(killed.stdout).toMatch(
    new RegExp(
      `^Ended operation ${operation.id}: fetch of dev\\.azure\\.com/contoso/Payments/large by uid ${OWN_UID} \\(3\\.[0-9] MiB down, [0-9.]+ K?i?B up, [0-9]+ s\\)\\n$`,
    ),
  );
  const ran = await cloning;
  expect(ran.code).not.toBe(0);
  expect(ran.stderr).toMatch(/early EOF|unexpected disconnect|transfer closed|Recv failure/);
  await expect(stat(join(scene.directory, 'cut'))).rejects.toThrow('ENOENT');

  // The stalled upstream has said nothing more: only the kill can have freed its connection.
  await until('one connection is busy: the bystander has none yet', async () => (await busy()) === 0);
  expect((await running()).map(({ repository }) => repository)).toEqual(['dev.azure.com/contoso/Payments/small']);
  expect(await bystander.finish()).toMatch(/^HTTP\/1\.1 200 /);

  const status = await daemon.status();
  expect(status.operations['killed']).toBe(1);
  expect(status.failures.at(-1)).toMatchObject({
    id: operation.id,
    verdict: 'killed',
    failure: { code: 'operation-killed', what: 'The operation was ended by `postern kill`' },
  });
  const line = await daemon.logged(({ event }) => event === 'operation-killed');
  expect(line).toMatchObject({ level: 'warn', id: operation.id, code: 'operation-killed', operation: 'fetch' });
});

test.each([
  ['the refs', 'advertisement', /^remote: postern: The operation was ended by `postern kill`$/m],
  ['the pack', 'exchange', /^fatal: remote error: postern: The operation was ended by `postern kill`$/m],
] as const)('a fetch that has got nothing yet, waiting for %s, is told by git', async (_what, step, text) => {
  scene.emulator.git.faults.set(LARGE, { kind: 'stall-before-answer', step });
  const cloning = scene.git(['clone', '-q', at(LARGE), join(scene.directory, 'told')]);
  const operation = await theOne((each) => each.step === step);
  await until('the upstream has been asked', async () => (await busy()) === 1);
  await kill(operation.id);
  await until('its connection is free', async () => (await busy()) === 0);
  const ran = await cloning;
  expect(ran.code).not.toBe(0);
  expect(ran.stderr).toMatch(text);
  expect(ran.stderr).toContain('what to do: ask whoever looks after this Postern why, before you try again');
});

test('a push that the upstream does not read is refused with the reason, and cannot have arrived', async () => {
  scene.emulator.git.faults.set(EMPTY, { kind: 'stall-before-answer', ...THE_PACK });
  const pushing = scene.git(['push', at(EMPTY), 'main:refs/heads/other'], { cwd: work });
  const operation = await theOne((each) => each.kind === 'push' && each.bytesUp > MIB);
  expect((await kill(operation.id)).stdout).toContain(`Ended operation ${operation.id}: push of dev.azure.com/contoso/Payments/empty`);
  const ran = await pushing;
  expect(ran.code).not.toBe(0);
  expect(ran.stderr).toMatch(/! \[remote rejected\] main -> other \(postern: The operation was ended by `postern kill` \|/);
  expect(ran.stderr).not.toContain('may have arrived');
  expect(await busy()).toBe(0);
  scene.emulator.git.faults.clear();
  expect(await told(['ls-remote', at(EMPTY)])).toBe('');
});

test('a push that is all upstream is told as ended, and that it may have arrived', async () => {
  await writeFile(join(work, 'small.txt'), 'small');
  await told(['checkout', '-q', '--orphan', 'small'], work);
  await told(['rm', '-rqf', '--cached', '.'], work);
  await told(['add', 'small.txt'], work);
  await told(['commit', '-q', '-m', 'small'], work);
  scene.emulator.git.faults.set(EMPTY, { kind: 'stall-before-answer', step: 'exchange' });
  const pushing = scene.git(['push', at(EMPTY), 'small'], { cwd: work });
  const operation = await theOne((each) => each.kind === 'push' && each.step === 'exchange');
  await until('the upstream has it', async () => (await busy()) === 1);
  await kill(operation.id);
  const ran = await pushing;
  expect(ran.code).not.toBe(0);
  expect(ran.stderr).toMatch(/! \[remote rejected\] small -> small \(postern: The operation was ended.*may have arrived all the same/);
});

test('an operation that does not run ends nothing, and those that do are named', async () => {
  const none = await daemon.postern(['kill', '999999']);
  expect(none).toMatchObject({
    code: 1,
    stdout: '',
    stderr:
      'postern: No operation 999999 is running, nor any other\n  what to do: nothing: it has ended\n  more: postern explain operation-not-running\n',
  });
  const bystander = await HalfRequest.open();
  const { id } = await theOne(() => true);
  const other = await daemon.postern(['kill', '999999']);
  expect(other.code).toBe(1);
  expect(other.stderr).toContain('postern: No operation 999999 is running; these are\n  ID');
  expect(other.stderr).toMatch(new RegExp(`^  ${id} +fetch +dev\\.azure\\.com/contoso/Payments/small +uid ${OWN_UID} `, 'm'));
  expect(await bystander.finish()).toMatch(/^HTTP\/1\.1 200 /);
  for (const text of ['0', '1x', '1e3', '9'.repeat(20)]) {
    const ran = await daemon.postern(['kill', text]);
    expect(ran, text).toMatchObject({ code: 2, stdout: '' });
    expect(ran.stderr).toContain('Not the number of an operation');
  }
});

test('status shows who asks and what runs, for a person and for programs', async () => {
  const bystander = await HalfRequest.open();
  const { id } = await theOne(() => true);
  const shown = (await daemon.postern(['status'])).stdout;
  expect(shown).toMatch(/^running operations \(`postern kill ID` ends one\)$/m);
  expect(shown).toMatch(/^ {2}ID +WHAT +REPOSITORY +CALLER +DOWN +UP +AGE$/m);
  expect(shown).toMatch(
    new RegExp(`^ {2}${id} +fetch +dev\\.azure\\.com/contoso/Payments/small +uid ${OWN_UID} +0 B +[0-9]+ B +[0-9]+ s$`, 'm'),
  );
  expect(shown).toMatch(new RegExp(`^ {2}uid ${OWN_UID} +[0-9]+ operations, 1 running +last seen .*$`, 'm'));
  const status = await daemon.status();
  expect(status.callers).toMatchObject([{ who: { kind: 'user', uid: OWN_UID }, running: 1, refused: 0 }]);
  expect(status.running).toMatchObject([
    { id, uid: OWN_UID, kind: 'fetch', step: 'exchange', repository: 'dev.azure.com/contoso/Payments/small' },
  ]);
  expect(status.running[0]?.ageMs).toBeGreaterThanOrEqual(0);
  await bystander.finish();
});

/** A request of which the end is held back, so that it runs for as long as a test wants. */
class HalfRequest {
  readonly #socket: ReturnType<typeof connect>;
  #text = '';

  static async open(): Promise<HalfRequest> {
    const { hostname, port, host } = new URL(daemon.base);
    const socket = connect({ host: hostname, port: Number(port) });
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    socket.write(
      `POST /dev.azure.com/contoso/Payments/_git/small/git-upload-pack HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/x-git-upload-pack-request\r\nGit-Protocol: version=2\r\nConnection: close\r\nContent-Length: 20\r\n\r\n0014com`,
    );
    const request = new HalfRequest(socket);
    await until('it runs', async () => (await running()).some(({ repository }) => repository.endsWith('/small')));
    return request;
  }

  private constructor(socket: ReturnType<typeof connect>) {
    this.#socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => (this.#text += chunk.toString('latin1')));
  }

  /** Sends the rest and gives what comes back. */
  async finish(): Promise<string> {
    const closed = new Promise((resolve) => this.#socket.once('close', resolve));
    this.#socket.write('mand=ls-refs\n');
    await closed;
    return this.#text;
  }
}

async function kill(id: number): Promise<Ran> {
  const ran = await daemon.postern(['kill', String(id)]);
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  return ran;
}

async function running(): Promise<readonly RunningOperation[]> {
  return (await daemon.status()).running;
}

/** Connections upstream that carry something. */
async function busy(): Promise<number> {
  return (await daemon.status()).upstreams.reduce((sum, each) => sum + each.busy, 0);
}

/** The running operation that fits, as soon as one does. */
async function theOne(fits: (each: RunningOperation) => boolean): Promise<RunningOperation> {
  let found: RunningOperation | undefined;
  await until('the operation runs', async () => (found = (await running()).find(fits)) !== undefined);
  if (found === undefined) throw new Error('no such operation');
  return found;
}

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + SETTLE_MS;
  while (!(await isTrue())) {
    if (Date.now() > end) throw new Error(`not within ${SETTLE_MS} ms: ${what}\n${daemon.output}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

function at(name: string): string {
  const [organisation, project, repository] = name.split('/');
  return daemon.url(`dev.azure.com/${organisation}/${project}/_git/${repository}`);
}

async function told(args: readonly string[], cwd?: string): Promise<string> {
  const ran = await scene.git(args, cwd === undefined ? {} : { cwd });
  if (ran.code !== 0) throw new Error(`git ${args.join(' ')}: ${ran.stderr}`);
  return ran.stdout.trim();
}
