/**
 * The life of a personal access token, with the built program, real git and the emulator's API: made, used by a second identity, watched,
 * revoked, refused. Texts are those that a person sees.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Pat } from '../azure/pat-api.js';
import { Canaries, filesBelow } from '../support/canary.js';
import { type Ran, type RunningDaemon, Scene } from '../support/scene.js';
import { ask } from '../support/plain-request.js';

const WEB = 'dev.azure.com/contoso/Payments/_git/web';
const DAY_MS = 86_400_000;

let scene: Scene;
let daemons: RunningDaemon[] = [];
let files = 0;

beforeAll(async () => {
  scene = await Scene.open();
  scene.emulator.az.account = 'dana@contoso.com';
  await scene.emulator.createRepository('contoso/Payments/web', { commits: 2 });
  await scene.emulator.createRepository('fabrikam/Payments/web', { commits: 1 });
});
afterAll(() => scene.close());
afterEach(async () => {
  for (const daemon of daemons) await daemon.kill();
  daemons = [];
  const { git, az } = scene.emulator;
  git.patApi.pats.clear();
  git.patApi.requests.length = 0;
  git.patApi.policy = undefined;
  git.patApi.failWith = undefined;
  git.patApi.pageSize = 100;
  git.seen.length = 0;
  az.account = 'dana@contoso.com';
  az.mode = 'signed-in';
  az.calls.length = 0;
});

const env = (): Record<string, string> => ({ PATH: `${scene.emulator.az.directory}:${process.env['PATH'] ?? ''}` });

/** `me` is a person at the Azure CLI. `identities` are further lines; routes are of contoso. */
async function daemonWith(
  options: { identities?: readonly string[]; identity?: string; more?: readonly string[]; routes?: readonly string[] } = {},
): Promise<RunningDaemon> {
  const { git, caFile } = scene.emulator;
  const upstream = `upstream: '${git.origin}', ca: ${caFile}`;
  const daemon = await scene.daemon(
    [
      'listen: { http: 127.0.0.1:0 }',
      'log: { level: debug, format: json }',
      ...(options.more ?? []),
      'identities:',
      `  me: { kind: azure-cli, tenant: ${scene.emulator.sts.samples.tenant} }`,
      ...(options.identities ?? []).map((line) => `  ${line}`),
      'routes:',
      ...(options.routes ?? [`{ match: dev.azure.com/contoso/**, identity: ${options.identity ?? 'me'}, ${upstream} }`]).map(
        (line) => `  - ${line}`,
      ),
      '',
    ].join('\n'),
    { env: env() },
  );
  daemons.push(daemon);
  return daemon;
}

/** A file that holds a secret, and its path. */
async function secret(text: string): Promise<string> {
  files += 1;
  const file = join(scene.directory, `secret-${files}`);
  await writeFile(file, `${text}\n`, { mode: 0o600 });
  return file;
}

/** An identity of a token that is watched, as a line of `identities:`. */
const watched = async ({ token, authorizationId }: Pat, more = ''): Promise<string> =>
  `ci: { kind: pat, secret: { file: ${await secret(token)} }, lifecycle: { identity: me, organization: contoso, id: ${authorizationId} }${more} }`;

const lsRemote = (daemon: RunningDaemon): Promise<Ran> => scene.git(['ls-remote', daemon.url(WEB)]);
const statusText = async (daemon: RunningDaemon): Promise<string> => (await daemon.postern(['status'])).stdout;

/** Until the organisation was asked, as `status` shows it. */
async function checked(daemon: RunningDaemon, state: string): Promise<void> {
  await expect.poll(async () => (await daemon.status()).pats[0]?.life?.state, { timeout: 20_000 }).toBe(state);
}

describe('a token from its making to its end', () => {
  test('is printed once, clones, is watched, is revoked, and is then refused by name; nothing else ever holds it', async () => {
    const { patApi } = scene.emulator.git;
    const first = await daemonWith();
    const spied: string[] = [];
    const made = await first.postern(['pat', 'create', 'contoso', '--name', 'nightly', '--for', '5d'], {
      onChild: ({ pid }) =>
        void readFile(`/proc/${pid ?? 0}/cmdline`, 'latin1').then(
          (text) => spied.push(text),
          () => undefined,
        ),
    });
    expect(made.code).toBe(0);
    const token = made.stdout.trim();
    expect(made.stdout).toMatch(/^[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}\n$/);
    const [pat] = patApi.pats.values();
    expect(pat).toMatchObject({ displayName: 'nightly', scope: 'vso.code', organizations: ['contoso'], token });
    expect(patApi.requests.at(-1)?.body).toMatchObject({ allOrgs: false });
    const id = pat?.authorizationId ?? '';
    const end = pat?.validTo.toISOString() ?? '';
    const lifecycle = `lifecycle: { identity: me, organization: contoso, id: ${id} }`;
    expect(made.stderr).toBe(
      `Token "nightly" for contoso alone, vso.code, ends ${end}; it is shown this once\n` +
        `\`postern pat revoke ${id}\` ends it before. For an identity of kind pat, so that \`postern status\` tells when it ends:\n` +
        `  ${lifecycle}\n`,
    );
    expect(first.log.find(({ event }) => event === 'pat-created')).toMatchObject({
      pat: id,
      organization: 'contoso',
      identity: 'me',
      scopes: 'vso.code',
      expiresAt: end,
    });
    await first.stop();

    // The snippet that was printed is taken as it stands.
    const file = await secret(token);
    const second = await daemonWith({
      identity: 'ci',
      identities: [`ci: { kind: pat, secret: { file: ${file} }, ${lifecycle} }`],
      more: ['telemetry: { listen: 127.0.0.1:0 }'],
    });
    const clone = join(scene.directory, 'clone-of-the-token');
    expect(await scene.git(['clone', '-q', second.url(WEB), clone])).toMatchObject({ code: 0, stderr: '' });
    await checked(second, 'ends-soon');
    expect(await statusText(second)).toContain(
      `    ENDS IN 5 DAYS: token "nightly" for contoso, vso.code (${end})\n    what to do: make another one (\`postern pat create contoso\`)`,
    );
    expect(second.log.filter(({ event }) => event === 'pat-ends-soon')).toEqual([
      expect.objectContaining({ level: 'warn', identity: 'ci', organization: 'contoso', pat: id, expiresAt: end, daysLeft: 5 }),
    ]);
    const metrics = (await ask(`${second.telemetry}/metrics`)).body.toString();
    expect(metrics).toContain(`postern_pat_expiry_timestamp_seconds{identity="ci"} ${new Date(end).getTime() / 1000}\n`);

    await scene.git(['commit', '-q', '--allow-empty', '-m', 'more'], { cwd: clone });
    const pushed = await scene.git(['push', 'origin', 'HEAD:more'], { cwd: clone });
    expect(pushed.code).toBe(128);
    expect(pushed.stderr).toContain('a personal access token needs the scope Code (Read & write) besides, vso.code_write');

    const revoked = await second.postern(['pat', 'revoke', id]);
    expect(revoked).toMatchObject({ code: 0, stdout: `Revoked ${id} in contoso\n`, stderr: '' });
    await checked(second, 'missing');
    const refused = await lsRemote(second);
    expect(refused.code).toBe(128);
    expect(refused.stderr).toContain(
      'remote: postern: The upstream did not accept the credential (401): the personal access token was revoked, or is not the one that `lifecycle` names: contoso has none of that id',
    );
    expect(refused.stderr).toContain(
      'what to do: make another one (`postern pat create`) and put it where `secret` of the identity points',
    );
    expect(await statusText(second)).toContain(`    IS NOT THERE: its owner has no token ${id} in contoso`);
    const again = await second.postern(['pat', 'revoke', id]);
    expect(again.code).toBe(1);
    expect(again.stderr).toContain(`There is no personal access token ${id} of identity me in contoso`);

    const canaries = new Canaries();
    canaries.add('the token', token);
    const places = await filesBelow(scene.directory);
    places.delete(file);
    for (const [name, daemon] of Object.entries({ first, second })) places.set(`log of the ${name} daemon`, daemon.output);
    for (const [name, ran] of Object.entries({ refused, revoked, again, pushed })) places.set(name, ran.stdout + ran.stderr);
    places.set('hint', made.stderr);
    places.set('command lines', [...spied, ...(await commandLines())].join('\n'));
    places.set('status', JSON.stringify(await second.status()));
    expect(canaries.inAll(places)).toEqual([]);
    expect(canaries.in(made.stdout)).not.toEqual([]);
    // Nothing had to be taken out of the log either.
    expect(first.output + second.output).not.toContain('[pat]');
  });

  test('that is revoked elsewhere is found out after a refusal', async () => {
    const pat = scene.emulator.git.patApi.add();
    const daemon = await daemonWith({ identity: 'ci', identities: [await watched(pat)] });
    await checked(daemon, 'good');
    expect(await statusText(daemon)).toContain(
      `    token "by hand" for contoso, vso.code: 30 days left (ends ${pat.validTo.toISOString()})`,
    );
    expect((await lsRemote(daemon)).code).toBe(0);
    pat.isRevoked = true;
    const refused = await lsRemote(daemon);
    expect(refused.stderr).toContain(
      'has ended, was revoked, is of another organisation, or is forbidden by a policy looks the same from here',
    );
    await checked(daemon, 'missing');
    expect(daemon.log.some(({ event, level }) => event === 'pat-missing' && level === 'error')).toBe(true);
    // Callers can cause any number of refusals, and the organisation is not asked for each.
    const asked = scene.emulator.git.patApi.requests.length;
    for (let count = 0; count < 5; count++) await lsRemote(daemon);
    expect(scene.emulator.git.patApi.requests.length).toBe(asked);
  });

  test('that has ended, and one for every organisation, are told as such', async () => {
    const { patApi } = scene.emulator.git;
    const ended = patApi.add({ validTo: new Date(Date.now() - DAY_MS) });
    const everywhere = patApi.add({ organizations: undefined, displayName: 'for all' });
    const daemon = await daemonWith({
      identity: 'ci',
      identities: [await watched(ended), (await watched(everywhere)).replace('ci:', 'all:')],
    });
    await checked(daemon, 'ended');
    await expect.poll(async () => (await daemon.status()).pats[1]?.life?.isGlobal).toBe(true);
    const text = await statusText(daemon);
    expect(text).toContain(`    HAS ENDED: token "by hand" for contoso, vso.code (${ended.validTo.toISOString()})`);
    expect(text).toContain('    GOOD FOR EVERY ORGANISATION of its owner: Azure DevOps stops such tokens on 2026-12-01');
    expect(daemon.log.find(({ event }) => event === 'pat-ended')).toMatchObject({ level: 'error', identity: 'ci' });
    expect(daemon.log.find(({ event }) => event === 'pat-global')).toMatchObject({ level: 'warn', identity: 'all', endsAt: '2026-12-01' });
    const refused = await lsRemote(daemon);
    expect(refused.stderr).toContain(`(401): the personal access token ended on ${ended.validTo.toISOString()}`);
  });

  test('whose organisation cannot be asked works all the same', async () => {
    const { patApi } = scene.emulator.git;
    patApi.failWith = 503;
    const daemon = await daemonWith({ identity: 'ci', identities: [await watched(patApi.add())] });
    await expect.poll(async () => (await daemon.status()).pats[0]?.life?.failure, { timeout: 20_000 }).toBeDefined();
    expect(await lsRemote(daemon)).toMatchObject({ code: 0, stderr: '' });
    expect(await statusText(daemon)).toContain(
      '    could not be asked about: The upstream is not available at the moment (503), asked about personal access tokens of contoso\n',
    );
    expect(daemon.log.filter(({ event }) => event === 'pat-lookup-failed')).toHaveLength(1);
  });
});

describe('postern pat', () => {
  test('takes scopes in both spellings, and prints JSON', async () => {
    const daemon = await daemonWith();
    const made = await daemon.postern(['pat', 'create', '--scope', 'code-write,vso.packaging', '--for', '365d', '--json']);
    const [pat] = scene.emulator.git.patApi.pats.values();
    expect(JSON.parse(made.stdout)).toEqual({
      token: pat?.token,
      organization: 'contoso',
      identity: 'me',
      id: pat?.authorizationId,
      name: pat?.displayName,
      scopes: ['vso.code_write', 'vso.packaging'],
      expiresAt: pat?.validTo.toISOString(),
    });
    expect(pat?.displayName).toMatch(/^postern, /);
    const days = ((pat?.validTo.getTime() ?? 0) - Date.now()) / DAY_MS;
    expect(days).toBeGreaterThan(364.9);
    expect(days).toBeLessThan(365.1);
  });

  test('lists all pages, without a token', async () => {
    const { patApi } = scene.emulator.git;
    patApi.pageSize = 2;
    const pats = ['one', 'two', 'three', 'four\u001b[31m', 'five'].map((displayName) => patApi.add({ displayName }));
    const daemon = await daemonWith();
    const listed = await daemon.postern(['pat', 'list', 'contoso']);
    expect(listed.code).toBe(0);
    expect(listed.stdout.split('\n')).toHaveLength(7);
    for (const { authorizationId, token } of pats) {
      expect(listed.stdout).toContain(authorizationId);
      expect(listed.stdout).not.toContain(token);
    }
    expect(listed.stdout).toContain('four\\u001b[31m');
    expect(patApi.requests.filter(({ method }) => method === 'GET')).toHaveLength(3);
    expect(JSON.parse((await daemon.postern(['pat', 'list', '--json'])).stdout)).toHaveLength(5);
  });

  test.each([
    [
      'disablePatCreationPolicyViolation',
      'exception',
      'A policy of the organisation forbids personal access tokens',
      'an identity of kind browser',
    ],
    ['DisablePatCreationPolicyViolation', 'result', 'A policy of the organisation forbids personal access tokens', 'workload-identity'],
    ['failedToReadTenantPolicy', 'result', "could not read the policies of the organisation's tenant", 'try again later'],
    ['fullScopePatPolicyViolation', 'exception', 'forbids these scopes', 'ask for less with --scope'],
    ['patLifespanPolicyViolation', 'result', 'forbids personal access tokens that live so long', '--for 1d'],
    ['globalPatPolicyViolation', 'result', 'for all organisations', 'one for each organisation'],
    ['somethingNew', 'result', 'did not do what was asked about the personal access token (somethingNew)', 'in a browser'],
  ] as const)('says what to use instead when %s (%s) is the answer', async (error, shape, what, todo) => {
    scene.emulator.git.patApi.policy = { error, shape };
    const daemon = await daemonWith();
    const made = await daemon.postern(['pat', 'create']);
    expect(made).toMatchObject({ code: 1, stdout: '' });
    expect(made.stderr).toContain(what);
    expect(made.stderr).toContain(error);
    expect(made.stderr).toMatch(new RegExp(`what to do: .*${todo}`));
    expect(daemon.log.find(({ event }) => event === 'pat-refused')).toMatchObject({ level: 'warn', instead: 'pat-created' });
  });

  test('refuses identities that can have no token before it asks anyone', async () => {
    const daemon = await daemonWith({
      identities: [`sp: ${scene.servicePrincipal}`, `other: { kind: pat, secret: { env: SP_SECRET } }`],
      routes: [
        `{ match: dev.azure.com/contoso/a/*, identity: sp }`,
        `{ match: dev.azure.com/contoso/**, identity: other }`,
        '{ match: dev.azure.com/fabrikam/**, identity: me }',
      ],
    });
    const tokens = scene.emulator.sts.tokenRequests.length;
    for (const [args, what] of [
      [['contoso'], 'Identity sp is an application, and only people can have personal access tokens'],
      [['contoso', '--identity', 'sp'], 'Identity sp is an application'],
      [['contoso', '--identity', 'other'], 'Identity other holds no Entra token, and nothing else can ask for personal access tokens'],
      [['contoso', '--identity', 'nobody'], 'There is no identity nobody'],
      [['elsewhere'], 'No route of the configuration is for the organisation elsewhere'],
      [['con/toso'], 'That is not the name of an organisation'],
      [[], 'It is not clear which organisation is meant'],
      [['contoso', '--for', '366d'], '--for: `366d` is too long; at most `365d`'],
      [['contoso', '--scope', 'app_token'], '--scope: `app_token` is not a scope that may be asked for'],
    ] as const) {
      const made = await daemon.postern(['pat', 'create', ...args]);
      expect(made).toMatchObject({ code: 2, stdout: '' });
      expect(made.stderr).toContain(what);
    }
    expect(scene.emulator.git.patApi.requests).toEqual([]);
    expect(scene.emulator.sts.tokenRequests.length).toBe(tokens);
    expect(scene.emulator.az.calls).toEqual([]);
    expect(daemon.log.some(({ event }) => event === 'secret-read')).toBe(false);
  });

  test('knows by its token that a service principal is signed in to the Azure CLI', async () => {
    scene.emulator.az.account = undefined;
    const daemon = await daemonWith();
    const made = await daemon.postern(['pat', 'create']);
    expect(made.stderr).toContain('Identity me is an application, and only people can have personal access tokens');
    expect(scene.emulator.git.patApi.requests).toEqual([]);
  });

  test('goes to vssps.dev.azure.com, through the proxy of the route, where no upstream is mapped', async () => {
    const { proxy, caFile, git } = scene.emulator;
    proxy.targets.length = 0;
    const daemon = await daemonWith({
      routes: [`{ match: dev.azure.com/contoso/**, identity: me, ca: ${caFile}, proxy: '${proxy.origin}' }`],
    });
    expect((await daemon.postern(['pat', 'list'])).stdout).toBe('There is no personal access token\n');
    expect(proxy.targets.map(({ target }) => target)).toEqual(['vssps.dev.azure.com:443']);
    expect(git.patApi.requests.map(({ host, organization, authorization }) => [host, organization, authorization])).toEqual([
      ['vssps.dev.azure.com', 'contoso', 'bearer'],
    ]);
  });

  test('renews a token that was refused, once', async () => {
    const daemon = await daemonWith();
    await daemon.postern(['pat', 'list']);
    for (const token of scene.emulator.sts.tokens()) scene.emulator.sts.revoke(token);
    expect((await daemon.postern(['pat', 'list'])).code).toBe(0);
    expect(scene.emulator.git.seen.filter(({ status }) => status === 401)).toHaveLength(1);
  });

  test('does not say a token back that was given in the place of an id', async () => {
    const { token } = scene.emulator.git.patApi.add();
    const daemon = await daemonWith();
    for (const args of [
      [token],
      ['7d1f6f70-0a4c-4b0e-9d8f-6f0d2a6d2f11', 'contoso', token],
      ['7d1f6f70-0a4c-4b0e-9d8f-6f0d2a6d2f11', token],
    ]) {
      const ran = await daemon.postern(['pat', 'revoke', ...args]);
      expect(ran.code).toBe(2);
      expect(ran.stdout + ran.stderr + daemon.output).not.toContain(token.slice(0, 20));
    }
  });

  test('needs a daemon', async () => {
    expect((await scene.postern(['pat', 'list', 'contoso'])).stderr).toContain('No postern is running');
  });
});

describe('what was read for a token and is none', () => {
  const guid = '7d1f6f70-0a4c-4b0e-9d8f-6f0d2a6d2f11';
  test.each([
    [guid, 'is a GUID, as ids are, and not a token', 'lifecycle.id'],
    [`"${'a'.repeat(52)}"`, 'stands in quotation marks', 'without quotation marks'],
    [`{"token":"${'a'.repeat(52)}"}`, 'is a JSON document', 'jq -r .token'],
  ])('is told at first use, in status, and where it was refused: %s', async (text, what, todo) => {
    const daemon = await daemonWith({ identity: 'ci', identities: [`ci: { kind: pat, secret: { file: ${await secret(text)} } }`] });
    expect(daemon.output).not.toContain('pat-doubtful');
    const refused = await lsRemote(daemon);
    expect(refused.stderr).toContain(`(401): what was read for the identity ${what}`);
    expect(refused.stderr).toMatch(new RegExp(`what to do: .*${todo}`));
    await lsRemote(daemon);
    expect(daemon.log.filter(({ event }) => event === 'pat-doubtful')).toEqual([
      expect.objectContaining({ level: 'warn', identity: 'ci', what: `what was read for it ${what}` }),
    ]);
    const status = await statusText(daemon);
    expect(status).toContain(`    LOOKS LIKE NO TOKEN: what was read for it ${what}`);
    for (const place of [refused.stderr, status, daemon.output]) expect(place).not.toContain(text);
  });
});

describe('a token that is good, and not here', () => {
  test('of another organisation is refused with what it may be', async () => {
    const { git, caFile } = scene.emulator;
    const pat = git.patApi.add({ organizations: ['fabrikam'] });
    const daemon = await daemonWith({
      identities: [`ci: { kind: pat, secret: { file: ${await secret(pat.token)} } }`],
      routes: [`{ match: dev.azure.com/**, identity: ci, upstream: '${git.origin}', ca: ${caFile} }`],
    });
    expect((await scene.git(['ls-remote', daemon.url('dev.azure.com/fabrikam/Payments/_git/web')])).code).toBe(0);
    const refused = await lsRemote(daemon);
    expect(refused.stderr).toContain('is of another organisation');
    expect(git.seen.some(({ refusedFor }) => refusedFor === 'foreign-pat')).toBe(true);
  });

  test('on Azure DevOps Server, with IIS Basic Authentication switched on', async () => {
    const { git, caFile } = scene.emulator;
    await scene.emulator.createRepository('tfs.example.com/tfs/DefaultCollection/Payments/web');
    const daemon = await daemonWith({
      identities: [`onprem: { kind: pat, secret: { file: ${await secret('b'.repeat(52))} } }`],
      routes: [`{ match: tfs.example.com/tfs/**, identity: onprem, upstream: '${git.origin}/tfs.example.com', ca: ${caFile} }`],
    });
    const refused = await scene.git(['ls-remote', daemon.url('tfs.example.com/tfs/DefaultCollection/Payments/_git/web')]);
    expect(refused.stderr).toContain('IIS Basic Authentication is switched on for the site');
  });
});

/** Command lines of every process that can be seen. */
async function commandLines(): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^[0-9]+$/.test(name));
  return Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')));
}
