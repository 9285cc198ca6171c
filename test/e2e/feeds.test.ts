/**
 * Package managers at the door: real npm and pip with no token in any file, and NuGet and Maven by the requests that they are
 * documented to make. Metadata leads back to the door, packages come out of storage through the door and without our token.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { addMaven } from '../azure/feed-maven.js';
import { addNpm } from '../azure/feed-npm.js';
import { addNuget } from '../azure/feed-nuget.js';
import { addWheel } from '../azure/feed-pypi.js';
import type { Feed } from '../azure/feeds.js';
import { ask, type PlainAnswer, type PlainOptions } from '../support/plain-request.js';
import { run, type Ran, type RunningDaemon, Scene } from '../support/scene.js';

const FEED = 'pkgs.dev.azure.com/contoso/Payments/_packaging/tools';

let scene: Scene;
let daemon: RunningDaemon;
let feed: Feed;

beforeAll(async () => {
  scene = await Scene.open();
  feed = scene.emulator.git.feeds.add('contoso', 'tools', 'Payments');
  addNpm(feed, 'left', '1.0.0');
  addNpm(feed, '@contoso/right', '2.1.0');
  addNuget(feed, 'Contoso.Tools', '3.0.0');
  addWheel(feed, 'contoso_tools', '4.0.0');
  addMaven(feed, 'com.contoso', 'tools', '5.0.0');
  daemon = await scene.daemon(configuration('[fetch, push, api]'));
});
afterAll(() => scene.close());
beforeEach(() => {
  scene.emulator.git.seen.length = 0;
  scene.emulator.storage.seen.length = 0;
  scene.emulator.git.feeds.redirects = 303;
  scene.emulator.git.feeds.location = undefined;
});

function configuration(allow: string): string {
  const { proxy, caFile } = scene.emulator;
  return [
    'listen: { http: 127.0.0.1:0 }',
    'log: { level: debug, format: json }',
    'identities:',
    `  sp: ${scene.servicePrincipal}`,
    'routes:',
    `  - { match: dev.azure.com/**, identity: sp, allow: ${allow}, proxy: '${proxy.origin}', ca: ${caFile} }`,
    '',
  ].join('\n');
}

const get = (path: string, options?: PlainOptions): Promise<PlainAnswer> => ask(daemon.url(path), options);

/** Runs a package manager with nothing of this machine, and with a proxy in its environment that leads nowhere for all but the door. */
function manage(program: string, args: readonly string[], cwd: string, more: Readonly<Record<string, string>> = {}): Promise<Ran> {
  const env = {
    ...scene.environment,
    HTTPS_PROXY: 'http://127.0.0.1:9',
    HTTP_PROXY: 'http://127.0.0.1:9',
    NO_PROXY: '127.0.0.1',
    PIP_CONFIG_FILE: '/dev/null',
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
    ...more,
  };
  return run(program, args, { env, cwd });
}

/** A project whose registry is the feed at the door, and no token. */
async function project(name: string): Promise<string> {
  const directory = join(scene.directory, name);
  await mkdir(directory);
  // A cache of its own, or packages of another test would come from there.
  const lines = [
    `registry=${daemon.url(`${FEED}/npm/registry/`)}`,
    `cache=${join(directory, '.cache')}`,
    'update-notifier=false',
    'fetch-retries=0',
    '',
  ];
  await writeFile(join(directory, '.npmrc'), lines.join('\n'));
  await writeFile(join(directory, 'package.json'), JSON.stringify({ name: 'sample', version: '1.0.0' }));
  return directory;
}

/** Follows redirects as a client does: to whatever address it is given, and only to the door. */
async function follow(path: string): Promise<PlainAnswer> {
  let answer = await get(path);
  while (answer.status >= 300 && answer.status < 400) {
    const location = answer.headers.location ?? '';
    expect(location.startsWith(`${daemon.base}/`), location).toBe(true);
    answer = await ask(location);
  }
  return answer;
}

/** What storage saw: packages, and no credential of anybody. */
function stored(): readonly (string | undefined)[] {
  const { seen } = scene.emulator.storage;
  expect(seen.map(({ authorization }) => authorization)).toEqual(seen.map(() => 'none'));
  return seen.map(({ blob }) => blob.split('/').at(-1));
}

describe('npm', () => {
  test('views and installs, with no token in .npmrc', async () => {
    const directory = await project('npm-install');
    const viewed = await manage('npm', ['view', '@contoso/right', 'dist.tarball'], directory);
    expect(viewed.stdout.trim()).toBe(daemon.url(`${FEED}/npm/registry/@contoso/right/-/right-2.1.0.tgz`));
    const installed = await manage('npm', ['install', 'left', '@contoso/right'], directory);
    expect(installed.code, installed.stderr).toBe(0);
    expect(await readFile(join(directory, 'node_modules/left/index.js'), 'utf8')).toContain('1.0.0');
    expect(await readFile(join(directory, 'node_modules/@contoso/right/index.js'), 'utf8')).toContain('2.1.0');
    expect(stored()).toEqual(expect.arrayContaining(['left-1.0.0.tgz', 'right-2.1.0.tgz']));
    const { seen } = scene.emulator.git;
    expect(seen.every(({ authorization, viaProxy }) => authorization === 'bearer' && viaProxy === true)).toBe(true);
    for (const file of await readdir(directory)) {
      if (!['node_modules', '.cache'].includes(file)) expect(await readFile(join(directory, file), 'utf8')).not.toMatch(/eyJ|_auth|sig=/);
    }
  });

  test('installs again from a lock file that names no door', async () => {
    const directory = await project('npm-lock');
    await writeFile(join(directory, '.npmrc'), 'omit-lockfile-registry-resolved=true\n', { flag: 'a' });
    expect((await manage('npm', ['install', 'left', '@contoso/right'], directory)).code).toBe(0);
    expect(await readFile(join(directory, 'package-lock.json'), 'utf8')).not.toMatch(/https?:/);
    const clean = await manage('npm', ['ci', '--cache', join(directory, '.another-cache')], directory);
    expect(clean.code, clean.stderr).toBe(0);
  });

  test('asks what is known to be unsafe, which is a POST and a read', async () => {
    const directory = await project('npm-audit');
    expect((await manage('npm', ['install', 'left'], directory)).code).toBe(0);
    scene.emulator.git.seen.length = 0;
    const reader = await scene.daemon(configuration('[fetch, api]'));
    await manage('npm', ['audit', '--registry', reader.url(`${FEED}/npm/registry/`)], directory);
    expect(scene.emulator.git.seen.map(({ method, url }) => `${method} ${url}`)).toContain(
      `POST /contoso/Payments/_packaging/tools/npm/registry/-/npm/v1/security/advisories/bulk`,
    );
    await reader.stop();
  });

  test('publishes where the route allows it, and not where it may only read', async () => {
    const directory = await project('npm-publish');
    // npm does not try without something that looks like a token.
    await writeFile(join(directory, '.npmrc'), `${daemon.url(`${FEED}/npm/registry/`).replace(/^http:/, '')}:_authToken=dummy\n`, {
      flag: 'a',
    });
    const published = await manage('npm', ['publish'], directory);
    expect(published.code, published.stderr).toBe(0);
    expect(feed.files.at(-1)).toMatchObject({ name: 'sample', version: '1.0.0' });
    const reader = await scene.daemon(configuration('[fetch, api]'));
    const args = ['publish', '--registry', reader.url(`${FEED}/npm/registry/`)];
    const refused = await manage('npm', args, directory);
    expect(refused.code).toBe(1);
    expect(scene.emulator.git.count({ method: 'PUT' })).toBe(1);
    await reader.stop();
  });
});

describe('pip', () => {
  test('installs, with no token in its index address', async () => {
    const target = join(scene.directory, 'python');
    const args = [
      '-m',
      'pip',
      'install',
      '--no-cache-dir',
      '--target',
      target,
      '--index-url',
      daemon.url(`${FEED}/pypi/simple/`),
      'contoso-tools',
    ];
    const ran = await manage('python3', args, scene.directory);
    expect(ran.code, ran.stderr).toBe(0);
    expect(await readFile(join(target, 'contoso_tools.py'), 'utf8')).toContain('4.0.0');
    expect(stored()).toContain('contoso_tools-4.0.0-py3-none-any.whl');
  });
});

describe('NuGet', () => {
  test('finds everything from its service index on, at the door', async () => {
    const index = await get(`${FEED}/nuget/v3/index.json`);
    const { resources } = JSON.parse(index.body.toString()) as { resources: { '@id': string; '@type': string }[] };
    for (const { '@id': id } of resources) expect(id.startsWith(daemon.url('pkgs.dev.azure.com/contoso/')), id).toBe(true);
    const of = (type: string): string =>
      resources.find((each) => each['@type'].startsWith(type))?.['@id'].slice(daemon.base.length + 1) ?? '';
    const registration = await get(`${of('RegistrationsBaseUrl/3.6')}contoso.tools/index.json`);
    expect(registration.body.toString()).not.toContain('https://');
    const { items } = JSON.parse(registration.body.toString()) as { items: { items: { packageContent: string }[] }[] };
    const content = items[0]?.items[0]?.packageContent ?? '';
    expect(content.startsWith(`${daemon.base}/${of('PackageBaseAddress')}`)).toBe(true);
    const nupkg = await follow(content.slice(daemon.base.length + 1));
    expect(nupkg.body.equals(feed.files.find(({ protocol }) => protocol === 'nuget')?.bytes ?? Buffer.alloc(0))).toBe(true);
    expect(stored()).toEqual(['contoso.tools.3.0.0.nupkg']);
  });
});

describe('Maven', () => {
  test('reads and writes files, each as it is', async () => {
    const base = `${FEED}/maven/v1/com/contoso/tools/5.0.0/tools-5.0.0`;
    const pom = await follow(`${base}.pom`);
    expect(pom.body.toString()).toContain('<artifactId>tools</artifactId>');
    expect((await get(`${base}.pom.sha1`)).body.toString()).toMatch(/^[0-9a-f]{40}$/);
    const put = await get(`${base}-sources.jar`, { method: 'PUT', body: Buffer.alloc(2 << 20, 7) });
    expect(put.status).toBe(202);
    expect((await follow(`${base}-sources.jar`)).body.equals(Buffer.alloc(2 << 20, 7))).toBe(true);
    const head = await ask((await get(`${base}.jar`, { method: 'HEAD' })).headers.location ?? '', { method: 'HEAD' });
    expect([head.status, head.body.length]).toEqual([200, 0]);
  });
});

describe('a package in storage', () => {
  const tarball = `${FEED}/npm/registry/left/-/left-1.0.0.tgz`;

  test('is read in parts, and its address shows neither the storage nor its signature', async () => {
    const { status, headers } = await get(tarball);
    expect([status, headers.location]).toEqual([
      303,
      expect.stringMatching(new RegExp(`^${daemon.url(tarball)}\\?postern-to=[A-Za-z0-9_-]+$`)),
    ]);
    const part = await ask(headers.location ?? '', { headers: { range: 'bytes=0-1', authorization: 'Bearer dummy' } });
    expect([part.status, part.body.toString('hex'), part.headers['content-range']?.startsWith('bytes 0-1/')]).toEqual([206, '1f8b', true]);
    expect(stored()).toEqual(['left-1.0.0.tgz']);
    expect(scene.emulator.storage.seen[0]?.headers).not.toHaveProperty('x-tfs-fedauthredirect');
  });

  test.each([
    ['another host', () => 'https://evil.example/left.tgz'],
    ['plain http', (url: string) => url.replace('https:', 'http:')],
    ['a name like its own', (url: string) => url.replace('.blob.core.windows.net', '.blob.core.windows.net.evil.example')],
    ['the metadata service', () => 'https://169.254.169.254/metadata/instance'],
    ['another scheme', () => 'file:///etc/passwd'],
  ])('is not looked for at %s', async (_, location) => {
    scene.emulator.git.feeds.location = location;
    const { status, headers, body } = await get(tarball);
    expect([status, headers.location, headers['content-type']]).toEqual([502, undefined, 'application/json; charset=utf-8']);
    expect(JSON.parse(body.toString())).toMatchObject({ typeKey: 'redirect-elsewhere' });
    expect(stored()).toEqual([]);
  });

  test('whose signature has ended is told in JSON, with what the storage said', async () => {
    const { storage } = scene.emulator;
    storage.lifeMs = -1000;
    const answer = await follow(tarball);
    storage.lifeMs = 3_600_000;
    expect([answer.status, answer.headers['content-type']]).toEqual([403, 'application/json; charset=utf-8']);
    expect(JSON.parse(answer.body.toString())).toMatchObject({
      message: expect.stringContaining('does not hand out what the upstream led to (403)') as string,
    });
  });

  test.each([
    ['another storage, sealed again', 'https://other.blob.core.windows.net/x', 302],
    ['the service, not followed', 'https://pkgs.dev.azure.com/contoso/Payments/_packaging/tools/npm/registry/left', 502],
    ['another host, not followed', 'https://evil.example/x', 502],
  ])('whose storage leads on to %s', async (_, leadsTo, wanted) => {
    const { storage, git } = scene.emulator;
    storage.leadsTo = leadsTo;
    const first = await get(tarball);
    const second = await ask(first.headers.location ?? '');
    storage.leadsTo = undefined;
    expect(second.status).toBe(wanted);
    if (wanted === 302) expect(second.headers.location).toContain(`${daemon.url(tarball)}?postern-to=`);
    else expect(second.headers.location).toBeUndefined();
    expect(git.count({ method: 'GET' })).toBe(1);
  });

  test('that comes at once is passed on as it is', async () => {
    scene.emulator.git.feeds.redirects = undefined;
    const { status, body } = await get(tarball);
    expect([status, body.equals(feed.files[0]?.bytes ?? Buffer.alloc(0))]).toEqual([200, true]);
  });
});

describe('a job with a lease', () => {
  const lease = async (project: string, ...more: readonly string[]): Promise<string> => {
    const ran = await daemon.postern(['lease', 'create', '--repo', `contoso/${project}/**`, '--for', '1h', ...more]);
    expect(ran.code, ran.stderr).toBe(0);
    return ran.stdout.trim();
  };

  test('installs from the feeds of its project, with the lease where package managers keep a token', async () => {
    const text = await lease('Payments', '--allow', 'api');
    const directory = await project('npm-lease');
    const registry = daemon.url(`${FEED}/npm/registry/`).replace(/^http:/, '');
    await writeFile(join(directory, '.npmrc'), `${registry}:_authToken=${text}\n`, { flag: 'a' });
    const installed = await manage('npm', ['install', '@contoso/right'], directory);
    expect(installed.code, installed.stderr).toBe(0);
    expect(stored()).toContain('right-2.1.0.tgz');
    const index = daemon.url(`${FEED}/pypi/simple/`).replace('http://', `http://lease:${text}@`);
    const args = ['-m', 'pip', 'download', '--no-cache-dir', '--no-deps', '--dest', directory, 'contoso-tools'];
    const downloaded = await manage('python3', args, directory, { PIP_INDEX_URL: index });
    expect(downloaded.code, downloaded.stderr).toBe(0);
    const told = JSON.stringify([scene.emulator.git.seen, scene.emulator.storage.seen]) + daemon.output;
    expect(told).not.toContain(text.slice(0, 60));
  });

  test('publishes with a lease for any ref or for some: packages are no refs', async () => {
    for (const [ref, version] of [
      ['refs/**', '2.0.0'],
      ['refs/heads/main', '3.0.0'],
    ] as const) {
      const text = await lease('Payments', '--allow', 'api,push', '--ref', ref);
      const path = `${FEED}/maven/v1/com/contoso/tools/${version}/tools-${version}.jar`;
      expect((await get(path, { method: 'PUT', body: 'jar', headers: { 'x-postern-lease': text } })).status).toBe(202);
    }
    const reader = await lease('Payments', '--allow', 'api');
    const refused = await get(`${FEED}/maven/v1/com/contoso/tools/4.0.0/tools-4.0.0.jar`, {
      method: 'PUT',
      body: 'jar',
      headers: { 'x-postern-lease': reader },
    });
    expect([refused.status, JSON.parse(refused.body.toString())]).toMatchObject([403, { typeKey: 'lease-insufficient' }]);
  });

  test('cannot use what another one was given: neither its address, nor its seal at an address of its own', async () => {
    const [own, other] = [await lease('Payments', '--allow', 'api'), await lease('Ops', '--allow', 'api')];
    const tarball = `${FEED}/npm/registry/left/-/left-1.0.0.tgz`;
    const location = (await get(tarball, { headers: { 'x-postern-lease': own } })).headers.location ?? '';
    const theirs = location.replace('/Payments/', '/Ops/');
    const tries = [
      [location, other, 'lease-insufficient'],
      [theirs, other, 'target-refused'],
      [location.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')), own, 'target-refused'],
    ] as const;
    for (const [url, text, code] of tries) {
      const { status, body } = await ask(url, { headers: { 'x-postern-lease': text } });
      expect([status, JSON.parse(body.toString())]).toMatchObject([403, { typeKey: code }]);
    }
    const posted = await ask(location, { method: 'POST', body: 'x' });
    expect([posted.status, JSON.parse(posted.body.toString())]).toMatchObject([403, { typeKey: 'target-refused' }]);
    expect(stored()).toEqual([]);
    expect((await ask(location, { headers: { 'x-postern-lease': own } })).status).toBe(200);
  });
});
