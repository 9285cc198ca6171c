/** Promise: what was revoked stays revoked, over restarts, beside another daemon, and when the disk fails. */
import { chmod, mkdtemp, readFile, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ProxyError } from '../../../src/model/errors.js';
import { FileLeaseRegister, type IssuedLease, MOST_ISSUED } from '../../../src/store/lease-register.js';
import { FakeClock } from '../../fakes/clock.js';

const HOUR = 3_600_000;
const A = 'aaaaaaaaaaaaaaaa';
const B = 'bbbbbbbbbbbbbbbb';

let directory: string;
let path: string;
let clock: FakeClock;
let faults: ProxyError[];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-leases-'));
  path = join(directory, 'state', 'leases.json');
  clock = new FakeClock();
  faults = [];
});
afterEach(() => rm(directory, { recursive: true, force: true }));

function open(): FileLeaseRegister {
  const register = new FileLeaseRegister(path, { clock, onFault: (fault) => faults.push(fault) });
  register.load();
  return register;
}

function lease(id: string, ms = HOUR): IssuedLease {
  return {
    id,
    label: 'nightly',
    grant: 'dev.azure.com/contoso/**; fetch',
    createdAt: new Date(clock.now()),
    expiresAt: new Date(clock.now() + ms),
  };
}

function soon(ms = HOUR): Date {
  return new Date(clock.now() + ms);
}

describe('FileLeaseRegister', () => {
  it('remembers over a restart, in a file for its owner alone', async () => {
    const register = open();
    await register.add(lease(A));
    await register.add({ ...lease(B), label: undefined });
    expect(await register.revoke([A], soon())).toEqual([A]);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const again = open();
    expect(again.isRevoked(A)).toBe(true);
    expect(again.isRevoked(B)).toBe(false);
    expect(again.issued().map(({ id, label, revokedAt }) => [id, label, revokedAt?.getTime()])).toEqual([
      [A, 'nightly', clock.now()],
      [B, undefined, undefined],
    ]);
  });

  it('revokes ids that it never gave out', async () => {
    expect(await open().revoke([B], soon())).toEqual([]);
    expect(open().isRevoked(B)).toBe(true);
  });

  it('loses nothing when several write at once', async () => {
    const [one, two] = [open(), open()];
    const ids = Array.from({ length: 20 }, (_, n) => n.toString(16).padStart(16, '0'));
    await Promise.all(ids.map((id, n) => (n % 2 === 0 ? one : two).revoke([id], soon())));
    await Promise.all([one.add(lease(A)), two.add(lease(B))]);
    const again = open();
    expect(ids.filter((id) => !again.isRevoked(id))).toEqual([]);
    expect(again.issued()).toHaveLength(2);
  });

  it('loses nothing that is revoked while it writes', async () => {
    const register = open();
    await register.make();
    const ids = Array.from({ length: 20 }, (_, n) => n.toString(16).padStart(16, '0'));
    let during = 0;
    for (const id of ids) {
      const state = { isDone: false };
      const first = register.revoke([A], soon()).then(() => (state.isDone = true));
      // The file beside it is there once what is to be written has been put together.
      const isWriting = (): boolean => readdirSync(dirname(path)).some((name) => /^\.leases\.json\.[0-9a-f]+\.postern-tmp$/.test(name));
      while (!isWriting() && !state.isDone) await new Promise((resolve) => setImmediate(resolve));
      if (!state.isDone) during += 1;
      await Promise.all([first, register.revoke([id], soon())]);
    }
    expect(during).toBeGreaterThan(0);
    const again = open();
    expect(ids.filter((id) => !again.isRevoked(id) || !register.isRevoked(id))).toEqual([]);
  });

  it('sees at once what another daemon on the same file revoked', async () => {
    const [one, two] = [open(), open()];
    await one.add(lease(A));
    expect(two.isRevoked(A)).toBe(false);
    await one.revoke([A], soon());
    expect(two.isRevoked(A)).toBe(true);
  });

  it('forgets what can be alive no more, and revocations only long after', async () => {
    const register = open();
    await register.add(lease(A));
    await register.add(lease(B, 2 * HOUR));
    await register.revoke([A], soon(366 * 24 * HOUR));
    clock.jump(HOUR);
    expect(register.issued().map(({ id }) => id)).toEqual([B]);
    clock.jump(20 * 24 * HOUR);
    await register.make();
    await register.add(lease('cccccccccccccccc'));
    expect(open().isRevoked(A)).toBe(true);
    clock.jump(40 * 24 * HOUR);
    await register.add(lease('dddddddddddddddd'));
    expect(await readFile(path, 'utf8')).not.toContain(A);
    expect(open().isRevoked(A)).toBe(false);
  });

  it.each([
    ['', 'it is no JSON, or was cut'],
    ['{"version":1,"issued":[],"revo', 'it is no JSON, or was cut'],
    ['[]', 'an entry is no map'],
    ['{"version":2,"issued":[],"revoked":[]}', 'it is not a list of leases of this version'],
    ['{"version":1,"issued":[]}', 'it is not a list of leases of this version'],
    ['{"version":1,"issued":[],"revoked":[{}]}', 'an entry has no text where one belongs'],
    ['{"version":1,"issued":[],"revoked":[{"id":"x"}]}', 'an entry has an id that is none'],
    [`{"version":1,"issued":[],"revoked":[{"id":"${A}","revokedAt":"x","until":"x"}]}`, 'an entry has a time that is none'],
  ])('does not take %j for a list', async (text, why) => {
    await open().make();
    await writeFile(path, text);
    expect(open).toThrow(`The list of leases ${path} cannot be used (${why}), so it is not known which are revoked`);
    expect(await readFile(path, 'utf8')).toBe(text);
  });

  it('keeps what it knows when its file is damaged or goes away while it is used, and does not write over it', async () => {
    const register = open();
    await register.revoke([A], soon());
    await writeFile(path, 'not ours');
    expect(register.isRevoked(A)).toBe(true);
    expect(faults.map(({ code }) => code)).toEqual(['state-unusable']);
    await expect(register.revoke([B], soon())).rejects.toMatchObject({ code: 'state-unusable' });
    expect(register.isRevoked(B)).toBe(true);
    expect(await readFile(path, 'utf8')).toBe('not ours');
    await unlink(path);
    expect(register.isRevoked(A)).toBe(true);
    // Both are written down again with the next change.
    await register.make();
    expect(open().isRevoked(A)).toBe(true);
    expect(open().isRevoked(B)).toBe(true);
  });

  it.skipIf(process.getuid?.() === 0)('revokes for as long as it runs when it cannot write (not as root, who can)', async () => {
    const register = open();
    await register.make();
    await chmod(join(directory, 'state'), 0o500);
    await expect(register.revoke([A], soon())).rejects.toMatchObject({
      code: 'state-unusable',
      message: expect.stringContaining('EACCES') as string,
    });
    expect(register.isRevoked(A)).toBe(true);
    await chmod(join(directory, 'state'), 0o700);
  });

  it('does not take more leases than it can keep, until some have ended', async () => {
    const register = open();
    await register.make();
    const issued = Array.from({ length: MOST_ISSUED }, (_, n) => lease(n.toString(16).padStart(16, '0')));
    await writeFile(path, JSON.stringify({ version: 1, issued, revoked: [] }));
    await expect(register.add(lease(A))).rejects.toMatchObject({ code: 'usage', message: 'There are 10000 leases that have not ended' });
    clock.jump(HOUR);
    await register.add(lease(A));
    expect(register.issued()).toHaveLength(1);
  });
});
