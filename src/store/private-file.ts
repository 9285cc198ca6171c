/**
 * A file of our own, mostly for the eyes of its owner, at a path that someone named: nothing that another user has put there is followed, kept or
 * written into. A rename puts a file of our own in the place, so a link is never gone through.
 */
import { lstat, open, realpath, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { systemCodeOf } from '../model/errors.js';
import { temporaryBeside } from './atomic-file.js';

/**
 * Writes a whole file of our own with this mode. One that is there and ours is replaced, whatever its mode was.
 *
 * Rejects with `EINVAL` for a symlink, a directory or a device (run by root, the rename would take /dev/null away), with `EPERM`
 * for a file of another user, and with the system's error otherwise; then nothing was written.
 */
export async function writePrivateFile(path: string, content: string, mode = 0o600): Promise<void> {
  const target = join(await realpath(dirname(resolve(path))), basename(path));
  const found = await lstat(target).catch((thrown: unknown) => {
    if (systemCodeOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  });
  if (found !== undefined && !found.isFile()) throw Object.assign(new Error(`Not a regular file: ${target}`), { code: 'EINVAL' });
  if (found !== undefined && process.getuid !== undefined && found.uid !== process.getuid())
    throw Object.assign(new Error(`${target} belongs to another user`), { code: 'EPERM' });
  const temporary = temporaryBeside(target);
  const handle = await open(temporary, 'wx', 0o600);
  try {
    try {
      await handle.writeFile(content);
      // A umask takes rights away, never gives any; a default ACL may do otherwise.
      await handle.chmod(mode);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, target);
  } catch (thrown) {
    await unlink(temporary).catch(() => undefined);
    throw thrown;
  }
}

/** Whether a file's owner is somebody else. Root's files are not: whoever is root needs no file to read a key. */
export function isOthers(uid: number): boolean {
  return process.getuid !== undefined && uid !== process.getuid() && uid !== 0;
}
