/**
 * The emulator's package feeds, by real npm and pip on the real host names, and by the requests that NuGet and Maven are documented to
 * make.
 */
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Emulator } from '../azure/emulator.js';
import { addMaven } from '../azure/feed-maven.js';
import { addNpm } from '../azure/feed-npm.js';
import { addNuget } from '../azure/feed-nuget.js';
import { addWheel } from '../azure/feed-pypi.js';
import { ask, basic, endEmulator, startEmulator } from './emulator-rig.js';

const PAT = 'pat-of-the-feeds';

let emulator: Emulator;
let ca: string;

beforeAll(async () => {
  ({ emulator, ca } = await startEmulator());
  emulator.git.pats.add(PAT);
  const feed = emulator.git.feeds.add('contoso', 'tools', 'Payments');
  addNpm(feed, 'left', '1.0.0');
  addNpm(feed, '@contoso/right', '2.1.0');
  addNuget(feed, 'Contoso.Tools', '3.0.0');
  addWheel(feed, 'contoso_tools', '4.0.0');
  addMaven(feed, 'com.contoso', 'tools', '5.0.0');
});

afterAll(() => endEmulator(emulator));

/** Runs a package manager through the emulator's proxy, with nothing of this machine. */
function run(program: string, args: readonly string[], cwd: string): Promise<{ code: number; text: string }> {
  const env = { PATH: process.env['PATH'], HOME: emulator.directory, HTTPS_PROXY: emulator.proxy.origin, PIP_CONFIG_FILE: '/dev/null' };
  return new Promise((resolve) => {
    execFile(program, args, { env, cwd }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : 1, text: stdout + stderr });
    });
  });
}

const get = (path: string, headers: Record<string, string> = {}): ReturnType<typeof ask> =>
  ask(emulator, ca, { path, host: 'pkgs.dev.azure.com', headers: { Authorization: basic('', PAT), ...headers } });

describe('a feed of the emulator', () => {
  it('installs with npm, whose packages come from storage without a credential', async () => {
    const directory = join(emulator.directory, 'npm');
    await mkdir(directory);
    const registry = '//pkgs.dev.azure.com/contoso/Payments/_packaging/tools/npm/registry/';
    const lines = [
      `registry=https:${registry}`,
      `cafile=${emulator.caFile}`,
      `${registry}:_auth=${Buffer.from(`x:${PAT}`).toString('base64')}`,
      'audit=false',
    ];
    await writeFile(join(directory, '.npmrc'), lines.join('\n'));
    await writeFile(join(directory, 'package.json'), '{}');
    const ran = await run('npm', ['install', 'left', '@contoso/right'], directory);
    expect(ran.code, ran.text).toBe(0);
    expect(await readFile(join(directory, 'node_modules/@contoso/right/index.js'), 'utf8')).toContain('2.1.0');
    const blobs = emulator.storage.seen.map(({ blob, status, authorization }) => [blob.split('/').at(-1), status, authorization]);
    expect(blobs).toEqual(expect.arrayContaining([['left-1.0.0.tgz', 200, 'none']]));
  });

  it('installs with pip', async () => {
    const index = `https://x:${PAT}@pkgs.dev.azure.com/contoso/Payments/_packaging/tools/pypi/simple/`;
    const target = join(emulator.directory, 'python');
    const args = [
      '-m',
      'pip',
      'install',
      '--index-url',
      index,
      '--cert',
      emulator.caFile,
      '--target',
      target,
      '--no-cache-dir',
      'contoso-tools',
    ];
    const ran = await run('python3', args, emulator.directory);
    expect(ran.code, ran.text).toBe(0);
    expect(await readFile(join(target, 'contoso_tools.py'), 'utf8')).toContain('4.0.0');
  });

  it('answers the requests of NuGet, each address on the real host and by GUIDs', async () => {
    const index = JSON.parse((await get('/contoso/Payments/_packaging/tools/nuget/v3/index.json')).body) as {
      resources: { '@id': string; '@type': string }[];
    };
    const flat = index.resources.find((each) => each['@type'].startsWith('PackageBaseAddress'))?.['@id'] ?? '';
    expect(flat).toMatch(/^https:\/\/pkgs\.dev\.azure\.com\/contoso\/[0-9a-f-]{36}\/_packaging\/[0-9a-f-]{36}\/nuget\/v3\/flat2\/$/);
    const path = new URL(flat).pathname;
    expect(JSON.parse((await get(`${path}contoso.tools/index.json`)).body)).toEqual({ versions: ['3.0.0'] });
    const package_ = await get(`${path}contoso.tools/3.0.0/contoso.tools.3.0.0.nupkg`);
    expect([package_.status, new URL(package_.headers.location ?? '').host]).toEqual([303, 'vsblobprodweu1.blob.core.windows.net']);
  });

  it('reads and writes the files of Maven', async () => {
    const base = '/contoso/Payments/_packaging/tools/maven/v1/com/contoso/tools/5.0.0/tools-5.0.0';
    expect((await get(`${base}.jar`)).status).toBe(303);
    expect((await get(`${base}.pom.sha1`)).body).toMatch(/^[0-9a-f]{40}$/);
    const put = { path: `${base}-sources.jar`, method: 'PUT', host: 'pkgs.dev.azure.com', headers: { Authorization: basic('', PAT) } };
    expect((await ask(emulator, ca, { ...put, body: 'jar' })).status).toBe(202);
    expect((await get(`${base}-sources.jar`)).status).toBe(303);
  });

  it('is listed on the host of feeds, and opens to nobody without a credential', async () => {
    const headers = { Authorization: basic('', PAT) };
    const list = await ask(emulator, ca, { path: '/contoso/_apis/packaging/feeds', host: 'feeds.dev.azure.com', headers });
    expect(JSON.parse(list.body)).toMatchObject({
      value: [{ name: 'tools', url: expect.stringContaining('https://feeds.dev.azure.com/') as string }],
    });
    const path = '/contoso/Payments/_packaging/tools/npm/registry/left';
    expect((await ask(emulator, ca, { path, host: 'pkgs.dev.azure.com', headers: { 'X-TFS-FedAuthRedirect': 'Suppress' } })).status).toBe(
      401,
    );
  });
});
