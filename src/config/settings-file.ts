/** Finds and reads the configuration file. Knows nothing of what is in it. */
import { open } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { messageOf, ProxyError, systemCodeOf } from '../model/errors.js';
import { LARGEST_FILE_BYTES } from './settings-source.js';

/** Where a system service looks. */
export const SYSTEM_FILE = '/etc/postern/config.yaml';

/** The surroundings that decide which file is read. */
export interface Surroundings {
  /** `--config`; wins over everything. */
  readonly file: string | undefined;
  /** `--system`: the file of a system service is the default. */
  readonly system: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Home directory; undefined for a user who has none. */
  readonly home: string | undefined;
  /** Directory that a relative `--config` or POSTERN_CONFIG begins at; absolute. */
  readonly workingDirectory: string;
}

/** The path where a configuration is looked for, and whether someone named it. Undefined without home directory. */
export function settingsPath(surroundings: Surroundings): { readonly path: string; readonly named: boolean } | undefined {
  const { environment, home } = surroundings;
  const named = surroundings.file ?? nonEmpty(environment.POSTERN_CONFIG);
  if (named !== undefined) return { path: absolutePath(named, surroundings.workingDirectory, home), named: true };
  if (surroundings.system) return { path: SYSTEM_FILE, named: false };
  // A relative XDG_CONFIG_HOME is to be ignored (XDG Base Directory Specification).
  const xdg = environment.XDG_CONFIG_HOME;
  const base = xdg?.startsWith('/') === true ? xdg : home === undefined ? undefined : join(home, '.config');
  return base === undefined ? undefined : { path: join(base, 'postern', 'config.yaml'), named: false };
}

/**
 * Reads the configuration's bytes, at most one more than may be used (a pipe has no size to ask for).
 * @returns undefined when nobody named a file and there is none at the default path.
 * @throws {ProxyError} `config-unreadable` when a named file, or a default one that exists, cannot be read.
 */
export async function readSettingsFile(surroundings: Surroundings): Promise<{ path: string; bytes: Uint8Array } | undefined> {
  const found = settingsPath(surroundings);
  if (found === undefined) return undefined;
  try {
    return { path: found.path, bytes: await readStart(found.path, LARGEST_FILE_BYTES + 1) };
  } catch (cause) {
    const code = systemCodeOf(cause);
    const absent = code === 'ENOENT' || code === 'ENOTDIR';
    if (absent && !found.named) return undefined;
    throw new ProxyError('config-unreadable', `The configuration ${found.path} cannot be read: ${messageOf(cause)}`, {
      cause,
      todo: absent
        ? 'Create it, name another with --config or POSTERN_CONFIG, or name none to run without a file'
        : code === 'EISDIR'
          ? 'It is a directory; name the file in it'
          : 'Give the user that runs Postern the right to read it',
    });
  }
}

/** A path as people write it, made absolute: `~/` is the home directory. */
export function absolutePath(path: string, base: string, home: string | undefined): string {
  if (path !== '~' && !path.startsWith('~/')) return resolve(base, path);
  if (home === undefined) {
    throw new ProxyError('config-invalid', 'A path begins with `~/`, and the user has no home directory', { todo: 'Write the whole path' });
  }
  return join(home, path.slice(1));
}

async function readStart(path: string, limit: number): Promise<Uint8Array> {
  const handle = await open(path, 'r');
  try {
    const buffer = Buffer.alloc(limit);
    let length = 0;
    while (length < limit) {
      const { bytesRead } = await handle.read(buffer, length, limit - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return buffer.subarray(0, length);
  } finally {
    await handle.close();
  }
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
