import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { withFileLock } from '../../../src/store/file-lock.js';
import { writePrivateFile } from '../../../src/store/private-file.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-lock-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

it('withFileLock() lets one in at a time, and leaves nothing behind', async () => {
  const path = join(directory, 'lock');
  let inside = 0;
  let most = 0;
  const work = async (): Promise<void> => {
    inside += 1;
    most = Math.max(most, inside);
    await new Promise((resolve) => setImmediate(resolve));
    inside -= 1;
  };
  await Promise.all(Array.from({ length: 10 }, () => withFileLock(path, work)));
  expect(most).toBe(1);
  await expect(withFileLock(path, () => Promise.reject(new Error('broke')))).rejects.toThrow('broke');
  expect(await readdir(directory)).toEqual([]);
});

it('withFileLock() takes over the lock of a process that was killed, once', async () => {
  const path = join(directory, 'lock');
  await writeFile(path, 'dead');
  const long = new Date(Date.now() - 60_000);
  await utimes(path, long, long);
  let inside = 0;
  const all = Array.from({ length: 4 }, () =>
    withFileLock(path, async () => {
      inside += 1;
      expect(inside).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
    }),
  );
  await Promise.all(all);
  expect(await readdir(directory)).toEqual([]);
});

it('withFileLock() takes no living lock for dead because a clock of this machine is ahead of that of the files', async () => {
  const path = join(directory, 'lock');
  let isFirstDone = false;
  let second: Promise<boolean> | undefined;
  await withFileLock(path, async () => {
    const real = Date.now();
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => real + 3_600_000);
    second = withFileLock(path, () => Promise.resolve(isFirstDone));
    // It looks every 10 ms; a lock that it takes for dead is gone at the first look.
    await new Promise((resolve) => setTimeout(resolve, 100));
    clock.mockRestore();
    isFirstDone = true;
  });
  expect(await second).toBe(true);
  expect(await readdir(directory)).toEqual([]);
});

it('withFileLock() says why a lock cannot be made', async () => {
  await expect(withFileLock(join(directory, 'none', 'lock'), () => Promise.resolve())).rejects.toMatchObject({ code: 'ENOENT' });
});

it('writePrivateFile() makes a file for its owner alone, and replaces one that was open', async () => {
  const { readFile, stat } = await import('node:fs/promises');
  const path = join(directory, 'lease');
  await writePrivateFile(path, 'one\n');
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  await writeFile(join(directory, 'open'), 'x', { mode: 0o666 });
  const before = (await stat(join(directory, 'open'))).ino;
  await writePrivateFile(join(directory, 'open'), 'two\n');
  const after = await stat(join(directory, 'open'));
  expect([after.mode & 0o777, after.ino === before, await readFile(join(directory, 'open'), 'utf8')]).toEqual([0o600, false, 'two\n']);
});

it('writePrivateFile() goes through no link, and takes no device, directory or file of another away', async () => {
  const { chown, lstat, mkdir, readFile, symlink } = await import('node:fs/promises');
  await writeFile(join(directory, 'theirs'), 'theirs');
  await symlink(join(directory, 'theirs'), join(directory, 'link'));
  await symlink(join(directory, 'nowhere'), join(directory, 'dangling'));
  await mkdir(join(directory, 'folder'));
  for (const name of ['link', 'dangling', 'folder'])
    await expect(writePrivateFile(join(directory, name), 'lease'), name).rejects.toMatchObject({ code: 'EINVAL' });
  expect((await lstat(join(directory, 'link'))).isSymbolicLink()).toBe(true);
  if (process.getuid?.() === 0) {
    // As root only: nobody else can give a file away.
    await chown(join(directory, 'theirs'), 12345, 12345);
    await expect(writePrivateFile(join(directory, 'theirs'), 'lease')).rejects.toMatchObject({ code: 'EPERM' });
  }
  expect(await readFile(join(directory, 'theirs'), 'utf8')).toBe('theirs');
  expect((await readdir(directory)).sort()).toEqual(['dangling', 'folder', 'link', 'theirs']);
});
