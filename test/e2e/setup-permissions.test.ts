/**
 * Setup where the user may not write. Root may write anywhere, so the work is done by an ordinary user when the tests run
 * as root.
 */
import { spawn } from 'node:child_process';
import { chmod, chown, mkdir, readFile, stat, writeFile } from 'node:fs/promises';

import { expect, it } from 'vitest';

import { BASE, Bench, DOOR_KEY, driver, FOREIGN } from './setup-bench.js';

const bench = new Bench();
const ORDINARY = 12345;
const isRoot = process.getuid?.() === 0;

const program = driver();

/** What setup, run by an ordinary user, wrote to stderr; empty when it went well. */
function setupAsUser(more: object = {}): Promise<string> {
  const { env, home } = bench.scratch;
  const options = JSON.stringify({ env, home, cwd: home, base: BASE, organisations: ['contoso'], onPrem: [], ...more });
  const words = [process.execPath, program(), 'setup', 'none', options];
  const user = isRoot ? ['setpriv', `--reuid=${ORDINARY}`, `--regid=${ORDINARY}`, '--clear-groups'] : [];
  const [command = '', ...args] = [...user, ...words];
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], cwd: '/', env: { PATH: process.env['PATH'] } });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', () => {
      resolve(said);
    });
  });
}

async function belongsToUser(...paths: string[]): Promise<void> {
  if (isRoot) for (const path of paths) await chown(path, ORDINARY, ORDINARY);
}

it('setup() names the file whose directory it may not write to, and changes nothing', async () => {
  await mkdir(bench.at('.config', 'postern'), { recursive: true });
  await writeFile(bench.at('.gitconfig'), FOREIGN);
  await belongsToUser(bench.scratch.home, bench.at('.gitconfig'), bench.at('.config'), bench.at('.config', 'postern'));
  await chmod(bench.scratch.home, 0o555);
  const before = await bench.tree();
  const said = await setupAsUser();
  await chmod(bench.scratch.home, 0o755);
  expect(said).toContain(`Cannot write beside ${bench.at('.gitconfig')}: EACCES`);
  expect(await bench.tree()).toEqual(before);
});

it('setup() names the known_hosts file that it may not write, and changes nothing of git', async () => {
  await mkdir(bench.at('.ssh'));
  await writeFile(bench.at('.ssh', 'known_hosts'), '# mine\n');
  const { ssh } = await bench.withSsh();
  // A user without an account has no ssh that could say which file it reads, so it is the usual one.
  const env = { ...bench.scratch.env, GIT_SSH: 'false' };
  await belongsToUser(bench.scratch.home, bench.at('.ssh'), bench.at('.ssh', 'known_hosts'));
  await chmod(bench.at('.ssh'), 0o555);
  const said = await setupAsUser({ env, ssh });
  await chmod(bench.at('.ssh'), 0o755);
  expect(said).toContain(`Cannot write ${bench.at('.ssh', 'known_hosts')}: EACCES`);
  expect(Object.keys(await bench.tree())).not.toContain(bench.at('.gitconfig'));
  expect(await readFile(bench.at('.ssh', 'known_hosts'), 'utf8')).toBe('# mine\n');
  expect(await setupAsUser({ env, ssh })).toBe('');
  expect(await readFile(bench.at('.ssh', 'known_hosts'), 'utf8')).toContain(DOOR_KEY);
});

it('setup() run by an ordinary user works', async () => {
  await belongsToUser(bench.scratch.home);
  expect(await setupAsUser()).toBe('');
  expect(await bench.scratch.git(['config', 'include.path'], '/')).toContain('postern');
});

it.runIf(isRoot)('setup() run by root leaves the file to its owner', async () => {
  await writeFile(bench.at('.gitconfig'), FOREIGN);
  await belongsToUser(bench.at('.gitconfig'));
  await bench.setup();
  expect(await stat(bench.at('.gitconfig'))).toMatchObject({ uid: ORDINARY, gid: ORDINARY });
  await bench.undo();
  expect(await stat(bench.at('.gitconfig'))).toMatchObject({ uid: ORDINARY, gid: ORDINARY });
});
