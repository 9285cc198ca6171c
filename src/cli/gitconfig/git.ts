/**
 * Runs the real git, and reads its configuration the way git sees it. Output of `git config` may hold secrets
 * (extra headers, addresses with passwords): callers pick what they need and show it through `hideCredentials`.
 */
import { execFile } from 'node:child_process';
import { parse } from 'node:path';

import { messageOf, ProxyError, systemCodeOf } from '../../model/errors.js';
import type { Environment } from './environment.js';
import { hideCredentials } from './names.js';

/** GIT_CONFIG_COUNT came with 2.31, and with it the behaviour that everything here was measured with. */
const OLDEST: readonly [number, number] = [2, 31];

const MOST_OUTPUT_BYTES = 64 * 1024 * 1024;

/** Status of a git that was ended because it took too long; timeout(1) has the same. */
export const GIT_TIMED_OUT = 124;

/** Variables that tie git to one repository or one file; where we ask about the user's configuration they are left out. */
const TIES = ['GIT_DIR', 'GIT_WORK_TREE', 'GIT_COMMON_DIR', 'GIT_INDEX_FILE', 'GIT_PREFIX', 'GIT_NAMESPACE', 'GIT_CONFIG'];

export interface GitAnswer {
  readonly status: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** One line of configuration: where from (`file:/home/jane/.gitconfig`), its key as git prints it, its value. */
export interface ConfigEntry {
  readonly origin: string;
  readonly key: string;
  /** Undefined for a key without `=`. */
  readonly value: string | undefined;
}

/** Git with an environment and a directory to run in. */
export class Git {
  readonly #env: Record<string, string>;
  readonly #cwd: string;
  readonly #told: Map<string, Promise<GitAnswer>> | undefined;

  /**
   * `home` is where git looks for `~`: it replaces HOME of `env`, so that both twins speak of one file. `told`: where answers to
   * questions are remembered; see `remembering`.
   */
  constructor(env: Environment, home: string, cwd: string, told?: Map<string, Promise<GitAnswer>>) {
    const own: Record<string, string> = {};
    for (const [name, value] of Object.entries(env)) if (value !== undefined) own[name] = value;
    this.#env = { ...own, HOME: home, LC_ALL: 'C' };
    this.#cwd = cwd;
    this.#told = told;
  }

  /**
   * The same git for a command that looks and changes nothing: what it asks git about its configuration again is answered as it was the
   * first time. So are those that come of it (`neutral`, `at`, `with`); each has its own environment and directory, and answers for these.
   */
  remembering(): Git {
    return new Git(this.#env, this.#env['HOME'] ?? '', this.#cwd, new Map());
  }

  /** The same git in no repository and tied to none: what holds here is the user's configuration. */
  neutral(): Git {
    const rest = Object.fromEntries(Object.entries(this.#env).filter(([name]) => !TIES.includes(name)));
    return new Git(rest, this.#env['HOME'] ?? '', parse(this.#cwd).root, this.#told);
  }

  /** The same git in another directory, tied to none. */
  at(directory: string): Git {
    const rest = Object.fromEntries(Object.entries(this.#env).filter(([name]) => !TIES.includes(name)));
    return new Git(rest, this.#env['HOME'] ?? '', directory, this.#told);
  }

  /** The same git with more variables. */
  with(variables: readonly { readonly name: string; readonly value: string }[]): Git {
    const more = Object.fromEntries(variables.map(({ name, value }) => [name, value]));
    return new Git({ ...this.#env, ...more }, this.#env['HOME'] ?? '', this.#cwd, this.#told);
  }

  /** A variable of git's environment. */
  variable(name: string): string | undefined {
    return this.#env[name];
  }

  /**
   * Runs git to its end; any exit status is an answer. `timeoutMs`: when it has not ended by then it is, and its status is
   * `GIT_TIMED_OUT`. @throws ProxyError `git-config` when it cannot be run.
   */
  run(args: readonly string[], input: string | Uint8Array = '', limits: { readonly timeoutMs?: number } = {}): Promise<GitAnswer> {
    if (this.#told === undefined || input.length > 0 || !isQuestion(args)) return this.#run(args, input, limits);
    const key = JSON.stringify([this.#cwd, this.#env, args]);
    const answer = this.#told.get(key) ?? this.#run(args, input, limits);
    this.#told.set(key, answer);
    return answer;
  }

  #run(args: readonly string[], input: string | Uint8Array, { timeoutMs = 0 }: { readonly timeoutMs?: number }): Promise<GitAnswer> {
    return new Promise((resolve, reject) => {
      const child = execFile(
        'git',
        [...args],
        { cwd: this.#cwd, env: this.#env, encoding: 'buffer', maxBuffer: MOST_OUTPUT_BYTES, timeout: timeoutMs },
        (error, stdout, stderr) => {
          // A code that is a text is a system error: the program was not started, or said too much.
          if (error === null) resolve({ status: 0, stdout, stderr: stderr.toString() });
          else if (typeof error.code === 'number') resolve({ status: error.code, stdout, stderr: stderr.toString() });
          else if (timeoutMs > 0 && error.killed === true) resolve({ status: GIT_TIMED_OUT, stdout, stderr: stderr.toString() });
          else reject(cannotRun(error, this.#cwd));
        },
      );
      // Git may close its input before it has read all; its exit status tells what matters.
      child.stdin?.on('error', () => undefined);
      child.stdin?.end(input);
    });
  }

  /** Makes sure that git is there and new enough, and returns its version. @throws ProxyError `git-config` otherwise. */
  async requireVersion(): Promise<string> {
    const text = (await this.run(['--version'])).stdout.toString().trim();
    const found = /(\d+)\.(\d+)(?:\.\S+)?/.exec(text);
    const [major, minor] = [Number(found?.[1]), Number(found?.[2])];
    if (found !== null && (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]))) return found[0];
    throw new ProxyError('git-config', `git is too old: ${JSON.stringify(text)}`, {
      todo: `Install git ${OLDEST.join('.')} or newer`,
    });
  }

  /** All configuration that holds in this directory, files and environment, in the order git reads it. */
  async entries(): Promise<ConfigEntry[]> {
    const answer = await this.run(['config', '--list', '--show-origin', '--includes', '-z']);
    if (answer.status !== 0) throw unreadable('the configuration', answer);
    const fields = answer.stdout.toString().split('\0').slice(0, -1);
    const entries: ConfigEntry[] = [];
    for (let index = 0; index + 1 < fields.length; index += 2) {
      entries.push({ origin: fields[index] ?? '', ...keyAndValue(fields[index + 1] ?? '') });
    }
    return entries;
  }

  /** The entries of one file's bytes, includes not followed. @throws ProxyError `git-config` when git cannot read them. */
  async entriesOf(bytes: Uint8Array, name: string): Promise<Omit<ConfigEntry, 'origin'>[]> {
    const answer = await this.run(['config', '--file', '-', '--no-includes', '--list', '-z'], bytes);
    if (answer.status !== 0) throw unreadable(name, answer);
    return answer.stdout.toString().split('\0').slice(0, -1).map(keyAndValue);
  }
}

/** Whether a command asks what the configuration says, and does nothing else. */
function isQuestion([command, ...words]: readonly string[]): boolean {
  if (command === 'config') return words.some((word) => /^--(?:list|get|get-regexp|get-urlmatch)$/.test(word));
  return (command === 'ls-remote' && words[0] === '--get-url') || (command === 'remote' && (words[0] === '-v' || words[0] === 'get-url'));
}

/** The part of a key between its section and its variable (`url.<this>.insteadof`), or undefined. */
export function subsectionOf(key: string, section: string, variable: string): string | undefined {
  const [head, tail] = [`${section}.`, `.${variable}`];
  if (!key.startsWith(head) || !key.endsWith(tail) || key.length < head.length + tail.length) return undefined;
  return key.slice(head.length, -tail.length);
}

function keyAndValue(field: string): { key: string; value: string | undefined } {
  const end = field.indexOf('\n');
  return end === -1 ? { key: field, value: undefined } : { key: field.slice(0, end), value: field.slice(end + 1) };
}

function cannotRun(error: Error, cwd: string): ProxyError {
  if (systemCodeOf(error) === 'ENOENT') {
    return new ProxyError('git-config', `git was not found, or the directory ${cwd} is not there`, {
      todo: `Install git ${OLDEST.join('.')} or newer and see that it is on the PATH`,
      cause: error,
    });
  }
  return new ProxyError('git-config', `git could not be run: ${messageOf(error)}`, { cause: error });
}

function unreadable(name: string, answer: GitAnswer): ProxyError {
  return new ProxyError('git-config', `git cannot read ${name}: ${hideCredentials(answer.stderr.trim())}`, {
    todo: 'Mend it first: git config --list tells the line',
  });
}
