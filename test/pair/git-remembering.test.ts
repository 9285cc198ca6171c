/** A git that remembers asks the real one each question about its configuration once; everything else it runs each time. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Git } from '../../src/cli/gitconfig/git.js';
import { addressOf, httpSetting } from '../../src/cli/gitconfig/proof.js';

let directory: string;
let git: Git;
const asked = async (): Promise<string[]> => (await readFile(join(directory, 'asked'), 'utf8')).split('\n').slice(0, -1);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-'));
  await mkdir(join(directory, 'bin'));
  const log = join(directory, 'asked');
  const script = `#!/bin/sh\necho "$*" >> '${log}'\nPATH='${process.env['PATH'] ?? ''}' exec git "$@"\n`;
  await writeFile(join(directory, 'bin', 'git'), script, { mode: 0o755 });
});
afterAll(() => rm(directory, { recursive: true }));
beforeEach(async () => {
  await writeFile(join(directory, 'asked'), '');
  await writeFile(join(directory, '.gitconfig'), '[url "http://door/"]\n\tinsteadOf = https://far/\n[http]\n\tproxy = http://one\n');
  const PATH = `${join(directory, 'bin')}:${process.env['PATH'] ?? ''}`;
  git = new Git({ PATH, GIT_CONFIG_NOSYSTEM: '1' }, directory, directory);
});

test('a question is asked once, by whichever of those that came of it', async () => {
  const one = git.remembering();
  for (let round = 0; round < 2; round += 1) {
    expect(await addressOf(one, 'https://far/web')).toBe('http://door/web');
    expect(await httpSetting(one.at(directory), 'proxy', 'http://door/')).toBe('http://one');
    expect((await one.entries()).length).toBe(2);
  }
  expect(await asked()).toHaveLength(3);
});

test('another directory and another environment are other questions', async () => {
  const one = git.remembering();
  await one.entries();
  await one.neutral().entries();
  const more = one.with([
    { name: 'GIT_CONFIG_COUNT', value: '1' },
    { name: 'GIT_CONFIG_KEY_0', value: 'http.proxy' },
    { name: 'GIT_CONFIG_VALUE_0', value: 'http://two' },
  ]);
  expect(await httpSetting(one, 'proxy', 'http://door/')).toBe('http://one');
  expect(await httpSetting(more, 'proxy', 'http://door/')).toBe('http://two');
  expect(await asked()).toHaveLength(4);
});

test('what changes something, or goes somewhere, is run each time; and who was not asked to remember forgets', async () => {
  const one = git.remembering();
  for (const value of ['1', '2']) await one.run(['config', '--global', 'core.abbrev', value]);
  for (let round = 0; round < 2; round += 1) {
    await one.run(['ls-remote', join(directory, 'nowhere')]);
    await one.run(['config', '--file', '-', '--list'], '[a]\n\tb = c\n');
    await git.entries();
  }
  expect(await asked()).toHaveLength(8);
});
