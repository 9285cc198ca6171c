/** What is found on this machine by which somebody could sign in. Nothing is asked of the network, and no secret is read. */
import { execFile } from 'node:child_process';
import type { Context } from '../context.js';
import type { Git } from '../gitconfig/git.js';
import { browserCommand } from '../open-browser.js';

/** The Azure CLI takes a second or two to say who is signed in; one that takes longer is not waited for. */
const LONGEST_ANSWER_MS = 15_000;

/** A program that somebody signs in with. */
export type Tool =
  | { readonly kind: 'absent' }
  | { readonly kind: 'signed-out' }
  /** `account`: as the tool names it, as far as it does. */
  | { readonly kind: 'signed-in'; readonly account: string | undefined };

export interface Machine {
  readonly azureCli: Tool;
  readonly azureDeveloperCli: Tool;
  /** Whether a browser would be opened here. */
  readonly hasBrowser: boolean;
  /** Names of environment variables that are set. */
  readonly variables: ReadonlySet<string>;
  /** What AZURE_TENANT_ID and AZURE_CLIENT_ID say: names, and no secrets. */
  readonly ids: { readonly tenant: string | undefined; readonly clientId: string | undefined };
  /** Names of git's credential helpers, as they are configured. */
  readonly credentialHelpers: readonly string[];
}

/** Variables by which a job is told who it is. */
const VARIABLES = [
  'AZURE_DEVOPS_EXT_PAT',
  'SYSTEM_ACCESSTOKEN',
  'AZURE_FEDERATED_TOKEN_FILE',
  'AZURE_TENANT_ID',
  'AZURE_CLIENT_ID',
  'AZURE_CLIENT_SECRET',
] as const;

/** Looks around, a few seconds at most. */
export async function lookAround({ environment }: Pick<Context, 'environment'>, git: Git): Promise<Machine> {
  const [azureCli, azureDeveloperCli, entries] = await Promise.all([
    tool('az', ['account', 'show', '--output', 'json'], environment, accountIn),
    tool('azd', ['auth', 'login', '--check-status'], environment, () => undefined),
    git.entries(),
  ]);
  return {
    azureCli,
    azureDeveloperCli,
    hasBrowser: browserCommand('https://localhost/', environment) !== undefined,
    variables: new Set(VARIABLES.filter((name) => (environment[name] ?? '') !== '')),
    ids: { tenant: environment['AZURE_TENANT_ID'], clientId: environment['AZURE_CLIENT_ID'] },
    credentialHelpers: [
      ...new Set(
        entries.flatMap(({ key, value = '' }) => (/^credential(?:\..*)?\.helper$/s.test(key) && value !== '' ? [helperName(value)] : [])),
      ),
    ],
  };
}

/** A helper's own name: `manager` of `/usr/lib/git-core/git-credential-manager`, and of `!az x --y` the program alone. */
function helperName(value: string): string {
  const [program = ''] = value.replace(/^!/, '').trim().split(/\s+/);
  return (program.split('/').at(-1) ?? '').replace(/^git-credential-/, '');
}

function tool(
  program: string,
  args: readonly string[],
  environment: Context['environment'],
  account: (stdout: string) => string | undefined,
): Promise<Tool> {
  return new Promise((resolve) => {
    const child = execFile(
      program,
      args,
      { env: environment, timeout: LONGEST_ANSWER_MS, killSignal: 'SIGKILL', encoding: 'utf8' },
      (fault, stdout) => {
        if (fault === null) resolve({ kind: 'signed-in', account: account(stdout) });
        else resolve({ kind: fault.code === 'ENOENT' || fault.code === 'EACCES' ? 'absent' : 'signed-out' });
      },
    );
    child.stdin?.on('error', () => undefined); // it may have ended before it read anything
    child.stdin?.end();
  });
}

/** `az account show` (Azure CLI reference): `{"user": {"name": "dana@contoso.com", "type": "user"}, ...}`. */
function accountIn(stdout: string): string | undefined {
  try {
    const found: unknown = JSON.parse(stdout);
    const user = typeof found === 'object' && found !== null && 'user' in found ? found.user : undefined;
    return typeof user === 'object' && user !== null && 'name' in user && typeof user.name === 'string' ? user.name : undefined;
  } catch {
    return undefined; // signed in all the same: the exit code said so
  }
}
