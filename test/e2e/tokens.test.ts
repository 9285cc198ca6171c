/**
 * Where tokens and secrets come from, with the real token library, the real git and a sign-in service that can be told
 * to fail. Texts are those that git shows a user.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeClientCertificate } from '../azure/certificates.js';
import { federatedToken, SAMPLE_FEDERATION } from '../azure/samples.js';
import { type Ran, type RunningDaemon, Scene } from '../support/scene.js';

const WEB = 'dev.azure.com/contoso/Payments/_git/web';
const PAT = 'p'.repeat(52);

let scene: Scene;
let daemons: RunningDaemon[];

beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web', { commits: 3 });
  await scene.emulator.createRepository('contoso/Payments/big', { commits: 1, largeFileBytes: 24 * 1024 * 1024 });
  await scene.emulator.createRepository('tfs.example.com/tfs/DefaultCollection/Payments/web');
  await scene.emulator.createRepository('git.example.com/team/app.git');
});
afterAll(() => scene.close());

beforeEach(() => {
  daemons = [];
  const { sts, az, imds, git } = scene.emulator;
  sts.tokenRequests.length = 0;
  sts.maxInFlight = 0;
  sts.failWith = undefined;
  sts.delayMs = 0;
  sts.down = false;
  sts.tokenLifeSeconds = 3600;
  sts.refreshInSeconds = undefined;
  az.mode = 'signed-in';
  az.slowMs = 3000;
  az.calls.length = 0;
  az.tokenLifeSeconds = 3600;
  imds.tokenLifeSeconds = 3600;
  imds.requests.length = 0;
  imds.failWith = undefined;
  git.seen.length = 0;
});
// A daemon of one test must not renew its token in the next.
afterEach(async () => {
  for (const daemon of daemons) await daemon.kill();
});

/** A daemon with one identity, written as in the file, on a route to the emulator. */
async function daemonWith(
  identity: string,
  options: { env?: Record<string, string>; match?: string; upstream?: string; settings?: string } = {},
): Promise<RunningDaemon> {
  const { origin } = scene.emulator.git;
  const daemon = await scene.daemon(
    [
      'listen: { http: 127.0.0.1:0 }',
      'log: { level: debug, format: json }',
      options.settings ?? '',
      'identities:',
      `  it: ${identity}`,
      'routes:',
      `  - { match: ${options.match ?? 'dev.azure.com/**'}, identity: it, upstream: '${options.upstream ?? origin}', ca: ${scene.emulator.caFile} }`,
      '',
    ].join('\n'),
    options.env === undefined ? {} : { env: options.env },
  );
  daemons.push(daemon);
  return daemon;
}

const authority = (): string => `authority: '${scene.emulator.sts.origin}', ca: ${scene.emulator.caFile}`;
const lsRemote = (daemon: RunningDaemon, path = WEB): Promise<Ran> => scene.git(['ls-remote', daemon.url(path)]);

/** One advertisement as git asks for it: its status and the time it took. */
function advertise(daemon: RunningDaemon, path = WEB): Promise<{ readonly status: number; readonly body: string; readonly ms: number }> {
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    get(daemon.url(`${path}/info/refs?service=git-upload-pack`), { headers: { 'git-protocol': 'version=2' }, agent: false }, (answer) => {
      let body = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => (body += chunk));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body, ms: performance.now() - startedAt }));
      answer.on('error', reject);
    }).on('error', reject);
  });
}

function secretIdentity(secret = '{ env: SP_SECRET }', more = ''): string {
  const { tenant, secretClient } = scene.emulator.sts.samples;
  return `{ kind: client-secret, tenant: ${tenant}, clientId: ${secretClient.clientId}, secret: ${secret}, ${authority()}${more} }`;
}

function certificateIdentity(file: string): string {
  const { tenant, certificateClient } = scene.emulator.sts.samples;
  return `{ kind: client-certificate, tenant: ${tenant}, clientId: ${certificateClient.clientId}, certificate: ${file}, ${authority()} }`;
}

async function scratch(name: string, text: string): Promise<string> {
  const file = join(scene.directory, 'scratch', name);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text, { mode: 0o600 });
  return file;
}

/** Repeats until it holds; fails after ten seconds. */
async function eventually(holds: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  const until = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > until) throw new Error('it did not come about');
    await sleep(50);
  }
}

describe('one token for all', () => {
  test('a hundred cold callers at once, ten of them git, make one token request', async () => {
    scene.emulator.sts.delayMs = 500;
    const daemon = await daemonWith(secretIdentity());
    const plain = Array.from({ length: 90 }, () => advertise(daemon));
    const gits = Array.from({ length: 10 }, () => lsRemote(daemon));
    expect(new Set((await Promise.all(plain)).map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set((await Promise.all(gits)).map(({ code }) => code))).toEqual(new Set([0]));
    expect(scene.emulator.sts.tokenRequests).toHaveLength(1);
  });

  test('callers that come while the token is refused make one more', async () => {
    const daemon = await daemonWith(secretIdentity());
    expect((await advertise(daemon)).status).toBe(200);
    scene.emulator.sts.revoke(scene.emulator.sts.tokens().at(-1) ?? '');
    const answers = await Promise.all(Array.from({ length: 50 }, () => advertise(daemon)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(scene.emulator.sts.tokenRequests).toHaveLength(2);
  });
});

describe('renewal', () => {
  test('happens in the background: a slow sign-in service makes no request wait', async () => {
    scene.emulator.sts.tokenLifeSeconds = 20;
    scene.emulator.sts.refreshInSeconds = 2;
    const daemon = await daemonWith(secretIdentity());
    await advertise(daemon);
    scene.emulator.sts.delayMs = 3000;
    // The token is due for renewal from 2 s on; until the new one is there every request gets the old one.
    await eventually(() => scene.emulator.sts.inFlight === 1);
    const times: number[] = [];
    while (scene.emulator.sts.inFlight === 1) times.push((await advertise(daemon)).ms);
    await daemon.logged(({ event, ms }) => event === 'token-obtained' && Number(ms) >= 3000);
    expect(times.length).toBeGreaterThan(10);
    // One that waited would have taken what the service takes.
    expect(Math.max(...times)).toBeLessThan(2000);
    expect(scene.emulator.sts.tokenRequests.length).toBeGreaterThanOrEqual(2);
    expect(scene.emulator.git.count({ status: 401 })).toBe(0);
  });

  test('that fails for the rest of the token’s life fails no request before its end; then the cause is named; then it is well', async () => {
    scene.emulator.sts.tokenLifeSeconds = 8;
    // Due early, so that renewals have failed many times before the end on a busy machine too.
    scene.emulator.sts.refreshInSeconds = 1;
    const daemon = await daemonWith(secretIdentity());
    expect((await advertise(daemon)).status).toBe(200);
    scene.emulator.sts.down = true;
    const ends = Date.parse(String((await daemon.status()).identities[0]?.expiresAt));
    let served = 0;
    while (Date.now() < ends - 1200) {
      expect((await advertise(daemon)).status).toBe(200);
      served += 1;
      await sleep(20);
    }
    expect(served).toBeGreaterThan(20);
    expect(daemon.log.some(({ event, level, stillHeld }) => event === 'token-failed' && level === 'warn' && stillHeld === true)).toBe(true);
    await eventually(() => Date.now() > ends - 900);
    const failed = await lsRemote(daemon);
    expect(failed.code).not.toBe(0);
    expect(failed.stderr).toContain(`The sign-in service ${scene.emulator.sts.origin} cannot be reached`);
    expect(failed.stderr).toContain('what to do:');
    scene.emulator.sts.down = false;
    await eventually(async () => (await advertise(daemon)).status === 200, 15_000);
    expect((await lsRemote(daemon)).code).toBe(0);
    expect(scene.emulator.git.count({ status: 401 })).toBe(0);
  });

  test('does not cut a clone that outlives its token', async () => {
    scene.emulator.sts.tokenLifeSeconds = 3;
    const daemon = await daemonWith(secretIdentity());
    const url = daemon.url('dev.azure.com/contoso/Payments/_git/big');
    const target = join(scene.directory, 'slow-clone');
    // An upstream that stops in the middle, for longer than the token lives.
    let goOn = (): void => undefined;
    const until = new Promise<void>((resolve) => (goOn = resolve));
    scene.emulator.git.faults.set('contoso/Payments/big', { kind: 'stall', step: 'exchange', afterBytes: 64 * 1024, until });
    try {
      const clone = scene.git(['clone', '-q', url, target]);
      const isCloning = async (): Promise<boolean> =>
        (await daemon.status()).running.some(({ step, bytesDown }) => step === 'exchange' && bytesDown > 0);
      await eventually(isCloning);
      const ends = Number(scene.emulator.sts.issued.get(scene.emulator.sts.tokens().at(-1) ?? '')?.exp) * 1000;
      await eventually(() => Date.now() > ends + 500);
      expect(await isCloning()).toBe(true);
      goOn();
      expect(await clone).toMatchObject({ code: 0, stderr: '' });
    } finally {
      goOn();
      scene.emulator.git.faults.clear('contoso/Payments/big');
    }
    expect((await scene.git(['fsck', '--strict'], { cwd: target })).code).toBe(0);
  });

  test('a machine that slept past the end of its token gets a new one with its first request', async () => {
    scene.emulator.sts.tokenLifeSeconds = 3;
    const daemon = await daemonWith(secretIdentity());
    expect((await advertise(daemon)).status).toBe(200);
    const old = scene.emulator.sts.tokens().at(-1) ?? '';
    process.kill(daemon.pid, 'SIGSTOP');
    await sleep(Number(scene.emulator.sts.issued.get(old)?.exp) * 1000 + 200 - Date.now());
    scene.emulator.sts.tokenLifeSeconds = 3600;
    process.kill(daemon.pid, 'SIGCONT');
    expect((await lsRemote(daemon)).code).toBe(0);
    expect(scene.emulator.sts.tokens().at(-1)).not.toBe(old);
    expect(scene.emulator.git.count({ status: 401 })).toBe(0);
  });
});

describe('every kind of identity', () => {
  const works = async (daemon: RunningDaemon, path = WEB): Promise<void> => {
    expect(await lsRemote(daemon, path)).toMatchObject({ code: 0, stderr: '' });
    // That which tells the tenant of the organisation carries nothing, and is about no repository.
    const seen = scene.emulator.git.seen.filter(({ repository }) => repository !== undefined);
    expect(seen.every(({ refusedFor }) => refusedFor === undefined)).toBe(true);
  };

  test('azure-cli asks az, once for many requests', async () => {
    const daemon = await daemonWith('{ kind: azure-cli }', {
      env: { PATH: `${scene.emulator.az.directory}:${process.env['PATH'] ?? ''}` },
    });
    await works(daemon);
    await works(daemon);
    expect(scene.emulator.az.calls).toHaveLength(1);
    expect(scene.emulator.az.calls[0]?.args).toContain('499b84ac-1321-427f-aa17-267ca6975798');
  });

  test('client-secret takes its secret from a file, a variable, a command and a systemd credential', async () => {
    const { secret } = scene.emulator.sts.samples.secretClient;
    const file = await scratch('sp-secret', `${secret}\n`);
    await works(await daemonWith(secretIdentity(`{ file: ${file} }`)));
    await works(await daemonWith(secretIdentity('{ env: SP_SECRET }')));
    await works(await daemonWith(secretIdentity(`{ command: [cat, ${file}] }`)));
    await works(await daemonWith(secretIdentity('{ credential: sp-secret }'), { env: { CREDENTIALS_DIRECTORY: dirname(file) } }));
  });

  test('client-certificate signs with its certificate', async () => {
    await works(await daemonWith(certificateIdentity(scene.emulator.sts.samples.certificateClient.pemFile)));
  });

  test('workload-identity works by its keys and by the AZURE variables', async () => {
    const { tenant, federatedClient } = scene.emulator.sts.samples;
    await works(
      await daemonWith(
        `{ kind: workload-identity, tenant: ${tenant}, clientId: ${federatedClient.clientId}, tokenFile: ${federatedClient.tokenFile}, ${authority()} }`,
      ),
    );
    await works(
      await daemonWith(`{ kind: workload-identity, ${authority()} }`, {
        env: {
          AZURE_TENANT_ID: tenant,
          AZURE_CLIENT_ID: federatedClient.clientId,
          AZURE_FEDERATED_TOKEN_FILE: federatedClient.tokenFile,
        },
      }),
    );
  });

  test.each([
    ['of the machine', '', undefined],
    ['by client id', ', clientId: 11111111-2222-4333-8444-555555555555', '11111111-2222-4333-8444-555555555555'],
    [
      'by resource id',
      ', resourceId: /subscriptions/s/resourceGroups/g/providers/p/id',
      '/subscriptions/s/resourceGroups/g/providers/p/id',
    ],
  ])('managed-identity %s', async (_, keys, expected) => {
    const daemon = await daemonWith(`{ kind: managed-identity${keys} }`, {
      env: { AZURE_POD_IDENTITY_AUTHORITY_HOST: scene.emulator.imds.origin },
    });
    await works(daemon);
    expect(scene.emulator.imds.requests.filter(({ status }) => status === 200).map(({ identity }) => identity)).toEqual([expected]);
  });

  test('managed-identity gets a new token after a 401, past the cache of the library', async () => {
    const daemon = await daemonWith('{ kind: managed-identity }', {
      env: { AZURE_POD_IDENTITY_AUTHORITY_HOST: scene.emulator.imds.origin },
    });
    await works(daemon);
    scene.emulator.sts.revoke(scene.emulator.sts.tokens().at(-1) ?? '');
    expect((await lsRemote(daemon)).code).toBe(0);
    expect(scene.emulator.imds.requests.filter(({ status }) => status === 200)).toHaveLength(2);
  });

  test('managed-identity asks its endpoint itself, not through the proxy of the environment', async () => {
    scene.emulator.proxy.targets.length = 0;
    const daemon = await daemonWith('{ kind: managed-identity }', {
      env: { AZURE_POD_IDENTITY_AUTHORITY_HOST: scene.emulator.imds.origin, HTTPS_PROXY: scene.emulator.proxy.origin, NO_PROXY: '' },
    });
    await works(daemon);
  });

  test('managed-identity that does not exist, or whose endpoint is in trouble, is named', async () => {
    const { imds } = scene.emulator;
    imds.known = new Set();
    const env = { AZURE_POD_IDENTITY_AUTHORITY_HOST: imds.origin };
    const unknown = await lsRemote(await daemonWith('{ kind: managed-identity, clientId: 11111111-2222-4333-8444-555555555555 }', { env }));
    imds.known = undefined;
    expect(unknown.stderr).toContain('No managed identity answered on this machine (');
    expect(unknown.stderr).toContain('Identity not found');
    expect(unknown.stderr).toContain('check that the machine has a managed identity, and clientId or resourceId');
    const nobody = await lsRemote(
      await daemonWith('{ kind: managed-identity }', { env: { AZURE_POD_IDENTITY_AUTHORITY_HOST: 'http://127.0.0.1:9' } }),
    );
    expect(nobody.stderr).toContain('No managed identity answered on this machine (');
  });

  test('pat and basic', async () => {
    const { git } = scene.emulator;
    git.pats.add(PAT);
    git.basic.set('builder', 'pässwörd with: colon');
    const pat = `{ kind: pat, secret: { file: ${await scratch('pat', PAT)} } }`;
    await works(await daemonWith(pat));
    const tfs = { match: 'tfs.example.com/**', upstream: `${git.origin}/tfs.example.com` };
    await works(await daemonWith(pat, tfs), 'tfs.example.com/tfs/DefaultCollection/Payments/_git/web');
    const basic = `{ kind: basic, user: builder, secret: { file: ${await scratch('basic', 'pässwörd with: colon')} } }`;
    const generic = { match: 'git.example.com/**', upstream: `${git.origin}/git.example.com` };
    // The host kind is the route's to say: this one is no Azure DevOps Server.
    await works(await daemonWith(basic, { ...generic, match: 'git.example.com/**, host: generic' }), 'git.example.com/team/app.git');
  });

  test('none sends nothing, and is enough where reading is open to all', async () => {
    scene.emulator.git.anonymousRead.add('git.example.com/team/app');
    const daemon = await daemonWith('{ kind: none }', {
      match: 'git.example.com/**, host: generic',
      upstream: `${scene.emulator.git.origin}/git.example.com`,
    });
    await works(daemon, 'git.example.com/team/app.git');
    expect(scene.emulator.git.seen.every(({ authorization }) => authorization === 'none')).toBe(true);
    scene.emulator.git.anonymousRead.clear();
  });

  test('passthrough carries the caller’s own credential, and the upstream’s challenge back', async () => {
    scene.emulator.git.basic.set('dana', 'her-own-password');
    const daemon = await daemonWith('{ kind: passthrough }', {
      match: 'git.example.com/**, host: generic',
      upstream: `${scene.emulator.git.origin}/git.example.com`,
    });
    const url = daemon.url('git.example.com/team/app.git');
    expect((await scene.git(['ls-remote', url])).code).not.toBe(0);
    expect((await scene.git(['ls-remote', url.replace('http://', 'http://dana:her-own-password@')])).code).toBe(0);
  });
});

describe('what changes on disk', () => {
  test('a personal access token that was rotated is picked up after the 401, and no request fails', async () => {
    const { git } = scene.emulator;
    git.pats.add('a'.repeat(52));
    const file = await scratch('rotating', 'a'.repeat(52));
    const daemon = await daemonWith(`{ kind: pat, secret: { file: ${file} } }`);
    expect((await lsRemote(daemon)).code).toBe(0);
    git.pats.delete('a'.repeat(52));
    git.pats.add('b'.repeat(52));
    await writeFile(file, `${'b'.repeat(52)}\r\n`);
    expect(await lsRemote(daemon)).toMatchObject({ code: 0, stderr: '' });
    expect(git.count({ refusedFor: 'bad-pat' })).toBe(1);
  });

  test('a certificate that was renewed is used for the next token', async () => {
    const { sts } = scene.emulator;
    const { clientId, pemFile } = sts.samples.certificateClient;
    const file = await scratch('client.pem', await readFile(pemFile, 'utf8'));
    const daemon = await daemonWith(certificateIdentity(file));
    expect((await lsRemote(daemon)).code).toBe(0);
    const before = sts.clients.get(clientId);
    const renewed = await makeClientCertificate('postern-renewed');
    sts.clients.set(clientId, { certificatePem: renewed.cert });
    await writeFile(file, `${renewed.key}${renewed.cert}\n`);
    sts.revoke(sts.tokens().at(-1) ?? '');
    expect(await lsRemote(daemon)).toMatchObject({ code: 0, stderr: '' });
    if (before !== undefined) sts.clients.set(clientId, before);
  });

  test('a federated token that was renewed likewise', async () => {
    const { sts } = scene.emulator;
    const { tenant, federatedClient } = sts.samples;
    const file = await scratch('federated', federatedToken(SAMPLE_FEDERATION, -60));
    const daemon = await daemonWith(
      `{ kind: workload-identity, tenant: ${tenant}, clientId: ${federatedClient.clientId}, tokenFile: ${file}, ${authority()} }`,
    );
    const failed = await lsRemote(daemon);
    expect(failed.stderr).toContain('The assertion is not in its time range (AADSTS700024)');
    expect(failed.stderr).toContain('token file is being renewed');
    await writeFile(file, federatedToken(SAMPLE_FEDERATION, 600));
    await eventually(async () => (await advertise(daemon)).status === 200);
  });

  test('a secret file that went away is named as such, with its own code, and read once', async () => {
    const file = await scratch('vanishing', scene.emulator.sts.samples.secretClient.secret);
    const daemon = await daemonWith(secretIdentity(`{ file: ${file} }`));
    await writeFile(file, 'two\nlines\n');
    const failed = await lsRemote(daemon);
    expect(failed.stderr).toContain(`A secret could not be read: file ${file} has more than one line`);
    expect(failed.stderr).toContain('on one line');
    expect((await daemon.status()).failures[0]?.failure?.code).toBe('secret-unreadable');
  });
});

describe('what the sign-in service says no with', () => {
  test.each([
    [7000215, 'The client secret is wrong', 'not its id'],
    [7000222, 'The client secret has expired', 'make a new secret'],
    [700016, 'The app (client id) was not found in this tenant', 'check `clientId` and `tenant`'],
    [90002, 'The tenant was not found', 'check `tenant`'],
    [700024, 'The assertion is not in its time range', 'check the clock'],
    [53003, 'Conditional access blocks this sign-in', 'administrator of the tenant'],
    [9999999, 'The sign-in service refused (AADSTS9999999: The request was refused', 'look up AADSTS9999999'],
  ])('AADSTS%i is told by git in plain words, with what to do', async (aadsts, what, todo) => {
    scene.emulator.sts.failWith = { aadsts };
    const daemon = await daemonWith(secretIdentity());
    const failed = await lsRemote(daemon);
    expect(failed.code).toBe(128);
    expect(failed.stderr).toContain(`remote: postern: ${what}`);
    expect(failed.stderr).toContain(`AADSTS${aadsts}`);
    expect(failed.stderr).toMatch(new RegExp(`remote: +what to do: .*${todo}`));
    expect(failed.stderr).toContain('identity it');
    expect(failed.stderr).not.toMatch(/Username|Trace ID/);
    // A definite answer is not asked for again at once.
    expect(scene.emulator.sts.tokenRequests).toHaveLength(1);
  });

  test('a wrong secret, a wrong tenant and a wrong client id are told by the service itself', async () => {
    const { tenant, secretClient } = scene.emulator.sts.samples;
    const identity = (of: { tenant?: string; clientId?: string }): string =>
      `{ kind: client-secret, tenant: ${of.tenant ?? tenant}, clientId: ${of.clientId ?? secretClient.clientId}, secret: { env: SP_SECRET }, ${authority()} }`;
    expect((await lsRemote(await daemonWith(identity({}), { env: { SP_SECRET: 'wrong' } }))).stderr).toContain('AADSTS7000215');
    const nowhere = '99999999-0000-4000-8000-000000000000';
    expect((await lsRemote(await daemonWith(identity({ tenant: nowhere })))).stderr).toContain('The tenant was not found (AADSTS90002)');
    expect((await lsRemote(await daemonWith(identity({ clientId: nowhere })))).stderr).toContain('AADSTS700016');
  });

  test.each([
    ['500', { status: 500 as const }, 'The sign-in service answered with status 500'],
    ['503 as a page', { status: 503 as const, html: true as const }, 'The sign-in service answered with status 503'],
    ['429', { status: 429 as const, retryAfterSeconds: 5 }, 'The sign-in service answered with status 429'],
    [
      'a page with 200',
      { status: 200 as const, html: true as const },
      'is not a sign-in service (status 200, and a page instead of a token)',
    ],
  ])('%s is told as its own trouble, and it gets well by itself', async (_, failure, what) => {
    scene.emulator.sts.failWith = failure;
    const daemon = await daemonWith(secretIdentity());
    const failed = await lsRemote(daemon);
    expect(failed.stderr).toContain(what);
    expect(failed.stderr).toMatch(/wait (?:5 s )?and try again|check `authority`/);
    expect(failed.stderr).not.toMatch(/Cannot (?:set|read|create)|properties of/);
    scene.emulator.sts.failWith = undefined;
    await eventually(async () => (await advertise(daemon)).status === 200);
  });
});

describe('a sign-in service that cannot be reached', () => {
  const at = (origin: string, ca = true): string => {
    const { tenant, secretClient } = scene.emulator.sts.samples;
    const trust = ca ? `, ca: ${scene.emulator.caFile}` : '';
    return `{ kind: client-secret, tenant: ${tenant}, clientId: ${secretClient.clientId}, secret: { env: SP_SECRET }, authority: '${origin}'${trust} }`;
  };

  test('because its certificate is not trusted', async () => {
    const failed = await lsRemote(await daemonWith(at(scene.emulator.sts.origin, false)));
    expect(failed.stderr).toMatch(/failed \(UNABLE_TO_VERIFY_LEAF_SIGNATURE: .*; its certificate is from "Emulator Root"\)/);
    expect(failed.stderr).toContain('`ca` of the identity');
  });

  test('because its name does not resolve', async () => {
    const failed = await lsRemote(await daemonWith(at('https://login.nowhere.invalid')));
    expect(failed.stderr).toContain('The sign-in service https://login.nowhere.invalid cannot be reached (');
    expect(failed.stderr).toMatch(/ENOTFOUND|EAI_AGAIN/);
    expect(failed.stderr).toContain('the DNS of this machine');
  });

  test('because nothing listens there', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo; // it listens on TCP
    await new Promise((resolve) => server.close(resolve));
    const failed = await lsRemote(await daemonWith(at(`https://127.0.0.1:${port}`)));
    expect(failed.stderr).toContain('ECONNREFUSED');
  });

  test('because it never answers', async () => {
    scene.emulator.sts.delayMs = 30_000;
    const failed = await lsRemote(await daemonWith(secretIdentity(), { settings: 'timeouts: { token: 1s }' }));
    expect(failed.stderr).toContain('No token came within 1 s');
    expect(failed.ms).toBeLessThan(10_000);
  });

  test('because what answers there is no sign-in service', async () => {
    const failed = await lsRemote(await daemonWith(at(scene.emulator.git.origin)));
    expect(failed.stderr).toMatch(/sign-in service/);
    expect(failed.stderr).toContain('authority');
    expect(failed.stderr).not.toMatch(/Cannot (?:set|read)|undefined|is not a function/);
  });

  test('but for a proxy, through which a private authority is trusted by the same `ca`', async () => {
    const { proxy, sts } = scene.emulator;
    proxy.targets.length = 0;
    const daemon = await daemonWith(at('https://login.contoso.example'), { env: { HTTPS_PROXY: proxy.origin } });
    expect(await lsRemote(daemon)).toMatchObject({ code: 0, stderr: '' });
    expect(new Set(proxy.targets.map(({ target }) => target))).toEqual(new Set(['login.contoso.example:443']));
    expect(sts.tokenRequests).toHaveLength(1);
  });

  test('because `ca` is no certificate, or has gone', async () => {
    const file = await scratch('not-a-ca.pem', 'nothing\n');
    const { tenant, secretClient } = scene.emulator.sts.samples;
    const failed = await lsRemote(
      await daemonWith(
        `{ kind: client-secret, tenant: ${tenant}, clientId: ${secretClient.clientId}, secret: { env: SP_SECRET }, authority: '${scene.emulator.sts.origin}', ca: ${file} }`,
      ),
    );
    expect(failed.stderr).toContain(`The certificate file ${file} cannot be used (it holds no PEM certificate)`);
    expect(failed.stderr).toContain('`ca` of the identity');
  });

  test('but for what NODE_EXTRA_CA_CERTS trusts besides `ca`', async () => {
    const other = await scratch('other-ca.pem', (await makeClientCertificate('another authority')).cert);
    const { tenant, secretClient } = scene.emulator.sts.samples;
    const daemon = await daemonWith(
      `{ kind: client-secret, tenant: ${tenant}, clientId: ${secretClient.clientId}, secret: { env: SP_SECRET }, authority: '${scene.emulator.sts.origin}', ca: ${other} }`,
      { env: { NODE_EXTRA_CA_CERTS: scene.emulator.caFile } },
    );
    expect((await lsRemote(daemon)).code).toBe(0);
  });

  test('because the proxy forbids it', async () => {
    const { proxy } = scene.emulator;
    proxy.mode = 'forbid';
    const failed = await lsRemote(await daemonWith(at('https://login.contoso.example'), { env: { HTTPS_PROXY: proxy.origin } }));
    proxy.mode = 'tunnel';
    expect(failed.stderr).toContain('refused a connection to login.contoso.example (status 403)');
    expect(failed.stderr).toContain('`proxy` of the identity');
  });
});

describe('az', () => {
  const withAz = (path: string, settings = ''): Promise<RunningDaemon> =>
    daemonWith(`{ kind: azure-cli, tenant: ${scene.emulator.sts.samples.tenant} }`, { env: { PATH: path }, settings });
  const onPath = (): string => `${scene.emulator.az.directory}:${process.env['PATH'] ?? ''}`;

  test('that is not on the PATH', async () => {
    const failed = await lsRemote(await withAz('/usr/bin:/bin'));
    expect(failed.stderr).toContain('The Azure CLI (az) was not found on the PATH of the daemon');
    expect(failed.stderr).toContain('install the Azure CLI');
  });

  test('that is not signed in, and then is', async () => {
    scene.emulator.az.mode = 'not-signed-in';
    const daemon = await withAz(onPath());
    const failed = await lsRemote(daemon);
    expect(failed.stderr).toContain('The Azure CLI is not signed in');
    expect(failed.stderr).toContain(`az login --tenant ${scene.emulator.sts.samples.tenant}`);
    scene.emulator.az.mode = 'signed-in';
    await eventually(async () => (await advertise(daemon)).status === 200);
  });

  test('that is slow is waited for, up to the limit', async () => {
    scene.emulator.az.mode = 'slow';
    scene.emulator.az.slowMs = 1500;
    expect((await lsRemote(await withAz(onPath()))).code).toBe(0);
    scene.emulator.az.slowMs = 30_000;
    scene.emulator.az.calls.length = 0;
    const failed = await lsRemote(await withAz(onPath(), 'timeouts: { token: 1s }'));
    expect(failed.stderr).toContain('within 1 s');
    expect(scene.emulator.az.calls).toHaveLength(1);
  });

  test('that prints nonsense', async () => {
    scene.emulator.az.mode = 'broken-json';
    const failed = await lsRemote(await withAz(onPath()));
    expect(failed.stderr).toContain('The Azure CLI gave no token');
    expect(failed.stderr).toContain('az account get-access-token');
  });
});
