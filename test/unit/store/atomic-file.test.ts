import { execFileSync } from 'node:child_process';
import { chmod, link, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import {
  makeDirectory,
  realTarget,
  removeFileDurably,
  removeLeftovers,
  temporaryBeside,
  writeFileAtomic,
} from '../../../src/store/atomic-file.js';

let directory: string;
const at = (...parts: string[]) => join(directory, ...parts);
const modeOf = async (path: string) => (await stat(path)).mode & 0o7777;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-atomic-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('writeFileAtomic()', () => {
  it('gives a new file the mode asked for, whatever the umask', async () => {
    const umask = process.umask(0o077);
    try {
      await writeFileAtomic(at('open'), 'x', { mode: 0o644 });
      await writeFileAtomic(at('shut'), 'x', { mode: 0o600 });
    } finally {
      process.umask(umask);
    }
    expect([await modeOf(at('open')), await modeOf(at('shut'))]).toEqual([0o644, 0o600]);
  });

  it('keeps the mode of a file that is there, unless forced', async () => {
    await writeFile(at('file'), 'old');
    await chmod(at('file'), 0o640);
    await writeFileAtomic(at('file'), 'new', { mode: 0o600 });
    expect(await modeOf(at('file'))).toBe(0o640);
    await writeFileAtomic(at('file'), Buffer.from([0xff, 0]), { mode: 0o600, force: true });
    expect(await modeOf(at('file'))).toBe(0o600);
    expect([...(await readFile(at('file')))]).toEqual([0xff, 0]);
  });

  it('never changes the former inode: who has it open reads the former content', async () => {
    await writeFile(at('file'), 'old');
    await link(at('file'), at('other'));
    await writeFileAtomic(at('file'), 'new', { mode: 0o600 });
    expect(await readFile(at('other'), 'utf8')).toBe('old');
  });

  it('writes through links, also to a target that is not there yet', async () => {
    await mkdir(at('a'));
    await symlink('a/second', at('first'));
    await symlink('target', at('a', 'second'));
    await writeFileAtomic(at('first'), 'x', { mode: 0o600 });
    expect(await readlink(at('first'))).toBe('a/second');
    expect(await readFile(at('a', 'target'), 'utf8')).toBe('x');
    expect(await realTarget(at('first'))).toBe(await realTarget(at('a', 'target')));
  });

  it('leaves the former content and no temporary when it fails', async () => {
    await mkdir(at('file'));
    await expect(writeFileAtomic(at('file'), 'x', { mode: 0o600 })).rejects.toThrow();
    expect(await readdir(directory)).toEqual(['file']);
    await symlink('loop', at('loop'));
    await expect(writeFileAtomic(at('loop'), 'x', { mode: 0o600 })).rejects.toMatchObject({ code: 'ELOOP' });
    await expect(writeFileAtomic(at('no', 'such'), 'x', { mode: 0o600 })).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('what is no regular file', () => {
  it('is neither replaced nor removed', async () => {
    // A pipe stands for a device: root may replace both, and must not.
    execFileSync('mkfifo', [at('pipe')]);
    await symlink('pipe', at('link'));
    for (const path of [at('pipe'), at('link')]) {
      await expect(writeFileAtomic(path, 'x', { mode: 0o600 })).rejects.toMatchObject({ code: 'EINVAL' });
      await expect(removeFileDurably(path)).rejects.toMatchObject({ code: 'EINVAL' });
    }
    expect((await stat(at('pipe'))).isFIFO()).toBe(true);
    expect(await readdir(directory)).toEqual(['link', 'pipe']);
  });
});

describe('removeLeftovers()', () => {
  it('removes the temporaries of one file and of no other', async () => {
    for (const name of ['file', 'file.lock', '.file.0.bak']) await writeFile(at(name), '');
    await writeFile(temporaryBeside(at('file')), '');
    const other = temporaryBeside(at('other'));
    await writeFile(other, '');
    // Another process may be about to take the lock of the file.
    const lock = temporaryBeside(at('file.lock'));
    await writeFile(lock, '');
    await removeLeftovers(at('file'));
    expect((await readdir(directory)).map((name) => at(name)).sort()).toEqual(
      [at('file'), at('file.lock'), at('.file.0.bak'), other, lock].sort(),
    );
    await removeLeftovers(at('no', 'such'));
  });
});

describe('removeFileDurably()', () => {
  it('removes what a link leads to, not the link, and minds no absence', async () => {
    await writeFile(at('file'), '');
    await symlink('file', at('link'));
    await removeFileDurably(at('link'));
    expect(await readdir(directory)).toEqual(['link']);
    await removeFileDurably(at('link'));
  });
});

describe('makeDirectory()', () => {
  it('makes parents, tells which, and leaves the mode of one that is there', async () => {
    expect(await makeDirectory(at('a', 'b'))).toEqual([at('a'), at('a', 'b')]);
    expect(await modeOf(at('a', 'b'))).toBe(0o700);
    expect(await makeDirectory(at('a', 'b'), 0o755)).toEqual([]);
    expect(await modeOf(at('a', 'b'))).toBe(0o700);
  });

  it('gives up where nothing can be made', async () => {
    await expect(makeDirectory('/proc/no/such/place')).rejects.toMatchObject({ code: 'ENOENT' });
    await writeFile(at('file'), '');
    await expect(makeDirectory(at('file'))).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(makeDirectory(at('file', 'below'))).rejects.toMatchObject({ code: 'ENOTDIR' });
  });
});
