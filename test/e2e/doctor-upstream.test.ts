/**
 * What is wrong beyond the door, planted for real (files, ports, DNS, certificates, a gateway that opens TLS, accounts): doctor names it in
 * the first row that fails, with a remedy; when that is followed, all is green. The cases are in doctor-upstream-table.ts.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeCertificates } from '../azure/certificates.js';
import { closedPort } from '../support/closed-port.js';
import { doctor, doctorAll, type Doctored, isGreen } from '../support/doctor-run.js';
import { openInterceptor, openMute, type Listening } from '../support/interceptor.js';
import { type RunningDaemon, Scene } from '../support/scene.js';
import { type OwnCase, ownCases, type Written } from './doctor-upstream-table.js';

/** Walks at the same time: each runs several programs. */
const AT_ONCE = 4;
const ALL_MS = 300_000;

let scene: Scene;
let daemon: RunningDaemon;
let cases: readonly OwnCase[] = [];
const opened: Listening[] = [];
const sick = new Map<string, Doctored>();
const well = new Map<string, Doctored>();

beforeAll(async () => {
  scene = await Scene.open();
  const { emulator } = scene;
  emulator.proxy.credentials = { user: 'corp', password: 'p@ss' };
  const directory = join(scene.directory, 'cases');
  await mkdir(directory);
  const gateway = await makeCertificates('Contoso Web Gateway');
  const caFile = join(directory, 'gateway.pem');
  await writeFile(caFile, gateway.ca);
  const far = { port: emulator.git.port, ca: await readFile(emulator.caFile, 'utf8') };
  const [interceptor, mute, muteTls] = await Promise.all([openInterceptor(gateway, far), openMute(), openMute(gateway)]);
  opened.push(interceptor, mute, muteTls);
  cases = await ownCases({
    emulator,
    directory,
    closedPort: await closedPort(),
    gateway: { port: interceptor.port, caFile },
    mutePort: mute.port,
    muteTlsPort: muteTls.port,
  });
  for (const { name } of cases) await emulator.createRepository(`${name}/Payments/web`, { commits: 1 });
  await emulator.createRepository('contoso/Payments/web', { commits: 3 });
  daemon = await scene.daemon(
    configuration(({ bad }) => bad),
    {
      env: {
        PATH: `${emulator.az.directory}:${process.env['PATH'] ?? ''}`,
        HTTPS_PROXY: `http://corp:p%40ss@127.0.0.1:${emulator.proxy.port}`,
        NO_PROXY: '',
      },
    },
  );
  for (const { arrange } of cases) await arrange?.();
  await walkAll(sick);
  for (const { mend } of cases) await mend?.();
  await configure(({ good, bad }) => good ?? bad);
  await walkTogether(well);
}, ALL_MS);
afterAll(async () => {
  for (const each of opened) await each.close();
  await scene.close();
});

function configuration(choose: (one: OwnCase) => Partial<Written> | 'no route'): string {
  const { origin } = scene.emulator.git;
  const plain = `upstream: '${origin}', ca: ${scene.emulator.caFile}`;
  const written = cases.map((one) => ({ name: one.name, as: choose(one) }));
  return [
    'listen: { http: 127.0.0.1:0 }',
    'log: { level: debug, format: json }',
    'timeouts: { connect: 2s, token: 3s }',
    'identities:',
    `  sp: ${scene.servicePrincipal}`,
    ...written.flatMap(({ name, as }) => (as === 'no route' ? [] : [`  ${name}: ${as.identity ?? scene.servicePrincipal}`])),
    'routes:',
    `  - { match: dev.azure.com/contoso/**, identity: sp, ${plain} }`,
    ...written.flatMap(({ name, as }) =>
      as === 'no route' ? [] : [`  - { match: dev.azure.com/${name}/**, identity: ${name}, ${as.route ?? plain} }`],
    ),
    '',
  ].join('\n');
}

/** Writes the file of the daemon anew and has it read. */
async function configure(choose: Parameters<typeof configuration>[0]): Promise<void> {
  const { configuration: file } = await daemon.status();
  await writeFile(file ?? '', configuration(choose));
  const reloaded = await daemon.postern(['reload']);
  expect(reloaded, reloaded.stderr).toMatchObject({ code: 0 });
}

async function walkAll(into: Map<string, Doctored>): Promise<void> {
  const left = [...cases];
  const walker = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift())
      into.set(next.name, await doctor(daemon, daemon.url(`dev.azure.com/${next.name}/Payments/_git/web`)));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, walker));
}

/** The same of what is mended: all are to be well, so that one exit code is that of each. */
async function walkTogether(into: Map<string, Doctored>): Promise<void> {
  const addresses = new Map(cases.map(({ name }) => [name, daemon.url(`dev.azure.com/${name}/Payments/_git/web`)]));
  for (const [name, found] of await doctorAll({ scene, daemon, addresses })) into.set(name, found);
}

/** What a text is to be, for toEqual. */
function like(wanted: string | RegExp = /^$/): string {
  return typeof wanted === 'string' ? wanted : (expect.stringMatching(wanted) as string); // a matcher
}

const WEB = 'dev.azure.com/contoso/Payments/_git/web';

/** Names of the cases: the table itself needs an emulator. */
const NAMES = [
  'no-route',
  'no-fetch',
  'proxy-closed',
  'proxy-407',
  'dns',
  'closed',
  'silent',
  'no-tls',
  'own-ca',
  'gateway',
  'mute',
  'sign-in-dns',
  'sign-in-closed',
  'sign-in-ca',
  'sign-in-elsewhere',
  'no-tenant',
  'wrong-secret',
  'empty-secret',
  'audience',
  'az',
  'other-tenant',
  'pat-ended',
  'no-member',
  'no-repository',
  'signs-in',
  'no-push',
] as const;

describe('a fault of its own', () => {
  test('each of the table is tried', () => {
    expect(cases.map(({ name }) => name)).toEqual(NAMES);
  });

  test.each(NAMES)('%s is named first, and green when its remedy was followed', (name) => {
    const one = cases.find((each) => each.name === name);
    const found = sick.get(name);
    expect({ id: found?.first?.id, text: found?.first?.text, todo: found?.todo, exit: found?.code }).toEqual({
      id: one?.first,
      text: like(one?.text),
      todo: like(one?.todo),
      exit: one?.exit,
    });
    const mended = well.get(name);
    expect(mended).toBeDefined();
    if (mended !== undefined) isGreen(mended);
  });
});

/** Faults of what all share, one after the other. */
describe('a fault of the host or the service', () => {
  const meets = async (fault: () => void, mend: () => void, expected: { id: string; text: RegExp; todo: RegExp }): Promise<void> => {
    fault();
    const found = await doctor(daemon, daemon.url(WEB));
    mend();
    expect({ id: found.first?.id, text: found.first?.text, todo: found.todo }).toEqual({
      id: expected.id,
      text: like(expected.text),
      todo: like(expected.todo),
    });
    isGreen(await doctor(daemon, daemon.url(WEB)));
  };

  test.each([
    [
      'expired',
      /^The TLS connection to 127\.0\.0\.1:[0-9]+ failed \(CERT_HAS_EXPIRED: .* on 20.*\)$/,
      /^renew the certificate of the upstream/,
    ],
    ['not-yet-valid', /\(CERT_NOT_YET_VALID: .*only from 20.* on\)$/, /^check the clock of this machine/],
    ['wrong-host', /\(ERR_TLS_CERT_ALTNAME_INVALID: its certificate is for elsewhere\.example\.net\)$/, /check `upstream` of the route$/],
    ['untrusted', /its certificate is from "Stranger Root"\)$/, /`ca` of the route/],
  ] as const)('a certificate that is %s', async (fault, text, todo) => {
    const { git } = scene.emulator;
    await meets(
      () => (git.tlsFault = fault),
      () => (git.tlsFault = undefined),
      { id: 'tls', text, todo },
    );
  });

  test('a clock that is ten minutes behind; two are a warning', async () => {
    const { git } = scene.emulator;
    await meets(
      () => (git.aheadMs = 10 * 60_000),
      () => (git.aheadMs = 2 * 60_000 + 5_000),
      {
        id: 'clock',
        text: /^The clock of this machine is (?:9|10) min behind that of 127\.0\.0\.1:[0-9]+: tokens are refused from 5 min on$/,
        todo: /^set the clock of this machine, .*`timedatectl set-ntp true`/,
      },
    );
    const noted = await doctor(daemon, daemon.url(WEB));
    git.aheadMs = 0;
    expect(noted.row('clock')).toMatchObject({ verdict: 'warning', text: expect.stringMatching(/2 min behind/) as string });
    expect((await doctor(daemon, daemon.url(WEB))).row('clock')?.verdict).toBe('ok');
  });

  test("a clock that differs from the sign-in service's", async () => {
    const { sts } = scene.emulator;
    await meets(
      () => (sts.aheadMs = -20 * 60_000),
      () => (sts.aheadMs = 0),
      {
        id: 'sign-in',
        text: /^The clock of this machine is (?:19|20) min ahead of that of https:/,
        todo: /^set the clock of this machine/,
      },
    );
  });

  test('a sign-in service that is down', async () => {
    const { sts } = scene.emulator;
    await meets(
      () => (sts.down = true),
      () => (sts.down = false),
      { id: 'sign-in', text: /^The sign-in service https:.* (?:cannot be reached|broke off|closed)/, todo: /./ },
    );
  });

  test('a proxy that forbids the host', async () => {
    const { proxy } = scene.emulator;
    proxy.modes.set('dev.azure.com', 'forbid');
    const found = await doctor(daemon, daemon.url('dev.azure.com/proxy-407/Payments/_git/web'));
    proxy.modes.clear();
    expect(found.first).toMatchObject({
      id: 'proxy',
      text: expect.stringMatching(/refused a connection to dev\.azure\.com \(status 403\)$/) as string,
    });
    isGreen(await doctor(daemon, daemon.url('dev.azure.com/proxy-407/Payments/_git/web')));
  });

  test('an identity that was disabled: the token that is held still works, and that it will end is told', async () => {
    const { sts } = scene.emulator;
    sts.failWith = { aadsts: 7000112 };
    const held = await doctor(daemon, daemon.url(WEB));
    expect(held.row('token')).toMatchObject({
      verdict: 'warning',
      text: expect.stringMatching(/AADSTS7000112\); the token that is held is good for/) as string,
    });
    expect(held.code).toBe(0);
    await daemon.postern(['reload']);
    for (const token of sts.tokens()) sts.revoke(token);
    const refused = await doctor(daemon, daemon.url(WEB));
    expect(refused.first).toMatchObject({
      id: 'fetch-refs',
      code: 'identity-rejected',
      text: expect.stringMatching(/AADSTS7000112/) as string,
    });
    expect((await doctor(daemon, daemon.url(WEB))).first).toMatchObject({ id: 'token', code: 'identity-rejected' });
    sts.failWith = undefined;
    isGreen(await doctor(daemon, daemon.url(WEB)));
  });
});

describe('a healthy set-up', () => {
  const rules = (): Record<string, string> => ({
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: `url.${daemon.base}/dev.azure.com/.insteadOf`,
    GIT_CONFIG_VALUE_0: 'https://dev.azure.com/',
  });

  test('is green by the real address, a clone works, and nothing secret is printed', async () => {
    const address = `https://${WEB}`;
    const ran = await daemon.postern(['doctor', address], { env: rules() });
    expect(ran, ran.stdout).toMatchObject({ code: 0 });
    expect((await scene.git(['clone', '-q', address, join(scene.directory, 'healthy')], { env: rules() })).code).toBe(0);
    const { sts } = scene.emulator;
    const secrets = [sts.samples.secretClient.secret, ...sts.tokens(), ...sts.tokens().flatMap((token) => token.split('.').slice(1))];
    for (const secret of secrets) expect(ran.stdout + ran.stderr).not.toContain(secret);
    expect(ran.stdout).toContain('for Azure DevOps, of application ');
    expect(scene.emulator.git.count((entry) => entry.method === 'POST' && entry.url.includes('git-receive-pack'))).toBe(0);
  });

  test('tells of an empty repository, of one whose route allows no push, and of a gateway that is trusted', async () => {
    await scene.emulator.createRepository('contoso/Payments/empty', { commits: 0 });
    const empty = await doctor(daemon, daemon.url('dev.azure.com/contoso/Payments/_git/empty'));
    isGreen(empty);
    expect(empty.row('fetch-refs')?.text).toBe('the repository is there, and empty');
    expect(well.get('gateway')?.row('tls')).toMatchObject({
      verdict: 'ok',
      details: [expect.any(String), '"Contoso Web Gateway" stands in between and opens TLS connections to dev.azure.com'],
    });
    await configure(({ name, good, bad }) =>
      name === 'closed'
        ? { route: `upstream: '${scene.emulator.git.origin}', ca: ${scene.emulator.caFile}, allow: [fetch]` }
        : (good ?? bad),
    );
    const reading = await doctor(daemon, daemon.url('dev.azure.com/closed/Payments/_git/web'));
    isGreen(reading);
    expect(reading.row('push-refs')?.text).toMatch(/^not allowed here, as the configuration has it: /);
  });

  test('asks with the rules of the repository that it stands in', async () => {
    const work = join(scene.directory, 'healthy');
    await scene.git(['config', `url.${daemon.base}/dev.azure.com/.insteadOf`, 'https://dev.azure.com/'], { cwd: work });
    isGreen(await doctor(daemon, `https://${WEB}`, { cwd: work }));
  });

  test('asks nothing of a host to which git goes past the door', async () => {
    // A host that would have a password of whoever comes, and a helper that would give it one.
    const asked: string[] = [];
    const host = createServer((request, response) => {
      asked.push(`${request.method ?? ''} ${request.url ?? ''}`);
      response.writeHead(401, { 'www-authenticate': 'Basic realm="far"' }).end();
    });
    await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve));
    const past = `http://127.0.0.1:${(host.address() as AddressInfo).port}/`;
    const given = join(scene.directory, 'given');
    const env = {
      ...{ GIT_CONFIG_COUNT: '2', GIT_CONFIG_KEY_0: `url.${past}.insteadOf`, GIT_CONFIG_VALUE_0: 'https://dev.azure.com/' },
      ...{
        GIT_CONFIG_KEY_1: 'credential.helper',
        GIT_CONFIG_VALUE_1: `!f() { echo "$1" >> ${given}; echo username=ada; echo password=x; }; f`,
      },
    };
    const found = await doctor(daemon, `https://${WEB}`, { env });
    host.close();
    expect(asked).toEqual([]);
    await expect(readFile(given)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(found.first?.class).toBe('git');
    expect(found.row('fetch-refs')).toMatchObject({
      verdict: 'failed',
      text: `Git does not come to the door with this address: it goes to ${WEB.replace('dev.azure.com/', past)}`,
      todo: expect.stringMatching(/^`postern setup` writes the rules/) as string,
    });
  });

  test('leaves nothing behind when it is interrupted', async () => {
    scene.emulator.git.faults.set('contoso/Payments/web', { kind: 'stall', step: 'exchange', skip: 1 });
    const temporary = join(scene.directory, 'temporary');
    await mkdir(temporary);
    let children: Promise<unknown> = Promise.resolve();
    const ran = await daemon.postern(['doctor', daemon.url(WEB)], {
      env: { TMPDIR: temporary },
      onChild: (child) => {
        children = expect
          .poll(async () => (await daemon.status()).running.some(({ step, bytesDown }) => step === 'exchange' && bytesDown > 0), {
            timeout: 30_000,
          })
          .toBe(true)
          .then(() => child.kill('SIGINT'));
      },
    });
    await children;
    scene.emulator.git.faults.clear();
    expect(ran.code).not.toBe(0);
    expect(await readdir(temporary)).toEqual([]);
    await expect.poll(async () => (await daemon.status()).running, { timeout: 20_000 }).toEqual([]);
  });
});
