/**
 * Setup and undo killed at every point between two changes on disk: whatever is run next must work as if nothing had
 * happened. The killed one is a process of its own, so that no `finally` tidies up after it.
 */
import { spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';

import { describe, expect, it } from 'vitest';

import type { Stage } from '../../src/cli/gitconfig/places.js';
import type { SetupOptions } from '../../src/cli/gitconfig/setup.js';
import { hasAccount } from '../support/account.js';
import { BASE, Bench, DOOR_KEY, driver, FOREIGN } from './setup-bench.js';

const bench = new Bench();

const program = driver();

/** Resolves with the signal that ended the driver. */
function killedAt(command: 'setup' | 'undo', stage: Stage, more: Partial<SetupOptions> = {}): Promise<NodeJS.Signals | null> {
  const { env, home } = bench.scratch;
  const options = JSON.stringify({ env, home, cwd: home, base: BASE, organisations: ['contoso'], onPrem: [], ...more });
  const child = spawn(process.execPath, [program(), command, stage, options], { stdio: ['ignore', 'ignore', 'inherit'] });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (_, signal) => {
      resolve(signal);
    });
  });
}

const SETUP_STAGES: readonly Stage[] = ['locked', 'journal-written', 'owned-written', 'config-written'];
const UNDO_STAGES: readonly Stage[] = ['locked', 'config-written', 'owned-removed', 'journal-removed'];

for (const [name, content] of [
  ['a file', FOREIGN.trimEnd()],
  ['no file', undefined],
] as const) {
  describe(`with ${name} before`, () => {
    async function prepare(): Promise<Record<string, string>> {
      if (content !== undefined) await writeFile(bench.at('.gitconfig'), content);
      return bench.tree();
    }
    const configs = (tree: Record<string, string>) => Object.entries(tree).filter(([, what]) => what.startsWith('file'));

    for (const stage of SETUP_STAGES) {
      it(`undo() after setup was killed at ${stage} restores every file`, async () => {
        const before = await prepare();
        expect(await killedAt('setup', stage)).toBe('SIGKILL');
        await bench.undo();
        expect(configs(await bench.tree())).toEqual(configs(before));
      });

      it(`setup() after setup was killed at ${stage} ends as one setup`, async () => {
        const before = await prepare();
        expect(await killedAt('setup', stage)).toBe('SIGKILL');
        const outcome = await bench.setup();
        expect(outcome.findings).toEqual([]);
        const recovered = configs(await bench.tree());
        expect((await bench.undo()).kind).toBe('restored');
        expect(configs(await bench.tree())).toEqual(configs(before));
        await bench.setup();
        const journalAside = (entries: [string, string][]) => entries.filter(([path]) => !path.endsWith('setup.json'));
        expect(journalAside(recovered)).toEqual(journalAside(configs(await bench.tree())));
      });
    }

    for (const stage of UNDO_STAGES) {
      it(`undo() after undo was killed at ${stage} restores every file`, async () => {
        const before = await prepare();
        await bench.setup();
        expect(await killedAt('undo', stage)).toBe('SIGKILL');
        const { kind } = await bench.undo();
        expect(kind).toBe(stage === 'journal-removed' ? 'nothing' : 'restored');
        expect(await bench.tree()).toEqual(before);
      });
    }
  });
}

describe.skipIf(!hasAccount())('with an SSH door (ssh needs an account)', () => {
  const knownHosts = () => bench.at('.ssh', 'known_hosts');
  const line = (key: string) => `[127.0.0.1]:8422 ${key} `;
  const files = (tree: Record<string, string>) => Object.entries(tree).filter(([, what]) => what.startsWith('file'));

  for (const [name, content] of [
    ['known hosts', 'github.com ssh-ed25519 AAAA'],
    ['no known hosts', undefined],
  ] as const) {
    async function prepare() {
      const more = await bench.withSsh();
      await writeFile(bench.at('.gitconfig'), FOREIGN.trimEnd());
      if (content !== undefined) {
        await mkdir(bench.at('.ssh'), { mode: 0o700 });
        await writeFile(knownHosts(), content, { mode: 0o600 });
      }
      return { more, before: await bench.tree() };
    }

    for (const stage of [...SETUP_STAGES, 'known-hosts-written'] as const) {
      it(`and ${name}, undo() after setup was killed at ${stage} restores every file`, async () => {
        const { more, before } = await prepare();
        expect(await killedAt('setup', stage, more)).toBe('SIGKILL');
        await bench.undo(more);
        expect(files(await bench.tree())).toEqual(files(before));
      });

      it(`and ${name}, setup() after setup was killed at ${stage} ends as one setup`, async () => {
        const { more, before } = await prepare();
        expect(await killedAt('setup', stage, more)).toBe('SIGKILL');
        expect((await bench.setup(more)).findings).toEqual([]);
        expect((await readFile(knownHosts(), 'utf8')).split(line(DOOR_KEY)).length).toBe(2);
        expect(await bench.undo(more)).toMatchObject({ kind: 'restored', knownHosts: 'restored' });
        expect(files(await bench.tree())).toEqual(files(before));
      });

      it(`and ${name}, setup() with another key killed at ${stage} is gone on from`, async () => {
        const { more, before } = await prepare();
        await bench.setup(more);
        const other = `${DOOR_KEY.slice(0, -4)}AAAA`;
        const now = { ...more, ssh: { ...more.ssh, publicLine: other } };
        expect(await killedAt('setup', stage, now)).toBe('SIGKILL');
        expect((await bench.setup(now)).findings).toEqual([]);
        const lines = await readFile(knownHosts(), 'utf8');
        expect([lines.includes(line(other)), lines.includes(line(DOOR_KEY))]).toEqual([true, false]);
        expect(await bench.undo(more)).toMatchObject({ kind: 'restored', knownHosts: 'restored' });
        expect(files(await bench.tree())).toEqual(files(before));
      });
    }

    for (const stage of [...UNDO_STAGES, 'known-hosts-restored'] as const) {
      it(`and ${name}, undo() after undo was killed at ${stage} restores every file`, async () => {
        const { more, before } = await prepare();
        await bench.setup(more);
        expect(await killedAt('undo', stage, more)).toBe('SIGKILL');
        await bench.undo(more);
        expect(await bench.tree()).toEqual(before);
      });
    }
  }
});

it('undo() after a second setup was killed before it wrote our own file takes that file for ours', async () => {
  await writeFile(bench.at('.gitconfig'), FOREIGN);
  const before = await bench.tree();
  await bench.setup({ organisations: ['fabrikam'] });
  expect(await killedAt('setup', 'journal-written')).toBe('SIGKILL');
  expect((await bench.undo()).kind).toBe('restored');
  expect(bench.text).not.toContain('edited');
  expect(await bench.tree()).toEqual(before);
});

describe('a lock left by a dead setup', () => {
  it('is taken over, with the temporaries beside it', async () => {
    await writeFile(bench.at('.gitconfig'), FOREIGN);
    const before = await bench.tree();
    await writeFile(bench.at('.gitconfig.lock'), `postern setup pid=${await deadPid()} host=${hostname()}\n`);
    await writeFile(bench.at('..gitconfig.0123456789ab.postern-tmp'), 'half');
    await bench.setup();
    const names = Object.keys(await bench.tree());
    expect(names.filter((name) => name.endsWith('.lock') || name.endsWith('.postern-tmp'))).toEqual([]);
    await bench.undo();
    expect(await bench.tree()).toEqual(before);
  });

  it('of a living one, of another host or of git is not touched', async () => {
    for (const mark of [
      `postern setup pid=${process.pid} host=${hostname()}\n`,
      `postern setup pid=${await deadPid()} host=elsewhere\n`,
      '',
    ]) {
      await writeFile(bench.at('.gitconfig.lock'), mark);
      await expect(bench.setup()).rejects.toMatchObject({ code: 'git-config' });
      expect(await bench.tree()).toEqual({ [bench.at('.gitconfig.lock')]: `file 644 ${mark}` });
    }
  });
});

/** The id of a process that has ended. */
function deadPid(): Promise<number> {
  const child = spawn('true');
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', () => {
      resolve(child.pid ?? 0);
    });
  });
}
