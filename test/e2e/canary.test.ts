/**
 * Promise: no credential is ever visible to a caller, in a log, an error, argv, a child's environment or a file.
 *
 * Attack: read everything that a daemon with every kind of identity leaves behind, at its most talkative, after things
 * went well and after they went wrong in every way at hand; an upstream and a sign-in service that say back what they
 * were sent are among them.
 */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Canaries, filesBelow } from '../support/canary.js';
import { type Ran, type RunningDaemon, Scene } from '../support/scene.js';

const PAT_FILE = 'patinafile'.padEnd(52, 'q');
const PAT_ENV = `${'P4tInTheEnvironment'.padEnd(76, 'x')}AZDOwxyz`;
const BASIC = 'correct-horse-battery-staple';
const OWN = 'the-callers-own-password';
const PROXY = 'the-password-of-the-proxy';

let scene: Scene;
let canaries: Canaries;
/** What a caller or a bystander can see, by where. */
let places: Map<string, string>;
let runs = 0;

beforeAll(async () => {
  scene = await Scene.open();
  const { git } = scene.emulator;
  git.pats.add(PAT_FILE);
  git.pats.add(PAT_ENV);
  git.basic.set('builder', BASIC);
  git.basic.set('dana', OWN);
  git.anonymousRead.add('git.example.com/none/app');
  for (const name of AZURE) await scene.emulator.createRepository(`contoso/canary/${name}`);
  for (const name of GENERIC) await scene.emulator.createRepository(`git.example.com/${name}/app.git`);
});
afterAll(() => scene.close());

const AZURE = ['cli', 'secret-file', 'secret-env', 'secret-command', 'no-ca', 'certificate', 'workload', 'managed', 'pat-file', 'pat-env'];
const GENERIC = ['basic', 'none', 'own'];

/** Files of the scene that hold secrets on purpose. */
async function secretFile(name: string, text: string): Promise<string> {
  await mkdir(join(scene.directory, 'secrets'), { recursive: true });
  const file = join(scene.directory, 'secrets', name);
  await writeFile(file, text, { mode: 0o600 });
  return file;
}

/** A program that writes down what it can see of itself and of its parent, and then does its work. */
async function spyingProgram(folder: string, name: string, work: string): Promise<string> {
  await mkdir(join(scene.directory, folder), { recursive: true });
  const file = join(scene.directory, folder, name);
  const dump = join(scene.directory, 'spied');
  await writeFile(
    file,
    `#!/bin/sh\nfor f in environ cmdline; do tr '\\0' '\\n' < /proc/$$/$f; done >> '${dump}'\n` +
      `tr '\\0' '\\n' < /proc/$PPID/cmdline >> '${dump}'\nprintf 'argv %s\\n' "$*" >> '${dump}'\n${work}\n`,
  );
  await chmod(file, 0o755);
  return file;
}

async function configuration(format: string): Promise<string> {
  const { sts, git, caFile } = scene.emulator;
  const { tenant, secretClient, certificateClient, federatedClient } = sts.samples;
  const entra = `tenant: ${tenant}, authority: '${sts.origin}', ca: ${caFile}`;
  const file = await secretFile('sp', secretClient.secret);
  const command = await spyingProgram('commands', 'get-secret', `cat '${file}'`);
  const azure = (name: string): string =>
    `  - { match: dev.azure.com/contoso/canary/${name}, identity: ${name}, upstream: '${git.origin}', ca: ${caFile} }`;
  const generic = (name: string): string =>
    `  - { match: git.example.com/${name}/**, host: generic, identity: ${name}, upstream: '${git.origin}/git.example.com', ca: ${caFile} }`;
  return [
    'listen: { http: 127.0.0.1:0 }',
    `log: { level: debug, format: ${format} }`,
    'identities:',
    `  cli: { kind: azure-cli }`,
    `  secret-file: { kind: client-secret, clientId: ${secretClient.clientId}, secret: { file: ${file} }, ${entra} }`,
    `  secret-env: { kind: client-secret, clientId: ${secretClient.clientId}, secret: { env: SP_SECRET }, ${entra} }`,
    `  secret-command: { kind: client-secret, clientId: ${secretClient.clientId}, secret: { command: [${command}, word] }, ${entra} }`,
    `  no-ca: { kind: client-secret, clientId: ${secretClient.clientId}, secret: { env: SP_SECRET }, tenant: ${tenant}, authority: '${sts.origin}' }`,
    `  certificate: { kind: client-certificate, clientId: ${certificateClient.clientId}, certificate: ${certificateClient.pemFile}, ${entra} }`,
    `  workload: { kind: workload-identity, clientId: ${federatedClient.clientId}, tokenFile: ${federatedClient.tokenFile}, ${entra} }`,
    '  managed: { kind: managed-identity }',
    `  pat-file: { kind: pat, secret: { file: ${await secretFile('pat', PAT_FILE)} } }`,
    '  pat-env: { kind: pat, secret: { env: TFS_PAT } }',
    `  basic: { kind: basic, user: builder, secret: { file: ${await secretFile('basic', BASIC)} } }`,
    '  none: { kind: none }',
    '  own: { kind: passthrough }',
    'routes:',
    ...AZURE.map(azure),
    ...GENERIC.map(generic),
    '',
  ].join('\n');
}

async function startDaemon(format: string, env: Record<string, string> = {}): Promise<RunningDaemon> {
  await writeFile(join(scene.directory, 'spied'), '');
  const az = await spyingProgram('az-spy', 'az', `exec '${scene.emulator.az.directory}/az' "$@"`);
  return scene.daemon(await configuration(format), {
    env: {
      PATH: `${join(az, '..')}:${process.env['PATH'] ?? ''}`,
      TFS_PAT: PAT_ENV,
      AZURE_POD_IDENTITY_AUTHORITY_HOST: scene.emulator.imds.origin,
      XDG_STATE_HOME: join(scene.home, 'state'),
      XDG_CACHE_HOME: join(scene.home, 'cache'),
      ...env,
    },
  });
}

/** Everything secret that there is by now. */
async function gather(): Promise<Canaries> {
  const { sts } = scene.emulator;
  const { secretClient, certificateClient, federatedClient } = sts.samples;
  const all = new Canaries();
  all.add('client secret', secretClient.secret);
  all.add('certificate key', (await readFile(certificateClient.pemFile, 'utf8')).split('-----BEGIN CERTIFICATE')[0] ?? '');
  all.add('federated token', await readFile(federatedClient.tokenFile, 'utf8'));
  for (const [index, token] of sts.tokens().entries()) all.add(`token ${index}`, token);
  for (const [name, secret] of Object.entries({ PAT_FILE, PAT_ENV, BASIC, OWN, PROXY })) all.add(name, secret);
  return all;
}

function urlOf(daemon: RunningDaemon, name: string): string {
  const base = /\bhttp:\/\/127\.0\.0\.1:[0-9]+/.exec(daemon.output)?.[0] ?? '';
  return `${base}/${GENERIC.includes(name) ? `git.example.com/${name}/app.git` : `dev.azure.com/contoso/canary/_git/${name}`}`;
}

/** git with the caller's own credential where the route wants one; what it printed is kept. */
async function git(name: string, args: readonly string[], cwd?: string): Promise<Ran> {
  const own = Buffer.from(`dana:${OWN}`).toString('base64');
  const env =
    name === 'own'
      ? { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'http.extraHeader', GIT_CONFIG_VALUE_0: `Authorization: Basic ${own}` }
      : {};
  const ran = await scene.git(args, { env, ...(cwd === undefined ? {} : { cwd }) });
  runs += 1;
  places.set(`git ${args.slice(0, 2).join(' ')} of ${name} (${runs})`, ran.stdout + ran.stderr);
  return ran;
}

/** One commit more, and its push. */
async function push(name: string, clone: string): Promise<Ran> {
  await scene.git(['commit', '-q', '--allow-empty', '-m', `for ${name} ${runs}`], { cwd: clone });
  return git(name, ['push', 'origin', 'HEAD'], clone);
}

async function withFault(
  name: string,
  fault: Parameters<typeof scene.emulator.git.faults.set>[1],
  work: () => Promise<unknown>,
): Promise<void> {
  const repository = GENERIC.includes(name) ? `git.example.com/${name}/app.git` : `contoso/canary/${name}`;
  scene.emulator.git.faults.set(repository, fault);
  await work();
  scene.emulator.git.faults.clear();
}

/** What is left of a daemon: its output, its answers to the command line, its files, and what its children saw. */
async function collect(daemon: RunningDaemon): Promise<void> {
  for (const args of [['status'], ['status', '--json'], ['config', 'show', '--origin', '--json'], ['config', 'check']]) {
    const file = (await daemon.status()).configuration ?? '';
    const ran = await daemon.postern(args[0] === 'config' ? [...args, '--config', file] : args);
    places.set(`postern ${args.join(' ')}`, ran.stdout + ran.stderr);
  }
  places.set('argv of the daemon', await readFile(`/proc/${daemon.pid}/cmdline`, 'latin1'));
  expect(await daemon.stop()).toBe(0);
  places.set('output of the daemon', daemon.output);
  places.set('what children saw', await readFile(join(scene.directory, 'spied'), 'latin1'));
  for (const folder of ['home', 'run', 'clones'])
    for (const [file, text] of await filesBelow(join(scene.directory, folder))) places.set(file, text);
}

describe.each(['json', 'human'])('a daemon that logs everything as %s', (format) => {
  test('shows no secret of any identity, whatever succeeds and whatever fails', async () => {
    places = new Map();
    await mkdir(join(scene.directory, 'clones', format), { recursive: true });
    const { emulator } = scene;
    emulator.proxy.credentials = { user: 'proxy', password: PROXY };
    // The library's own log is switched on as well: it goes to the daemon's stderr.
    const daemon = await startDaemon(format, {
      AZURE_LOG_LEVEL: 'verbose',
      HTTPS_PROXY: emulator.proxy.origin.replace('://', `://proxy:${PROXY}@`),
      NO_PROXY: '',
    });
    const names = [...AZURE, ...GENERIC];
    await Promise.all([lane(names.filter((_, index) => index % 2 === 0)), lane(names.filter((_, index) => index % 2 === 1))]);

    // Signing in again, with a service that says no, and one that says what it was sent.
    const { secretClient, federatedClient } = emulator.sts.samples;
    const assertion = await readFile(federatedClient.tokenFile, 'utf8');
    const echoed = `Your ${secretClient.secret} is ${encodeURIComponent(secretClient.secret)} or ${assertion}`;
    // A failure is held for a while, so each meets identities that had none yet.
    for (const [name, failWith] of [
      ['secret-file', { aadsts: 7000215, detail: secretClient.secret }],
      ['secret-env', { aadsts: 9999999, text: echoed }],
      ['secret-command', { aadsts: 9999999, text: echoed }],
      ['workload', { aadsts: 9999999, text: `Your token was ${assertion}` }],
      ['certificate', { status: 503 as const, html: true as const }],
    ] as const) {
      for (const token of emulator.sts.tokens()) emulator.sts.revoke(token);
      emulator.sts.failWith = failWith;
      const told = await git(name, ['ls-remote', urlOf(daemon, name)]);
      expect(told.stderr).toMatch(/AADSTS|status 503/);
    }
    emulator.sts.failWith = undefined;
    for (const mode of ['not-signed-in', 'broken-json'] as const) {
      emulator.az.mode = mode;
      for (const token of emulator.sts.tokens()) emulator.sts.revoke(token);
      await git('cli', ['ls-remote', urlOf(daemon, 'cli')]);
    }
    emulator.az.mode = 'signed-in';
    emulator.git.tlsFault = 'untrusted';
    for (const name of ['pat-file', 'basic', 'own']) await git(name, ['ls-remote', urlOf(daemon, name)]);
    emulator.git.tlsFault = undefined;
    emulator.proxy.credentials = { user: 'proxy', password: 'another' };
    for (const name of ['pat-env', 'secret-env']) await git(name, ['ls-remote', urlOf(daemon, name)]);
    emulator.proxy.credentials = undefined;

    await collect(daemon);
    canaries = await gather();
    // The proxy's password is a child's to know: az needs the same proxy.
    const [seen, rest] = [places.get('what children saw') ?? '', new Map([...places].filter(([place]) => place !== 'what children saw'))];
    expect(seen).toContain('account get-access-token');
    expect(seen).toContain('argv word');
    expect(canaries.in(seen).filter((name) => !name.startsWith('PROXY'))).toEqual([]);
    expect(canaries.inAll(rest)).toEqual([]);
    expect(daemon.output).toMatch(/AADSTS7000215/);

    /** One identity after the other: all that can be done with its repository. */
    async function lane(of: readonly string[]): Promise<void> {
      for (const name of of) {
        const url = urlOf(daemon, name);
        const clone = join(scene.directory, 'clones', format, name);
        const cloned = await git(name, ['clone', url, clone]);
        expect(cloned.code, `${name}: ${cloned.stderr}`).toBe(name === 'no-ca' ? 128 : 0);
        if (name === 'no-ca') continue;
        if (name !== 'none') expect(await push(name, clone)).toMatchObject({ code: 0 });
      }
    }
  }, 120_000);

  test('does not pass on a credential that the upstream says back', async () => {
    places = new Map();
    const daemon = await startDaemon(format);
    for (const name of [...AZURE.filter((each) => each !== 'no-ca'), ...GENERIC]) {
      const clone = join(scene.directory, 'clones', format, name);
      await scene.git(['remote', 'set-url', 'origin', urlOf(daemon, name)], { cwd: clone });
      await withFault(name, { kind: 'echo-authorization', step: 'any' }, async () => {
        const told = await git(name, ['ls-remote', urlOf(daemon, name)]);
        expect(told.stderr).toContain('You sent Authorization: ');
      });
      await withFault(name, { kind: 'echo-authorization', step: 'exchange' }, async () => {
        await git(name, ['fetch', '--refetch', 'origin'], clone);
        if (name !== 'none') {
          const told = await push(name, clone);
          expect(told.stderr, name).toContain('remote rejected');
        }
      });
      await withFault(name, { kind: 'unauthorized' }, () => git(name, ['ls-remote', urlOf(daemon, name)]));
      await withFault(name, { kind: 'cae-challenge' }, () => git(name, ['ls-remote', urlOf(daemon, name)]));
    }
    await collect(daemon);
    canaries = await gather();
    expect(canaries.inAll(places)).toEqual([]);
  }, 120_000);
});

describe('the detector', () => {
  test.each([
    ['as it is', (secret: string) => secret],
    ['in base64', (secret: string) => Buffer.from(secret).toString('base64')],
    ['in base64 with a user before it', (secret: string) => Buffer.from(`ab:${secret}`).toString('base64')],
    ['in base64url, at another offset', (secret: string) => Buffer.from(`x${secret}y`).toString('base64url')],
    ['percent-encoded', (secret: string) => encodeURIComponent(secret)],
  ])('finds a planted secret %s', (_, form) => {
    const all = new Canaries();
    all.add('planted', 'sMp8Q~planted+secret/on-purpose');
    expect(all.in(`some text, ${form('sMp8Q~planted+secret/on-purpose')} and more`).length).toBeGreaterThan(0);
    expect(all.in('some text and more')).toEqual([]);
  });

  test('finds a cut token, and a line of a key', () => {
    const all = new Canaries();
    const token = scene.emulator.sts.issue();
    all.add('token', token);
    all.add('key', `-----BEGIN PRIVATE KEY-----\n${'k3y'.repeat(20)}\n${'M0re'.repeat(15)}\n-----END PRIVATE KEY-----\n`);
    expect(all.in(`... ${token.split('.')[2] ?? ''}`)).toEqual(['token']);
    expect(all.in(token.slice(0, 200))).toEqual(['token']);
    expect(all.in(`"${'M0re'.repeat(15)}"`)).toEqual(['key']);
    expect(all.in(token.slice(0, 20))).toEqual([]);
  });

  test('finds what is planted in a file below HOME, in what a child sees, and in what git prints', async () => {
    const all = await gather();
    const planted = join(scene.home, 'state', 'planted', 'cache.json');
    await mkdir(join(planted, '..'), { recursive: true });
    await writeFile(planted, JSON.stringify({ authorization: `Basic ${Buffer.from(`PAT:${PAT_FILE}`).toString('base64')}` }));
    expect(all.inAll(await filesBelow(scene.home))).toEqual([`${planted}: PAT_FILE, in base64`]);
    await writeFile(planted, '{}');
    expect(all.inAll(await filesBelow(scene.home))).toEqual([]);
    places = new Map();
    await git('planted', ['-c', `alias.say=!echo ${PAT_ENV}`, 'say']);
    expect(all.inAll(places)).toContainEqual(expect.stringMatching(/^git -c .*: PAT_ENV$/));
    const seen = await scene.git(['-c', `alias.env=!tr "\\0" "\\n" < /proc/$$/environ`, 'env'], { env: { TFS_PAT: PAT_ENV } });
    expect(all.in(seen.stdout)).toContain('PAT_ENV');
  });
});
