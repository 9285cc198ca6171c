/**
 * Continuous access evaluation: an upstream that withdraws a token before its time and names what the next one must have. Real git over
 * both doors, the real token library; the emulator lets in only tokens that were asked for with the claims that it named.
 */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { ClaimsDemand } from '../azure/token-book.js';
import { rejected, succeed, told } from '../support/failure-stage.js';
import { type Ran, type RunningDaemon, Scene } from '../support/scene.js';

const WITHDRAWN = 'postern: The upstream withdrew the token and asks for one with more proof (continuous access evaluation)';

let scene: Scene;
let daemon: RunningDaemon;
let work: string;
let places = 0;

beforeAll(async () => {
  scene = await Scene.open();
  daemon = await scene.daemon(
    scene.plainConfiguration
      .replace('127.0.0.1:0 }', '127.0.0.1:0, ssh: 127.0.0.1:0 }')
      .replace(
        'routes:\n',
        `  machine: { kind: managed-identity }\nroutes:\n  - { match: dev.azure.com/*/machine/*, identity: machine, upstream: '${scene.emulator.git.origin}', ca: ${scene.emulator.caFile} }\n`,
      ),
    { env: { AZURE_POD_IDENTITY_AUTHORITY_HOST: scene.emulator.imds.origin } },
  );
  work = join(scene.directory, 'work');
  await succeed(scene.git(['init', '-q', '-b', 'large', work]));
  await writeFile(join(work, 'large.bin'), randomBytes(3 << 20));
  await succeed(scene.git(['add', '.'], { cwd: work }));
  await succeed(scene.git(['commit', '-qm', 'large'], { cwd: work }));
});
afterAll(() => scene.close());

beforeEach(() => {
  const { git, sts, imds } = scene.emulator;
  sts.ignoresClaims = false;
  sts.failWith = undefined;
  sts.tokenRequests.length = 0;
  git.seen.length = 0;
  imds.requests.length = 0;
  imds.keepsToken = false;
});

/** An organisation of its own, with a repository; nothing is remembered of it yet. */
async function place(project = 'Payments'): Promise<{ readonly name: string; readonly path: string }> {
  places += 1;
  const name = `cae${places}`;
  await scene.emulator.createRepository(`${name}/${project}/web`, { commits: 2 });
  return { name, path: `dev.azure.com/${name}/${project}/_git/web` };
}

/** From now on the organisation wants this of a token. */
function demand(name: string, wanted: ClaimsDemand): void {
  scene.emulator.git.organisations.set(name, { demand: wanted });
}

const lsRemote = (path: string): Promise<Ran> => scene.git(['ls-remote', daemon.url(path)]);
/** What tokens were asked for with, without what the library adds of its own. */
const asked = (): unknown[] =>
  scene.emulator.sts.tokenRequests.map(({ claims }) => {
    if (claims === '') return undefined;
    const { access_token: wanted } = JSON.parse(claims) as { access_token: Record<string, unknown> };
    return Object.fromEntries(Object.entries(wanted).filter(([key]) => key !== 'xms_cc'));
  });
const acrs = (value: string): unknown => ({ acrs: { essential: true, value } });
const challenges = (): number => scene.emulator.git.count({ refusedFor: 'claims-required' });

test('a challenge is met with one token request that names its claims, however many callers meet it, and so is the next one', async () => {
  const { name, path } = await place();
  await succeed(lsRemote(path));
  scene.emulator.sts.tokenRequests.length = 0;
  for (const value of ['c1', 'c2']) {
    demand(name, { acrs: value });
    scene.emulator.git.seen.length = 0;
    // All of them are under way with the old token before the new one is there.
    scene.emulator.sts.delayMs = 300;
    const ran = await Promise.all(Array.from({ length: 12 }, () => lsRemote(path)));
    scene.emulator.sts.delayMs = 0;
    expect(ran.map(({ code, stderr }) => [code, stderr])).toEqual(Array.from({ length: 12 }, () => [0, '']));
    expect(challenges()).toBeGreaterThan(0);
    expect(asked().at(-1)).toEqual(acrs(value));
  }
  expect(asked()).toEqual([acrs('c1'), acrs('c2')]);
  // Said by the client, or no token that satisfies it would be given.
  expect(scene.emulator.sts.tokenRequests.every(({ claims }) => claims.includes('"xms_cc"'))).toBe(true);
  expect(daemon.log.filter(({ event, why }) => event === 'request-replayed' && why === 'claims asked for').length).toBeGreaterThanOrEqual(
    2,
  );
});

test('over SSH it is met in the same way', async () => {
  const { name } = await place();
  const env = await scene.sshEnvironment();
  const url = daemon.sshUrl(`ssh.dev.azure.com/v3/${name}/Payments/web`);
  demand(name, { nbf: String(Math.floor(Date.now() / 1000)) });
  expect(await scene.git(['ls-remote', url], { env })).toMatchObject({ code: 0 });
  expect(challenges()).toBe(1);
  expect(asked()).toHaveLength(1);
  expect(asked()[0]).toHaveProperty('nbf');
});

test('a token that does not satisfy it is told, and asked for once: the next callers are told too', async () => {
  const { name, path } = await place();
  demand(name, { acrs: 'c3' });
  scene.emulator.sts.ignoresClaims = true;
  for (let time = 0; time < 3; time++) {
    const ran = await lsRemote(path);
    expect(ran.code).toBe(128);
    expect(told(ran.stderr).slice(0, 1)).toEqual([`${WITHDRAWN}; a token that was asked for with that proof was refused too`]);
    expect(told(ran.stderr)).toContain(
      '  what to do: ask the administrator of the tenant which policy (conditional access for workload identities, allowed networks) stops this identity, and whether it was disabled',
    );
  }
  expect(asked()).toEqual([acrs('c3')]);
  // One with each try of git's, and one more with the first.
  expect(challenges()).toBe(4);
  const failure = (await daemon.status()).failures.find(({ repository }) => repository.includes(name));
  expect(failure?.failure?.code).toBe('upstream-claims');
});

test('a push whose body cannot be sent twice is told to come again, and then carries the right token', async () => {
  const { name, path } = await place();
  const { seen } = scene.emulator.git;
  const note = seen.push.bind(seen);
  // Once the probe has been let in, and before the body behind it is.
  seen.push = (...entries) => {
    if (entries.some(({ url, headers }) => url.endsWith('/git-receive-pack') && headers['content-length'] === '4'))
      setImmediate(() => demand(name, { acrs: 'c4' }));
    return note(...entries);
  };
  const pushed = await scene.git(['push', daemon.url(path), 'large:main', '--force'], { cwd: work });
  seen.push = note;
  expect(pushed.code).toBe(1);
  expect(rejected(pushed.stderr)).toEqual([
    `${WITHDRAWN}; this request could not be sent a second time with a new one`,
    '  route dev.azure.com/**, identity sp, upstream status 401, ActivityId ID',
    '  what to do: run the command again: the next token is asked for with that proof',
  ]);
  expect(asked()).toEqual([]);
  expect(await scene.git(['push', daemon.url(path), 'large:main', '--force'], { cwd: work })).toMatchObject({ code: 0 });
  expect(asked()).toEqual([acrs('c4')]);
  expect(challenges()).toBe(1);
});

test('claims are kept over a sign-in that fails, and over a reload', async () => {
  const { name, path } = await place();
  await succeed(lsRemote(path));
  demand(name, { acrs: 'c5' });
  scene.emulator.sts.failWith = { aadsts: 53003 };
  const ran = await lsRemote(path);
  expect(ran.code).toBe(128);
  expect(told(ran.stderr)[0]).toContain('AADSTS53003');
  const state = (await daemon.status()).identities.find((each) => each.name === 'sp');
  expect(JSON.parse(state?.variants[0]?.claims ?? '{}')).toEqual({ access_token: acrs('c5') });
  expect(await daemon.postern(['reload'])).toMatchObject({ code: 0 });
  scene.emulator.sts.failWith = undefined;
  scene.emulator.sts.tokenRequests.length = 0;
  await expect.poll(async () => (await lsRemote(path)).code, { timeout: 20_000, interval: 500 }).toBe(0);
  expect(asked()).toEqual([acrs('c5')]);
  expect((await daemon.status()).identities.find((each) => each.name === 'sp')?.variants[0]?.claims).toBeUndefined();
});

test('a managed identity has no other token than the one that the platform keeps, and says so', async () => {
  const { name, path } = await place('machine');
  scene.emulator.imds.keepsToken = true;
  await succeed(lsRemote(path));
  demand(name, { acrs: 'c6' });
  scene.emulator.imds.requests.length = 0;
  const ran = await lsRemote(path);
  expect(ran.code).toBe(128);
  expect(told(ran.stderr)[0]).toBe(`${WITHDRAWN}; there is no other than the one that was refused`);
  expect(told(ran.stderr).join('\n')).toContain('Azure keeps the tokens of a managed identity for up to a day');
  expect(scene.emulator.imds.requests).toHaveLength(1);
  await lsRemote(path);
  expect(scene.emulator.imds.requests).toHaveLength(1);
});

test('a challenge that cannot be read is a refusal like any other, and never passed on', async () => {
  const { name, path } = await place();
  const challenge = 'Bearer error="insufficient_claims", claims="bm90IGpzb24="';
  scene.emulator.git.organisations.set(name, { challenges: [challenge] });
  for (const token of scene.emulator.sts.tokens()) scene.emulator.sts.revoke(token);
  scene.emulator.git.tenants.set(name, 'another-tenant');
  const ran = await lsRemote(path);
  expect(ran.code).toBe(128);
  expect(told(ran.stderr)[0]).toBe(`${WITHDRAWN}, in a way that cannot be read`);
  expect(asked()).toEqual([undefined]);
});
