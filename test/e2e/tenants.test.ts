/**
 * Identities that name no tenant: it is the one of the organisation, which the upstream tells to whoever asks without a credential. Real
 * git, the real token library, an emulator that knows each organisation's tenant.
 */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { OrganisationRules } from '../azure/access.js';
import { DEFAULT_TENANT } from '../azure/token-book.js';
import { told } from '../support/failure-stage.js';
import { type Ran, type RunningDaemon, Scene } from '../support/scene.js';

const EMPTY = '00000000-0000-0000-0000-000000000000';
let scene: Scene;
let work: RunningDaemon;
let environment: Readonly<Record<string, string>>;
let organisations = 0;

/** Identities without a tenant, each on a host name of its own. */
function configuration(ssh = ''): string {
  const { origin } = scene.emulator.git;
  const { secretClient } = scene.emulator.sts.samples;
  const { federatedClient } = scene.emulator.sts.samples;
  const entra = `authority: '${scene.emulator.sts.origin}', ca: ${scene.emulator.caFile}`;
  return [
    `listen: { http: 127.0.0.1:0${ssh} }`,
    'log: { level: debug, format: json }',
    'identities:',
    `  app: { kind: client-secret, clientId: ${secretClient.clientId}, secret: { env: SP_SECRET }, ${entra} }`,
    `  pod: { kind: workload-identity, clientId: ${federatedClient.clientId}, tokenFile: ${federatedClient.tokenFile}, ${entra} }`,
    '  me: { kind: azure-cli }',
    `  home: { kind: azure-cli, tenant: ${DEFAULT_TENANT} }`,
    '  graph: { kind: azure-cli, resource: https://graph.microsoft.com/ }',
    'routes:',
    ...['pod', 'me', 'home', 'graph'].map(
      (name) => `  - { match: dev.azure.com/*/${name}/*, identity: ${name}, upstream: '${origin}', ca: ${scene.emulator.caFile} }`,
    ),
    `  - { match: '*.visualstudio.com/apart/*', identity: app, proxy: '${scene.emulator.proxy.origin}', ca: ${scene.emulator.caFile} }`,
    `  - { match: git.example.com/**, host: generic, identity: me, upstream: '${origin}/git.example.com', ca: ${scene.emulator.caFile} }`,
    `  - { match: dev.azure.com/**, identity: app, upstream: '${origin}', ca: ${scene.emulator.caFile} }`,
    '',
  ].join('\n');
}

beforeAll(async () => {
  scene = await Scene.open();
  environment = { PATH: `${scene.emulator.az.directory}:${process.env['PATH'] ?? ''}` };
  work = await scene.daemon(configuration(', ssh: 127.0.0.1:0'), { env: environment });
});
afterAll(() => scene.close());

beforeEach(() => {
  scene.emulator.git.seen.length = 0;
  scene.emulator.sts.tokenRequests.length = 0;
  scene.emulator.az.calls.length = 0;
});
afterEach(() => {
  scene.emulator.az.account = undefined;
});

interface Organisation {
  readonly name: string;
  readonly tenant: string;
}

/** Rules of an organisation of that tenant. */
type RulesOf = (tenant: string) => OrganisationRules;

/** An organisation that nobody has asked for yet, with a repository in this project; of a tenant that nobody has asked either, if none is named. */
async function organisation(rules: RulesOf = () => ({}), project = 'Payments', tenant: string = randomUUID()): Promise<Organisation> {
  organisations += 1;
  const name = `org${organisations}`;
  scene.emulator.sts.tenants.add(tenant);
  scene.emulator.git.tenants.set(name, tenant);
  scene.emulator.git.organisations.set(name, rules(tenant));
  await scene.emulator.createRepository(`${name}/${project}/web`, { commits: 1 });
  return { name, tenant };
}

const lsRemote = (name: string, project = 'Payments', daemon = work): Promise<Ran> =>
  scene.git(['ls-remote', daemon.url(`dev.azure.com/${name}/${project}/_git/web`)]);
/** Requests about an organisation itself. */
const lookUps = (): { method: string; url: string; authorization: string }[] =>
  scene.emulator.git.seen
    .filter(({ repository }) => repository === undefined)
    .map(({ method, url, authorization }) => ({ method, url, authorization }));
const tenantsAsked = (): string[] => scene.emulator.sts.tokenRequests.map(({ tenant }) => tenant);

describe('the tenant of an organisation', () => {
  test('is asked for once, with no credential, however many ask at once, and is told by log, status and route explain', async () => {
    const { name, tenant } = await organisation();
    const ran = await Promise.all(Array.from({ length: 8 }, () => lsRemote(name)));
    expect(ran.map(({ code, stderr }) => [code, stderr])).toEqual(Array.from({ length: 8 }, () => [0, '']));
    expect(lookUps()).toEqual([{ method: 'HEAD', url: `/${name}`, authorization: 'none' }]);
    const [first] = scene.emulator.git.seen.filter(({ repository }) => repository === undefined);
    expect(Object.keys(first?.headers ?? {}).filter((header) => /cookie|postern|lease/.test(header))).toEqual([]);
    expect(tenantsAsked()).toEqual([tenant]);

    await scene.git(['ls-remote', work.url(`dev.azure.com/${name.toUpperCase()}/Payments/_git/web`)]);
    expect(lookUps()).toHaveLength(1);
    expect(tenantsAsked()).toHaveLength(1);
    const line = await work.logged(({ event, organisation: of }) => event === 'tenant-discovered' && of === name);
    expect(line).toMatchObject({ level: 'info', tenant, upstream: new URL(scene.emulator.git.origin).host });
    expect((await work.status()).tenants).toContainEqual(expect.objectContaining({ organisation: name, tenant }));
    expect((await work.postern(['status'])).stdout).toMatch(new RegExp(`\n {2}${name} +at 127\\.0\\.0\\.1:[0-9]+ +${tenant}\n`));
    const file = await scene.writeConfiguration(configuration());
    const explain = ['route', 'explain', `https://dev.azure.com/${name}/Payments/_git/web`, '--config', file];
    expect((await work.postern(explain)).stdout).toContain(`tenant     ${tenant}, to which ${name} belongs, as its upstream says\n`);
    // Where no daemon runs, nobody knows it yet.
    expect((await scene.postern(explain, { env: { XDG_RUNTIME_DIR: scene.directory } })).stdout).toContain(
      `tenant     that of the organisation ${name}, which the upstream is asked for\n`,
    );
  });

  const uri = (path: string, host = 'login.microsoftonline.com'): string => `Bearer authorization_uri=https://${host}/${path}`;
  test.each<[string, RulesOf]>([
    [
      'in quotes, with more behind it',
      (tenant) => ({
        challenges: [`Bearer realm="x, Bearer y", authorization_uri="https://login.microsoftonline.com/${tenant}/oauth2/authorize"`],
      }),
    ],
    [
      'at the authority of somebody else, who is not asked',
      (tenant) => ({ challenges: [uri(tenant, 'evil.example')], resourceTenant: [] }),
    ],
    [
      'in the second of two challenges',
      (tenant) => ({ challenges: ['Bearer realm="azure"', uri('common'), uri(tenant.toUpperCase())], resourceTenant: [] }),
    ],
    ['in its header alone', () => ({ challenges: [] })],
    ['in its header, because the challenge holds no id', () => ({ challenges: [uri('contoso.onmicrosoft.com')] })],
    ['in the first header that is not empty', (tenant) => ({ challenges: [], resourceTenant: ['', tenant, EMPTY] })],
    ['on a redirect, which is not followed', () => ({ discovery: 'redirect' })],
  ])('is read %s', async (_, rules) => {
    const { name, tenant } = await organisation(rules);
    expect(await lsRemote(name)).toMatchObject({ code: 0, stderr: '' });
    expect(lookUps()).toHaveLength(1);
    expect(tenantsAsked()).toEqual([tenant]);
  });

  test.each<[string, OrganisationRules, string, string]>([
    [
      'none',
      { challenges: ['Bearer authorization_uri=https://login.microsoftonline.com/common', 'Basic realm="x"'], resourceTenant: ['no-guid'] },
      'postern: The identity names no tenant, and the upstream does not tell which one the organisation belongs to',
      '  what to do: set `tenant` of the identity to the tenant of the service principal, and check the name of the organisation',
    ],
    [
      'none, because it breaks off',
      { discovery: 'cut' },
      'postern: The identity names no tenant, and the upstream does not tell which one the organisation belongs to',
      '  what to do: set `tenant` of the identity to the tenant of the service principal, and check the name of the organisation',
    ],
    [
      'the empty one, of personal accounts',
      { challenges: [], resourceTenant: [EMPTY] },
      'postern: The organisation belongs to no tenant: it is for personal accounts, and a service principal cannot be one of its users',
      '  what to do: use an identity of a person (`browser`, `device-code`, `pat`), or connect the organisation to a tenant and add the service principal',
    ],
  ])('is %s: a service principal is told what to do, and nobody is asked for a token', async (_, rules, what, todo) => {
    const { name } = await organisation(() => rules);
    const ran = await lsRemote(name);
    expect(ran.code).toBe(128);
    expect(told(ran.stderr).slice(0, 3)).toEqual([what, '  route dev.azure.com/**, identity app', todo]);
    expect(tenantsAsked()).toEqual([]);
    expect(scene.emulator.git.seen.filter(({ repository }) => repository !== undefined)).toEqual([]);
    // A failure there leaves no mark on the identity.
    expect((await work.status()).identities.find((each) => each.name === 'app')?.state).toBe('ready');
  });

  test('makes no difference to programs that have one, where it is not told or there is none', async () => {
    const all = [
      await organisation(() => ({}), 'me'),
      await organisation(() => ({ discovery: 'cut' }), 'me', DEFAULT_TENANT),
      await organisation(() => ({ challenges: [], resourceTenant: [EMPTY] }), 'me', DEFAULT_TENANT),
    ];
    for (const { name, tenant } of all) {
      scene.emulator.az.calls.length = 0;
      expect(await lsRemote(name, 'me')).toMatchObject({ code: 0, stderr: '' });
      const args = scene.emulator.az.calls[0]?.args ?? [];
      expect([args.includes('--tenant'), args[args.indexOf('--tenant') + 1]]).toEqual(
        tenant === DEFAULT_TENANT ? [false, 'account'] : [true, tenant],
      );
    }
    expect(lookUps()).toHaveLength(3);
  });

  test('is left out again where a program is signed in as a machine, which has one and takes no other', async () => {
    const { az } = scene.emulator;
    az.isMachine = true;
    const { name } = await organisation(() => ({ takesGuests: true }), 'me');
    const ran = await lsRemote(name, 'me');
    az.isMachine = false;
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(az.calls.map(({ args }) => args.includes('--tenant'))).toEqual([true, false]);
  });

  test('is not looked up where the surroundings of the identity name one', async () => {
    const { name } = await organisation(() => ({}), 'pod', DEFAULT_TENANT);
    const daemon = await scene.daemon(configuration(), { env: { ...environment, AZURE_TENANT_ID: DEFAULT_TENANT } });
    expect(await lsRemote(name, 'pod', daemon)).toMatchObject({ code: 0, stderr: '' });
    expect(lookUps()).toEqual([]);
    expect(tenantsAsked()).toEqual([DEFAULT_TENANT]);
    await daemon.stop();
    // And is, where they do not.
    expect(await lsRemote(name, 'pod')).toMatchObject({ code: 0, stderr: '' });
    expect(lookUps()).toHaveLength(1);
  });

  test('is asked of no other kind of host: the program takes its own', async () => {
    await scene.emulator.createRepository('git.example.com/team/app', { commits: 1 });
    expect(await scene.git(['ls-remote', work.url('git.example.com/team/app')])).toMatchObject({ code: 0, stderr: '' });
    expect(lookUps()).toEqual([]);
    expect(scene.emulator.az.calls.flatMap(({ args }) => args)).not.toContain('--tenant');
  });

  test('is asked of the real host, by the way that its route goes', async () => {
    const { name, tenant } = await organisation(() => ({}), 'apart');
    const ran = await scene.git(['ls-remote', work.url(`${name}.visualstudio.com/apart/_git/web`)]);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    const [first] = scene.emulator.git.seen;
    expect(first).toMatchObject({ method: 'HEAD', host: `${name}.visualstudio.com`, url: '/', viaProxy: true, authorization: 'none' });
    expect(tenantsAsked()).toEqual([tenant]);
  });

  test('serves SSH remotes too', async () => {
    const { name, tenant } = await organisation();
    const env = await scene.sshEnvironment();
    expect(await scene.git(['ls-remote', work.sshUrl(`ssh.dev.azure.com/v3/${name}/Payments/web`)], { env })).toMatchObject({ code: 0 });
    expect(lookUps()).toEqual([{ method: 'HEAD', url: `/${name}`, authorization: 'none' }]);
    expect(tenantsAsked()).toEqual([tenant]);
  });

  test('outlasts a reload, and is asked for anew when a renewed token is refused', async () => {
    const file = await scene.writeConfiguration(configuration());
    const daemon = await scene.daemon(await readFile(file, 'utf8'), { env: environment });
    const { name, tenant } = await organisation();
    expect((await lsRemote(name, 'Payments', daemon)).code).toBe(0);
    const reloaded = await daemon.postern(['reload']);
    expect(reloaded).toMatchObject({ code: 0, stderr: '' });
    expect((await lsRemote(name, 'Payments', daemon)).code).toBe(0);
    expect([lookUps().length, tenantsAsked()]).toEqual([1, [tenant]]);

    scene.emulator.git.tenants.set(name, DEFAULT_TENANT);
    const moved = await lsRemote(name, 'Payments', daemon);
    expect(moved.code).toBe(128);
    expect(told(moved.stderr)[0]).toBe(
      'postern: The upstream did not accept the credential (401): the token is of tenant ID, the organisation belongs to tenant ID',
    );
    expect((await lsRemote(name, 'Payments', daemon)).code).toBe(0);
    expect([lookUps().length, tenantsAsked()]).toEqual([2, [tenant, tenant, DEFAULT_TENANT]]);
    await daemon.stop();
  });
});

describe('a token of another tenant than the organisation', () => {
  test('is a warning, once, and no refusal: a guest has every right to it', async () => {
    scene.emulator.az.account = 'dana@contoso.com';
    const { name, tenant } = await organisation(() => ({ takesGuests: true, tellsTenant: true }), 'home');
    for (let time = 0; time < 2; time++) expect(await lsRemote(name, 'home')).toMatchObject({ code: 0, stderr: '' });
    const warnings = work.log.filter(({ event, organisation: of }) => event === 'tenant-differs' && of === name);
    expect(warnings).toEqual([
      expect.objectContaining({ level: 'warn', identity: 'home', tokenTenant: DEFAULT_TENANT, organisationTenant: tenant }),
    ]);
    const { stdout } = await work.postern(['status']);
    expect(stdout).toMatch(
      new RegExp(
        `\n {2}home {2}azure-cli {2}ready, token good for [0-9]+ min, renewed in [0-9]+ min, as dana@contoso\\.com of tenant ${DEFAULT_TENANT}\n`,
      ),
    );
    expect(stdout).toContain(
      `    its token is of tenant ${DEFAULT_TENANT}, and ${name} belongs to tenant ${tenant}: right for a guest, else set \`tenant\` of the identity\n`,
    );
    // The organisation is taken over by the other tenant: nothing is left to be warned of.
    scene.emulator.git.tenants.set(name, DEFAULT_TENANT);
    expect((await lsRemote(name, 'home')).code).toBe(0);
    expect((await work.status()).tenantDifferences.filter((each) => each.organisation === name)).toEqual([]);
  });
});

test('an identity for another service is not asked for a token that Azure DevOps would refuse', async () => {
  const { name } = await organisation(() => ({}), 'graph');
  const ran = await lsRemote(name, 'graph');
  expect(ran.code).toBe(128);
  expect(told(ran.stderr).slice(0, 3)).toEqual([
    'postern: Tokens of this identity are for another service (https://graph.microsoft.com/), not for Azure DevOps (ID)',
    '  route dev.azure.com/*/graph/*, identity graph',
    '  what to do: leave `resource` of the identity out: its default is Azure DevOps',
  ]);
  expect(scene.emulator.az.calls).toEqual([]);
  expect(scene.emulator.git.seen.filter(({ repository }) => repository !== undefined)).toEqual([]);
});
