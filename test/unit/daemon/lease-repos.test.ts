import { describe, expect, it } from 'vitest';
import { readLeaseRepo } from '../../../src/daemon/lease-repos.js';
import type { HostKind } from '../../../src/model/address.js';

const KINDS: Readonly<Record<string, HostKind>> = { 'git.example.com': 'generic', tfs: 'azure-server' };
const kindOf = (host: string): HostKind | undefined => KINDS[host];

describe('readLeaseRepo()', () => {
  it.each([
    'contoso/Payments/web',
    'CONTOSO/payments/Web',
    'dev.azure.com/contoso/Payments/web',
    'DEV.azure.com/contoso/Payments/web',
    'contoso/Payments/_git/web',
    'dev.azure.com/contoso/Payments/_git/web',
    'https://dev.azure.com/contoso/Payments/_git/web',
    'https://contoso@dev.azure.com/contoso/Payments/_git/web',
    'https://dev.azure.com:443/contoso/Payments/_git/web/',
    'https://contoso.visualstudio.com/DefaultCollection/Payments/_git/web',
    'https://contoso.visualstudio.com/Payments/_git/_optimized/web',
    'contoso.visualstudio.com/Payments/web',
    'git@ssh.dev.azure.com:v3/contoso/Payments/web',
    'ssh://git@ssh.dev.azure.com/v3/contoso/Payments/web',
    'ssh://git@ssh.dev.azure.com:22/v3/contoso/Payments/web',
    'contoso@vs-ssh.visualstudio.com:v3/contoso/Payments/web',
    'http://127.0.0.1:8417/dev.azure.com/contoso/Payments/_git/web',
    'http://localhost:8417/dev.azure.com/contoso/Payments/_git/web/info/refs',
    'contoso/Payments/w%65b',
  ])('%s is one repository', (text) => {
    expect(readLeaseRepo(text, kindOf)).toEqual({ hostKind: 'azure-services', parts: ['dev.azure.com', 'contoso', 'payments', 'web'] });
  });

  it.each<[text: string, hostKind: HostKind, parts: string]>([
    ['contoso/**', 'azure-services', 'dev.azure.com/contoso/**'],
    ['contoso/*/web', 'azure-services', 'dev.azure.com/contoso/*/web'],
    ['dev.azure.com/**', 'azure-services', 'dev.azure.com/**'],
    ['*.visualstudio.com/web/app', 'azure-services', 'dev.azure.com/*/web/app'],
    ['contoso/_git/web', 'azure-services', 'dev.azure.com/contoso/web/web'],
    ['contoso/My%20Project/web', 'azure-services', 'dev.azure.com/contoso/my project/web'],
    ['contoso/My Project/web', 'azure-services', 'dev.azure.com/contoso/my project/web'],
    ['github.com/Owner/App.git', 'generic', 'github.com/owner/app'],
    ['https://github.com/owner/app.git', 'generic', 'github.com/owner/app'],
    ['git@github.com:owner/app.git', 'generic', 'github.com/owner/app'],
    ['git.example.com/a/b', 'generic', 'git.example.com/a/b'],
    ['git.example.com/a/**', 'generic', 'git.example.com/a/**'],
    ['tfs.example.com/tfs/Main/web/app', 'azure-server', 'tfs.example.com/tfs/main/web/app'],
    ['https://tfs.example.com:8080/tfs/Main/web/_git/app', 'azure-server', 'tfs.example.com:8080/tfs/main/web/app'],
    ['tfs/tfs/Main/**', 'azure-server', 'tfs/tfs/main/**'],
  ])('%s', (text, hostKind, parts) => {
    expect(readLeaseRepo(text, kindOf)).toEqual({ hostKind, parts: parts.split('/') });
  });

  it.each<[text: string, what: string]>([
    ['', 'empty part'],
    ['contoso', 'names no repository'],
    ['contoso/web', 'names no repository'],
    ['**', 'too wide for a host'],
    ['*/web/app', 'too wide for a host'],
    ['contoso/pay*/web', 'has a `*` inside'],
    ['contoso/**/web', '`**` before its end'],
    ['contoso/a/b/c', 'more parts'],
    ['contoso/%2A/web', 'has a `*` inside'],
    ['https://dev.azure.com/contoso/%2A/_git/%2A', 'only stands in patterns'],
    ['https://dev.azure.com/contoso/*/_git/*', 'only stands in patterns'],
    ['https://dev.azure.com/contoso/**', 'is no address of a repository'],
    ['https://dev.azure.com/contoso', 'is no address of a repository'],
    ['git@ssh.dev.azure.com:v2/contoso/a/b', 'is no address of a repository'],
    ['https://user:hunter2@dev.azure.com/contoso', 'The repository https://dev.azure.com/contoso is no address'],
  ])('refuses %j', (text, what) => {
    expect(() => readLeaseRepo(text, kindOf)).toThrow(what);
    expect(() => readLeaseRepo(text, kindOf)).toThrow(expect.objectContaining({ code: 'usage' }) as Error);
  });
});
