/** The main road of the SSH door, whole: real git over real ssh, bridged to the emulator's HTTPS with an Entra token. */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningDaemon, Scene } from '../support/scene.js';

let scene: Scene;
let daemon: RunningDaemon;
let env: Readonly<Record<string, string>>;

beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web', { commits: 5 });
  daemon = await scene.daemon(
    scene.plainConfiguration.replace('listen: { http: 127.0.0.1:0 }', 'listen: { http: 127.0.0.1:0, ssh: 127.0.0.1:0 }'),
  );
  env = await scene.sshEnvironment({});
});

afterAll(() => scene.close());

test('clone, push and fetch over SSH with no key anywhere, and a token upstream', async () => {
  const clone = join(scene.home, 'clone');
  const cloned = await scene.git(['clone', '-q', daemon.sshUrl('ssh.dev.azure.com/v3/contoso/Payments/web'), clone], { env });
  expect(cloned).toMatchObject({ code: 0, stderr: '' });
  await writeFile(join(clone, 'new.txt'), 'new\n');
  await scene.git(['add', '.'], { cwd: clone });
  await scene.git(['commit', '-qm', 'New'], { cwd: clone });
  const pushed = await scene.git(['push'], { cwd: clone, env });
  expect(pushed).toMatchObject({ code: 0 });
  expect(pushed.stderr).toContain('main -> main');
  const fetched = await scene.git(['fetch'], { cwd: clone, env });
  expect(fetched).toMatchObject({ code: 0, stderr: '' });
  expect(scene.emulator.git.seen.every(({ authorization, status }) => authorization === 'bearer' && status === 200)).toBe(true);
  expect(existsSync(join(scene.home, '.ssh', 'id_ed25519'))).toBe(false);
});
