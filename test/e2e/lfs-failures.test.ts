/**
 * Git LFS when things go wrong upstream: a token that ends in the middle is renewed unseen; what one object is refused with is told
 * by git-lfs in words that help, and the others arrive.
 */
import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { LfsStage, REPOSITORY, sumOf, writeMany } from '../support/lfs-stage.js';

const MANY = 500;

let stage: LfsStage;
let runs = 0;

beforeAll(async () => {
  stage = await LfsStage.open();
});

afterAll(() => stage.close());

beforeEach(() => {
  const { lfs, git } = stage.scene.emulator;
  lfs.faults.clear();
  lfs.transfers.seen.length = 0;
  lfs.transfers.noted = undefined;
  git.seen.length = 0;
});

afterEach(() => stage.expectNoWayPast());

/** Takes every token given so far back, once, when so many transfers have begun. */
function revokeAfter(count: number): void {
  const { lfs, sts } = stage.scene.emulator;
  lfs.transfers.noted = () => {
    if (lfs.transfers.seen.length !== count) return;
    for (const token of sts.tokens()) sts.revoke(token);
  };
}

test(`a token that ends in the middle of ${MANY} objects is no failure, up or down`, { timeout: 120_000 }, async () => {
  const { lfs, git, sts } = stage.scene.emulator;
  const clone = await stage.topic('expiry');
  const sums = await writeMany(clone, MANY);
  await stage.commit(clone, 'Add many files');
  const before = sts.tokens().length;
  revokeAfter(200);
  await stage.told(['push', '-q', 'origin', 'expiry'], { cwd: clone });
  expect(git.count({ refusedFor: 'revoked' })).toBeGreaterThan(0);
  expect(sts.tokens().length).toBe(before + 1);
  lfs.transfers.seen.length = 0;
  revokeAfter(200);
  const other = await stage.clone({ branch: 'expiry' });
  expect(sts.tokens().length).toBe(before + 2);
  for (const [name, sum] of sums) expect(await sumOf(join(other, name)), name).toBe(sum);
  expect(await stage.told(['config', '--list', '--local'], { cwd: other })).not.toContain('.access');
});

/** Three objects on a branch of their own; the second is the one that fails. */
async function threeObjects(): Promise<{ branch: string; clone: string; oids: string[]; bad: string }> {
  runs += 1;
  const branch = `failure-${runs}`;
  const clone = await stage.topic(branch);
  const oids: string[] = [];
  for (const name of ['a', 'b', 'c']) {
    const content = randomBytes(1000);
    await writeFile(join(clone, `${name}.bin`), content);
    oids.push(createHash('sha256').update(content).digest('hex'));
  }
  await stage.commit(clone, 'Add three files');
  return { branch, clone, oids, bad: oids[1] ?? '' };
}

const STATUSES = [
  [401, /dev\.azure\.com[^]*what to do/],
  [403, /TF401027[^]*what to do/],
  [404, /Object does not exist/],
  [413, /413|too large/i],
  [429, /TF400733|throttl/i],
  [503, /unavailable/i],
] as const;

describe.each(STATUSES)('%i for one object', (status, words) => {
  test('on the way up', { timeout: 120_000 }, async () => {
    const { lfs } = stage.scene.emulator;
    const { branch, clone, oids, bad } = await threeObjects();
    lfs.faults.set(bad, { at: 'upload', kind: 'status', status, ...(status === 429 ? { retryAfterSeconds: 1 } : {}) });
    const pushed = await stage.git(['push', 'origin', branch], { cwd: clone });
    console.log(pushed.stderr);
    expect(pushed.code).not.toBe(0);
    expect(pushed.stderr).toMatch(words);
    expect(await Promise.all(oids.map((oid) => lfs.transfers.sizeOf(REPOSITORY, oid)))).toEqual([1000, undefined, 1000]);
  });

  test('on the way down', { timeout: 120_000 }, async () => {
    const { lfs } = stage.scene.emulator;
    const { branch, clone, oids, bad } = await threeObjects();
    await stage.told(['push', '-q', 'origin', branch], { cwd: clone });
    lfs.faults.set(bad, { at: 'download', kind: 'status', status, ...(status === 429 ? { retryAfterSeconds: 1 } : {}) });
    const other = await stage.clone({ branch, pointersOnly: true });
    const pulled = await stage.git(['lfs', 'pull'], { cwd: other });
    console.log(pulled.stderr);
    expect(pulled.code).not.toBe(0);
    expect(pulled.stderr).toMatch(words);
    expect([await sumOf(join(other, 'a.bin')), await sumOf(join(other, 'c.bin'))]).toEqual([oids[0], oids[2]]);
  });

  test('in the batch answer', { timeout: 120_000 }, async () => {
    const { lfs } = stage.scene.emulator;
    const { branch, clone, oids, bad } = await threeObjects();
    await stage.told(['push', '-q', 'origin', branch], { cwd: clone });
    lfs.faults.set(bad, { at: 'object-in-batch', kind: 'status', status, message: `said of this object: ${status}` });
    const other = await stage.clone({ branch, pointersOnly: true });
    const pulled = await stage.git(['lfs', 'pull'], { cwd: other });
    expect(pulled.code).not.toBe(0);
    expect(pulled.stderr).toContain(`said of this object: ${status}`);
    expect([await sumOf(join(other, 'a.bin')), await sumOf(join(other, 'c.bin'))]).toEqual([oids[0], oids[2]]);
  });
});

test('a sign-in page for an object is told as what it is', async () => {
  const { branch, clone, bad } = await threeObjects();
  await stage.told(['push', '-q', 'origin', branch], { cwd: clone });
  stage.scene.emulator.lfs.faults.set(bad, { at: 'download', kind: 'sign-in' });
  const other = await stage.clone({ branch, pointersOnly: true });
  const pulled = await stage.git(['lfs', 'pull'], { cwd: other });
  console.log(pulled.stderr);
  expect(pulled.code).not.toBe(0);
  expect(pulled.stderr).toMatch(/sign-in page/);
});

test('bytes that were changed on the way are found out', async () => {
  const { branch, clone, bad } = await threeObjects();
  await stage.told(['push', '-q', 'origin', branch], { cwd: clone });
  stage.scene.emulator.lfs.faults.set(bad, { at: 'download', kind: 'corrupt' });
  const other = await stage.clone({ branch, pointersOnly: true });
  const pulled = await stage.git(['lfs', 'pull'], { cwd: other });
  expect(pulled.code).not.toBe(0);
  expect(pulled.stderr).toContain('expected OID');
});

test('a pause that a 429 asks for is kept, and the object arrives', async () => {
  const { branch, clone, bad } = await threeObjects();
  const { lfs } = stage.scene.emulator;
  lfs.faults.set(bad, { at: 'upload', kind: 'status', status: 429, retryAfterSeconds: 1, times: 1 });
  await stage.told(['push', '-q', 'origin', branch], { cwd: clone });
  expect(await lfs.transfers.sizeOf(REPOSITORY, bad)).toBe(1000);
});
