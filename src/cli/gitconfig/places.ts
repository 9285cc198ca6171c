/**
 * Where things are: the configuration file that git itself would write, our own file, and the journal; and what
 * setup and undo are both told from outside.
 * Sources: git-config(1) "FILES", path lookup of `git config --global`; XDG Base Directory Specification.
 */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';

import { ProxyError } from '../../model/errors.js';
import type { Environment } from './environment.js';

export interface Places {
  /** The file that gets one include: as named, symlinks not followed. */
  readonly config: string;
  /** The file that is ours: the rules. */
  readonly owned: string;
  /** What setup did, for undo. */
  readonly journal: string;
  /** The known_hosts file, unless ssh says another. */
  readonly knownHosts: string;
  /** Whether all users are to read our file. */
  readonly system: boolean;
}

/** Points between two changes on disk, in order: a crash at any of them can be gone on from. */
export type Stage =
  | 'locked'
  | 'journal-written'
  | 'known-hosts-written'
  | 'owned-written'
  | 'config-written'
  | 'owned-removed'
  | 'known-hosts-restored'
  | 'journal-removed';

export interface TwinOptions {
  /** The user's environment; git runs with it. */
  readonly env: Environment;
  readonly home: string;
  /** The working directory: if it is in a repository, its remotes are looked at. */
  readonly cwd: string;
  /** The whole machine instead of one user. */
  readonly system?: boolean;
  /** Other places than the usual ones. */
  readonly places?: Places;
  readonly dryRun?: boolean;
  /** Takes one line of text for the user. */
  readonly print: (line: string) => void;
  /** Called at each stage that is reached. */
  readonly onStage?: (stage: Stage) => void;
}

export interface PlacesInput {
  readonly env: Environment;
  /** The user's home directory. */
  readonly home: string;
  /** The whole machine instead of one user. */
  readonly system?: boolean;
}

/** The places for a user or the machine. @throws ProxyError `git-config` when the environment names a file git cannot have. */
export async function placesFor({ env, home, system = false }: PlacesInput): Promise<Places> {
  if (system) {
    return {
      config: named(env, 'GIT_CONFIG_SYSTEM') ?? '/etc/gitconfig',
      owned: '/etc/postern/gitconfig',
      journal: '/var/lib/postern/setup.json',
      knownHosts: '/etc/ssh/ssh_known_hosts',
      system,
    };
  }
  const configHome = directory(env['XDG_CONFIG_HOME']) ?? join(home, '.config');
  const stateHome = directory(env['XDG_STATE_HOME']) ?? join(home, '.local', 'state');
  return {
    config: named(env, 'GIT_CONFIG_GLOBAL') ?? (await globalConfig(home, configHome)),
    owned: join(configHome, 'postern', 'gitconfig'),
    journal: join(stateHome, 'postern', 'setup.json'),
    knownHosts: join(home, '.ssh', 'known_hosts'),
    system,
  };
}

/** git writes to ~/.gitconfig unless only the other one can be read. */
async function globalConfig(home: string, configHome: string): Promise<string> {
  const usual = join(home, '.gitconfig');
  const other = join(configHome, 'git', 'config');
  return !(await isReadable(usual)) && (await isReadable(other)) ? other : usual;
}

/** A file named by a variable. Relative, it would be another file in each directory; empty, git has none. */
function named(env: Environment, variable: string): string | undefined {
  const path = env[variable];
  if (path === undefined) return undefined;
  if (isAbsolute(path)) return path;
  throw new ProxyError('git-config', `${variable} is ${JSON.stringify(path)}, which is not an absolute path`, {
    todo: `Unset ${variable}, or set it to the whole path of a file`,
  });
}

/** The XDG specification: a path that is not absolute is to be ignored. */
function directory(path: string | undefined): string | undefined {
  return path !== undefined && isAbsolute(path) ? path : undefined;
}

async function isReadable(path: string): Promise<boolean> {
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
}
