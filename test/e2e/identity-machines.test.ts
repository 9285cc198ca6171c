/**
 * Identities of machines and jobs (azure-pipelines, managed-identity), and what changes on disk or in a program while the daemon runs,
 * with real git in front: first token, refresh, refusal, recovery, and the texts that git shows. A managed identity has a process to
 * itself each time: the library finds its endpoint once for a process.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { federatedToken, SAMPLE_FEDERATION } from '../azure/samples.js';
import { IdentityStage } from '../support/identity-stage.js';
import type { RunningDaemon } from '../support/scene.js';

let stage: IdentityStage;

beforeAll(async () => {
  stage = await IdentityStage.open();
});
beforeEach(() => {
  const { sts, imds, appService, pipelines, git } = stage.scene.emulator;
  sts.tokenRequests.length = imds.requests.length = appService.requests.length = pipelines.requests.length = git.seen.length = 0;
  imds.known = appService.known = undefined;
  appService.failWith = pipelines.failWith = imds.failWith = undefined;
});
afterEach(() => stage.endDaemons());
afterAll(() => stage.close());

/** Puts another content into a file, at once for all readers. */
async function replaceFile(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

describe('azure-pipelines with a service connection', () => {
  const LIFE = 'it lives as long as its job, about 60 minutes';
  const keys = (): string => {
    const { pipelines, sts } = stage.scene.emulator;
    return `serviceConnection: ${pipelines.connection}, tenant: ${sts.samples.tenant}, clientId: ${pipelines.clientId}, ${stage.authority}`;
  };
  const environment = (token: string): Record<string, string> => ({
    SYSTEM_OIDCREQUESTURI: stage.scene.emulator.pipelines.requestUri,
    SYSTEM_ACCESSTOKEN: token,
  });

  test('gets a token for the connection, and another one when it was refused', async () => {
    const { pipelines, sts, git } = stage.scene.emulator;
    const job = git.jobs.issue();
    const daemon = await stage.daemon(`{ kind: azure-pipelines, ${keys()} }`, { env: environment(job) });
    await stage.works(daemon);
    expect(new Set(pipelines.requests.map(({ connection, status }) => `${connection} ${status}`))).toEqual(
      new Set([`${pipelines.connection} 200`]),
    );
    expect(sts.tokenRequests).toMatchObject([{ clientId: pipelines.clientId, grant: 'client_credentials' }]);
    expect(sts.issued.get(sts.tokens().at(-1) ?? '')).toMatchObject({ appid: pipelines.clientId });
    stage.revokeAll();
    await stage.works(daemon);
    expect(sts.tokenRequests).toHaveLength(2);
    expect(daemon.output).not.toContain(job);
  });

  test('takes tenant and client from the environment of the task', async () => {
    const { pipelines, sts, git } = stage.scene.emulator;
    const daemon = await stage.daemon(`{ kind: azure-pipelines, serviceConnection: ${pipelines.connection}, ${stage.authority} }`, {
      env: {
        ...environment(git.jobs.issue()),
        AZURESUBSCRIPTION_TENANT_ID: sts.samples.tenant,
        AZURESUBSCRIPTION_CLIENT_ID: pipelines.clientId,
      },
    });
    await stage.works(daemon);
  });

  test("whose job's own token is refused is told what to map, and does well with the token of the job that runs", async () => {
    const { git } = stage.scene.emulator;
    const ended = git.jobs.issue();
    git.jobs.end(ended);
    const file = await stage.file('job-token', ended);
    const daemon = await stage.daemon(`{ kind: azure-pipelines, ${keys()}, secret: { file: ${file} } }`, {
      env: environment('unused'),
    });
    const lines = await stage.fails(daemon);
    expect(lines[0]).toBe("postern: Azure Pipelines did not accept the job's own token (401)");
    expect(lines).toContain(
      `  what to do: map \`SYSTEM_ACCESSTOKEN: $(System.AccessToken)\` in \`env:\` of the step that runs the daemon; the token lives as long as the job, about 60 minutes`,
    );
    expect((await daemon.postern(['status'])).stdout).toContain("    Azure Pipelines did not accept the job's own token (401)\n");
    expect(lines.join('\n') + daemon.output).not.toContain(ended);
    await replaceFile(file, git.jobs.issue());
    await stage.getsWell(daemon);
  });

  test.each([
    [
      'a connection that is not there',
      { connection: '00000000-0000-4000-8000-000000000000' },
      /^postern: Azure Pipelines has no token for this service connection \(404: The service connection with ID 0{8}-.* does not exist\.\)$/,
      /check `serviceConnection` .* that the pipeline may use it/,
    ],
    [
      'an environment that is not that of a job',
      { env: { SYSTEM_OIDCREQUESTURI: '' } },
      /^postern: This is no job of Azure Pipelines \(SYSTEM_OIDCREQUESTURI is not set\)$/,
      /run the daemon in a step of a job/,
    ],
    [
      'an address without TLS, to which the token would go',
      { env: { SYSTEM_OIDCREQUESTURI: 'http://127.0.0.1:9/oidctoken' } },
      /^postern: SYSTEM_OIDCREQUESTURI is no https address$/,
      /leave it as the agent sets it/,
    ],
    [
      'no client id',
      { withoutClient: true },
      /^postern: The service connection has no client id$/,
      /AZURESUBSCRIPTION_CLIENT_ID of the daemon/,
    ],
    [
      'trouble of the service',
      { failWith: 500 },
      /^postern: Azure Pipelines gave no token for the service connection \(500: /,
      /wait and try again/,
    ],
  ] as readonly (readonly [
    string,
    { connection?: string; env?: Record<string, string>; withoutClient?: boolean; failWith?: number },
    RegExp,
    RegExp,
  ])[])('tells of %s', async (_, fault, what, todo) => {
    const { pipelines, git } = stage.scene.emulator;
    pipelines.failWith = fault.failWith;
    const written = keys()
      .replace(pipelines.connection, fault.connection ?? pipelines.connection)
      .replace(/clientId: [^,]+,/, fault.withoutClient === true ? '' : '$&');
    const daemon = await stage.daemon(`{ kind: azure-pipelines, ${written} }`, {
      env: { ...environment(git.jobs.issue()), ...fault.env },
    });
    const lines = await stage.fails(daemon);
    expect(lines[0]).toMatch(what);
    expect(lines.join('\n')).toMatch(todo);
  });

  test('whose application does not know the connection: Entra says so', async () => {
    const { pipelines, sts, git } = stage.scene.emulator;
    const before = sts.clients.get(pipelines.clientId);
    sts.clients.set(pipelines.clientId, { federated: { ...pipelines.federation, subject: 'sc://contoso/Payments/other' } });
    const lines = await stage.fails(await stage.daemon(`{ kind: azure-pipelines, ${keys()} }`, { env: environment(git.jobs.issue()) }));
    if (before !== undefined) sts.clients.set(pipelines.clientId, before);
    expect(lines[0]).toContain('AADSTS700213');
  });

  describe('and without one: the token of the job itself', () => {
    test('is sent as it is, and `status` says how long it lives', async () => {
      const { git, sts } = stage.scene.emulator;
      const job = git.jobs.issue({ lifeSeconds: 1800 });
      const daemon = await stage.daemon('{ kind: azure-pipelines }', { env: { SYSTEM_ACCESSTOKEN: job } });
      await stage.works(daemon);
      await stage.works(daemon);
      expect(sts.tokenRequests).toEqual([]);
      const shown = (await daemon.postern(['status'])).stdout;
      expect(shown).toMatch(
        / {2}it {2}azure-pipelines {2}ready, token good for (?:29|30) min(?:, renewed in [0-9]+ min)?\n {4}the job's own token: it lives as long as its job, about 60 minutes\n/,
      );
      expect(daemon.output + shown).not.toContain(job);
    });

    test('that has ended is not sent; the text says why, and what is better for longer ones', async () => {
      const { git } = stage.scene.emulator;
      const daemon = await stage.daemon('{ kind: azure-pipelines }', { env: { SYSTEM_ACCESSTOKEN: git.jobs.issue({ lifeSeconds: -60 }) } });
      const lines = await stage.fails(daemon);
      expect(lines[0]).toMatch(new RegExp(`^postern: The token of the pipeline job ended at [0-9-]{10}T[0-9:.]+Z: ${LIFE}$`));
      expect(lines.join('\n')).toContain('for longer, set `serviceConnection`');
      expect(git.seen).toEqual([]);
    });

    test('that the upstream refuses is told as such', async () => {
      const { git } = stage.scene.emulator;
      const job = git.jobs.issue();
      const daemon = await stage.daemon('{ kind: azure-pipelines }', { env: { SYSTEM_ACCESSTOKEN: job } });
      await stage.works(daemon);
      git.jobs.end(job);
      const lines = await stage.fails(daemon);
      expect(lines[0]).toBe(
        `postern: The upstream did not accept the token of the pipeline job: ${LIFE}, and is for the job's own organisation`,
      );
      expect(lines.join('\n')).toContain('for longer, set `serviceConnection`');
      expect(lines.join('\n')).toContain('job authorization scope');
      expect(lines.join('\n') + daemon.output).not.toContain(job);
    });

    test('is read again when it was refused: that of the next job is taken up from a file, and no request fails', async () => {
      const { git } = stage.scene.emulator;
      const first = git.jobs.issue();
      const file = await stage.file('own-job-token', first);
      const daemon = await stage.daemon(`{ kind: azure-pipelines, secret: { file: ${file} } }`);
      await stage.works(daemon);
      git.jobs.end(first);
      await replaceFile(file, git.jobs.issue());
      await stage.works(daemon);
      expect(git.count({ status: 401 })).toBe(1);
    });

    test('that is not there keeps the daemon from starting', async () => {
      await expect(stage.daemon('{ kind: azure-pipelines }')).rejects.toThrow(
        'identities.it.secret: the variable is not set; set it in the environment of the service',
      );
    });

    test('that is refused elsewhere goes on being good where it is', async () => {
      await stage.scene.emulator.createRepository('fabrikam/Tools/web');
      const daemon = await stage.daemon('{ kind: azure-pipelines }', {
        env: { SYSTEM_ACCESSTOKEN: stage.scene.emulator.git.jobs.issue() },
      });
      await stage.works(daemon);
      const elsewhere = await stage.lsRemote(daemon, 'dev.azure.com/fabrikam/Tools/_git/web');
      expect(elsewhere.stderr).toContain('did not accept the token of the pipeline job');
      await stage.works(daemon);
    });

    test('is taken in the form that tells nothing, too', async () => {
      const daemon = await stage.daemon('{ kind: azure-pipelines }', {
        env: { SYSTEM_ACCESSTOKEN: stage.scene.emulator.git.jobs.issue({ isOpaque: true }) },
      });
      await stage.works(daemon);
      const ends = Date.parse(String((await daemon.status()).identities[0]?.expiresAt));
      expect(ends - Date.now()).toBeGreaterThan(50 * 60_000);
    });
  });
});

describe('managed-identity', () => {
  const ID = '11111111-2222-4333-8444-555555555555';
  const OBJECT = '11111111-2222-4333-8444-666666666666';
  const RESOURCE_ID = '/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/n';
  const FORMS = [
    ['', undefined],
    [`, clientId: ${ID}`, { name: 'client_id', id: ID }],
    [`, resourceId: ${RESOURCE_ID}`, { name: 'res_id', id: RESOURCE_ID }],
    [`, objectId: ${OBJECT}`, { name: 'object_id', id: OBJECT }],
  ] as const;
  const imds = (): Record<string, string> => ({ AZURE_POD_IDENTITY_AUTHORITY_HOST: stage.scene.emulator.imds.origin });
  const appService = (): Record<string, string> => {
    const { endpoint, header } = stage.scene.emulator.appService;
    return { IDENTITY_ENDPOINT: endpoint, IDENTITY_HEADER: header };
  };

  test.each([
    ['IMDS', 'imds', imds],
    ['App Service', 'appService', appService],
  ] as const)(
    'in each form at %s: a text while it is unknown, a token once it is not, another one after a refusal',
    async (_, part, environment) => {
      const double = stage.scene.emulator[part];
      double.known = new Set();
      const play = async ([keys, named]: (typeof FORMS)[number]): Promise<RunningDaemon> => {
        const daemon = await stage.daemon(`{ kind: managed-identity${keys} }`, { env: environment() });
        if (named === undefined) return daemon;
        const lines = await stage.fails(daemon);
        expect(lines[0]).toMatch(/^postern: No managed identity answered on this machine \(/);
        expect(lines.join('\n')).toContain('check that the machine has a managed identity');
        return daemon;
      };
      const daemons = await Promise.all(FORMS.map(play));
      double.known = undefined;
      await Promise.all(daemons.map((daemon) => stage.getsWell(daemon)));
      stage.revokeAll();
      await Promise.all(daemons.map((daemon) => stage.works(daemon)));
      for (const [, named] of FORMS) {
        const good = double.requests.filter(({ status, identity }) => status === 200 && identity === named?.id);
        expect(good).toHaveLength(2);
        // IMDS has a name of its own for resource ids.
        for (const { url } of named === undefined ? [] : good) expect(url).toMatch(new RegExp(`[?&](?:m[si]+_)?${named?.name ?? ''}=`));
      }
    },
  );

  test('whose endpoint is in trouble for a moment is told, and does well afterwards', async () => {
    const double = stage.scene.emulator.appService;
    double.failWith = 500;
    const daemon = await stage.daemon('{ kind: managed-identity }', { env: appService() });
    const before = Date.now();
    expect((await stage.fails(daemon))[0]).toMatch(/^postern: (?:The sign-in service|The managed identity endpoint|No managed identity).*/);
    // Three tries with short pauses, not the minute that the library would take.
    expect(Date.now() - before).toBeLessThan(15_000);
    expect(double.requests.length).toBeGreaterThanOrEqual(3);
    double.failWith = undefined;
    await stage.getsWell(daemon);
  });
});

describe('what changes while the daemon runs', () => {
  test('a federated token is read for each token, not once', async () => {
    const { sts } = stage.scene.emulator;
    const { tenant, federatedClient } = sts.samples;
    const file = await stage.file('federated', federatedToken(SAMPLE_FEDERATION, 600));
    const daemon = await stage.daemon(
      `{ kind: workload-identity, tenant: ${tenant}, clientId: ${federatedClient.clientId}, tokenFile: ${file}, ${stage.authority} }`,
    );
    await stage.works(daemon);
    // The token of before would do no longer.
    sts.clients.set(federatedClient.clientId, { federated: { ...SAMPLE_FEDERATION, subject: 'system:serviceaccount:build:other' } });
    await replaceFile(file, federatedToken({ ...SAMPLE_FEDERATION, subject: 'system:serviceaccount:build:other' }, 600));
    stage.revokeAll();
    await stage.works(daemon);
    expect(sts.tokenRequests).toHaveLength(2);
    sts.clients.set(federatedClient.clientId, { federated: SAMPLE_FEDERATION });
  });

  test('a secret of a program is asked for again when it was refused: pat, basic and client-secret', async () => {
    const { git, sts } = stage.scene.emulator;
    const { tenant, secretClient } = sts.samples;
    const runs = await stage.file('runs', '');
    const value = await stage.file('value', '');
    const program = await stage.file('program', `echo run >>${runs}\ncat ${value}\n`);
    const secret = `{ command: [sh, ${program}] }`;
    const count = async (): Promise<number> => (await readFile(runs, 'utf8')).split('\n').length - 1;
    const change = (text: string): Promise<void> => replaceFile(value, text);

    git.pats.add('c'.repeat(52));
    await change('c'.repeat(52));
    for (const identity of [`{ kind: pat, secret: ${secret} }`, `{ kind: basic, user: build, secret: ${secret} }`]) {
      await change('c'.repeat(52));
      git.pats.add('c'.repeat(52));
      const daemon = await stage.daemon(identity);
      const before = await count();
      await stage.works(daemon);
      await stage.works(daemon);
      expect(await count()).toBe(before + 1);
      git.pats.delete('c'.repeat(52));
      git.pats.add('d'.repeat(52));
      await change('d'.repeat(52));
      await stage.works(daemon);
      expect(await count()).toBe(before + 2);
    }

    await change(secretClient.secret);
    const daemon = await stage.daemon(
      `{ kind: client-secret, tenant: ${tenant}, clientId: ${secretClient.clientId}, secret: ${secret}, ${stage.authority} }`,
    );
    await stage.works(daemon);
    sts.clients.set(secretClient.clientId, { secret: 'another-secret' });
    await change('another-secret');
    stage.revokeAll();
    await stage.works(daemon);
    sts.clients.set(secretClient.clientId, { secret: secretClient.secret });
  });
});

test('a second id of a managed identity is a fault of the configuration', async () => {
  const started: Promise<RunningDaemon> = stage.daemon(
    '{ kind: managed-identity, clientId: 11111111-2222-4333-8444-555555555555, objectId: 11111111-2222-4333-8444-555555555555 }',
  );
  await expect(started).rejects.toThrow(
    'identities.it.objectId: names the identity a second time, besides `clientId`; keep one of the two',
  );
});
