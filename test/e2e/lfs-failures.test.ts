/**
 * Git LFS when things go wrong upstream: a token that ends in the middle is renewed unseen; what one object is refused with is told
 * by git-lfs in words that help, and the others arrive.
 */
import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { LfsStage, REPOSITORY } from '../support/lfs-stage.js';
import { sumOf, writeMany, writeNoise } from '../support/noise.js';

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

test('a large upload whose token ends is sent once more, by git-lfs', async () => {
  const { lfs, git } = stage.scene.emulator;
  const clone = await stage.topic('large-expiry');
  // More than the daemon keeps of a body: it cannot send it again by itself.
  const oid = await writeNoise(join(clone, 'large.bin'), 3_000_000);
  await stage.commit(clone, 'Add a large file');
  stage.scene.emulator.lfs.whenBatched = () => {
    for (const token of stage.scene.emulator.sts.tokens()) stage.scene.emulator.sts.revoke(token);
    lfs.whenBatched = undefined;
  };
  await stage.told(['push', '-q', 'origin', 'large-expiry'], { cwd: clone });
  expect(git.count({ refusedFor: 'revoked', method: 'PUT' })).toBe(1);
  expect(await lfs.transfers.sizeOf(REPOSITORY, oid)).toBe(3_000_000);
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
  { status: 401, words: /did not accept the credential \(401\)[^]*`postern status`/ },
  { status: 403, words: /lacks a permission[^]*upstream said: TF401027[^]*ask for the permission/ },
  { status: 404, words: /upstream has no LFS object[^]*upstream said: Object does not exist[^]*`git lfs push --all`/ },
  { status: 413, words: /refused LFS object .* as too large \(413\)[^]*limit of the server/ },
  { status: 429, words: /asked this identity to slow down|throttling/, retryAfterSeconds: 1 },
  { status: 503, words: /not available at the moment \(503\)[^]*wait and try again/ },
] as const;

describe.each(STATUSES)('$status for one object', ({ status, words, ...pause }) => {
  test('on the way up', { timeout: 120_000 }, async () => {
    const { lfs } = stage.scene.emulator;
    const { branch, clone, oids, bad } = await threeObjects();
    lfs.faults.set(bad, { at: 'upload', kind: 'status', status, ...pause });
    const pushed = await stage.git(['push', 'origin', branch], { cwd: clone });
    expect(pushed.code).not.toBe(0);
    expect(pushed.stderr).toMatch(words);
    expect(pushed.stderr).toContain(`LFS object ${bad.slice(0, 10)}`);
    expect(pushed.stderr).not.toContain('panic');
    expect(await Promise.all(oids.map((oid) => lfs.transfers.sizeOf(REPOSITORY, oid)))).toEqual([1000, undefined, 1000]);
  });

  test('on the way down', { timeout: 120_000 }, async () => {
    const { lfs } = stage.scene.emulator;
    const { branch, clone, oids, bad } = await threeObjects();
    await stage.told(['push', '-q', 'origin', branch], { cwd: clone });
    lfs.faults.set(bad, { at: 'download', kind: 'status', status, ...pause });
    const other = await stage.clone({ branch, pointersOnly: true });
    const pulled = await stage.git(['lfs', 'pull'], { cwd: other });
    expect(pulled.code).not.toBe(0);
    expect(pulled.stderr).toMatch(words);
    expect(pulled.stderr).toContain(`LFS object ${bad.slice(0, 10)}`);
    expect([await sumOf(join(other, 'a.bin')), await sumOf(join(other, 'c.bin'))]).toEqual([oids[0], oids[2]]);
    // A 401 would have made git-lfs write that it has to sign in from now on.
    expect(await stage.told(['config', '--list', '--local'], { cwd: other })).not.toContain('.access');
  });
});

test('a large object that is refused before it has been sent is told with the reason', async () => {
  const { lfs } = stage.scene.emulator;
  const clone = await stage.topic('refused-early');
  const oid = await writeNoise(join(clone, 'large.bin'), 50_000_000);
  await stage.commit(clone, 'Add a large file');
  lfs.faults.set(oid, { at: 'upload', kind: 'status', status: 413 });
  const pushed = await stage.git(['push', 'origin', 'refused-early'], { cwd: clone });
  expect(pushed.code).not.toBe(0);
  expect(pushed.stderr).toContain(`postern: The upstream refused LFS object ${oid.slice(0, 10)} as too large (413)`);
});

test('what a batch answer says of one object is told, and the others arrive', async () => {
  const { lfs } = stage.scene.emulator;
  const clone = await stage.topic('in-batch');
  const sums = await writeMany(clone, STATUSES.length + 1);
  await stage.commit(clone, 'Add some files');
  await stage.told(['push', '-q', 'origin', 'in-batch'], { cwd: clone });
  const [good, ...bad] = [...sums.values()];
  for (const [index, { status }] of STATUSES.entries())
    lfs.faults.set(bad[index] ?? '', { at: 'object-in-batch', kind: 'status', status, message: `said of this object: ${status}` });
  const other = await stage.clone({ branch: 'in-batch', pointersOnly: true });
  const pulled = await stage.git(['lfs', 'pull'], { cwd: other });
  expect(pulled.code).not.toBe(0);
  for (const [index, { status }] of STATUSES.entries()) expect(pulled.stderr).toContain(`[${bad[index]}] said of this object: ${status}`);
  expect(await sumOf(join(other, 'part-0.bin'))).toBe(good);
});

test('a sign-in page for an object is told as what it is', async () => {
  const { branch, clone, bad } = await threeObjects();
  await stage.told(['push', '-q', 'origin', branch], { cwd: clone });
  stage.scene.emulator.lfs.faults.set(bad, { at: 'download', kind: 'sign-in' });
  const other = await stage.clone({ branch, pointersOnly: true });
  const pulled = await stage.git(['lfs', 'pull'], { cwd: other });
  expect(pulled.code).not.toBe(0);
  expect(pulled.stderr).toContain(
    `The upstream answered with its sign-in page instead of an answer of Git LFS; LFS object ${bad.slice(0, 10)}`,
  );
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
