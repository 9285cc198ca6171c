/**
 * Promise: `npm run install-to -- PREFIX` makes a whole program that needs nothing of the checkout, replaces an older one in one step, and
 * takes nothing away that it did not put there.
 */
import { chmod, cp, lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Ran, run } from '../support/scene.js';

const SCRIPT = join(process.cwd(), 'scripts', 'install-to.mjs');

let prefix: string;
beforeEach(async () => {
  prefix = await mkdtemp(join(tmpdir(), 'postern-prefix-'));
});
afterEach(() => rm(prefix, { recursive: true, force: true }));

const install = (...args: string[]): Promise<Ran> =>
  run(process.execPath, [SCRIPT, ...args], { env: { PATH: process.env['PATH'] }, cwd: tmpdir() });
/** Away from the checkout, so that no package of it is found. */
const installed = (...args: string[]): Promise<Ran> =>
  run(join(prefix, 'bin', 'postern'), args, { env: { PATH: process.env['PATH'], HOME: prefix, XDG_RUNTIME_DIR: prefix }, cwd: prefix });

test('installs a program that runs by itself, and says what is to be done next', async () => {
  const ran = await install(prefix);
  expect(ran).toMatchObject({ code: 0 });
  expect(ran.stdout).toContain(`${join(prefix, 'bin')} is not on your PATH`);
  expect(ran.stdout).toContain('Next: postern setup');
  const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
  expect(await installed('--version')).toMatchObject({ code: 0, stdout: `${version}\n` });
  // The SSH door, because its package is beside the bundle and not in it.
  const life = 'postern start & postern wait && postern status && postern stop && wait';
  const env = { PATH: `${join(prefix, 'bin')}:${process.env['PATH'] ?? ''}`, HOME: prefix, XDG_RUNTIME_DIR: prefix };
  const doors = { POSTERN_LISTEN_HTTP: '127.0.0.1:0', POSTERN_LISTEN_SSH: '127.0.0.1:0' };
  expect(await run('sh', ['-c', life], { env: { ...env, ...doors }, cwd: prefix })).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/ssh door +ssh:\/\/127\.0\.0\.1:\d+/) as string,
  });
});

test('replaces what it had installed, and leaves nothing of it', async () => {
  await install(prefix);
  await writeFile(join(prefix, 'lib', 'postern', 'dist', 'of-an-older-one.js'), '');
  expect(await install(prefix)).toMatchObject({ code: 0 });
  expect(await readdir(join(prefix, 'lib'))).toEqual(['postern']);
  expect(await readdir(join(prefix, 'lib', 'postern', 'dist'))).not.toContain('of-an-older-one.js');
  expect(await installed('--version')).toMatchObject({ code: 0 });
});

test('leaves alone what somebody else put there, and says what to do', async () => {
  await mkdir(join(prefix, 'bin'));
  await symlink('/somewhere/else', join(prefix, 'bin', 'postern'));
  expect(await install(prefix)).toMatchObject({ code: 1, stderr: expect.stringContaining('remove it first') as string });
  expect(await readdir(prefix)).toEqual(['bin']);
  await rm(join(prefix, 'bin'), { recursive: true });
  await mkdir(join(prefix, 'lib', 'postern'), { recursive: true });
  await writeFile(join(prefix, 'lib', 'postern', 'mine'), '');
  expect(await install(prefix)).toMatchObject({ code: 1, stderr: expect.stringContaining('holds no Postern') as string });
  expect((await lstat(join(prefix, 'lib', 'postern', 'mine'))).isFile()).toBe(true);
});

test('makes what every user may read and only its owner may write, whatever the checkout is', async () => {
  const checkout = join(prefix, 'checkout');
  await mkdir(checkout);
  const { files } = JSON.parse(await readFile('package.json', 'utf8')) as { files: string[] };
  for (const name of ['package.json', 'scripts', ...files]) await cp(name, join(checkout, name), { recursive: true });
  await symlink(join(process.cwd(), 'node_modules'), join(checkout, 'node_modules'));
  // As a checkout under umask 077 is, and one file as under umask 0.
  expect(await run('chmod', ['-R', 'go=', checkout], { env: { PATH: process.env['PATH'] }, cwd: tmpdir() })).toMatchObject({ code: 0 });
  await chmod(join(checkout, 'dist', 'postern.js'), 0o777);
  const ran = await run(process.execPath, [join(checkout, 'scripts', 'install-to.mjs'), prefix], {
    env: { PATH: process.env['PATH'] },
    cwd: tmpdir(),
  });
  expect(ran, ran.stderr).toMatchObject({ code: 0 });
  const find = (...words: string[]): Promise<Ran> =>
    run('find', [join(prefix, 'lib', 'postern'), '!', '-type', 'l', ...words], { env: { PATH: process.env['PATH'] }, cwd: tmpdir() });
  expect((await find('!', '-perm', '-444')).stdout).toBe('');
  expect((await find('-type', 'd', '!', '-perm', '-555')).stdout).toBe('');
  expect((await find('-perm', '/022')).stdout).toBe('');
  expect(await installed('--version')).toMatchObject({ code: 0 });
});

test('says how it is called', async () => {
  expect(await install()).toMatchObject({ code: 2, stderr: expect.stringContaining('npm run install-to -- PREFIX') as string });
});

test('says what to do about a place that cannot be written', async () => {
  await chmod(prefix, 0o555);
  // Root may write anywhere.
  const become = process.getuid?.() === 0 ? ['setpriv', '--reuid=12345', '--regid=12345', '--clear-groups'] : [];
  const ran = await run('env', [...become, process.execPath, SCRIPT, prefix], { env: { PATH: process.env['PATH'] }, cwd: tmpdir() });
  expect(ran).toMatchObject({ code: 1, stderr: expect.stringContaining('use a prefix of your own, such as ~/.local, or sudo') as string });
  await chmod(prefix, 0o755);
});
