/**
 * `postern setup` with the real git in scratch homes. Invariant: setup then undo leaves git's configuration byte for
 * byte as it was.
 */
import { createHash } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

import { describe, expect, it } from 'vitest';

import { placesFor } from '../../src/cli/gitconfig/places.js';
import type { SetupOptions } from '../../src/cli/gitconfig/setup.js';
import { BASE, Bench, FOREIGN } from './setup-bench.js';

const bench = new Bench();

const CONTENTS: Record<string, string | Buffer> = {
  'foreign rules': FOREIGN,
  'comments and odd spacing':
    '# mine\n\n   [user]   ; me\n name=Jane   \n\t\temail   =  "j;a#ne@example.com" # why\n\n\n[a "b\\"c"]\n  k\n',
  CRLF: '[user]\r\n\tname = Jane\r\n# end\r\n',
  'no final newline': '[user]\n\tname = Jane',
  'a comment without final newline': '[user]\n\tname = Jane\n# the end',
  'a last line that ends in a backslash and a newline': '[user]\n\tname = Jane\\\n',
  'an empty section at the end': '[user]\n\tname = Jane\n[include]\n',
  'an include of its own': '[include]\n\tpath = ~/other\n',
  empty: '',
  'only a newline': '\n',
  'bytes that are no UTF-8': Buffer.from([0x5b, 0x75, 0x5d, 0x0a, 0x6e, 0x3d, 0xe9, 0xff, 0x0a]),
  'a byte order mark': '\ufeff[user]\n\tname = Jane\n',
};

describe('setup() then undo() leaves everything byte for byte as it was', () => {
  for (const [name, content] of Object.entries(CONTENTS)) {
    it(`with ${name}`, async () => {
      await writeFile(bench.at('.gitconfig'), content);
      const before = await bench.tree();

      const outcome = await bench.setup();
      expect(outcome.changed).toBe(true);
      expect(outcome.findings).toEqual([]);
      expect(bench.text).toContain(`All ${outcome.rules.length} spellings now lead to ${BASE}/`);
      expect(await bench.scratch.git(['ls-remote', '--get-url', 'https://dev.azure.com/contoso/p/_git/r'])).toBe(
        `${BASE}/dev.azure.com/contoso/p/_git/r\n`,
      );

      expect((await bench.undo()).kind).toBe('restored');
      expect(bench.text).toContain('byte for byte');
      expect(await bench.tree()).toEqual(before);
    });
  }

  it('with no file at all', async () => {
    const before = await bench.tree();
    await bench.setup();
    expect((await stat(bench.at('.gitconfig'))).mode & 0o777).toBe(0o644);
    expect((await bench.undo()).kind).toBe('restored');
    expect(await bench.tree()).toEqual(before);
  });

  for (const mode of [0o600, 0o644, 0o640]) {
    it(`with mode ${mode.toString(8)}, kept in between`, async () => {
      await writeFile(bench.at('.gitconfig'), FOREIGN);
      await chmod(bench.at('.gitconfig'), mode);
      const before = await bench.tree();
      await bench.setup();
      expect((await stat(bench.at('.gitconfig'))).mode & 0o777).toBe(mode);
      await bench.undo();
      expect(await bench.tree()).toEqual(before);
    });
  }

  it('with a symlinked file, which stays a link', async () => {
    await mkdir(bench.at('dot'));
    await writeFile(bench.at('dot', 'gitconfig'), FOREIGN);
    await symlink('dot/gitconfig', bench.at('.gitconfig'));
    const before = await bench.tree();
    await bench.setup();
    expect(await readlink(bench.at('.gitconfig'))).toBe('dot/gitconfig');
    expect(await readFile(bench.at('dot', 'gitconfig'), 'utf8')).toContain('[include]');
    expect((await bench.undo()).kind).toBe('restored');
    expect(await bench.tree()).toEqual(before);
  });

  it('with a link that leads to no file yet', async () => {
    await mkdir(bench.at('dot'));
    await symlink('dot/gitconfig', bench.at('.gitconfig'));
    const before = await bench.tree();
    await bench.setup();
    expect((await bench.undo()).kind).toBe('restored');
    expect(await bench.tree()).toEqual(before);
  });

  it('in the XDG location, when only that one is there', async () => {
    await mkdir(bench.at('.config', 'git'), { recursive: true });
    await writeFile(bench.at('.config', 'git', 'config'), FOREIGN);
    const before = await bench.tree();
    const { places } = await bench.setup();
    expect(places.config).toBe(bench.at('.config', 'git', 'config'));
    expect((await bench.undo()).kind).toBe('restored');
    expect(await bench.tree()).toEqual(before);
  });

  it('in the file that GIT_CONFIG_GLOBAL names', async () => {
    await writeFile(bench.at('named'), FOREIGN);
    await writeFile(bench.at('.gitconfig'), '[user]\n');
    const before = await bench.tree();
    const env = {
      ...bench.scratch.env,
      GIT_CONFIG_GLOBAL: bench.at('named'),
      XDG_CONFIG_HOME: bench.at('c'),
      XDG_STATE_HOME: bench.at('s'),
    };
    const outcome = await bench.setup({ env });
    expect(outcome.places).toEqual({
      config: bench.at('named'),
      owned: bench.at('c', 'postern', 'gitconfig'),
      journal: bench.at('s', 'postern', 'setup.json'),
      knownHosts: bench.at('.ssh', 'known_hosts'),
      system: false,
    });
    expect(outcome.findings).toEqual([]);
    expect((await bench.undo({ env })).kind).toBe('restored');
    expect(await bench.tree()).toEqual(before);
  });

  it('for the whole machine', async () => {
    await writeFile(bench.at('system'), FOREIGN);
    const env = { ...bench.scratch.env, GIT_CONFIG_NOSYSTEM: '0', GIT_CONFIG_SYSTEM: bench.at('system') };
    const usual = await placesFor({ env, home: bench.scratch.home, system: true });
    expect(usual).toEqual({
      config: bench.at('system'),
      owned: '/etc/postern/gitconfig',
      journal: '/var/lib/postern/setup.json',
      knownHosts: '/etc/ssh/ssh_known_hosts',
      system: true,
    });
    const places = { ...usual, owned: bench.at('etc', 'postern', 'gitconfig'), journal: bench.at('var', 'setup.json') };
    const before = await bench.tree();
    expect((await bench.setup({ env, places })).findings).toEqual([]);
    expect((await stat(dirname(places.owned))).mode & 0o777).toBe(0o755);
    expect((await stat(places.owned)).mode & 0o777).toBe(0o644);
    expect((await bench.undo({ env, places })).kind).toBe('restored');
    expect(await bench.tree()).toEqual(before);
  });

  it('with a home whose name git has to have quoted', async () => {
    const home = bench.at('a "b" \\ #c; d ');
    await mkdir(home);
    const env = { ...bench.scratch.env, HOME: home };
    const outcome = await bench.setup({ env, home, cwd: home });
    expect(outcome.findings).toEqual([]);
    expect(bench.text).toContain('All ');
    expect((await bench.undo({ env, home, cwd: home })).kind).toBe('restored');
    expect(await readdir(home)).toEqual([]);
  });
});

describe('setup() writes its files', () => {
  it('with a journal, 0600, that holds nothing of the configuration', async () => {
    await writeFile(bench.at('.gitconfig'), '[http]\n\textraHeader = "Authorization: Basic CANARY"\n');
    const { places } = await bench.setup();
    const journal = await readFile(places.journal, 'utf8');
    expect((await stat(places.journal)).mode & 0o777).toBe(0o600);
    expect(journal).not.toContain('CANARY');
    expect(journal).not.toContain('extraHeader');
    const digest = createHash('sha256').update('[http]\n\textraHeader = "Authorization: Basic CANARY"\n').digest('hex');
    expect(journal).toContain(digest);
  });

  it('and appends to the configuration, touching no byte before', async () => {
    await writeFile(bench.at('.gitconfig'), FOREIGN.trimEnd());
    const { places } = await bench.setup();
    expect(await readFile(bench.at('.gitconfig'), 'utf8')).toBe(
      `${FOREIGN.trimEnd()}\n# Added by \`postern setup\`; \`postern setup --undo\` takes these lines out.\n[include]\n\tpath = ${places.owned}\n`,
    );
  });

  it('once: a second run is the same as one', async () => {
    await writeFile(bench.at('.gitconfig'), FOREIGN);
    const original = await bench.tree();
    await bench.setup();
    const once = await bench.tree();
    expect((await bench.setup()).changed).toBe(false);
    expect(bench.text).toContain('Nothing to change');
    expect(await bench.tree()).toEqual(once);
    await bench.undo();
    expect(await bench.tree()).toEqual(original);
  });

  it('and with more organisations rewrites its own file only, keeping those of earlier runs', async () => {
    await writeFile(bench.at('.gitconfig'), FOREIGN);
    const original = await bench.tree();
    await bench.setup();
    const config = await stat(bench.at('.gitconfig'));
    const { rules } = await bench.setup({ organisations: ['Fabrikam'] });
    expect((await stat(bench.at('.gitconfig'))).ino).toBe(config.ino);
    const values = rules.map((rule) => rule.insteadOf);
    expect(values).toContain('https://contoso.visualstudio.com/');
    expect(values).toContain('https://Fabrikam@dev.azure.com/');
    expect(values).toContain('https://fabrikam@dev.azure.com/');
    const twice = await bench.tree();
    expect((await bench.setup({ organisations: [] })).changed).toBe(false);
    expect(await bench.tree()).toEqual(twice);
    expect((await bench.undo()).kind).toBe('restored');
    expect(await bench.tree()).toEqual(original);
  });

  it('and follows a door that has moved', async () => {
    await bench.setup();
    const outcome = await bench.setup({ base: 'http://127.0.0.1:9000' });
    expect(outcome.findings).toEqual([]);
    expect(await bench.scratch.git(['ls-remote', '--get-url', 'https://dev.azure.com/x'])).toBe('http://127.0.0.1:9000/dev.azure.com/x\n');
    await bench.undo();
    expect(await bench.tree()).toEqual({});
  });

  it('and moves when git would write to another file now', async () => {
    await writeFile(bench.at('.gitconfig'), FOREIGN);
    const original = await bench.tree();
    await bench.setup();
    const env = { ...bench.scratch.env, GIT_CONFIG_GLOBAL: bench.at('named') };
    await bench.setup({ env });
    expect(await readFile(bench.at('.gitconfig'), 'utf8')).toBe(FOREIGN);
    expect(await bench.scratch.git(['ls-remote', '--get-url', 'https://contoso@dev.azure.com/x'], bench.scratch.home, env)).toContain(BASE);
    await bench.undo({ env });
    expect(await bench.tree()).toEqual(original);
  });

  it('and keeps a copy of its own file if somebody edited it', async () => {
    const { places } = await bench.setup();
    await writeFile(places.owned, '# mine now\n');
    await bench.setup();
    expect(bench.text).toContain('had been edited');
    expect(await readFile(`${places.owned}.saved`, 'utf8')).toBe('# mine now\n');
    expect(await bench.scratch.git(['ls-remote', '--get-url', 'https://dev.azure.com/x'])).toContain(BASE);
  });

  it('or nothing at all with dryRun, and prints what it would write', async () => {
    await writeFile(bench.at('.gitconfig'), FOREIGN.trimEnd());
    const before = await bench.tree();
    const outcome = await bench.setup({ dryRun: true });
    expect(await bench.tree()).toEqual(before);
    expect(outcome.changed).toBe(true);
    expect(outcome.findings).toEqual([]);
    expect(bench.text).toContain('after a newline, which its last line lacks');
    expect(bench.text).toContain('Nothing was changed');
    const printed = bench.lines.filter((line) => line.startsWith('  | ')).map((line) => line.slice(4));
    await bench.setup();
    const owned = await readFile(outcome.places.owned, 'utf8');
    const config = await readFile(bench.at('.gitconfig'), 'utf8');
    expect(`${printed.join('\n')}\n`).toBe(owned + config.slice(FOREIGN.length));
    const after = await bench.tree();
    await bench.undo({ dryRun: true });
    expect(bench.text).toContain('Would restore');
    expect(await bench.tree()).toEqual(after);
  });
});

describe('setup() refuses, changing nothing', () => {
  async function refused(more: Partial<SetupOptions> = {}): Promise<unknown> {
    const before = await bench.tree();
    const error: unknown = await bench.setup(more).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(await bench.tree()).toEqual(before);
    return error;
  }

  it("while somebody holds git's lock", async () => {
    await writeFile(bench.at('.gitconfig'), FOREIGN);
    await writeFile(bench.at('.gitconfig.lock'), '');
    expect(await refused()).toMatchObject({ code: 'git-config', message: expect.stringContaining(bench.at('.gitconfig.lock')) as string });
  });

  it('a configuration that git cannot read', async () => {
    await writeFile(bench.at('.gitconfig'), '[user\nname');
    expect(await refused()).toMatchObject({ code: 'git-config' });
  });

  it('a file that is none', async () => {
    // In the scratch home, never a device of the machine: a setup that fails this test, run by root, replaces it.
    await mkdir(bench.at('directory'));
    const env = { ...bench.scratch.env, GIT_CONFIG_GLOBAL: bench.at('directory') };
    expect(await refused({ env })).toMatchObject({
      code: 'git-config',
      message: `${bench.at('directory')} is not a file that can be changed`,
    });
  });

  it('a name that is no organisation', async () => {
    expect(await refused({ organisations: ['con"toso]\n[core]'] })).toMatchObject({ code: 'usage' });
  });

  it('a git that is missing or too old', async () => {
    expect(await refused({ env: { ...bench.scratch.env, PATH: bench.at('nowhere') } })).toMatchObject({ code: 'git-config' });
    await mkdir(bench.at('bin'));
    await writeFile(bench.at('bin', 'git'), '#!/bin/sh\necho git version 2.30.9\n', { mode: 0o755 });
    const old = { ...bench.scratch.env, PATH: `${bench.at('bin')}:${bench.scratch.env['PATH'] ?? ''}` };
    expect(await refused({ env: old })).toMatchObject({ code: 'git-config', message: expect.stringContaining('2.30.9') as string });
  });

  it('a directory that is not there', async () => {
    expect(await refused({ env: { ...bench.scratch.env, GIT_CONFIG_GLOBAL: bench.at('no', 'such') } })).toMatchObject({
      code: 'git-config',
    });
  });
});
