/**
 * The configuration file of somebody else: read whole, written whole, and never with another meaning than before but
 * for our one include. That is checked with git before anything is written.
 */
import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import { messageOf, ProxyError, systemCodeOf } from '../../model/errors.js';
import { realTarget } from '../../store/atomic-file.js';
import type { ConfigEntry, Git } from './git.js';

type Entry = Omit<ConfigEntry, 'origin'>;

/** The real file behind a name. @throws ProxyError `git-config` when its directory is not there. */
export async function realConfig(path: string): Promise<string> {
  try {
    return await realTarget(path);
  } catch (error) {
    throw new ProxyError('git-config', `Cannot reach ${path}: ${messageOf(error)}`, {
      todo: 'Make its directory first, or see where its symbolic links lead',
      cause: error,
    });
  }
}

/** The bytes of a file, or undefined if it is not there. @throws ProxyError `git-config` if it is no file or cannot be read. */
export async function readConfig(path: string): Promise<Buffer | undefined> {
  try {
    if ((await stat(path)).isFile()) return await readFile(path);
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw new ProxyError('git-config', `Cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
  throw new ProxyError('git-config', `${path} is not a file that can be changed`, {
    todo: 'Unset GIT_CONFIG_GLOBAL or GIT_CONFIG_SYSTEM, or let it name a file',
  });
}

/** Whether a content includes our file, in whatever lines. `file` is where it stands: a relative path begins there. */
export async function includesOwned(git: Git, content: Buffer, file: string, owned: string, home: string): Promise<boolean> {
  return (await git.entriesOf(content, file)).some((entry) => isInclude(entry, file, owned, home));
}

/**
 * Makes sure that `longer` means what `shorter` means plus one include of our file, whichever of the two is to be
 * written. @throws ProxyError `git-config` otherwise; nothing has been written then.
 */
export async function requireOneInclude(git: Git, shorter: Buffer, longer: Buffer, file: string, owned: string): Promise<void> {
  const few = await git.entriesOf(shorter, file);
  const many = await git.entriesOf(longer, file);
  const ours = many.findIndex((entry, index) => isInclude(entry, file, owned, '') && !same(entry, few[index]));
  const rest = many.filter((_, index) => index !== ours);
  if (ours !== -1 && rest.length === few.length && rest.every((entry, index) => same(entry, few[index]))) return;
  throw new ProxyError('git-config', `The lines for the include cannot be put into ${file} or taken out without changing what it means`, {
    todo: `Edit it by hand; the include is: path = ${owned}`,
  });
}

function isInclude(entry: Entry, file: string, owned: string, home: string): boolean {
  if (entry.key !== 'include.path' || entry.value === undefined || entry.value === '') return false;
  return resolve(dirname(file), entry.value.replace(/^~(?=\/)/, home)) === owned;
}

function same(one: Entry, other: Entry | undefined): boolean {
  return one.key === other?.key && one.value === other.value;
}
