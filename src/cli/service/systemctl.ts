/** The service manager, by its own command line. Source: systemctl(1). */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { ProxyError } from '../../model/errors.js';
import type { Scope } from './unit-files.js';

/** A start waits for the service to be ready, which may wait for a slow disk; past this it has failed. */
const LONGEST_MS = 120_000;

export interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class Systemctl {
  readonly #scope: Scope;
  readonly #environment: Readonly<Record<string, string | undefined>>;

  constructor(scope: Scope, environment: Readonly<Record<string, string | undefined>>) {
    this.#scope = scope;
    this.#environment = environment;
  }

  /** The command as a person would type it. */
  line(...args: readonly string[]): string {
    return ['systemctl', ...this.#flags, ...args].join(' ');
  }

  /** Runs it, however it ends. */
  ask(...args: readonly string[]): Promise<Answer> {
    return runProgram('systemctl', [...this.#flags, ...args], this.#environment);
  }

  /** Runs it. @throws ProxyError `service-failed` with what it said */
  async must(...args: readonly string[]): Promise<void> {
    const { code, stdout, stderr } = await this.ask(...args);
    if (code === 0) return;
    throw new ProxyError('service-failed', `\`${this.line(...args)}\` ended with ${code}`, {
      details: (stderr.trim() === '' ? stdout : stderr).trim().split('\n').slice(0, 10),
      todo: `see \`journalctl ${this.#scope === 'user' ? '--user ' : ''}-xe\``,
    });
  }

  /** Properties of a unit, by name. */
  async properties(unit: string, names: readonly string[]): Promise<Readonly<Record<string, string>>> {
    const { stdout } = await this.ask('show', ...names.flatMap((name) => ['-p', name]), unit);
    const lines = stdout.split('\n').filter((line) => line.includes('='));
    return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
  }

  /** The version of systemd. @throws ProxyError `service-failed` when there is none here, or none that serves this user */
  async version(): Promise<string> {
    const { code, stdout } = await runProgram('systemctl', ['--version'], this.#environment);
    if (code === NOT_FOUND)
      throw new ProxyError('service-failed', 'There is no systemd here: systemctl was not found', {
        todo: 'run `postern start` under whatever starts services here',
      });
    const { stderr, code: reached } = await this.ask('show', '-p', 'Version');
    if (reached === 0) return /^systemd ([^\n]+)/.exec(stdout)?.[1] ?? 'unknown';
    if (this.#scope === 'system' || !existsSync('/run/systemd/system'))
      throw new ProxyError('service-failed', 'This system was not started by systemd', {
        details: [stderr.trim()],
        todo: 'run `postern start` under whatever starts services here',
      });
    throw new ProxyError('service-failed', 'No service manager of this user can be reached', {
      details: [stderr.trim()],
      todo:
        (this.#environment['XDG_RUNTIME_DIR'] ?? '') === ''
          ? 'XDG_RUNTIME_DIR is not set, as after su or sudo: log in as the user (or `machinectl shell USER@`), or set it to /run/user/UID'
          : 'log in as the user, or have its manager started with `loginctl enable-linger`; libpam-systemd and dbus-user-session have to be installed',
    });
  }

  get #flags(): readonly string[] {
    return this.#scope === 'user' ? ['--user'] : [];
  }
}

const NOT_FOUND = 127;

/** Runs a program to its end; a program that is not there ends with 127. */
export function runProgram(
  program: string,
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Answer> {
  return new Promise((resolve) => {
    const env = { ...environment, SYSTEMD_PAGER: '', SYSTEMD_COLORS: '0', LC_ALL: 'C.UTF-8' };
    execFile(program, args, { env, timeout: LONGEST_MS, encoding: 'utf8' }, (fault, stdout, stderr) => {
      const code = fault === null ? 0 : fault.code === 'ENOENT' ? NOT_FOUND : typeof fault.code === 'number' ? fault.code : 1;
      resolve({ code, stdout, stderr });
    });
  });
}
