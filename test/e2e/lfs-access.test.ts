/**
 * What git-lfs leaves of a 401 in a repository's configuration, with the real git and git-lfs: it keeps git-lfs from the door, is told by
 * `setup` and `route explain` where one stands in such a repository, and the command that they give takes it away.
 */
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Scene } from '../support/scene.js';
import { BASE, Bench } from './setup-bench.js';

const REMOTE = 'https://dev.azure.com/contoso/Payments/_git/web';
const LFS = '/dev.azure.com/contoso/Payments/_git/web.git/info/lfs';

const bench = new Bench();

/** Runs what a person would copy from the text. */
function sh(command: string, cwd: string): Promise<number> {
  return new Promise((resolve) => {
    execFile('sh', ['-c', command], { cwd, env: bench.scratch.env }, (fault) => resolve(fault === null ? 0 : 1));
  });
}

const remedyIn = (text: string): string => /what to do: remove it: (git .*)/.exec(text)?.[1] ?? 'no remedy';
const findings = async (cwd: string, more: Parameters<Bench['setup']>[0] = {}): Promise<readonly string[]> =>
  (await bench.setup({ cwd, ...more })).findings.map(({ kind }) => kind);
const access = (cwd: string, url: string, value = 'basic'): Promise<string> =>
  bench.scratch.git(['config', `lfs.${url}.access`, value], cwd);

describe('a leftover in the repository where setup is run', () => {
  test.each([
    ['for the door', `${BASE}${LFS}`, 'git-lfs asks for a password before it goes to the door, which wants none'],
    ['for all of the door', `${BASE}/`, 'git-lfs asks for a password before it goes to the door, which wants none'],
    ['for the door without a slash', BASE, 'git-lfs asks for a password before it goes to the door, which wants none'],
    ['for the real host', `${REMOTE}.git/info/lfs`, 'git-lfs was once asked for a password'],
    ['for the old host', 'https://contoso.visualstudio.com/Payments/_git/web.git/info/lfs', 'git-lfs was once asked for a password'],
  ])('%s is told, with the command that removes it', async (_, url, what) => {
    const cwd = await bench.scratch.repository("web 'one'", REMOTE);
    await access(cwd, url);
    expect(await findings(cwd)).toEqual(['lfs-access']);
    expect(bench.text).toContain(`warning: ${what}`);
    expect(bench.text).toContain(`lfs.${url}.access = basic in .git/config of the repository at ${cwd}`);
    expect(await sh(remedyIn(bench.text), bench.scratch.home)).toBe(0);
    expect(await findings(cwd)).toEqual([]);
  });

  test('of the whole user is told once, and of a dry run too', async () => {
    const [one, two] = [await bench.scratch.repository('one', REMOTE), await bench.scratch.repository('two', REMOTE)];
    await bench.scratch.git(['config', '--global', `lfs.${BASE}/.access`, 'basic']);
    expect(await findings(one, { repositories: [two] })).toEqual(['lfs-access']);
    expect(await findings(one, { dryRun: true })).toEqual(['lfs-access']);
    expect(await sh(remedyIn(bench.text), bench.scratch.home)).toBe(0);
    expect(await findings(one)).toEqual([]);
  });

  test('that asks for nothing, or is for another host, is not told', async () => {
    const cwd = await bench.scratch.repository('web', REMOTE);
    await access(cwd, `${BASE}${LFS}`, 'none');
    await access(cwd, 'https://github.com/x/y.git/info/lfs');
    await access(cwd, 'https://dev.azure.com.evil.example/x');
    await access(cwd, 'http://127.0.0.1:84170/x');
    expect(await findings(cwd)).toEqual([]);
  });

  test('with a credential in its address is told without it', async () => {
    const cwd = await bench.scratch.repository('web', REMOTE);
    const secret = 's'.repeat(52);
    await bench.scratch.git(['config', `lfs.https://contoso:${secret}@dev.azure.com/contoso.access`, 'basic'], cwd);
    expect(await findings(cwd)).toEqual(['lfs-access']);
    expect(bench.text).toContain('lfs.https://contoso:[hidden]@dev.azure.com/contoso.access = basic');
    expect(bench.text).toContain(`remove it from .git/config of the repository at ${cwd} by hand`);
    expect(bench.text).not.toContain(secret);
  });
});

describe('git-lfs', () => {
  let door: Server;
  let base = '';
  const asked: string[] = [];

  beforeAll(async () => {
    door = createServer((request, response) => {
      request.resume();
      asked.push(`${request.method ?? ''} ${request.url ?? ''}`);
      response.writeHead(404, { 'content-type': 'application/vnd.git-lfs+json' }).end('{"message":"the door was reached"}');
    });
    await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
    base = `http://127.0.0.1:${(door.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    door.closeAllConnections();
    door.close();
  });
  afterEach(() => {
    asked.length = 0;
  });

  test('does not come to the door because of it, and does when the command was run', async () => {
    const git: typeof bench.scratch.git = (...words) => bench.scratch.git(...words);
    const cwd = await bench.scratch.repository('web', REMOTE);
    for (const words of [
      ['config', 'user.name', 'Ada'],
      ['config', 'user.email', 'ada@example.com'],
      ['lfs', 'install', '--local'],
      ['lfs', 'track', '*.bin'],
    ])
      await git(words, cwd);
    await writeFile(join(cwd, 'a.bin'), 'large');
    await git(['add', '.'], cwd);
    await git(['commit', '-qm', 'large'], cwd);
    await access(cwd, `${base}${LFS}`);
    expect(await findings(cwd, { base })).toEqual(['lfs-access']);
    const push = (): Promise<string> => git(['lfs', 'push', '--all', 'origin'], cwd).then(String, String);
    expect(await push()).toContain(`could not read Username for '${base}'`);
    expect(asked.filter((each) => each.includes('/info/lfs'))).toEqual([]);
    await findings(cwd, { base });
    expect(await sh(remedyIn(bench.text), cwd)).toBe(0);
    expect(await push()).toContain('the door was reached');
    expect(asked).toContain(`POST ${LFS}/objects/batch`);
  });
});

describe('postern route explain', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await Scene.open();
  });
  afterAll(() => scene.close());

  test('tells it in the repository that one stands in', async () => {
    const cwd = join(scene.directory, 'web');
    await mkdir(cwd);
    await scene.git(['init', '-q'], { cwd });
    const daemon = await scene.daemon();
    await scene.git(['config', `lfs.${daemon.base}${LFS}.access`, 'basic'], { cwd });
    const words = ['route', 'explain', REMOTE, '--config', join(scene.directory, 'config-1.yaml')];
    const told = await daemon.postern(words, { cwd });
    expect(told.code).toBe(0);
    expect(told.stdout).toContain(
      `warning: git-lfs asks for a password before it goes to the door, which wants none: lfs.${daemon.base}${LFS}.access = basic in .git/config of the repository at ${cwd}\n` +
        `  what to do: remove it: git -C ${cwd} config --unset-all 'lfs.${daemon.base}${LFS}.access'\n`,
    );
    const json = JSON.parse((await daemon.postern([...words, '--json'], { cwd })).stdout) as { leftovers: unknown[] };
    expect(json.leftovers).toHaveLength(1);
    expect((await daemon.postern(words)).stdout).not.toContain('warning');
    // Without git, too, a route can be explained.
    expect((await daemon.postern(words, { cwd, env: { PATH: '/nowhere' } })).code).toBe(0);
  });
});
