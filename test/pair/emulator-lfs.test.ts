/**
 * The emulator's LFS endpoint and its storage account against real git-lfs, which reaches them by their real names through the
 * emulator's proxy; and its refusals by plain requests.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Emulator } from '../azure/emulator.js';
import { LFS_TYPE } from '../azure/lfs-answers.js';
import { type Answer, ask, basic, endEmulator, git, type GitResult, startEmulator } from './emulator-rig.js';

const NAME = 'contoso/payments/web';
const LFS = '/contoso/Payments/_git/web/info/lfs';

let emulator: Emulator;
let ca: string;
let environment: Record<string, string>;
let clones = 0;

beforeAll(async () => {
  ({ emulator, ca } = await startEmulator());
  const settings = join(emulator.directory, 'gitconfig');
  await writeFile(
    settings,
    [
      '[http]',
      `\tproxy = ${emulator.proxy.origin}`,
      '[http "https://dev.azure.com/"]',
      `\textraHeader = Authorization: ${bearer()}`,
      '[filter "lfs"]',
      '\tclean = git-lfs clean -- %f',
      '\tsmudge = git-lfs smudge -- %f',
      '\tprocess = git-lfs filter-process',
      '\trequired = true',
      '[lfs]',
      '\tlocksverify = true',
      '[lfs "transfer"]',
      '\tmaxretries = 1',
      '',
    ].join('\n'),
  );
  environment = { GIT_CONFIG_GLOBAL: settings };
});

afterAll(() => endEmulator(emulator));

beforeEach(() => {
  const { lfs, storage } = emulator;
  lfs.road = 'host';
  lfs.asksChunked = true;
  lfs.asksVerify = false;
  lfs.faults.clear();
  lfs.batches.length = 0;
  lfs.transfers.seen.length = 0;
  storage.seen.length = 0;
});

const bearer = (): string => `Bearer ${emulator.sts.issue()}`;
const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex');
const run = (args: readonly string[]): Promise<GitResult> => git(emulator, args, environment);

/** A new clone by the real name, of what is on the branch. */
async function clone(branch = 'main'): Promise<{ path: string; result: GitResult; lfs: (...args: string[]) => Promise<GitResult> }> {
  clones += 1;
  const path = join(emulator.directory, `clone-${clones}`);
  const result = await run(['clone', '-q', '-b', branch, 'https://dev.azure.com/contoso/Payments/_git/web', path]);
  return { path, result, lfs: (...args) => run(['-C', path, ...args]) };
}

/** Commits a new large file and pushes it to a branch of its own. */
async function push(sizeBytes: number): Promise<{ branch: string; content: Buffer; oid: string; result: GitResult }> {
  const { path, result: cloned, lfs } = await clone();
  expect(cloned).toMatchObject({ code: 0, stderr: '' });
  const branch = `topic-${clones}`;
  const content = randomBytes(sizeBytes);
  await lfs('lfs', 'install', '--local');
  await lfs('lfs', 'track', '*.bin');
  await writeFile(join(path, 'large.bin'), content);
  await lfs('add', '.');
  await lfs('commit', '-qm', 'Add a large file');
  const result = await lfs('push', '-q', 'origin', `HEAD:refs/heads/${branch}`);
  return { branch, content, oid: sha256(content), result };
}

async function pull(branch: string): Promise<Buffer> {
  const { path, result } = await clone(branch);
  expect(result).toMatchObject({ code: 0 });
  return readFile(join(path, 'large.bin'));
}

function call(path: string, body: object | undefined, headers: Record<string, string> = {}): Promise<Answer> {
  return ask(emulator, ca, {
    path: `${LFS}${path}`,
    method: body === undefined ? 'GET' : 'POST',
    headers: { Authorization: bearer(), 'Content-Type': LFS_TYPE, Accept: LFS_TYPE, ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

describe('git-lfs', () => {
  test('pushes in chunks and clones, and everything is recorded', async () => {
    const { branch, content, oid, result } = await push(300_000);
    expect(result).toMatchObject({ code: 0 });
    expect(emulator.lfs.transfers.seen).toMatchObject([{ repository: NAME, oid, action: 'upload', bytes: 300_000, isChunked: true }]);
    expect((await pull(branch)).equals(content)).toBe(true);
    expect(emulator.lfs.transfers.seen.at(-1)).toMatchObject({ oid, action: 'download', bytes: 300_000 });
    expect(emulator.lfs.batches.map(({ operation }) => operation)).toEqual(['upload', 'download']);
    const seen = emulator.git.seen.filter(({ url }) => url.includes('/info/lfs/'));
    expect(seen.some(({ url }) => url === `${LFS.replace('web', 'web.git')}/objects/batch`)).toBe(true);
    expect(seen.find(({ method }) => method === 'PUT')).toMatchObject({ host: 'dev.azure.com', url: `${LFS}/objects/${oid}` });
    expect(seen.every(({ authorization, repository }) => authorization === 'bearer' && repository === NAME)).toBe(true);
  });

  test('is refused over the limit with a length, and not in chunks', async () => {
    emulator.lfs.transfers.lengthLimitBytes = 100_000;
    emulator.lfs.asksChunked = false;
    const { result } = await push(200_000);
    expect(result.code).not.toBe(0);
    expect(result.stderr).toContain('413');
    emulator.lfs.asksChunked = true;
    expect((await push(200_000)).result).toMatchObject({ code: 0 });
  });

  test.each([false, true])('has uploads verified (%s)', async (asksVerify) => {
    emulator.lfs.asksVerify = asksVerify;
    expect((await push(1000)).result).toMatchObject({ code: 0 });
    expect(emulator.git.seen.some(({ url, status }) => url.endsWith('/verify') && url.includes('/objects/') && status === 200)).toBe(
      asksVerify,
    );
  });

  test.each(['storage', 'redirect'] as const)('is led to the storage account (%s), which sees no credential', async (road) => {
    emulator.lfs.road = road;
    const { branch, content, oid, result } = await push(50_000);
    expect(result).toMatchObject({ code: 0 });
    expect((await pull(branch)).equals(content)).toBe(true);
    expect(emulator.storage.seen.map(({ method, status }) => `${method} ${status}`)).toEqual(
      road === 'storage' ? ['PUT 201', 'GET 200'] : ['GET 200'],
    );
    expect(emulator.storage.seen.every(({ authorization, blob }) => authorization === 'none' && blob.endsWith(oid))).toBe(true);
    expect(emulator.storage.seen[0]?.host).toBe('vsblobprodweu1.blob.core.windows.net');
  });

  test('resumes with a range after a cut', async () => {
    const { branch, content, oid } = await push(400_000);
    emulator.lfs.faults.set(oid, { at: 'download', kind: 'cut', afterBytes: 150_000, times: 1 });
    expect((await pull(branch)).equals(content)).toBe(true);
    const downloads = emulator.lfs.transfers.seen.filter(({ action }) => action === 'download');
    expect(downloads).toMatchObject([{ bytes: 150_000 }, { range: 'bytes=150000-399999', bytes: 250_000 }]);
  });

  test('sends again what was cut on the way up', async () => {
    emulator.lfs.faults.set('*', { at: 'upload', kind: 'cut', afterBytes: 50_000, times: 1 });
    const { branch, content, result } = await push(400_000);
    expect(result).toMatchObject({ code: 0 });
    expect((await pull(branch)).equals(content)).toBe(true);
  });

  test('finds out about other bytes', async () => {
    const { branch, oid } = await push(1000);
    emulator.lfs.faults.set(oid, { at: 'download', kind: 'corrupt' });
    const { result } = await clone(branch);
    expect(result.code).not.toBe(0);
    expect(result.stderr).toContain('expected OID');
  });

  test.each([
    [401, 'Authentication required'],
    [403, "You need the Git 'GenericContribute' permission"],
    [404, 'Object does not exist'],
    [412, 'does not match what was announced'],
    [413, '413'],
    [503, '503'],
  ])('tells of a %i for one object', async (status, words) => {
    emulator.lfs.faults.set('*', { at: 'upload', kind: 'status', status });
    const { result } = await push(1000);
    expect(result.code).not.toBe(0);
    expect(result.stderr).toContain(words);
  });

  // How long it waits is its own affair: the version that Debian has counts from its own table.
  test('comes again after a 429', async () => {
    emulator.lfs.faults.set('*', { at: 'upload', kind: 'status', status: 429, retryAfterSeconds: 1, times: 1 });
    const { branch, content, result } = await push(1000);
    expect(result).toMatchObject({ code: 0 });
    const puts = emulator.git.seen.filter(({ method }) => method === 'PUT').slice(-2);
    expect(puts.map(({ status }) => status)).toEqual([429, 200]);
    expect((await pull(branch)).equals(content)).toBe(true);
  });

  test('locks, lists and unlocks', async () => {
    const { lfs } = await clone();
    expect(await lfs('lfs', 'lock', 'README.md')).toMatchObject({ code: 0 });
    expect((await lfs('lfs', 'lock', 'README.md')).stderr).toContain('already locked');
    const theirs = emulator.lfs.locks.add(NAME, 'large.bin', 'somebody else').lock;
    emulator.lfs.locks.pageSize = 1;
    const listed = await lfs('lfs', 'locks', '--verify');
    expect(listed.stdout.split('\n').filter((line) => line !== '')).toHaveLength(2);
    expect(listed.stdout).toMatch(/^O README\.md/m);
    expect((await lfs('lfs', 'locks')).stdout).toContain('somebody else');
    emulator.lfs.locks.pageSize = 100;
    expect((await lfs('lfs', 'unlock', '--id', theirs.id)).code).not.toBe(0);
    expect(await lfs('lfs', 'unlock', '--force', '--id', theirs.id)).toMatchObject({ code: 0 });
    expect(await lfs('lfs', 'unlock', 'README.md')).toMatchObject({ code: 0 });
    expect(emulator.lfs.locks.of(NAME)).toEqual([]);
  });
});

describe('a plain request', () => {
  test.each([
    ['another media type', '/objects/batch', { operation: 'upload' }, { 'Content-Type': 'application/json' }, 415],
    ['no objects', '/objects/batch', { operation: 'upload' }, {}, 422],
    ['an unknown operation', '/objects/batch', { operation: 'copy', objects: [] }, {}, 422],
    ['an unknown call', '/elsewhere', {}, {}, 404],
    ['no credential', '/objects/batch', { operation: 'upload', objects: [] }, { Authorization: '' }, 401],
  ])('with %s is refused', async (_, path, body, headers, status) => {
    expect(await call(path, body, headers)).toMatchObject({ status });
  });

  test('says of each object of a batch how it stands', async () => {
    const there = await emulator.lfs.transfers.put(NAME, Buffer.from('content'));
    const missing = '0'.repeat(64);
    const forbidden = '1'.repeat(64);
    emulator.lfs.faults.set(forbidden, { at: 'object-in-batch', kind: 'status', status: 403, message: 'Not this one' });
    const objects = [there, missing, forbidden].map((oid) => ({ oid, size: 7 }));
    const answer = await call('/objects/batch', { operation: 'download', objects });
    expect(answer.headers['content-type']).toContain(LFS_TYPE);
    expect(JSON.parse(answer.body)).toEqual({
      transfer: 'basic',
      objects: [
        { oid: there, size: 7, actions: { download: { href: `https://dev.azure.com${LFS}/objects/${there}`, header: {} } } },
        { oid: missing, size: 7, error: { code: 404, message: 'Object does not exist' } },
        { oid: forbidden, size: 7, error: { code: 403, message: 'Not this one' } },
      ],
    });
  });

  test.each([
    ['bytes=2-4', 206, 'nte', 'bytes 2-4/7'],
    ['bytes=4-', 206, 'ent', 'bytes 4-6/7'],
    ['bytes=-2', 206, 'nt', 'bytes 5-6/7'],
    ['bytes=7-', 416, '', 'bytes */7'],
    ['lines=1-2', 200, 'content', undefined],
  ])('gets %s with %i', async (range, status, body, contentRange) => {
    const oid = await emulator.lfs.transfers.put(NAME, Buffer.from('content'));
    const answer = await call(`/objects/${oid}`, undefined, { Range: range });
    expect(answer).toMatchObject({ status, body });
    expect(answer.headers['content-range']).toBe(contentRange);
  });

  test('of a PAT that may read cannot upload, lock or put', async () => {
    const { token } = emulator.git.patApi.add({ scope: 'vso.code' });
    const headers = { Authorization: basic('', token) };
    const batch = (operation: string): Promise<Answer> => call('/objects/batch', { operation, objects: [] }, headers);
    expect(await batch('download')).toMatchObject({ status: 200 });
    expect(await batch('upload')).toMatchObject({ status: 403 });
    expect(await call('/locks', { path: 'a' }, headers)).toMatchObject({ status: 403 });
    expect(emulator.git.seen.at(-1)?.refusedFor).toBe('pat-scope');
    const put = await ask(emulator, ca, { path: `${LFS}/objects/${'0'.repeat(64)}`, method: 'PUT', headers, body: 'x' });
    expect(put.status).toBe(403);
  });

  test('is refused when the bytes are not those of the name', async () => {
    const oid = sha256(Buffer.from('others'));
    const headers = { Authorization: bearer() };
    const put = await ask(emulator, ca, { path: `${LFS}/objects/${oid}`, method: 'PUT', headers, body: 'content' });
    expect(put.status).toBe(422);
    expect(await emulator.lfs.transfers.sizeOf(NAME, oid)).toBeUndefined();
  });

  test.each([
    ['a credential besides', {}, { Authorization: 'Bearer x' }, 400],
    ['a foreign signature', { sig: 'AAAA' }, {}, 403],
    ['another permission', { sp: 'w' }, {}, 403],
    ['another expiry', { se: '2999-01-01T00:00:00.000Z' }, {}, 403],
  ])('of the storage account with %s is refused', async (_, query, headers, status) => {
    await emulator.storage.put('some/thing', 'content');
    const url = new URL(emulator.storage.href('some/thing', 'r'));
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    emulator.storage.seen.length = 0;
    const port = emulator.storage.port;
    const answer = await ask(emulator, ca, { path: url.pathname + url.search, headers, port });
    expect(answer.status).toBe(status);
  });

  test('of the storage account is refused when the signature is too old', async () => {
    await emulator.storage.put('some/thing', 'content');
    const good = new URL(emulator.storage.href('some/thing', 'r'));
    emulator.storage.lifeMs = -1;
    const old = new URL(emulator.storage.href('some/thing', 'r'));
    emulator.storage.lifeMs = 3_600_000;
    const { port } = emulator.storage;
    expect(await ask(emulator, ca, { path: good.pathname + good.search, port })).toMatchObject({ status: 200, body: 'content' });
    expect(await ask(emulator, ca, { path: old.pathname + old.search, port })).toMatchObject({ status: 403 });
  });
});
