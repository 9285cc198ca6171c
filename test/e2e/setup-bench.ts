/**
 * Setup and undo at work in a scratch home, with what they printed and the state they leave.
 */
import { chmod, lstat, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';

import { setup, type SetupOptions, type SetupOutcome } from '../../src/cli/gitconfig/setup.js';
import type { SshDoor } from '../../src/cli/gitconfig/ssh-setup.js';
import { undo, type UndoOutcome } from '../../src/cli/gitconfig/undo.js';
import { gitHome, type GitHome } from './git-home.js';

export const BASE = 'http://127.0.0.1:8417';

/** A key that nobody has. */
export const DOOR_KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFjYvWJm2k8kXwKwXz9rGvXrX8y3a4mKcN6qQb3vQm1d';

/** A configuration of somebody else. */
export const FOREIGN = '[url "https://mirror.example/"]\n\tinsteadOf = https://github.com/\n[user]\n\tname = Jane\n';

/** What a test works with; `scratch` is a new home for each test. */
export class Bench {
  #scratch: GitHome | undefined;
  #lines: string[] = [];

  constructor() {
    beforeEach(async () => {
      this.#scratch = await gitHome();
    });
    afterEach(async () => {
      await this.#scratch?.[Symbol.asyncDispose]();
    });
  }

  get scratch(): GitHome {
    if (this.#scratch === undefined) throw new Error('No test is running');
    return this.#scratch;
  }

  /** What the last run printed. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  get text(): string {
    return this.#lines.join('\n');
  }

  at(...parts: string[]): string {
    return join(this.scratch.home, ...parts);
  }

  setup(more: Partial<SetupOptions> = {}): Promise<SetupOutcome> {
    return setup(this.#options(more));
  }

  undo(more: Partial<SetupOptions> = {}): Promise<UndoOutcome> {
    return undo(this.#options(more));
  }

  /**
   * Options for an SSH door. ssh goes by the account's home and not by HOME, so the scratch home's files are named to it in a
   * configuration; `more` stands in there too.
   */
  async withSsh(door: Partial<SshDoor> = {}, more = ''): Promise<{ env: Record<string, string>; ssh: SshDoor }> {
    const config = this.at('ssh_config');
    await writeFile(config, `${more}UserKnownHostsFile ${this.at('.ssh', 'known_hosts')}\n`);
    const address = { host: '127.0.0.1', port: 8422, optional: false };
    return {
      env: { ...this.scratch.env, GIT_SSH_COMMAND: `ssh -F ${config}` },
      ssh: { address, listen: [address], publicLine: DOOR_KEY, routes: [], ...door },
    };
  }

  /** Everything under the home: path to kind, mode and content. Two equal trees are one state. */
  async tree(): Promise<Record<string, string>> {
    const all: Record<string, string> = {};
    for (const entry of await readdir(this.scratch.home, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      const mode = ((await lstat(path)).mode & 0o7777).toString(8);
      if (entry.isSymbolicLink()) all[path] = `link ${await readlink(path)}`;
      else if (entry.isDirectory()) all[path] = `directory ${mode}`;
      else all[path] = `file ${mode} ${(await readFile(path)).toString('latin1')}`;
    }
    return all;
  }

  #options(more: Partial<SetupOptions>): SetupOptions {
    const { env, home } = this.scratch;
    this.#lines = [];
    const print = (line: string) => {
      this.#lines.push(line);
    };
    return { env, home, cwd: home, base: BASE, organisations: ['contoso'], onPrem: [], print, ...more };
  }
}

/** Makes `setup-driver.ts` a program for the tests of a file; the function returned tells where it is. Anyone may read it. */
export function driver(): () => string {
  let directory = '';
  const program = () => join(directory, 'driver.mjs');
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'postern-driver-'));
    await chmod(directory, 0o755);
    const entryPoints = [join(import.meta.dirname, 'setup-driver.ts')];
    await build({ entryPoints, outfile: program(), bundle: true, platform: 'node', format: 'esm', logLevel: 'error' });
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));
  return program;
}
