import { describe, expect, it } from 'vitest';
import { toolFailure, type ToolIdentity, ToolTrouble } from '../../../src/identity/tool-failure.js';

const identity = (kind: ToolIdentity['kind'], tenant?: string): ToolIdentity => ({
  kind,
  name: 'me',
  tenant,
  clientId: undefined,
  authority: undefined,
  resource: '499b',
  ca: undefined,
  proxy: undefined,
});
const told = (kind: ToolIdentity['kind'], words: string, tenant?: string): readonly [string, string, boolean] => {
  const { message, todo, isDefinite } = toolFailure(identity(kind, tenant), new ToolTrouble('failed', words));
  return [message, todo, isDefinite];
};

describe('toolFailure() knows the words of', () => {
  it.each<[kind: ToolIdentity['kind'], words: string, what: string, todo: string]>([
    [
      'azure-cli',
      "ERROR: Please run 'az login' to setup account.",
      'The Azure CLI is not signed in',
      'run `az login` as the user of the daemon',
    ],
    [
      'azure-cli',
      'ERROR: Status_InteractionRequired\nInteractive authentication is needed. Please run:\naz login --tenant "t" --scope "r"',
      'The Azure CLI wants a new sign-in (ERROR: Status_InteractionRequired)',
      'run `az login --scope 499b/.default` as the user of the daemon',
    ],
    [
      'azure-developer-cli',
      'ERROR: not logged in, run `azd auth login` to login',
      'The Azure Developer CLI is not signed in',
      'run `azd auth login` as the user of the daemon',
    ],
    [
      'azure-developer-cli',
      'ERROR: fetching token: x\nSuggestion: reauthentication required, run `azd auth login --scope s` to acquire a new token.',
      'The Azure Developer CLI wants a new sign-in (ERROR: fetching token: x)',
      'run `azd auth login --scope 499b/.default` as the user of the daemon',
    ],
    [
      'azure-powershell',
      'Run Connect-AzAccount to login.',
      'Azure PowerShell is not signed in',
      'run `Connect-AzAccount` in pwsh as the user of the daemon',
    ],
    [
      'azure-powershell',
      'Authentication failed against tenant t. User interaction is required. Please rerun Connect-AzAccount with additional parameter -AuthScope x.',
      'Azure PowerShell wants a new sign-in (Authentication failed against tenant t. User interaction is required. Please rerun Connect-AzAccount with additional parameter -AuthScope x.)',
      'run `Connect-AzAccount` in pwsh as the user of the daemon',
    ],
  ])('%s: %s', (kind, words, what, todo) => {
    expect(told(kind, words)).toEqual([what, todo, true]);
  });

  it('names the tenant in the command where one is asked for', () => {
    expect(told('azure-cli', 'az login', 'contoso.com')[1]).toBe('run `az login --tenant contoso.com` as the user of the daemon');
    expect(told('azure-developer-cli', 'not logged in', 'contoso.com')[1]).toContain('`azd auth login --tenant-id contoso.com`');
    expect(told('azure-powershell', 'Run Connect-AzAccount to login', 'contoso.com')[1]).toContain(
      '`Connect-AzAccount -Tenant contoso.com`',
    );
  });

  it('shows how to look where it knows none, and tries again by itself', () => {
    expect(told('azure-cli', 'a\u001b]0;owned\u0007b\u202ec', 't')[0]).toBe('The Azure CLI gave no token (ab c)');
    expect(told('azure-cli', '\n\u001b[31mERROR: boom\u0007 eyJhbGciOiJIUzI1NiJ9.abc.def\u001b[0m\nmore', 't')).toEqual([
      'The Azure CLI gave no token (ERROR: boom  [token])',
      'run `az account get-access-token --resource 499b --tenant t` as the user of the daemon to see why (its output holds a token: do not share it)',
      false,
    ]);
    expect(told('azure-cli', '')[0]).toBe('The Azure CLI gave no token');
  });
});
