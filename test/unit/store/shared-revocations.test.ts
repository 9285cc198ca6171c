/**
 * Promise: what one daemon revokes is revoked at all that share the list, at the next look, however the file came to change;
 * a list that cannot be read is never taken for an empty one.
 */
import { mkdtemp, mkdir, readdir, readFile, rename, rm, stat, symlink, unlink, utimes, writeFile, chmod } from 'node:fs/promises';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ProxyError } from '../../../src/model/errors.js';
import type { RevokedId } from '../../../src/store/revoked-ids.js';
import { SharedRevocations } from '../../../src/store/shared-revocations.js';
import { FakeClock } from '../../fakes/clock.js';

const DAY = 86_400_000;
const A = 'aaaaaaaaaaaaaaaa';
const B = 'bbbbbbbbbbbbbbbb';

let directory: string;
let path: string;
let clock: FakeClock;
let faults: ProxyError[];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-shared-'));
  path = join(directory, 'revoked.json');
  clock = new FakeClock();
  faults = [];
});
afterEach(() => rm(directory, { recursive: true, force: true }));

function open(at = path): SharedRevocations {
  const list = new SharedRevocations(at, { clock, onFault: (fault) => faults.push(fault) });
  list.load();
  return list;
}

function entry(id: string, ms = DAY): RevokedId {
  return { id, revokedAt: new Date(clock.now()), until: new Date(clock.now() + ms) };
}

function written(...ids: string[]): string {
  return JSON.stringify({ version: 1, revoked: ids.map((id) => entry(id)) });
}

/** Whether a lease with that id is refused, as the verifier asks. */
function isEnded(list: SharedRevocations, id: string): boolean {
  return list.look() !== undefined || list.isRevoked(id);
}

describe('SharedRevocations', () => {
  it('is heard by the others at their next look, and after a restart', async () => {
    const [one, two] = [open(), open()];
    await one.make();
    expect([isEnded(one, A), isEnded(two, A)]).toEqual([false, false]);
    await one.revoke([entry(A)]);
    expect([isEnded(one, A), isEnded(two, A), isEnded(open(), A)]).toEqual([true, true, true]);
    expect([isEnded(two, B), isEnded(open(), B)]).toEqual([false, false]);
    expect(two.revokedAt(A)?.getTime()).toBe(clock.now());
    expect(await readdir(directory)).toEqual(['revoked.json']);
  });

  it('takes nothing for known while the file is not there, and begins when it is made', async () => {
    const [one, two] = [open(), open()];
    expect(one.look()?.message).toBe(
      `The list of revoked leases ${path} that \`access.revocations\` names cannot be used (it is not there), so no lease is taken`,
    );
    expect(one.look()).toBeDefined();
    expect(faults).toHaveLength(1);
    await one.make();
    expect([isEnded(one, B), isEnded(two, B)]).toEqual([false, false]);
    expect(faults).toHaveLength(1);
  });

  it('is read again when it is renamed over, written in place with the same size, or swapped behind a symlink as Kubernetes does', async () => {
    await writeFile(path, written(A));
    const list = open();
    await writeFile(`${path}.new`, written(B));
    await rename(`${path}.new`, path);
    expect(isEnded(list, B)).toBe(true);
    await writeFile(path, written('cccccccccccccccc'));
    await utimes(path, new Date(), new Date(Date.now() + 1000));
    expect(isEnded(list, 'cccccccccccccccc')).toBe(true);

    // A volume of a ConfigMap: revoked.json -> ..data/revoked.json, ..data -> a directory of that version.
    const volume = join(directory, 'volume');
    for (const [version, id] of [
      ['..2026_1', A],
      ['..2026_2', B],
    ] as const) {
      await mkdir(join(volume, version), { recursive: true });
      await writeFile(join(volume, version, 'revoked.json'), written(id));
    }
    await symlink('..2026_1', join(volume, '..data'));
    await symlink('..data/revoked.json', join(volume, 'revoked.json'));
    const mounted = open(join(volume, 'revoked.json'));
    expect([isEnded(mounted, A), isEnded(mounted, B)]).toEqual([true, false]);
    await symlink('..2026_2', join(volume, '..data_tmp'));
    await rename(join(volume, '..data_tmp'), join(volume, '..data'));
    // What the former version said stays so for a daemon that has read it.
    expect([isEnded(mounted, A), isEnded(mounted, B)]).toEqual([true, true]);
  });

  it('writes through a symlink, under one lock for all its names', async () => {
    await writeFile(path, written());
    await mkdir(join(directory, 'other'));
    const link = join(directory, 'other', 'name.json');
    await symlink(path, link);
    const [one, two] = [open(), open(link)];
    const ids = Array.from({ length: 20 }, (_, n) => n.toString(16).padStart(16, '0'));
    await Promise.all(ids.map((id, n) => (n % 2 === 0 ? one : two).revoke([entry(id)])));
    const again = open();
    expect(ids.filter((id) => !isEnded(again, id) || !isEnded(one, id) || !isEnded(two, id))).toEqual([]);
    expect(await readdir(join(directory, 'other'))).toEqual(['name.json']);
    expect((await stat(link)).ino).toBe((await stat(path)).ino);
  });

  it.each([
    ['a half of it', (whole: string) => whole.slice(0, whole.length / 2), 'it is no JSON, or was cut'],
    ['nothing', () => '', 'it is no JSON, or was cut'],
    ['another version', () => '{"version":2,"revoked":[]}', 'it is not a list of revoked leases of this version'],
    ['a lease in place of an id', () => '{"version":1,"revoked":[{"id":"ptl1_x"}]}', 'an entry has an id that is none'],
  ])('refuses all while it holds %s, and is well again when it is', async (_what, change, why) => {
    await writeFile(path, written(A));
    const list = open();
    expect(isEnded(list, B)).toBe(false);
    await writeFile(path, change(written(A, B)));
    expect(isEnded(list, 'cccccccccccccccc')).toBe(true);
    expect(isEnded(list, 'cccccccccccccccc')).toBe(true);
    expect(faults.map(({ message }) => message)).toEqual([expect.stringContaining(`cannot be used (${why}), so no lease is taken`)]);
    expect(() => open()).toThrow(why);
    // It is not written over: what it said may still be told from it.
    await expect(list.revoke([entry(A)])).rejects.toMatchObject({ code: 'state-unusable' });
    expect(await readFile(path, 'utf8')).toBe(change(written(A, B)));
    await writeFile(path, written(B));
    expect([isEnded(list, A), isEnded(list, B), isEnded(list, 'cccccccccccccccc')]).toEqual([true, true, false]);
  });

  it('keeps what it knows when the file goes away or an old copy comes back, and writes it again', async () => {
    await writeFile(path, written(A));
    const list = open();
    await unlink(path);
    expect(isEnded(list, B)).toBe(true);
    expect(faults).toHaveLength(1);
    await writeFile(path, written());
    expect([isEnded(list, A), isEnded(list, B)]).toEqual([true, false]);
    await list.revoke([entry(B)]);
    expect([isEnded(open(), A), isEnded(open(), B)]).toEqual([true, true]);
  });

  it('is refused when everyone can write it, and is no pipe or directory', async () => {
    await writeFile(path, written());
    await chmod(path, 0o666);
    expect(() => open()).toThrow('everyone can write it: its mode is 666');
    await unlink(path);
    execFileSync('mkfifo', [path]);
    expect(() => open()).toThrow('it is no file');
    await unlink(path);
    await mkdir(path);
    expect(() => open()).toThrow('it is no file');
  });

  it('is made for those whom its directory is for, and keeps the mode that it was given', async () => {
    await chmod(directory, 0o700);
    await open().make();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await unlink(path);
    await chmod(directory, 0o2775);
    const list = open();
    await list.make();
    expect((await stat(path)).mode & 0o777).toBe(0o660);
    await chmod(path, 0o640);
    await list.revoke([entry(A)]);
    expect((await stat(path)).mode & 0o777).toBe(0o640);
  });

  it('makes no directory: a volume that was not mounted is a fault', async () => {
    const list = open(join(directory, 'mount', 'revoked.json'));
    await expect(list.make()).rejects.toMatchObject({ code: 'state-unusable', message: expect.stringContaining('(ENOENT)') as string });
    expect(await readdir(directory)).toEqual([]);
  });

  it('forgets ids only a month after no lease can have them, because clocks of machines differ', async () => {
    const list = open();
    await list.revoke([entry(A, DAY)]);
    clock.jump(20 * DAY);
    await list.revoke([entry(B, DAY)]);
    expect(isEnded(open(), A)).toBe(true);
    clock.jump(20 * DAY);
    await list.revoke([entry('cccccccccccccccc')]);
    expect([isEnded(open(), A), isEnded(open(), B)]).toEqual([false, true]);
  });

  it.skipIf(process.getuid?.() === 0)('says that it cannot be written, and keeps the id for as long as it runs', async () => {
    await writeFile(path, written());
    const list = open();
    await chmod(directory, 0o500);
    await expect(list.revoke([entry(A)])).rejects.toMatchObject({
      code: 'state-unusable',
      message: `The list of revoked leases ${path} cannot be written here (EACCES)`,
      todo: 'mount it writable and mend the rights of its directory, or write it where it is kept',
    });
    await chmod(directory, 0o700);
    expect([isEnded(list, A), isEnded(open(), A)]).toEqual([true, false]);
  });
});
