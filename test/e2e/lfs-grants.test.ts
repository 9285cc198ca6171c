/**
 * Promise: what a batch answer names is good for who may have it, and as it is, or not at all. The attacks: a lease that only reads
 * and wants to write; an address taken from somebody else's batch answer; an address changed, kept too long, or used for something else.
 */
import { createHash, randomBytes } from 'node:crypto';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { LfsStage, REPOSITORY } from '../support/lfs-stage.js';
import { sumOf, writeNoise } from '../support/noise.js';
import { LFS_TYPE, LfsWire, messageOf } from '../support/lfs-wire.js';
import type { PlainAnswer } from '../support/plain-request.js';

const API = 'contoso/payments/api';
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

let stage: LfsStage;
const agent = new Agent({ keepAlive: true, maxSockets: 8 });
/** An object that both repositories have. */
let shared = '';

beforeAll(async () => {
  stage = await LfsStage.open();
  const { emulator } = stage.scene;
  await emulator.createRepository(API);
  const content = randomBytes(1000);
  for (const repository of [REPOSITORY, API]) shared = await emulator.lfs.transfers.put(repository, content);
});
afterAll(async () => {
  agent.destroy();
  await stage.close();
});
beforeEach(() => {
  const { lfs, git, storage } = stage.scene.emulator;
  lfs.road = 'host';
  lfs.asksVerify = false;
  lfs.expiresInSeconds = undefined;
  lfs.transfers.seen.length = 0;
  lfs.batches.length = 0;
  git.seen.length = 0;
  storage.seen.length = 0;
});
afterEach(() => stage.expectNoWayPast());

/** A lease for one repository. One for pushes has to say which refs. */
async function lease(allow: string): Promise<string> {
  const refs = allow.includes('push') ? ['--ref', 'refs/**'] : [];
  const ran = await stage.daemon.postern(['lease', 'create', '--repo', 'contoso/Payments/web', '--allow', allow, ...refs, '--for', '1h']);
  expect(ran, ran.stderr).toMatchObject({ code: 0 });
  return ran.stdout.trim();
}

/** A client by lease, or as the user of the daemon. */
function wire(repository: 'web' | 'api' = 'web', held?: string): LfsWire {
  return new LfsWire(stage.daemon.url(`dev.azure.com/contoso/Payments/_git/${repository}`), { agent, lease: held });
}

/** What the emulator was asked since the test began or `forget`. */
function asked(): string[] {
  const { git, storage } = stage.scene.emulator;
  return [...git.seen.map(({ method, url }) => `${method} ${url}`), ...storage.seen.map(({ method, blob }) => `${method} ${blob}`)];
}
function forget(): void {
  stage.scene.emulator.git.seen.length = 0;
  stage.scene.emulator.storage.seen.length = 0;
}

/** Fails unless it is a refusal that git-lfs can read, and nothing of it went up. */
function expectRefused(answer: PlainAnswer, words: RegExp): void {
  expect([answer.status, answer.headers['content-type']]).toEqual([403, LFS_TYPE]);
  expect(messageOf(answer)).toMatch(words);
  expect(asked()).toEqual([]);
}

const UNMADE = /The address was not made by this door, or has been changed/;
const OTHERWISE = /The address was made for something else than this/;

describe('a lease that only reads', () => {
  test('has git-lfs fetch and not push, not lock and not unlock, and says why', async () => {
    const clone = await stage.topic('read-only');
    const first = await writeNoise(join(clone, 'large.bin'), 1000);
    await stage.commit(clone, 'Add a large file');
    await stage.told(['push', '-q', 'origin', 'read-only'], { cwd: clone });
    const { locks } = stage.scene.emulator.lfs;
    const { lock } = locks.add(REPOSITORY, 'held.bin', 'Grace');

    const held = await lease('fetch,lfs');
    const env = {
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: `http.${stage.daemon.base}/.extraHeader`,
      GIT_CONFIG_VALUE_0: `X-Postern-Lease: ${held}`,
    };
    const other = await stage.clone({ branch: 'read-only', env });
    expect(await sumOf(join(other, 'large.bin'))).toBe(first);

    await writeNoise(join(other, 'large.bin'), 1000);
    await stage.commit(other, 'Change it');
    stage.scene.emulator.lfs.batches.length = 0;
    const why = /postern: The lease [0-9a-f]{16} allows fetch, lfs, not push/;
    for (const command of [
      ['lfs', 'push', 'origin', 'read-only'],
      ['push', 'origin', 'read-only'],
      ['lfs', 'lock', 'large.bin'],
      ['lfs', 'unlock', '--force', '--id', lock.id],
    ]) {
      const ran = await stage.git(command, { cwd: other, env });
      expect(ran.code, command.join(' ')).not.toBe(0);
      expect(ran.stderr, command.join(' ')).toMatch(why);
    }
    expect(stage.scene.emulator.lfs.batches).toEqual([]);
    expect(locks.of(REPOSITORY).map(({ path }) => path)).toEqual(['held.bin']);
    locks.remove(REPOSITORY, lock);
  });

  test('cannot write by any verb, also with an address that was given to somebody who may', async () => {
    stage.scene.emulator.lfs.asksVerify = true;
    const content = randomBytes(1000);
    const oid = createHash('sha256').update(content).digest('hex');
    const owner = wire();
    const up = await owner.address('upload', oid);
    const verify = await owner.address('verify', oid);
    const reader = wire('web', await lease('fetch,lfs'));
    forget();
    const why = /The lease [0-9a-f]{16} allows fetch, lfs, not push/;
    expectRefused(await reader.batch('upload', [oid]), why);
    expectRefused(await reader.send(up, { method: 'PUT', body: content }), why);
    expectRefused(await reader.send(verify, { method: 'POST', body: JSON.stringify({ oid, size: 1000 }) }), why);
    expectRefused(await reader.post('/locks', { path: 'a.bin' }), why);
    expectRefused(await reader.post('/locks/verify', {}), why);
    expectRefused(await reader.post('/locks/1/unlock', { force: true }), why);
    // The address itself is a good one.
    expect((await owner.send(up, { method: 'PUT', body: content })).status).toBe(200);
    expect(await stage.scene.emulator.lfs.transfers.sizeOf(REPOSITORY, oid)).toBe(1000);
  });

  test('without lfs cannot read either, and with push and no lfs not write', async () => {
    const down = await wire().address('download', shared);
    forget();
    for (const allow of ['fetch', 'push']) {
      const client = wire('web', await lease(allow));
      const why = /The lease [0-9a-f]{16} allows [a-z, ]+, not lfs/;
      expectRefused(await client.batch('download', [shared]), why);
      expectRefused(await client.batch('upload', [shared]), why);
      expectRefused(await client.send(down), why);
    }
  });
});

describe('an address from the batch answer of another repository', () => {
  test('opens nothing to a lease for one repository, there or under its own path', async () => {
    const theirs = await wire('api').address('download', shared);
    const mine = wire('web', await lease('fetch,lfs'));
    const own = await mine.address('download', shared);
    forget();
    expectRefused(await mine.send(theirs), /The lease [0-9a-f]{16} /);
    expectRefused(await mine.send(theirs.replace('/_git/api', '/_git/web')), OTHERWISE);
    expectRefused(await mine.send(own.replace('/_git/web', '/_git/api')), /The lease [0-9a-f]{16} /);
    // Spelled in another way it is the same repository.
    for (const spelled of ['/_git/WEB', '/_git/_full/web', '/_git/%77eb'])
      expectRefused(await mine.send(theirs.replace('/_git/api', spelled)), OTHERWISE);
    expect((await mine.send(own)).status).toBe(200);
  });

  test('nor to the user of the daemon under a path that it was not given for', async () => {
    const theirs = await wire('api').address('download', shared);
    forget();
    expectRefused(await wire().send(theirs.replace('/_git/api', '/_git/web')), OTHERWISE);
    expect((await wire().send(theirs)).status).toBe(200);
  });
});

describe('an address of a batch answer', () => {
  test.each(['host', 'storage'] as const)('with one character changed, wherever, is refused (%s)', async (road) => {
    stage.scene.emulator.lfs.road = road;
    const client = wire();
    const href = await client.address('download', shared);
    forget();
    const from = href.indexOf('?postern-to=') + '?postern-to='.length;
    const places = Array.from({ length: href.length - from }, (_, index) => from + index);
    const answers = await Promise.all(
      places.map((at) => {
        const other = ALPHABET[(ALPHABET.indexOf(href.charAt(at)) + 1 + (at % 62)) % 64] ?? '';
        return client.send(href.slice(0, at) + other + href.slice(at + 1));
      }),
    );
    expect(answers.map(({ status }) => status)).toEqual(places.map(() => 403));
    for (const answer of answers) expectRefused(answer, UNMADE);
    expect((await client.send(href)).status).toBe(200);
  });

  test('cut, lengthened, repeated, made up or without its seal is refused', async () => {
    const client = wire();
    const href = await client.address('download', shared);
    const [bare = '', seal = ''] = href.split('?postern-to=');
    forget();
    for (const odd of [
      `${bare}?postern-to=`,
      `${href}A`,
      `${href}=`,
      href.slice(0, -1),
      `${href}${seal}`,
      `${bare}?postern-to=${'A'.repeat(200)}`,
    ])
      expectRefused(await client.send(odd), UNMADE);
    for (const odd of [bare, `${bare}?`, `${bare}?POSTERN-TO=${seal}`, `${bare}?x=1&postern-to=${seal}`]) {
      const answer = await client.send(odd);
      expect(answer.status, odd).toBeGreaterThanOrEqual(400);
      expect(messageOf(answer), odd).toMatch(/taken from a batch answer of this door|query/);
      expect(asked()).toEqual([]);
    }
    for (const odd of [`${href}&x=1`, `${href}&postern-to=${seal}`, `${bare}?postern-to=${seal.replace(/^./, '%41')}`]) {
      const answer = await client.send(odd);
      expect(answer.status, odd).toBeGreaterThanOrEqual(400);
      expect(asked(), odd).toEqual([]);
    }
  });

  test('is for one object, one method and one direction', async () => {
    stage.scene.emulator.lfs.asksVerify = true;
    const fresh = createHash('sha256').update(randomBytes(8)).digest('hex');
    const client = wire();
    const down = await client.address('download', shared);
    const up = await client.address('upload', fresh);
    const verify = await client.address('verify', fresh);
    const body = randomBytes(10);
    forget();
    for (const [url, method] of [
      [down.replace(shared, fresh), 'GET'],
      [down, 'PUT'],
      [down, 'POST'],
      [up, 'GET'],
      [up, 'POST'],
      [up.replace(fresh, shared), 'PUT'],
      [verify, 'PUT'],
      [verify, 'GET'],
    ] as const)
      expectRefused(await client.send(url, { method, ...(method === 'GET' ? {} : { body }) }), OTHERWISE);
    for (const method of ['HEAD', 'DELETE', 'PATCH', 'OPTIONS']) expect((await client.send(down, { method })).status, method).toBe(405);
    expect(asked()).toEqual([]);
  });

  test('past its time is refused', async () => {
    stage.scene.emulator.lfs.expiresInSeconds = -5;
    const client = wire();
    const href = await client.address('download', shared);
    forget();
    expectRefused(await client.send(href), /The address ended at 20[0-9T:.-]+Z[^]*run the command again/);
  });

  test('is of no use to a lease that was revoked, or has lost the right by being narrowed', async () => {
    const held = await lease('fetch,lfs');
    const client = wire('web', held);
    const href = await client.address('download', shared);
    expect((await client.send(href)).status).toBe(200);
    const narrowed = await stage.scene.postern(['lease', 'narrow', '--allow', 'fetch'], { env: { POSTERN_LEASE: held } });
    expect(narrowed.code, narrowed.stderr).toBe(0);
    forget();
    expectRefused(await wire('web', narrowed.stdout.trim()).send(href), /The lease [0-9a-f]{16} allows fetch, not lfs/);
    const explained = await stage.scene.postern(['lease', 'explain', '--json'], { env: { POSTERN_LEASE: held } });
    const { id } = JSON.parse(explained.stdout) as { id: string };
    expect((await stage.daemon.postern(['lease', 'revoke', id])).code).toBe(0);
    expectRefused(await client.send(href), /revoked/);
    // Who may, may still: the address is nobody's.
    expect((await wire().send(href)).status).toBe(200);
  });

  test('ends with the route that it was learned by', async () => {
    const client = wire();
    const href = await client.address('download', shared);
    const text = stage.configuration;
    const line = text.split('\n').find((each) => each.includes('match: dev.azure.com/**')) ?? '';
    await stage.reconfigure(text.replace(line, `${line.replace('dev.azure.com/**', 'dev.azure.com/contoso/**')}\n${line}`));
    forget();
    expectRefused(await client.send(href), OTHERWISE);
    await stage.reconfigure(text);
    expect((await client.send(href)).status).toBe(200);
  });
});
