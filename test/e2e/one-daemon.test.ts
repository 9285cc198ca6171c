/** One daemon for each state directory, and nothing that a killed one leaves keeps the next from starting. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { lockState } from '../../src/store/state-lock.js';
import { PROGRAM, Scene } from '../support/scene.js';

/** Moments of a start at which a daemon is killed: before it has done anything to after it is ready. */
const KILLED_AFTER_MS = [30, 90, 150, 210, 270, 330, 400, 500];

let scene: Scene;

beforeAll(async () => {
  scene = await Scene.open();
});
afterAll(() => scene.close());

function stateOf(name: string): Record<string, string> {
  return { POSTERN_STATE_DIRECTORY: join(scene.directory, name) };
}

test('a second daemon with another runtime directory is refused with the pid of the first, which goes on; after that one it starts', async () => {
  const env = stateOf('state');
  const first = await scene.daemon(undefined, { env });
  await expect(scene.daemon(undefined, { env })).rejects.toThrow(
    `A postern is already running with the state directory ${env['POSTERN_STATE_DIRECTORY'] ?? ''} (pid ${first.pid})`,
  );
  expect((await first.status()).pid).toBe(first.pid);
  await first.kill();
  const next = await scene.daemon(undefined, { env });
  expect(await next.stop()).toBe(0);
  expect(await readdir(join(scene.directory, 'state'))).not.toContain('running.lock');
});

test('a daemon that is killed at any moment of its start leaves nothing that stops the next one', async () => {
  const env = stateOf('killed');
  const file = await scene.writeConfiguration(scene.plainConfiguration);
  for (const ms of KILLED_AFTER_MS) {
    const runtime = join(scene.directory, `runtime-${ms}`);
    await mkdir(runtime, { mode: 0o700 });
    const more = { XDG_RUNTIME_DIR: runtime, POSTERN_LISTEN_SSH: 'off', SP_SECRET: 'x', ...env };
    const child = spawn(process.execPath, [PROGRAM, 'start', '--config', file], {
      env: { ...scene.environment, ...more },
      stdio: 'ignore',
    });
    const closed = new Promise((resolve) => child.once('close', resolve));
    await sleep(ms);
    child.kill('SIGKILL');
    await closed;
  }
  const next = await scene.daemon(undefined, { env });
  expect(await next.stop()).toBe(0);
}, 120_000);

test('a socket that a dead process left is taken over, whoever has its pid now; many that find it at once are one', async () => {
  const directory = join(scene.directory, 'dead');
  await mkdir(directory);
  // As in a container whose daemon was pid 1 too: the file is there and nobody listens.
  const script = `require('node:net').createServer().listen(${JSON.stringify(join(directory, 'running.lock'))}, () => process.kill(process.pid, 'SIGKILL'))`;
  await new Promise((resolve) => spawn(process.execPath, ['-e', script], { stdio: 'ignore' }).once('close', resolve));
  expect(existsSync(join(directory, 'running.lock'))).toBe(true);
  const locks = await Promise.all(Array.from({ length: 8 }, () => lockState(directory)));
  const ours = locks.filter(({ kind }) => kind === 'ours');
  expect(ours).toHaveLength(1);
  expect(locks.filter(({ kind }) => kind === 'held')).toEqual(Array.from({ length: 7 }, () => ({ kind: 'held', pid: process.pid })));
  for (const lock of ours) if (lock.kind === 'ours') await lock.release();
});

test('a holder that does not answer is alive all the same', async () => {
  const directory = join(scene.directory, 'stuck');
  await mkdir(directory);
  const sockets: { destroy(): void }[] = [];
  const server = createServer((socket) => sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(join(directory, 'running.lock'), resolve));
  expect(await lockState(directory)).toEqual({ kind: 'held', pid: undefined });
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

test('`postern exec` has a daemon of its own beside it', async () => {
  const env = stateOf('exec');
  const daemon = await scene.daemon(undefined, { env });
  const file = await scene.writeConfiguration(scene.plainConfiguration);
  const ran = await daemon.postern(['exec', '--config', file, '--', 'true'], { env: { SP_SECRET: 'x' } });
  expect(ran).toMatchObject({ code: 0 });
  expect(await daemon.stop()).toBe(0);
});
