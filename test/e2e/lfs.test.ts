/**
 * Git LFS over HTTPS remotes, with Debian's git-lfs, a daemon and an Azure whose batch answers lead to its real names: what a user
 * does in a day works, nobody goes past the door, and nobody but the daemon has a token.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { LfsStage, REPOSITORY, REMOTE } from '../support/lfs-stage.js';
import { sumOf, writeNoise } from '../support/noise.js';
import { run } from '../support/scene.js';

/** More than the daemon keeps of a body, so that it passes as a stream. */
const LARGE_BYTES = 3_000_000;

let stage: LfsStage;

beforeAll(async () => {
  stage = await LfsStage.open();
});

afterAll(() => stage.close());

beforeEach(() => {
  const { lfs, storage } = stage.scene.emulator;
  lfs.road = 'host';
  lfs.asksVerify = false;
  lfs.actionAuthorization = undefined;
  lfs.transfers.seen.length = 0;
  storage.seen.length = 0;
});

afterEach(() => stage.expectNoWayPast());

/** Object ids that a clone has. */
async function objectsOf(clone: string): Promise<string[]> {
  const entries = await readdir(join(clone, '.git', 'lfs', 'objects'), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

const shortPrune = ['-c', 'lfs.fetchrecentrefsdays=0', '-c', 'lfs.fetchrecentcommitsdays=0', '-c', 'lfs.pruneoffsetdays=0'];

test('track, push, clone, pull, fetch --all and prune', async () => {
  const verbose = { GIT_CURL_VERBOSE: '1', GIT_TRACE: '1' };
  const clone = await stage.topic('main-road');
  const first = await writeNoise(join(clone, 'large.bin'), LARGE_BYTES);
  await stage.commit(clone, 'Add a large file');
  const pushed = await stage.git(['push', 'origin', 'main-road'], { cwd: clone, env: verbose });
  expect(pushed.stderr).toContain('main-road -> main-road');
  expect(pushed.code).toBe(0);
  expect(stage.scene.emulator.lfs.transfers.seen).toMatchObject([
    { repository: REPOSITORY, oid: first, action: 'upload', bytes: LARGE_BYTES, isChunked: true },
  ]);
  const second = await writeNoise(join(clone, 'large.bin'), LARGE_BYTES + 1);
  await stage.commit(clone, 'Change it');
  await stage.told(['push', '-q', 'origin', 'main-road'], { cwd: clone, env: verbose });

  const other = await stage.clone({ branch: 'main-road', env: verbose });
  expect(await sumOf(join(other, 'large.bin'))).toBe(second);
  expect(await objectsOf(other)).toEqual([second]);
  // The bytes are those of the upstream: nothing was in the clone before.
  expect(stage.scene.emulator.lfs.transfers.seen.at(-1)).toMatchObject({ oid: second, action: 'download', bytes: LARGE_BYTES + 1 });

  const lazy = await stage.clone({ branch: 'main-road', pointersOnly: true });
  expect(await readFile(join(lazy, 'large.bin'), 'utf8')).toContain(`oid sha256:${second}`);
  await stage.told(['lfs', 'pull'], { cwd: lazy, env: verbose });
  expect(await sumOf(join(lazy, 'large.bin'))).toBe(second);
  expect(await objectsOf(lazy)).toEqual([second]);
  await stage.told(['lfs', 'fetch', '--all'], { cwd: lazy, env: verbose });
  expect((await objectsOf(lazy)).sort()).toEqual([first, second].sort());

  const pruned = await stage.told([...shortPrune, 'lfs', 'prune', '--verify-remote', '--verbose'], { cwd: lazy, env: verbose });
  expect(pruned).toContain(first);
  expect(await objectsOf(lazy)).toEqual([second]);

  await stage.expectHidden();
});

test('lock, list and unlock, also what somebody else holds', async () => {
  const { locks } = stage.scene.emulator.lfs;
  const clone = await stage.topic('locks');
  await writeNoise(join(clone, 'large.bin'), 100);
  await stage.commit(clone, 'Add a large file');
  await stage.told(['push', '-q', 'origin', 'locks'], { cwd: clone });
  expect(await stage.told(['lfs', 'lock', 'large.bin'], { cwd: clone })).toContain('Locked large.bin');
  expect(locks.of(REPOSITORY)).toHaveLength(1);
  const again = await stage.git(['lfs', 'lock', 'large.bin'], { cwd: clone });
  expect(again.code).not.toBe(0);
  expect(again.stderr).toContain("The path 'large.bin' is already locked by");

  const { lock: theirs } = locks.add(REPOSITORY, 'other.bin', 'Grace');
  locks.pageSize = 1;
  const listed = await stage.told(['lfs', 'locks', '--verify'], { cwd: clone });
  locks.pageSize = 100;
  expect(listed).toMatch(/^O large\.bin/m);
  expect(listed).toMatch(/^ {2}other\.bin\s+Grace/m);
  expect(await stage.told(['lfs', 'locks', '--path', 'other.bin'], { cwd: clone })).not.toContain('large.bin');

  await writeNoise(join(clone, 'other.bin'), 100);
  await stage.commit(clone, 'Add what somebody else has locked');
  const blocked = await stage.git(['-c', 'lfs.locksverify=true', 'push', 'origin', 'locks'], { cwd: clone });
  expect(blocked.code).not.toBe(0);
  expect(blocked.stderr).toContain('Cannot update locked files');

  const refused = await stage.git(['lfs', 'unlock', '--id', theirs.id], { cwd: clone });
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain('The lock belongs to Grace');
  await stage.told(['lfs', 'unlock', '--force', '--id', theirs.id], { cwd: clone });
  await stage.told(['lfs', 'unlock', 'large.bin'], { cwd: clone });
  expect(locks.of(REPOSITORY)).toEqual([]);
});

test('uploads are verified where the server wants it', async () => {
  stage.scene.emulator.lfs.asksVerify = true;
  const clone = await stage.topic('verified');
  await writeNoise(join(clone, 'large.bin'), 1000);
  await stage.commit(clone, 'Add a large file');
  await stage.told(['push', '-q', 'origin', 'verified'], { cwd: clone });
  expect(stage.scene.emulator.git.count(({ url, status }) => /\/objects\/[0-9a-f]{64}\/verify$/.test(url) && status === 200)).toBe(1);
});

test('the address without .git serves as well', async () => {
  const clone = await stage.topic('plain-spelling');
  const oid = await writeNoise(join(clone, 'large.bin'), 1000);
  await stage.commit(clone, 'Add a large file');
  const url = `${stage.daemon.base}/dev.azure.com/contoso/Payments/_git/web/info/lfs`;
  await stage.told(['-c', `lfs.url=${url}`, 'push', '-q', 'origin', 'plain-spelling'], { cwd: clone });
  expect(stage.scene.emulator.lfs.transfers.seen).toMatchObject([{ oid, action: 'upload' }]);
  expect(stage.scene.emulator.git.count(({ url: seen }) => seen === '/contoso/Payments/_git/web/info/lfs/objects/batch')).toBe(1);
});

test.each(['storage', 'redirect'] as const)('objects at a storage account are relayed, without a token (%s)', async (road) => {
  const { emulator } = stage.scene;
  emulator.lfs.road = road;
  const clone = await stage.topic(`at-${road}`);
  const oid = await writeNoise(join(clone, 'large.bin'), LARGE_BYTES);
  await stage.commit(clone, 'Add a large file');
  await stage.told(['push', '-q', 'origin', `at-${road}`], { cwd: clone });
  const other = await stage.clone({ branch: `at-${road}`, env: { GIT_CURL_VERBOSE: '1' } });
  expect(await sumOf(join(other, 'large.bin'))).toBe(oid);
  expect(emulator.storage.seen.map(({ method, status, bytes }) => `${method} ${status} ${bytes}`)).toEqual(
    road === 'storage' ? [`PUT 201 ${LARGE_BYTES}`, `GET 200 ${LARGE_BYTES}`] : [`GET 200 ${LARGE_BYTES}`],
  );
  expect(emulator.storage.seen.at(-1)?.host).toBe('vsblobprodweu1.blob.core.windows.net');
  await stage.expectHidden();
});

test('a credential that a batch answer gives is kept from the client', async () => {
  const { emulator } = stage.scene;
  const secret = `Bearer ${emulator.sts.issue()}`;
  emulator.lfs.actionAuthorization = secret;
  const clone = await stage.topic('given-credential');
  await writeNoise(join(clone, 'large.bin'), 1000);
  await stage.commit(clone, 'Add a large file');
  await stage.told(['push', 'origin', 'given-credential'], { cwd: clone, env: { GIT_CURL_VERBOSE: '1', GIT_TRACE: '1' } });
  await stage.expectHidden();
});

describe('the stage itself', () => {
  test('sees and refuses who connects to the emulator past the daemon', async () => {
    const { doorkeeper, git } = stage.scene.emulator;
    const direct = await stage.git(['-c', 'http.sslVerify=false', 'ls-remote', `${git.origin}/contoso/Payments/_git/web`]);
    expect(direct.code).not.toBe(0);
    expect(doorkeeper.refused.length).toBeGreaterThan(0);
    doorkeeper.refused.length = 0;
  });

  test('sees and refuses who asks for a real name', async () => {
    const clone = await stage.topic('direct');
    await writeFile(join(clone, 'x.bin'), 'x');
    await stage.commit(clone, 'Add a file');
    const env = { GIT_CONFIG_GLOBAL: join(stage.scene.home, 'none') };
    const lookup = await run('git', ['ls-remote', REMOTE], { env: { ...stage.scene.environment, ...stage.environment, ...env } });
    expect(lookup.code).not.toBe(0);
    expect(stage.takeTrapped()).toEqual(['dev.azure.com:443']);
  });
});
