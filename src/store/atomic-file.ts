/**
 * Files that are whole or not there: a reader sees the former content or the new one, also after a power cut.
 * Written beside the target, synced, renamed over it, and the directory synced (rename(2), fsync(2)).
 *
 * Limits: a rename makes a new inode, so a hard link to the old one keeps the old content, and ACLs and extended
 * attributes are not carried over. Two writers at once: the last rename wins; who must not lose an update holds a lock.
 */
import { randomBytes } from 'node:crypto';
import { type Stats, statSync } from 'node:fs';
import { chmod, lstat, mkdir, open, readdir, readlink, realpath, rename, stat, unlink, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

import { systemCodeOf } from '../model/errors.js';

/** As many as Linux follows (path_resolution(7)). */
const MOST_LINKS = 40;

const TEMPORARY_SUFFIX = '.postern-tmp';

export interface AtomicWriteOptions {
  /** Permission bits of a file that is new. A file that exists keeps its own, unless `force` is set. */
  readonly mode: number;
  /** Give the file `mode` even if it existed with another one. */
  readonly force?: boolean;
}

/**
 * Writes a whole file so that no reader ever sees half of it, through symlinks, keeping mode and owner of a file
 * that exists. The owner is kept where the process may (root may; others get their own).
 *
 * Rejects with the system's error (`EACCES`, `ENOENT` for a missing directory, `ENOSPC`, ...), and then the former
 * content stands and no temporary is left. Anything but a regular file is refused with `EINVAL`: run by root, the
 * rename would put a file in the place of a device such as /dev/null.
 */
export async function writeFileAtomic(path: string, content: string | Uint8Array, options: AtomicWriteOptions): Promise<void> {
  const target = await realTarget(path);
  const former = await fileAt(target);
  const mode = former === undefined || options.force === true ? options.mode : former.mode & 0o7777;
  const temporary = temporaryBeside(target);
  // 0600 first: until its mode is set, a copy of a secret file must not be more open than the file.
  const handle = await open(temporary, 'wx', 0o600);
  try {
    try {
      await handle.writeFile(content);
      if (former !== undefined) await keepOwner(handle, former.uid, former.gid);
      await handle.chmod(mode);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, target);
  } catch (error) {
    await unlink(temporary).catch(absentAsUndefined);
    throw error;
  }
  await syncDirectory(dirname(target));
}

/** What would be different if the file at `path` were: empty when there is none. Cheap enough to be asked for each request. */
export function stampOf(path: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
  } catch (thrown) {
    return systemCodeOf(thrown) === 'ENOENT' ? '' : 'unreadable';
  }
}

/**
 * Removes a file and makes that last. A file that is not there is no error. A symlink stays; what it leads to goes.
 * Anything but a regular file is refused with `EINVAL`.
 */
export async function removeFileDurably(path: string): Promise<void> {
  const target = await realTarget(path);
  await fileAt(target);
  await unlink(target).catch(absentAsUndefined);
  await syncDirectory(dirname(target)).catch(absentAsUndefined);
}

/** A name in the directory of a real path that nobody else uses, and that `removeLeftovers` of that path knows. */
export function temporaryBeside(target: string): string {
  return join(dirname(target), `${temporaryPrefix(target)}${randomBytes(6).toString('hex')}${TEMPORARY_SUFFIX}`);
}

/** Removes temporaries that a killed writer of `path` left behind. Only for a caller who holds the file's lock. */
export async function removeLeftovers(path: string): Promise<void> {
  const target = await realTarget(path).catch(absentAsUndefined);
  if (target === undefined) return;
  const names = (await readdir(dirname(target)).catch(absentAsUndefined)) ?? [];
  for (const name of names) {
    // The whole name: `file.lock` has temporaries of its own, which another process is about to use.
    if (name.startsWith(temporaryPrefix(target)) && /^[0-9a-f]{12}\.postern-tmp$/.test(name.slice(temporaryPrefix(target).length))) {
      await unlink(join(dirname(target), name)).catch(absentAsUndefined);
    }
  }
}

/**
 * The file that a path finally names: symlinks followed, also a dangling one, whose target need not exist yet.
 * Rejects with `ELOOP` for a circle and `ENOENT` for a missing directory.
 */
export async function realTarget(path: string): Promise<string> {
  let current = resolve(path);
  for (let links = 0; links < MOST_LINKS; links += 1) {
    const directory = await realpath(dirname(current));
    current = join(directory, basename(current));
    const found = await lstat(current).catch(absentAsUndefined);
    if (found?.isSymbolicLink() !== true) return current;
    current = resolve(directory, await readlink(current));
  }
  throw Object.assign(new Error(`Too many symbolic links at ${path}`), { code: 'ELOOP' });
}

/**
 * Makes a directory with the given mode (0700 by default) and its missing parents, and returns the ones that were
 * made, outermost first. One that exists keeps its mode. New parents get the same mode.
 *
 * Not with Node's `recursive`: where nothing can be made (/proc, a directory that was removed while it was open) that one never
 * ends, and burns a processor.
 */
export async function makeDirectory(path: string, mode = 0o700): Promise<string[]> {
  const made: string[] = [];
  await makeWithParents(resolve(path), mode, made);
  // mkdir(2) takes the umask off the mode; a directory that must be readable by all has to say so again.
  for (const directory of made) await chmod(directory, mode);
  return made;
}

async function makeWithParents(path: string, mode: number, made: string[]): Promise<void> {
  if (await makeOne(path, mode, made)) return;
  const parent = dirname(path);
  if (parent !== path) await makeWithParents(parent, mode, made);
  if (!(await makeOne(path, mode, made))) throw Object.assign(new Error(`${path} cannot be made there`), { code: 'ENOENT' });
}

/** Makes a directory whose parent is there, or finds it made; false when its parent is missing. */
async function makeOne(path: string, mode: number, made: string[]): Promise<boolean> {
  try {
    await mkdir(path, mode);
    made.push(path);
    return true;
  } catch (thrown) {
    // Another may have made it meanwhile; and what is there is no matter of whether it could be made.
    const found = await stat(path).catch(() => undefined);
    if (found?.isDirectory() === true) return true;
    if (systemCodeOf(thrown) === 'ENOENT') return false;
    throw thrown;
  }
}

/** What stands at a real path, or undefined. Rejects with `EINVAL` for a directory, device, socket or pipe. */
async function fileAt(target: string): Promise<Stats | undefined> {
  const found = await lstat(target).catch(absentAsUndefined);
  if (found === undefined || found.isFile()) return found;
  throw Object.assign(new Error(`Not a regular file: ${target}`), { code: 'EINVAL' });
}

function temporaryPrefix(target: string): string {
  return `.${basename(target)}.`;
}

async function keepOwner(handle: FileHandle, uid: number, gid: number): Promise<void> {
  const own = await handle.stat();
  if (own.uid === uid && own.gid === gid) return;
  await handle.chown(uid, gid).catch((error: unknown) => {
    if (systemCodeOf(error) !== 'EPERM') throw error;
  });
}

/** Makes the names in a directory last. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } catch (error) {
    // Some file systems cannot sync a directory and say so; there is nothing more to be done on them.
    if (!['EINVAL', 'ENOTSUP', 'EPERM'].includes(systemCodeOf(error) ?? '')) throw error;
  } finally {
    await handle.close();
  }
}

function absentAsUndefined(error: unknown): undefined {
  if (systemCodeOf(error) === 'ENOENT') return undefined;
  throw error;
}
