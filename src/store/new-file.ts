/**
 * A file that comes to be in one step: whole, for its owner alone, and only if nothing has its name yet. Of several processes that
 * make one at once, one does.
 */
import { link, open, stat, unlink } from 'node:fs/promises';
import { systemCodeOf } from '../model/errors.js';
import { temporaryBeside } from './atomic-file.js';

/** What link(2) says on file systems that have no hard links. */
const NO_LINKS: readonly (string | undefined)[] = ['EPERM', 'ENOTSUP', 'ENOSYS', 'EMLINK'];

/**
 * Makes the file with mode 0600; false when its name is taken. Its directory is to be synced by whoever needs the name to last.
 * Rejects with the system's error. `onWritten`: between the content and the name.
 *
 * Limits: without hard links the file is written under its name, and a process that is killed then leaves a part of it.
 */
export async function makeNewFile(
  path: string,
  content: string,
  { onWritten }: { readonly onWritten?: () => void } = {},
): Promise<boolean> {
  const written = temporaryBeside(path);
  await writeNew(written, content);
  onWritten?.();
  try {
    return await linkOrMake(written, path, content);
  } finally {
    await unlink(written).catch(() => undefined); // it is a copy; one that stays is closed to others as well
  }
}

/** Gives what is `written` there the name `path` too; false when that is taken. Rejects with the system's error. */
export async function linkOrMake(written: string, path: string, content: string): Promise<boolean> {
  try {
    await link(written, path);
    return true;
  } catch (thrown) {
    // An answer of NFS can get lost after the link was made, and the repeated call then finds it (open(2), O_EXCL).
    if (systemCodeOf(thrown) === 'EEXIST') return (await stat(written)).nlink === 2;
    if (!NO_LINKS.includes(systemCodeOf(thrown))) throw thrown;
    return await writeNew(path, content).then(
      () => true,
      (fault: unknown) => {
        if (systemCodeOf(fault) === 'EEXIST') return false;
        throw fault;
      },
    );
  }
}

/** Writes a file that is not there yet, with mode 0600, to the disk. Rejects with the system's error, `EEXIST` when it is there. */
export async function writeNew(path: string, content: string): Promise<void> {
  const handle = await open(path, 'wx', 0o600);
  try {
    // The umask may have taken too much away, and a default ACL may give too much.
    await handle.chmod(0o600);
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
