/**
 * Which known_hosts file the user's ssh reads, asked of that ssh itself: `ssh -G` prints what its configuration says and connects
 * to nothing (ssh(1)). git's ssh may be another program, so it is found the way git finds it (git(1), GIT_SSH_COMMAND).
 */
import { execFile } from 'node:child_process';
import { realpath, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { ListenAddress } from '../../model/settings.js';
import { systemCodeOf } from '../../model/errors.js';
import type { Environment } from '../gitconfig/environment.js';
import type { Git } from '../gitconfig/git.js';
import { hideCredentials } from '../gitconfig/names.js';
import type { Finding } from '../gitconfig/proof.js';

/** It reads a few files; one that does something else is not waited for. */
const LONGEST_ANSWER_MS = 5_000;

export interface KnownHostsPlace {
  /** The file that gets a line; undefined where none is to be written, which a finding explains. */
  readonly file: string | undefined;
  readonly findings: readonly Finding[];
}

export interface PlaceInput {
  readonly git: Git;
  readonly env: Environment;
  readonly home: string;
  readonly address: ListenAddress;
  /** Where it is unless ssh says otherwise. */
  readonly usual: string;
}

/** The first file that ssh reads for the door's address. Where ssh does not tell, the usual one. */
export async function knownHostsPlace({ git, env, home, address, usual }: PlaceInput): Promise<KnownHostsPlace> {
  const asked = await sshProgram(git, env);
  const settings = await settingsOf(asked, address, env, home);
  if (settings === undefined) {
    const other = asked.isOther ? [otherProgram(asked.shown, usual)] : [];
    return { file: usual, findings: other };
  }
  const findings = detours(settings, address);
  // Paths with blanks are not quoted there; each begins with a slash.
  const [first = ''] = (settings.get('userknownhostsfile') ?? '').split(/ (?=\/)/);
  // Asked before the file is looked at: who was given another HOME may have no right to enter that of the account.
  if (first !== usual && (await isUsualOfAnotherHome(first, home)))
    return { file: undefined, findings: [...findings, otherHome(first, home)] };
  if (!first.startsWith('/') || (await isDevice(first))) {
    return { file: undefined, findings: [...findings, keepsNone(first, address)] };
  }
  return { file: first, findings };
}

/** The ssh that git runs, as it stands for one address. */
export interface SshClient {
  /** As somebody configured it. */
  readonly shown: string;
  /** Whether there is no such program. */
  readonly isMissing: boolean;
  /** What it is set to, by lower-case key (`ssh -G`); undefined when it does not speak as ssh does. */
  readonly settings: ReadonlyMap<string, string> | undefined;
  /** Settings that take a connection elsewhere. */
  readonly findings: readonly Finding[];
}

export async function sshClient({ git, env, home, address }: Omit<PlaceInput, 'usual'>): Promise<SshClient> {
  const program = await sshProgram(git, env);
  const settings = await settingsOf(program, address, env, home);
  const isMissing = settings === undefined && (await isNotThere(program, env, home));
  return { shown: program.shown, isMissing, settings, findings: settings === undefined ? [] : detours(settings, address) };
}

/** 127 is a shell's for a command that it does not find (sh(1)); the system has an error for that. */
function isNotThere({ command, args }: Program, env: Environment, home: string): Promise<boolean> {
  return new Promise((resolve) => {
    const options = { env: { ...env, HOME: home }, cwd: '/', timeout: LONGEST_ANSWER_MS, killSignal: 'SIGKILL' } as const;
    const child = execFile(command, [...args, '-V'], options, (error) => resolve(error?.code === 127 || error?.code === 'ENOENT'));
    child.stdin?.on('error', () => undefined); // it may have ended before it read anything
    child.stdin?.end();
  });
}

interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly shown: string;
  /** Whether somebody chose it. */
  readonly isOther: boolean;
}

async function sshProgram(git: Git, env: Environment): Promise<Program> {
  const configured = (await git.run(['config', 'core.sshCommand'])).stdout.toString().trim();
  const line = given(env['GIT_SSH_COMMAND']) ?? given(configured);
  // As git runs it: by a shell, with the arguments behind.
  if (line !== undefined) return { command: 'sh', args: ['-c', `${line} "$@"`, line], shown: line, isOther: true };
  const file = given(env['GIT_SSH']);
  return { command: file ?? 'ssh', args: [], shown: file ?? 'ssh', isOther: file !== undefined };
}

function given(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

/** What the program prints, by lower-case key; undefined when it does not speak as ssh does. */
function settingsOf(
  program: Program,
  { host, port }: ListenAddress,
  env: Environment,
  home: string,
): Promise<Map<string, string> | undefined> {
  const args = [...program.args, '-G', '-p', String(port), `git@${host}`];
  return new Promise((resolve) => {
    const child = execFile(
      program.command,
      args,
      { env: { ...env, HOME: home, LC_ALL: 'C' }, cwd: '/', timeout: LONGEST_ANSWER_MS, killSignal: 'SIGKILL' },
      (error, stdout) => {
        const lines = stdout.split('\n').map((line): [string, string] => {
          const end = line.indexOf(' ');
          return end === -1 ? [line, ''] : [line.slice(0, end), line.slice(end + 1)];
        });
        const settings = new Map(lines);
        resolve(error === null && settings.has('userknownhostsfile') ? settings : undefined);
      },
    );
    child.stdin?.on('error', () => undefined); // it may have ended before it read anything
    child.stdin?.end();
  });
}

/** Settings that take a connection to the door elsewhere. */
function detours(settings: ReadonlyMap<string, string>, { host, port }: ListenAddress): Finding[] {
  const set = (key: string): string | undefined => {
    const value = settings.get(key);
    return value === undefined || value === 'none' ? undefined : value;
  };
  const proxy = set('proxyjump') ?? set('proxycommand');
  const name = set('hostname');
  const found: string[] = [];
  if (proxy !== undefined) found.push(`ssh goes to the door by way of ${hideCredentials(proxy)}`);
  if (name !== undefined && name !== host) found.push(`ssh takes the door's address for ${hideCredentials(name)}`);
  return found.map((what) => ({
    kind: 'ssh-detour',
    lines: [
      what,
      `except the door in your ssh configuration, before other hosts: Host ${host} with ProxyJump none, ProxyCommand none, HostName ${host} (port ${port})`,
    ],
  }));
}

function otherProgram(shown: string, usual: string): Finding {
  return {
    kind: 'ssh-program',
    lines: [
      `git runs ${hideCredentials(shown)} for SSH, which does not say which known_hosts file it reads`,
      `have it trust the key of the door, which stands in ${usual}, or unset it (GIT_SSH, GIT_SSH_COMMAND, core.sshCommand)`,
    ],
  };
}

function keepsNone(file: string, address: ListenAddress): Finding {
  return {
    kind: 'ssh-known-hosts',
    lines: [
      `ssh keeps no known hosts for the door (UserKnownHostsFile is ${file === '' ? 'not set' : file}), so it does not know the door again`,
      `give it a file in your ssh configuration, under Host ${address.host}, and run postern setup again`,
    ],
  };
}

function otherHome(file: string, home: string): Finding {
  return {
    kind: 'ssh-known-hosts',
    lines: [
      `ssh reads ${file}, which is not in the home that this was run for, ${home}; it was left alone`,
      'run postern setup with HOME set to the home of your account, or name a file in your ssh configuration (UserKnownHostsFile)',
    ],
  };
}

/** ssh goes by the user's account and not by HOME, so the two can be different homes. */
async function isUsualOfAnotherHome(file: string, home: string): Promise<boolean> {
  let account: string;
  try {
    account = userInfo().homedir;
  } catch {
    return false; // no account, so no home of it
  }
  const [own, asked] = await Promise.all([account, home].map((path) => realpath(path).catch(() => path)));
  return own !== asked && file.startsWith(join(account, '.ssh', '/'));
}

async function isDevice(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => !found.isFile(),
    (thrown: unknown) => {
      if (systemCodeOf(thrown) === 'ENOENT' || systemCodeOf(thrown) === 'ENOTDIR') return false;
      throw thrown;
    },
  );
}
