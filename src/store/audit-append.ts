/** Bytes at the end of a file: all of them or none, as far as a disk lets that be. */
import { constants, open, type FileHandle } from 'node:fs/promises';

/** Writes all bytes: at the end of a file that was opened for appending, or at a position. Rejects with the system's error. */
export async function writeAll(handle: FileHandle, bytes: Buffer, position?: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    // A disk that is nearly full takes a part, and says so at the next try.
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position === undefined ? undefined : position + done);
    done += bytesWritten;
  }
}

/**
 * Puts `bytes` in the place of all that a file holds from `from` on, without a moment that has neither (when they are more than
 * what was there), and syncs them. A disk that has no room for them is left with what was there.
 */
export async function replaceEnd(path: string, from: number, bytes: Buffer): Promise<void> {
  const handle = await open(path, constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    const { size } = await handle.stat();
    const former = Buffer.alloc(size - from);
    await handle.read(former, 0, former.length, from);
    try {
      await writeAll(handle, bytes, from);
      await handle.truncate(from + bytes.length);
      await handle.datasync();
    } catch (thrown) {
      await writeAll(handle, former, from).catch(() => undefined); // its blocks are there already
      await handle.truncate(size).catch(() => undefined);
      throw thrown;
    }
  } finally {
    await handle.close();
  }
}
