/**
 * Tokens from the sign-in tools of the user's machine: Azure CLI, Azure Developer CLI, Azure PowerShell. Each is run once for each
 * token and prints it as JSON; it has the sign-in, and nothing is kept here.
 *
 * Sources: `az account get-access-token --help`, `azd auth token --help`, Get-AzAccessToken of Az.Accounts.
 */
import { Secret } from '../model/secret.js';
import { nothingSeen } from './authority-talk.js';
import { explainEntraFailure } from './entra-failure.js';
import { childEnvironment, type ProgramEnd, runProgram } from './run-program.js';
import type { FetchedToken, TokenOrder, TokenSource } from './token-source.js';
import { type ToolIdentity, toolName, ToolTrouble } from './tool-failure.js';

/** What a tool is asked for. */
interface Wish {
  readonly resource: string;
  /** Undefined: the tool's own choice. */
  readonly tenant: string | undefined;
  /** JSON; only for a tool that takes them. */
  readonly claims: string | undefined;
}

interface Tool {
  readonly program: string;
  readonly args: (wish: Wish) => readonly string[];
  readonly environment?: (wish: Wish) => Readonly<Record<string, string>>;
  /** Whether it can be told of claims. The others sign in anew with them, by a command that a person runs. */
  readonly takesClaims: boolean;
  /** Names of the token and of its end in what it prints; the first one that is there counts. */
  readonly token: string;
  readonly ends: readonly string[];
  /** What it says when it is signed in as something that has one tenant, and may not be told of any. */
  readonly takesNoTenant?: RegExp;
  /** Its complaints, where it prints them elsewhere than on stderr. */
  readonly complaints?: (stdout: string) => string;
}

const TOOLS: { readonly [K in ToolIdentity['kind']]: Tool } = {
  'azure-cli': {
    program: 'az',
    args: ({ resource, tenant }) => [
      'account',
      'get-access-token',
      '--output',
      'json',
      '--resource',
      resource,
      ...option('--tenant', tenant),
    ],
    takesClaims: false,
    token: 'accessToken',
    // `expires_on` came with 2.54; `expiresOn` is local time without a zone.
    ends: ['expires_on', 'expiresOn'],
    // After `az login --identity`, and in the Cloud Shell.
    takesNoTenant: /Tenant shouldn't be specified for/i,
  },
  'azure-developer-cli': {
    program: 'azd',
    args: ({ resource, tenant, claims }) => [
      ...['auth', 'token', '--output', 'json', '--no-prompt', '--scope', `${resource}/.default`],
      ...option('--tenant-id', tenant),
      ...option('--claims', claims && Buffer.from(claims, 'utf8').toString('base64')),
    ],
    takesClaims: true,
    token: 'token',
    ends: ['expiresOn'],
    complaints: consoleMessages,
  },
  'azure-powershell': {
    program: 'pwsh',
    args: () => ['-NoLogo', '-NoProfile', '-NonInteractive', '-Command', POWERSHELL],
    // Values come by the environment, so that none of them can be read as a piece of the script.
    environment: ({ resource, tenant }) => ({ TOKEN_RESOURCE: resource, TOKEN_TENANT: tenant ?? '', NO_COLOR: '1' }),
    takesClaims: false,
    token: 'token',
    ends: ['expiresOn'],
  },
};

/** A SecureString is what Az.Accounts 5 gives; its text is had by way of a credential in every version. */
const POWERSHELL = `
$ErrorActionPreference = 'Stop'
$WarningPreference = 'SilentlyContinue'
$ProgressPreference = 'SilentlyContinue'
try {
  Import-Module Az.Accounts -MinimumVersion 2.2.0
  $wish = @{ ResourceUrl = $env:TOKEN_RESOURCE }
  if ($env:TOKEN_TENANT) { $wish.TenantId = $env:TOKEN_TENANT }
  $answer = Get-AzAccessToken @wish
  $token = $answer.Token
  if ($token -is [securestring]) { $token = [System.Net.NetworkCredential]::new('', $token).Password }
  @{ token = $token; expiresOn = $answer.ExpiresOn.ToUnixTimeSeconds() } | ConvertTo-Json -Compress
} catch {
  [Console]::Error.WriteLine($_.Exception.Message)
  exit 1
}
`;

/** A source that runs the tool of this kind. `environment`: the daemon's; `timeoutMs`: for one run. */
export function createToolSource(
  identity: ToolIdentity,
  { environment, timeoutMs }: { environment: Readonly<Record<string, string | undefined>>; timeoutMs: number },
): TokenSource {
  const tool = TOOLS[identity.kind];
  /** What was given last, by tenant: a tool that cannot be told of claims gives the same token again until a person has signed in. */
  const given = new Map<string, Secret>();
  return {
    asks: toolName(identity.kind),
    wantsTenant: identity.tenant === undefined,
    async fetch(order: TokenOrder) {
      const { tenant = order.tenant } = identity;
      const { claims } = order;
      const run = (wish: Wish): Promise<ProgramEnd> =>
        runProgram({
          program: tool.program,
          args: tool.args(wish),
          environment: { ...childEnvironment(environment), ...tool.environment?.(wish) },
          timeoutMs,
        });
      const wish: Wish = { resource: identity.resource, tenant, claims: tool.takesClaims ? claims : undefined };
      try {
        let end = await run(wish);
        // A tenant that was looked up is an offer; one that the identity names is meant.
        const isOffer = identity.tenant === undefined && tenant !== undefined;
        if (isOffer && end.kind === 'ended' && tool.takesNoTenant?.test(end.stderr) === true)
          end = await run({ ...wish, tenant: undefined });
        const fetched = tokenOf(tool, end, claims);
        const before = given.get(tenant ?? '');
        given.set(tenant ?? '', fetched.token);
        if (!tool.takesClaims && claims !== undefined && before?.equals(fetched.token) === true)
          throw new ToolTrouble('claims', '', claims);
        return fetched;
      } catch (thrown) {
        throw explainEntraFailure({ ...identity, tenant }, thrown, nothingSeen(), toolName(identity.kind));
      }
    },
  };
}

/** @throws ToolTrouble */
function tokenOf(tool: Tool, end: ProgramEnd, claims: string | undefined): FetchedToken {
  switch (end.kind) {
    case 'missing':
      throw new ToolTrouble('missing', end.code);
    case 'timeout':
    case 'endless':
      throw new ToolTrouble('failed', `no end of it (${end.kind})`, claims);
    case 'ended': {
      if (end.code !== 0) throw new ToolTrouble('failed', `${end.stderr}\n${tool.complaints?.(end.stdout) ?? ''}`, claims);
      const printed = lastMap(end.stdout);
      const token = printed?.[tool.token];
      const expiresAt = timeOf(tool.ends.map((name) => printed?.[name]).find((value) => value !== undefined));
      // What is no word would break the header that it becomes.
      if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token) || expiresAt === undefined)
        throw new ToolTrouble('unreadable', '', claims);
      return { token: new Secret(token), expiresAt, refreshAfter: undefined };
    }
  }
}

/** Seconds since the epoch, as a number or in digits, or a date. */
function timeOf(value: unknown): Date | undefined {
  const isCount = typeof value === 'number' || (typeof value === 'string' && /^[0-9]+$/.test(value));
  const time = new Date(isCount ? Number(value) * 1000 : typeof value === 'string' ? value : Number.NaN);
  return Number.isNaN(time.getTime()) ? undefined : time;
}

/** The JSON map in an output: all of it, or its last line that is one, after whatever a tool found worth saying before. */
function lastMap(output: string): Readonly<Record<string, unknown>> | undefined {
  return [...output.split('\n'), output].map(parseMap).findLast((map) => map !== undefined);
}

function parseMap(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    // Some other line.
    return undefined;
  }
}

/** What azd says, as its messages have it: `{"type":"consoleMessage","data":{"message":"..."}}`, one a line. */
function consoleMessages(stdout: string): string {
  return stdout
    .split('\n')
    .map((line) => parseMap(line)?.['data'])
    .map((data) => (typeof data === 'object' && data !== null && 'message' in data ? String(data.message) : ''))
    .join('\n');
}

function option(name: string, value: string | undefined): string[] {
  return value === undefined ? [] : [name, value];
}
