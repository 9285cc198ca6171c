/**
 * Several accounts at once: three tenants, four identities, chosen by organisation, project and repository. The emulator lets each
 * organisation be used by its own accounts alone, and writes down who came: nothing may be crossed, and nobody's trouble may be another's.
 */
import { randomUUID } from 'node:crypto';
import { get } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DEFAULT_TENANT, objectId } from '../azure/token-book.js';
import { succeed, told } from '../support/failure-stage.js';
import { type Ran, type RunningDaemon, Scene } from '../support/scene.js';

const NORTH = DEFAULT_TENANT;
const SOUTH = randomUUID();
const EAST = randomUUID();
const DANA = 'dana@north.example';
const SECOND = { clientId: randomUUID(), secret: `second-${randomUUID()}` };

let scene: Scene;
let daemon: RunningDaemon;
let configuration: string;
/** Repositories by who may come in: the identity's name, and the object id that the emulator must see. */
let world: readonly { readonly path: string; readonly identity: string; readonly user: string }[];

beforeAll(async () => {
  scene = await Scene.open();
  const { sts, git, az, caFile } = scene.emulator;
  const { secretClient, certificateClient } = sts.samples;
  for (const tenant of [SOUTH, EAST]) sts.tenants.add(tenant);
  sts.clients.set(SECOND.clientId, { secret: SECOND.secret });
  az.account = DANA;
  const entra = `authority: '${sts.origin}', ca: ${caFile}`;
  const at = `upstream: '${git.origin}', ca: ${caFile}`;
  configuration = [
    'listen: { http: 127.0.0.1:0 }',
    'log: { level: debug, format: json }',
    'identities:',
    `  first: { kind: client-secret, tenant: ${NORTH}, clientId: ${secretClient.clientId}, secret: { env: SP_SECRET }, ${entra} }`,
    `  second: { kind: client-secret, clientId: ${SECOND.clientId}, secret: { env: SECOND_SECRET }, ${entra} }`,
    `  third: { kind: client-certificate, tenant: ${EAST}, clientId: ${certificateClient.clientId}, certificate: ${certificateClient.pemFile}, ${entra} }`,
    '  dana: { kind: azure-cli }',
    'routes:',
    `  - { match: dev.azure.com/north/Payments/web, identity: dana, ${at} }`,
    `  - { match: dev.azure.com/north/Payments/*, identity: first, ${at} }`,
    `  - { match: dev.azure.com/north/**, identity: dana, ${at} }`,
    `  - { match: dev.azure.com/east/Tools/*, identity: second, ${at} }`,
    `  - { match: dev.azure.com/east/**, identity: third, ${at} }`,
    `  - { match: dev.azure.com/**, identity: second, ${at} }`,
    '',
  ].join('\n');
  const first = objectId(secretClient.clientId, NORTH);
  const dana = objectId(DANA, NORTH);
  const third = objectId(certificateClient.clientId, EAST);
  const second = (tenant: string): string => objectId(SECOND.clientId, tenant);
  world = [
    { path: 'north/Payments/web', identity: 'dana', user: dana },
    { path: 'north/Payments/api', identity: 'first', user: first },
    { path: 'north/Tools/cli', identity: 'dana', user: dana },
    { path: 'south/Payments/web', identity: 'second', user: second(SOUTH) },
    { path: 'east/Payments/web', identity: 'third', user: third },
    { path: 'east/Tools/cli', identity: 'second', user: second(EAST) },
  ];
  const tenants = { north: NORTH, south: SOUTH, east: EAST };
  for (const [name, tenant] of Object.entries(tenants)) {
    git.tenants.set(name, tenant);
    git.organisations.set(name, {
      members: new Set(world.flatMap(({ path, user }) => (path.startsWith(name) ? [user] : []))),
      tellsTenant: true,
    });
  }
  for (const { path } of world) await scene.emulator.createRepository(path, { commits: 1 });
  daemon = await scene.daemon(configuration, {
    env: { PATH: `${az.directory}:${process.env['PATH'] ?? ''}`, SECOND_SECRET: SECOND.secret },
  });
});
afterAll(() => scene.close());

const urlOf = (path: string): string => daemon.url(`dev.azure.com/${path.replace(/\/([^/]+)$/, '/_git/$1')}`);
const lsRemote = (path: string): Promise<Ran> => scene.git(['ls-remote', urlOf(path)]);

/** The advertisement, as a program of any kind asks for it. */
function advertisement(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    get(`${urlOf(path)}/info/refs?service=git-upload-pack`, (answer) => {
      answer.resume().once('end', () => resolve(answer.statusCode ?? 0));
    }).once('error', reject);
  });
}

/** Who came for each repository, as the emulator saw them. */
function visitors(): Record<string, string[]> {
  const seen: Record<string, Set<string>> = {};
  for (const { repository, user } of scene.emulator.git.seen)
    if (repository !== undefined) (seen[repository] ??= new Set()).add(user ?? 'nobody');
  return Object.fromEntries(Object.entries(seen).map(([path, users]) => [path, [...users]]));
}

test('200 requests at once of 4 identities in 3 tenants: one token request for each identity and tenant, and none crossed', async () => {
  const { sts, az, git } = scene.emulator;
  sts.delayMs = 300;
  const all = await Promise.all(
    Array.from({ length: 200 }, (_, index) => {
      const { path } = world[index % world.length] ?? { path: '' };
      // Every tenth is git itself.
      return index % 10 === 0 ? lsRemote(path).then(({ code }) => (code === 0 ? 200 : code)) : advertisement(path);
    }),
  );
  sts.delayMs = 0;
  expect(all.filter((status) => status !== 200)).toEqual([]);
  expect(git.count({ authorization: 'bearer' })).toBeGreaterThanOrEqual(200);
  expect(git.seen.filter(({ repository, status }) => repository !== undefined && status !== 200)).toEqual([]);
  expect(visitors()).toEqual(Object.fromEntries(world.map(({ path, user }) => [path.toLowerCase(), [user]])));
  const { secretClient, certificateClient } = sts.samples;
  expect(sts.tokenRequests.map(({ clientId, tenant }) => `${clientId} ${tenant}`).sort()).toEqual(
    [
      `${secretClient.clientId} ${NORTH}`,
      `${SECOND.clientId} ${SOUTH}`,
      `${SECOND.clientId} ${EAST}`,
      `${certificateClient.clientId} ${EAST}`,
    ].sort(),
  );
  expect(az.calls).toHaveLength(1);
  // One look for each organisation of an identity that names no tenant.
  expect(
    git.seen
      .filter(({ method }) => method === 'HEAD')
      .map(({ url }) => url)
      .sort(),
  ).toEqual(['/east', '/north', '/south']);
  expect(daemon.log.filter(({ event }) => event === 'tenant-differs')).toEqual([]);
});

describe('the trouble of one identity', () => {
  test('is its own: another one is served meanwhile, and status names the one', async () => {
    const { sts } = scene.emulator;
    // Whatever it holds is refused, and nothing new is given to it.
    const mine = [...sts.issued].filter(([, { appid }]) => appid === SECOND.clientId);
    for (const [token] of mine) sts.revoke(token);
    sts.clients.set(SECOND.clientId, { secret: 'changed meanwhile' });
    const failed = await lsRemote('south/Payments/web');
    expect(failed.code).toBe(128);
    expect(told(failed.stderr).slice(0, 2)).toEqual([
      'postern: The client secret is wrong (AADSTS7000215)',
      '  route dev.azure.com/**, identity second',
    ]);
    const before = sts.tokenRequests.length;
    for (const { path, identity } of world) if (identity !== 'second') expect(await lsRemote(path)).toMatchObject({ code: 0, stderr: '' });
    expect(sts.tokenRequests).toHaveLength(before);
    const states = Object.fromEntries((await daemon.status()).identities.map(({ name, state }) => [name, state]));
    expect(states).toEqual({ first: 'ready', second: 'failing', third: 'ready', dana: 'ready' });
    sts.clients.set(SECOND.clientId, { secret: SECOND.secret });
    await expect.poll(async () => (await lsRemote('south/Payments/web')).code, { timeout: 20_000, interval: 500 }).toBe(0);
  });

  test('is of one tenant alone, where it serves two', async () => {
    const { sts } = scene.emulator;
    await succeed(lsRemote('east/Tools/cli'));
    for (const [token, { appid, tid }] of sts.issued) if (appid === SECOND.clientId && tid === SOUTH) sts.revoke(token);
    sts.tenants.delete(SOUTH);
    expect(told((await lsRemote('south/Payments/web')).stderr)[0]).toBe('postern: The tenant was not found (AADSTS90002)');
    const before = sts.tokenRequests.length;
    expect(await lsRemote('east/Tools/cli')).toMatchObject({ code: 0, stderr: '' });
    expect(sts.tokenRequests).toHaveLength(before);
    sts.tenants.add(SOUTH);
  });

  test('is not that of others who are asked to wait', async () => {
    const { faults } = scene.emulator.git;
    faults.set('north/Payments/api', { kind: 'throttled-429', retryAfterSeconds: 600 });
    expect(told((await lsRemote('north/Payments/api')).stderr)[0]).toMatch(/^postern: .*thrott/);
    faults.clear('north/Payments/api');
    // The identity has to wait in that organisation; those beside it, and it elsewhere, do not.
    expect((await lsRemote('north/Payments/api')).code).toBe(128);
    expect(await lsRemote('north/Payments/web')).toMatchObject({ code: 0, stderr: '' });
    expect(await lsRemote('east/Payments/web')).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('postern route explain', () => {
  const explain = async (path: string, ...more: string[]): Promise<string> => {
    const file = await scene.writeConfiguration(configuration);
    const url = `https://dev.azure.com/${path.replace(/\/([^/]+)$/, '/_git/$1')}`;
    return (await daemon.postern(['route', 'explain', url, '--config', file, ...more])).stdout;
  };

  test('tells which route and identity, why none before it, where the tenant comes from, and who is signed in', async () => {
    expect((await explain('north/Tools/cli')).split('\n').slice(0, 8)).toEqual([
      'address    dev.azure.com/north/Tools/cli (azure-services)',
      'route      dev.azure.com/north/** (number 3 of 6)',
      '  not      dev.azure.com/north/Payments/web: the project is tools, not payments',
      '  not      dev.azure.com/north/Payments/*: the project is tools, not payments',
      'identity   dana (azure-cli)',
      `tenant     ${NORTH}, to which north belongs, as its upstream says`,
      `account    ${DANA} of tenant ${NORTH}, as the daemon is signed in now`,
      'allow      fetch, push, lfs',
    ]);
    expect(await explain('north/Payments/api')).toContain(
      `  not      dev.azure.com/north/Payments/web: the repository is api, not web\nidentity   first (client-secret)\ntenant     ${NORTH}, as the identity is written\naccount    ${scene.emulator.sts.samples.secretClient.clientId} of tenant ${NORTH}`,
    );
    expect(await explain('east/Payments/web')).toContain('  not      dev.azure.com/north/**: the organisation is east, not north\n');
    expect(await explain('west/Payments/web')).toContain('tenant     that of the organisation west, which the upstream is asked for\n');
    expect(JSON.parse(await explain('east/Tools/cli', '--json'))).toMatchObject({
      route: 'dev.azure.com/east/Tools/*',
      identity: 'second',
      passedBy: [{ part: 'organisation', wanted: 'north', found: 'east' }, {}, {}],
      tenant: { from: 'organisation', tenant: EAST },
      account: { account: SECOND.clientId, tenant: EAST },
    });
  });
});
