/**
 * The main road, with real git: what a user does all day, through the door, with a credential that git never sees.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { join } from 'node:path';
import { readFile, writeFile } from 'node:fs/promises';
import { type RunningDaemon, Scene } from '../support/scene.js';

let scene: Scene;
let daemon: RunningDaemon;

beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web', { commits: 3 });
  daemon = await scene.daemon();
});
afterAll(() => scene.close());

test('clone, commit, push and fetch go through with a token that git never saw', async () => {
  const url = daemon.url('dev.azure.com/contoso/Payments/_git/web');
  const one = join(scene.directory, 'one');
  const two = join(scene.directory, 'two');
  expect(await scene.git(['clone', '-q', url, one])).toMatchObject({ code: 0, stderr: '' });
  expect((await scene.git(['clone', '-q', url, two])).code).toBe(0);
  await writeFile(join(one, 'note.txt'), 'from one\n');
  await scene.git(['add', '.'], { cwd: one });
  await scene.git(['commit', '-qm', 'note'], { cwd: one });
  const pushed = await scene.git(['push'], { cwd: one });
  expect(pushed.stderr).toContain('main -> main');
  expect(pushed.code).toBe(0);
  expect((await scene.git(['pull', '-q'], { cwd: two })).code).toBe(0);
  expect(await readFile(join(two, 'note.txt'), 'utf8')).toBe('from one\n');

  const seen = scene.emulator.git.seen;
  expect(seen.length).toBeGreaterThan(0);
  expect(seen.every((request) => request.authorization === 'bearer' && request.refusedFor === undefined)).toBe(true);
  expect(scene.emulator.sts.tokenRequests).toHaveLength(1);
});
