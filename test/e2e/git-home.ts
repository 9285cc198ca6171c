/**
 * A scratch home for the real git: nothing of the machine's own configuration is seen, nothing of it is touched.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Environment } from '../../src/cli/gitconfig/environment.js';

export interface GitHome {
  readonly home: string;
  readonly env: Record<string, string>;
  /** Runs git in the home (or `cwd`) and returns its output; rejects when it fails. */
  git(args: readonly string[], cwd?: string, env?: Environment): Promise<string>;
  /** A new repository whose origin is `url`. */
  repository(name: string, url: string): Promise<string>;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function gitHome(): Promise<GitHome> {
  const home = await realpath(await mkdtemp(join(tmpdir(), 'postern-home-')));
  const env = { PATH: process.env['PATH'] ?? '', HOME: home, GIT_CONFIG_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0', LC_ALL: 'C' };
  const git: GitHome['git'] = (args, cwd = home, more = {}) =>
    new Promise((resolve, reject) => {
      execFile('git', [...args], { cwd, env: { ...env, ...more } }, (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new Error(`git ${args.join(' ')}: ${stderr}`, { cause: error }));
      });
    });
  return {
    home,
    env,
    git,
    async repository(name, url) {
      const path = join(home, name);
      await mkdir(path);
      await git(['init', '--quiet'], path);
      await git(['remote', 'add', 'origin', url], path);
      return path;
    },
    [Symbol.asyncDispose]: () => rm(home, { recursive: true, force: true }),
  };
}
