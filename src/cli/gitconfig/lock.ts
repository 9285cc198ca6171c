/**
 * git's own lock on a configuration file: whoever makes `<file>.lock` first may write (git's lockfile.h). Ours holds a
 * line that tells who took it, put there in one step (link(2)), so that a lock left by a killed setup is known for
 * ours and taken over, while a lock of anybody else is never touched.
 *
 * Limits: a process id is compared on the same host only, and may have been given to another program since: then
 * the lock counts as held, and a person has to decide. Two setups that take over the same dead lock at once can both
 * believe they hold it.
 */
import { link, lstat, readFile, unlink, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';

import { messageOf, ProxyError, systemCodeOf } from '../../model/errors.js';
import { temporaryBeside } from '../../store/atomic-file.js';

const MARK = /^postern setup pid=(\d+) host=(.*)\n$/;

/** Longer than any mark; a lock of git may be a whole configuration, which we have no business reading. */
const LONGEST_MARK_BYTES = 512;

/**
 * Runs `work` while holding the lock on `file` (a real path, no symlink), and gives it back whatever happens.
 *
 * @throws ProxyError `git-config` when somebody else holds it, or the directory cannot be written to.
 */
export async function withLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  const lock = `${file}.lock`;
  await clearDeadLock(file);
  await take(lock);
  try {
    return await work();
  } finally {
    await unlink(lock);
  }
}

/** Removes the lock on `file` if a setup that was killed left it; git could not write that file until then. */
export async function clearDeadLock(file: string): Promise<void> {
  const lock = `${file}.lock`;
  if (await isDeadOurs(lock)) await unlink(lock);
}

async function take(lock: string): Promise<void> {
  const mark = `postern setup pid=${process.pid} host=${hostname()}\n`;
  const written = temporaryBeside(lock.slice(0, -'.lock'.length));
  try {
    await writeFile(written, mark, { flag: 'wx', mode: 0o600 });
    try {
      await link(written, lock).catch(async (error: unknown) => {
        // A file system without hard links: git's own way, which can leave an empty lock if killed just here.
        if (!['EPERM', 'ENOTSUP', 'ENOSYS', 'EMLINK'].includes(systemCodeOf(error) ?? '')) throw error;
        await writeFile(lock, mark, { flag: 'wx', mode: 0o600 });
      });
    } finally {
      await unlink(written);
    }
  } catch (error) {
    throw cannotLock(lock, error);
  }
}

async function isDeadOurs(lock: string): Promise<boolean> {
  try {
    const found = await lstat(lock);
    if (!found.isFile() || found.size > LONGEST_MARK_BYTES) return false;
    const mark = MARK.exec(await readFile(lock, 'utf8'));
    return mark !== null && mark[2] === hostname() && !isAlive(Number(mark[1]));
  } catch {
    // Not there or not ours to read: taking it will tell.
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCodeOf(error) !== 'ESRCH';
  }
}

function cannotLock(lock: string, error: unknown): ProxyError {
  if (systemCodeOf(error) === 'EEXIST') {
    return new ProxyError('git-config', `${lock} exists: another program is changing the configuration`, {
      todo: `Wait for it. If no git is running, remove the file: rm ${lock}`,
      cause: error,
    });
  }
  return new ProxyError('git-config', `Cannot write beside ${lock.slice(0, -'.lock'.length)}: ${messageOf(error)}`, {
    todo: 'Run as a user who may change the file and its directory; a directory that is missing must be made first',
    cause: error,
  });
}
