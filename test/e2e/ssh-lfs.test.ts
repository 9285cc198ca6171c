/**
 * Git LFS on an SSH remote, as far as it goes yet: what git-lfs asks over SSH is answered at once and clearly, and git itself is
 * not held up.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningDaemon, Scene } from '../support/scene.js';

let scene: Scene;
let daemon: RunningDaemon;
let env: Readonly<Record<string, string>>;

beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web');
  daemon = await scene.daemon(scene.plainConfiguration.replace('http: 127.0.0.1:0', 'http: 127.0.0.1:0, ssh: 127.0.0.1:0'));
  env = await scene.sshEnvironment();
});

afterAll(() => scene.close());

test('git-lfs hears that LFS is not served on SSH remotes, and what to do', async () => {
  expect((await scene.git(['lfs', 'version'])).code, 'git-lfs is needed: install the package git-lfs').toBe(0);
  const clone = join(scene.home, 'clone');
  await scene.git(['clone', '-q', daemon.sshUrl('ssh.dev.azure.com/v3/contoso/Payments/web'), clone], { env });
  const lfs = (args: readonly string[]) => scene.git(['-C', clone, ...args], { env });
  await lfs(['lfs', 'install', '--local']);
  await lfs(['lfs', 'track', '*.bin']);
  await writeFile(join(clone, 'large.bin'), 'x'.repeat(10_000));
  await lfs(['add', '.']);
  await lfs(['commit', '-qm', 'large']);
  const pushed = await lfs(['push', 'origin', 'main']);
  expect(pushed.code).toBe(1);
  expect(pushed.stderr).toContain(
    'batch request: postern: Git LFS on SSH remotes is not served by this version\n' +
      '  what to do: set `lfs.url` of the repository to the address of LFS at its real host, where a sign-in of your own is needed: exit status 128\n',
  );
  // The pure SSH protocol is declined without a word, and git-lfs goes on with the next way at once.
  expect(pushed.stderr).not.toContain('over SSH itself');
  const asked = daemon.log.filter(({ operation }) => operation === 'lfs').map(({ what }) => String(what));
  expect(asked[0]).toBe('Git LFS over SSH itself is not served');
  expect(asked.at(-1)).toBe('Git LFS on SSH remotes is not served by this version');
});

test('git works on such a repository when LFS is left out', async () => {
  const clone = join(scene.home, 'plain');
  const run = await scene.git(['clone', '-q', daemon.sshUrl('ssh.dev.azure.com/v3/contoso/Payments/web'), clone], {
    env: { ...env, GIT_LFS_SKIP_SMUDGE: '1' },
  });
  expect(run).toMatchObject({ code: 0, stderr: '' });
});
