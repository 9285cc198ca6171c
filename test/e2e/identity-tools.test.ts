/**
 * Sign-in tools of the user's machine (az, azd, pwsh), with real git in front: first token, refresh, refusal, recovery, and the texts that
 * git shows. The tools are programs of the emulator that speak the words of the real ones.
 */
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { IdentityStage } from '../support/identity-stage.js';
import type { RunningDaemon } from '../support/scene.js';

const RESOURCE = '499b84ac-1321-427f-aa17-267ca6975798';
const RUN = 'as the user of the daemon';

let stage: IdentityStage;
let tenant: string;

beforeAll(async () => {
  stage = await IdentityStage.open();
  tenant = stage.scene.emulator.sts.samples.tenant;
});
beforeEach(() => {
  const { az, azd, pwsh, git } = stage.scene.emulator;
  az.mode = azd.mode = pwsh.mode = 'signed-in';
  az.calls.length = azd.calls.length = pwsh.calls.length = git.seen.length = 0;
  az.keeps = false;
  az.claims = pwsh.claims = undefined;
  azd.satisfiesClaims = true;
});
afterEach(async () => {
  stage.scene.emulator.sts.requireClaims = false;
  await stage.endDaemons();
});
afterAll(() => stage.close());

function toolPath(): string {
  const { az, azd, pwsh } = stage.scene.emulator;
  return [az.directory, azd.directory, pwsh.directory, process.env['PATH'] ?? ''].join(':');
}

const withTool = (kind: string, options: { keys?: string; env?: Record<string, string>; settings?: string } = {}): Promise<RunningDaemon> =>
  stage.daemon(`{ kind: ${kind}, tenant: ${tenant}${options.keys ?? ''} }`, {
    env: { PATH: toolPath(), ...options.env },
    ...(options.settings === undefined ? {} : { settings: options.settings }),
  });

/** What stands behind an option of the command that is shown. */
const challengeIn = (lines: readonly string[], option: string): string =>
  new RegExp(`${option} ([A-Za-z0-9+/=]+)`).exec(lines.join('\n'))?.[1] ?? '';
const claimsIn = (lines: readonly string[], option: string): unknown =>
  JSON.parse(Buffer.from(challengeIn(lines, option), 'base64').toString('utf8'));

const TOOLS = [
  {
    kind: 'azure-cli',
    tool: 'az',
    name: 'the Azure CLI (az)',
    args: ['account', 'get-access-token', '--output', 'json', '--resource', RESOURCE, '--tenant', 'TENANT'],
    signedOut: ['The Azure CLI is not signed in', 'run `az login --tenant TENANT` as the user of the daemon'],
    missing: [
      'The Azure CLI (az) was not found on the PATH of the daemon',
      'install the Azure CLI, or start the daemon with a PATH that includes it',
    ],
  },
  {
    kind: 'azure-developer-cli',
    tool: 'azd',
    name: 'the Azure Developer CLI (azd)',
    args: ['auth', 'token', '--output', 'json', '--no-prompt', '--scope', `${RESOURCE}/.default`, '--tenant-id', 'TENANT'],
    signedOut: ['The Azure Developer CLI is not signed in', 'run `azd auth login --tenant-id TENANT` as the user of the daemon'],
    missing: [
      'The Azure Developer CLI (azd) was not found on the PATH of the daemon',
      'install the Azure Developer CLI, or start the daemon with a PATH that includes it',
    ],
  },
  {
    kind: 'azure-powershell',
    tool: 'pwsh',
    name: 'Azure PowerShell (pwsh)',
    args: undefined,
    signedOut: ['Azure PowerShell is not signed in', 'run `Connect-AzAccount -Tenant TENANT` in pwsh as the user of the daemon'],
    missing: [
      'Azure PowerShell (pwsh) was not found on the PATH of the daemon',
      'install PowerShell 7, or start the daemon with a PATH that includes it',
    ],
  },
] as const;

/** Plays for all tools at once: most of the time goes by while failures are remembered. */
async function forEach(play: (row: (typeof TOOLS)[number]) => Promise<void>): Promise<void> {
  await Promise.all(TOOLS.map(play));
}

describe('each tool', () => {
  const told = (text: string): string => text.replaceAll('TENANT', tenant);

  test('is asked once for many requests, and again when its token was refused', async () => {
    await forEach(async ({ kind, tool, args }) => {
      const daemon = await withTool(kind);
      const fake = stage.scene.emulator[tool];
      await Promise.all([stage.works(daemon), stage.works(daemon), stage.works(daemon)]);
      expect(fake.calls).toHaveLength(1);
      if (args !== undefined) expect(fake.calls[0]?.args).toEqual(args.map(told));
      const token = fake.given.at(-1) ?? '';
      stage.scene.emulator.sts.revoke(token);
      if (tool === 'pwsh') stage.scene.emulator.pwsh.login();
      await stage.works(daemon);
      expect(fake.calls).toHaveLength(2);
      const state = (await daemon.status()).identities[0];
      expect(state).toMatchObject({ name: 'it', kind, state: 'ready' });
    });
  });

  test('that is not signed in is named with the command, in `status` too, and then does well', async () => {
    await forEach(async ({ kind, tool, signedOut }) => {
      stage.scene.emulator[tool].mode = 'not-signed-in';
      const daemon = await withTool(kind);
      const lines = await stage.fails(daemon);
      const [what, todo] = signedOut.map(told);
      expect(lines[0]).toBe(`postern: ${what ?? ''}`);
      expect(lines).toContain(`  what to do: ${todo ?? ''}`);
      const shown = await daemon.postern(['status']);
      expect(shown).toMatchObject({ code: 0 });
      expect(shown.stdout).toContain(`  it  ${kind}  failing\n    ${what ?? ''}\n    what to do: ${todo ?? ''}\n`);
      stage.scene.emulator[tool].mode = 'signed-in';
      await stage.getsWell(daemon);
    });
  });

  test('that is not installed is named, and found once it is, without a restart', async () => {
    await forEach(async ({ kind, tool, missing }) => {
      const { directory } = stage.scene.emulator[tool];
      const away = join(stage.scene.directory, `${tool}-away`);
      await rename(directory, away);
      try {
        const daemon = await withTool(kind);
        const lines = await stage.fails(daemon);
        expect(lines[0]).toBe(`postern: ${missing[0]}`);
        expect(lines).toContain(`  what to do: ${missing[1]}`);
        await rename(away, directory);
        await stage.getsWell(daemon);
      } finally {
        await rename(away, directory).catch(() => undefined);
      }
    });
  });

  test('has no terminal and no lease, and is in no folder of anybody', async () => {
    await forEach(async ({ kind, tool }) => {
      await stage.works(await withTool(kind, { env: { POSTERN_LEASE: 'a-lease' } }));
      const [call] = stage.scene.emulator[tool].calls;
      expect(call).toMatchObject({ hasTerminal: false, cwd: '/' });
      expect(Object.keys(call?.environment ?? {}).filter((name) => name.startsWith('POSTERN_'))).toEqual([]);
      expect(call?.environment['HOME']).toBe(stage.scene.home);
    });
  });

  test('that hangs is given up at the limit', async () => {
    stage.scene.emulator.az.slowMs = 30_000;
    await forEach(async ({ kind, tool, name }) => {
      stage.scene.emulator[tool].mode = 'slow';
      const daemon = await withTool(kind, { settings: 'timeouts: { token: 2s }' });
      expect((await stage.fails(daemon))[0]).toBe(`postern: No token came within 2 s: ${name} did not answer`);
      stage.scene.emulator[tool].mode = 'signed-in';
      await stage.getsWell(daemon);
    });
  });
});

describe('secrets of the configuration', () => {
  test('are taken out of the environment before a tool gets it', async () => {
    const { git, caFile } = stage.scene.emulator;
    const daemon = await stage.scene.daemon(
      [
        'listen: { http: 127.0.0.1:0 }',
        'identities:',
        '  it: { kind: azure-cli }',
        `  sp: ${stage.scene.servicePrincipal}`,
        '  pat: { kind: pat, secret: { env: ONE_PAT } }',
        '  job: { kind: azure-pipelines }',
        'routes:',
        `  - { match: dev.azure.com/contoso/**, identity: it, upstream: '${git.origin}', ca: ${caFile} }`,
        '  - { match: dev.azure.com/a/**, identity: sp }',
        '  - { match: dev.azure.com/b/**, identity: pat }',
        '  - { match: dev.azure.com/c/**, identity: job }',
        'log: { format: json }',
        '',
      ].join('\n'),
      { env: { PATH: toolPath(), ONE_PAT: 'the-secret-pat', SYSTEM_ACCESSTOKEN: 'the-secret-token' } },
    );
    await stage.works(daemon);
    await daemon.kill();
    const text = JSON.stringify(stage.scene.emulator.az.calls[0]?.environment);
    expect(text).toContain('HOME');
    expect(text).not.toMatch(/the-secret|SP_SECRET|SYSTEM_ACCESSTOKEN/);
    expect(text).not.toContain(stage.scene.emulator.sts.samples.secretClient.secret);
  });
});

describe('azure-cli', () => {
  test('that gives the same token although more is asked for (a claims challenge) is not asked in a loop: the command is shown', async () => {
    const { az, sts } = stage.scene.emulator;
    az.keeps = true;
    const daemon = await withTool('azure-cli');
    await stage.works(daemon);
    sts.requireClaims = true;
    const lines = await stage.fails(daemon);
    expect(lines[0]).toBe(
      'postern: Azure DevOps asks for a new sign-in with more proof (a claims challenge), and the Azure CLI has no such sign-in',
    );
    const command = lines.find((line) => line.startsWith('  what to do: '));
    expect(command).toMatch(
      new RegExp(
        `^  what to do: run \`az login --tenant ${tenant} --claims-challenge [A-Za-z0-9+/=]+ --scope ${RESOURCE}/.default\` ${RUN}, from an allowed network and device$`,
      ),
    );
    expect(claimsIn(lines, '--claims-challenge')).toHaveProperty('access_token');
    expect(az.calls).toHaveLength(2);
    az.login(challengeIn(lines, '--claims-challenge'));
    await stage.getsWell(daemon);
  });

  test('that wants a new sign-in for this resource is told so, with its reason', async () => {
    const { az } = stage.scene.emulator;
    az.mode = 'refused';
    az.refusal = `ERROR: Status_InteractionRequired\nInteractive authentication is needed. Please run:\naz login --scope ${RESOURCE}/.default\n`;
    const lines = await stage.fails(await withTool('azure-cli'));
    expect(lines[0]).toBe('postern: The Azure CLI wants a new sign-in (ERROR: Status_InteractionRequired)');
    expect(lines).toContain(`  what to do: run \`az login --tenant ${tenant} --scope ${RESOURCE}/.default\` ${RUN}`);
  });

  test('that passes on what Entra refused: the code is named', async () => {
    const { az } = stage.scene.emulator;
    az.mode = 'refused';
    az.refusal =
      'ERROR: AADSTS700082: The refresh token has expired due to inactivity. Trace ID: 0 Correlation ID: 0\nInteractive authentication is needed. Please run:\naz logout\naz login';
    const lines = await stage.fails(await withTool('azure-cli'));
    expect(lines[0]).toBe('postern: The sign-in is too old or was revoked (AADSTS700082)');
    expect(lines.join('\n')).toContain('az login');
  });
});

describe('azure-developer-cli', () => {
  test('is told of the claims that are asked for, and gives a token that satisfies them', async () => {
    const { azd, sts } = stage.scene.emulator;
    const daemon = await withTool('azure-developer-cli');
    await stage.works(daemon);
    sts.requireClaims = true;
    await stage.works(daemon);
    const last = azd.calls.at(-1)?.args ?? [];
    expect(claimsIn([last.join(' ')], '--claims')).toHaveProperty('access_token');
    expect(azd.calls).toHaveLength(2);
  });

  test('whose sign-in does not satisfy them: the command is shown, and helps', async () => {
    const { azd, sts } = stage.scene.emulator;
    azd.satisfiesClaims = false;
    const daemon = await withTool('azure-developer-cli');
    await stage.works(daemon);
    sts.requireClaims = true;
    const lines = await stage.fails(daemon);
    expect(lines[0]).toBe(
      'postern: Azure DevOps asks for a new sign-in with more proof (a claims challenge), and the Azure Developer CLI has no such sign-in',
    );
    expect(lines).toContain(
      `  what to do: run \`azd auth login --tenant-id ${tenant} --scope ${RESOURCE}/.default\` ${RUN}, from an allowed network and device`,
    );
    azd.satisfiesClaims = true;
    await stage.getsWell(daemon);
  });

  test('of a version that cannot be told of claims says so', async () => {
    const { azd, sts } = stage.scene.emulator;
    azd.mode = 'old';
    const daemon = await withTool('azure-developer-cli');
    await stage.works(daemon);
    sts.requireClaims = true;
    const lines = await stage.fails(daemon);
    expect(lines[0]).toContain('This version of the Azure Developer CLI cannot be told of what Azure DevOps asks for');
    expect(lines.join('\n')).toContain('update it to 1.18.1 or later');
  });

  test('that wants a second factor, or prints nonsense', async () => {
    const { azd } = stage.scene.emulator;
    azd.mode = 'interaction';
    const lines = await stage.fails(await withTool('azure-developer-cli'));
    expect(lines[0]).toMatch(/^postern: The Azure Developer CLI wants a new sign-in \(ERROR: fetching token: sign-in expired/);
    expect(lines).toContain(`  what to do: run \`azd auth login --tenant-id ${tenant} --scope ${RESOURCE}/.default\` ${RUN}`);
    azd.mode = 'nonsense';
    const other = await stage.fails(await withTool('azure-developer-cli'));
    expect(other[0]).toBe('postern: The Azure Developer CLI gave no token (what it printed is no token in JSON)');
    expect(other.join('\n')).toContain(`azd auth token --output json --scope ${RESOURCE}/.default --tenant-id ${tenant}`);
  });
});

describe('azure-powershell', () => {
  test('is handed its values by the environment, and no tenant when there is none', async () => {
    await stage.works(await stage.daemon('{ kind: azure-powershell }', { env: { PATH: toolPath() } }));
    const [call] = stage.scene.emulator.pwsh.calls;
    expect(call?.environment).toMatchObject({ TOKEN_RESOURCE: RESOURCE });
    expect(call?.args.slice(0, 4)).toEqual(['-NoLogo', '-NoProfile', '-NonInteractive', '-Command']);
    expect(call?.args[4]).not.toContain(RESOURCE);
  });

  test('whose sign-in does not satisfy claims: the command is shown, and helps', async () => {
    const { pwsh, sts } = stage.scene.emulator;
    pwsh.login();
    const daemon = await withTool('azure-powershell');
    await stage.works(daemon);
    sts.requireClaims = true;
    const lines = await stage.fails(daemon);
    expect(lines[0]).toContain('and Azure PowerShell has no such sign-in');
    expect(lines.join('\n')).toMatch(
      new RegExp(`run \`Connect-AzAccount -Tenant ${tenant} -ClaimsChallenge [A-Za-z0-9+/=]+\` in pwsh ${RUN}`),
    );
    pwsh.login(challengeIn(lines, '-ClaimsChallenge'));
    await stage.getsWell(daemon);
  });

  test('without the module, or with nonsense', async () => {
    const { pwsh } = stage.scene.emulator;
    pwsh.mode = 'no-module';
    const lines = await stage.fails(await withTool('azure-powershell'));
    expect(lines[0]).toBe('postern: PowerShell has no module Az.Accounts of version 2.2.0 or later');
    expect(lines).toContain(`  what to do: run \`Install-Module Az.Accounts -Scope CurrentUser\` in pwsh, ${RUN}`);
    pwsh.mode = 'nonsense';
    expect((await stage.fails(await withTool('azure-powershell')))[0]).toBe(
      'postern: Azure PowerShell gave no token (what it printed is no token in JSON)',
    );
  });
});
