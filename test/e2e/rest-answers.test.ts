/**
 * What becomes of the REST API's answers at the door: those in which a client finds its next address come back with addresses of the
 * door, as they stream by; everything else is byte for byte what the service said.
 */
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { getBasicHandler, WebApi } from 'azure-devops-node-api';
import type { RestFault } from '../azure/rest-faults.js';
import { ask, type PlainAnswer, type PlainOptions } from '../support/plain-request.js';
import { type RunningDaemon, Scene } from '../support/scene.js';

const AREAS = 'dev.azure.com/contoso/_apis/resourceAreas';
const REPOSITORIES = 'dev.azure.com/contoso/_apis/git/repositories';

let scene: Scene;
let daemon: RunningDaemon;

beforeAll(async () => {
  scene = await Scene.open();
  const { emulator } = scene;
  await emulator.createRepository('contoso/Payments/web');
  await emulator.createRepository('tfs.example.com/tfs/DefaultCollection/Payments/web');
  emulator.git.pats.add('on-premises-pat');
  const way = `proxy: '${emulator.proxy.origin}', ca: ${emulator.caFile}, allow: [fetch, push, api]`;
  const lines = [
    'listen: { http: 127.0.0.1:0 }',
    'log: { level: debug, format: json }',
    'identities:',
    `  sp: ${scene.servicePrincipal}`,
    '  onprem: { kind: pat, secret: { env: ONPREM_PAT } }',
    'routes:',
    `  - { match: dev.azure.com/**, identity: sp, ${way} }`,
    `  - { match: tfs.example.com/tfs/**, identity: onprem, ${way} }`,
    '',
  ];
  daemon = await scene.daemon(lines.join('\n'), { env: { ONPREM_PAT: 'on-premises-pat' } });
});
afterAll(() => scene.close());
beforeEach(() => {
  scene.emulator.git.rest.clearFaults();
  scene.emulator.git.seen.length = 0;
});

const get = (path: string, options?: PlainOptions): Promise<PlainAnswer> => ask(daemon.url(path), options);
const fault = (area: string, is: RestFault): void => scene.emulator.git.rest.setFault(area, is);

describe('an answer in which a client finds its next address', () => {
  test.each(['gzip', 'identity', 'br, gzip', undefined])('comes readable, whatever was asked for (%s)', async (coding) => {
    const headers: Record<string, string> = { range: 'bytes=0-10', ...(coding === undefined ? {} : { 'accept-encoding': coding }) };
    const { status, headers: told, body } = await get(AREAS, { headers });
    expect([status, told['content-encoding'], told['content-length']]).toEqual([200, undefined, undefined]);
    const { value } = JSON.parse(body.toString()) as { value: { locationUrl: string }[] };
    for (const { locationUrl } of value) expect(locationUrl.startsWith(`${daemon.base}/`), locationUrl).toBe(true);
    const [seen] = scene.emulator.git.seen;
    expect([seen?.headers['accept-encoding'], seen?.headers.range]).toEqual(['gzip', undefined]);
  });

  test.each([
    ['dev.azure.com/contoso/_apis/connectionData?connectOptions=1', 'vssps.dev.azure.com/contoso/'],
    [
      'dev.azure.com/contoso/_apis/serviceDefinitions/LocationService2/7ab4e64e-c4d8-4f50-ae73-5ef2e21642a5',
      'feeds.dev.azure.com/contoso/',
    ],
    ['contoso.visualstudio.com/_apis/resourceAreas', 'contoso.vsrm.visualstudio.com/'],
  ])('leads on to the door: %s', async (path, next) => {
    const { body } = await get(path);
    expect(body.toString()).toContain(`"${daemon.base}/${next}"`);
    expect(body.toString()).not.toContain('"https://');
  });

  test('has not the length that it had', async () => {
    fault('resourceAreas', { kind: 'uncompressed' });
    const { headers, body } = await get(AREAS);
    expect([headers['content-length'], JSON.parse(body.toString())]).toEqual([
      undefined,
      { value: [{ locationUrl: `${daemon.base}/feeds.dev.azure.com/contoso/` }] },
    ]);
  });

  test('has no length where only its head is asked for, and a tag by which it need not come again', async () => {
    const head = await get(AREAS, { method: 'HEAD' });
    expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, undefined, 0]);
    const again = await get(AREAS, { headers: { 'if-none-match': head.headers.etag ?? '' } });
    expect([again.status, again.body.length]).toEqual([304, 0]);
  });

  test.each(['die-midbody', 'die-in-gzip'] as const)('that breaks off never looks finished (%s)', async (kind) => {
    fault('resourceAreas', { kind });
    await expect(get(AREAS)).rejects.toThrow(/aborted|reset|hang up/);
    const { failures } = await daemon.status();
    expect(JSON.stringify(failures)).toContain('The upstream broke off its answer');
  });

  test('in a coding that nobody asked for is told as an error', async () => {
    fault('resourceAreas', { kind: 'other-coding' });
    const { status, headers, body } = await get(AREAS);
    expect([status, headers['content-type']]).toEqual([502, 'application/json; charset=utf-8']);
    expect(JSON.parse(body.toString())).toMatchObject({
      typeKey: 'upstream-broken',
      message: expect.stringContaining('The upstream answered in a coding that it was not asked for (br)') as string,
    });
  });

  test('may be of any length: it is not kept', async () => {
    await get(AREAS);
    await daemon.forgetPeak();
    const { resident } = await daemon.memory();
    fault('resourceAreas', { kind: 'huge' });
    const { body } = await get(AREAS);
    const { peak } = await daemon.memory();
    expect(body.toString('latin1', 0, 200)).toContain(`"locationUrl":"${daemon.base}/feeds.dev.azure.com/contoso/"`);
    expect(body.length).toBeGreaterThan(24 << 20);
    expect(peak - resident).toBeLessThan(64 << 20);
  });
});

describe('every other answer', () => {
  test('is what the service said, byte for byte, in its own coding', async () => {
    const plain = await get(REPOSITORIES);
    const packed = await get(REPOSITORIES, { headers: { 'accept-encoding': 'gzip' } });
    expect([plain.headers['content-encoding'], packed.headers['content-encoding']]).toEqual([undefined, 'gzip']);
    expect(gunzipSync(packed.body).equals(plain.body)).toBe(true);
    const { value } = JSON.parse(plain.body.toString()) as { value: { url: string }[] };
    expect(value[0]?.url).toMatch(/^https:\/\/dev\.azure\.com\/contoso\//);
    const part = await get('dev.azure.com/contoso/Payments/_apis/git/repositories/web/items?path=/README.md&download=true');
    expect(part.body.toString()).toBe('# Sample\n');
  });
});

describe('an error of the API', () => {
  test.each(['gzip', 'identity'])('is passed on in its own words, but for the credential that it says back (%s)', async (coding) => {
    fault('git/repositories', { kind: 'echo-authorization' });
    const { status, headers, body } = await get(REPOSITORIES, { headers: { 'accept-encoding': coding } });
    expect([status, headers.activityid, headers['content-encoding']]).toEqual([403, 'Bearer [credential]', undefined]);
    expect(JSON.parse(body.toString())).toMatchObject({
      message: 'TF400813: You sent Authorization: Bearer [credential]',
      typeKey: 'UnauthorizedRequestException',
    });
  });

  test('that is cut is told as one that cannot be read', async () => {
    fault('git/repositories', { kind: 'error-cut' });
    const { status, body } = await get(REPOSITORIES);
    expect([status, JSON.parse(body.toString())]).toMatchObject([
      409,
      { typeKey: 'upstream-error', message: expect.stringContaining('status 409 and an error that cannot be read') as string },
    ]);
  });
});

describe('a redirect of the API', () => {
  test.each([
    ['https://feeds.dev.azure.com/contoso/_apis/packaging/feeds?a=b', 'feeds.dev.azure.com/contoso/_apis/packaging/feeds?a=b'],
    ['https://contoso.visualstudio.com/_apis/projects', 'contoso.visualstudio.com/_apis/projects'],
    ['/contoso/_apis/projects', 'dev.azure.com/contoso/_apis/projects'],
  ])('to %s leads to the door', async (location, wanted) => {
    fault('git/repositories', { kind: 'redirect', location });
    const { status, headers } = await get(REPOSITORIES);
    expect([status, headers.location]).toEqual([302, `${daemon.base}/${wanted}`]);
  });

  test.each([
    'https://evil.example/x',
    'http://dev.azure.com/contoso/_apis/projects',
    'https://dev.azure.com.evil.example/x',
    'https://ada:secret@dev.azure.com/contoso/_apis/projects',
    'https://dev.azure.com:8443/contoso/_apis/projects',
    'https://fabrikam.visualstudio.com/_apis/projects',
  ])('to %s leads nowhere', async (location) => {
    fault('git/repositories', { kind: 'redirect', location });
    const { status, headers, body } = await get(REPOSITORIES);
    expect([status, headers.location, headers['content-type']]).toEqual([502, undefined, 'application/json; charset=utf-8']);
    expect(JSON.parse(body.toString())).toMatchObject({ typeKey: 'redirect-elsewhere' });
    expect(body.toString()).not.toContain('secret');
  });
});

test('a redirect of a write leads nowhere but to the service itself', async () => {
  const { storage } = scene.emulator;
  const write = { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } };
  fault('git/repositories', { kind: 'redirect', location: storage.href('x', 'r') });
  expect((await get(REPOSITORIES, write)).status).toBe(502);
  expect((await get(REPOSITORIES)).status).toBe(302);
  fault('git/repositories', { kind: 'redirect', location: 'https://contoso.visualstudio.com/_apis/git/repositories' });
  expect((await get(REPOSITORIES, write)).headers.location).toBe(daemon.url('contoso.visualstudio.com/_apis/git/repositories'));
});

test('an SDK at a collection on-premises stays on the door, and is told its public address as one of the door', async () => {
  const api = new WebApi(daemon.url('tfs.example.com/tfs/DefaultCollection'), getBasicHandler('', 'dummy'));
  const [web] = await (await api.getGitApi()).getRepositories();
  expect(web?.webUrl).toBe('https://tfs.example.com/tfs/DefaultCollection/Payments/_git/web');
  const { body } = await get('tfs.example.com/tfs/DefaultCollection/_apis/connectionData');
  expect(body.toString()).toContain(`"accessPoint":"${daemon.base}/tfs.example.com/tfs/DefaultCollection/"`);
});
