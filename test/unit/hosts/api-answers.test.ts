import { describe, expect, it } from 'vitest';
import { followedIn, isOfSameService } from '../../../src/hosts/api-answers.js';
import { isApiPath, parseApiAddress } from '../../../src/hosts/api-address.js';

const JSON_TYPE = 'application/json';

describe('followedIn()', () => {
  it.each([
    ['/contoso/_apis/resourceAreas', JSON_TYPE],
    ['/contoso/_apis/ResourceAreas/efc2f575-36ef-48e9-b672-0c6fb4a48ac5', JSON_TYPE],
    ['/contoso/_apis/connectionData', JSON_TYPE],
    ['/contoso/Payments/_packaging/tools/npm/registry/left', 'application/vnd.npm.install-v1+json'],
    ['/contoso/_packaging/tools/npm/registry/@contoso%2fright', JSON_TYPE],
    ['/contoso/_packaging/tools/nuget/v3/index.json', JSON_TYPE],
    ['/contoso/_packaging/tools/nuget/v2/Packages()', 'application/atom+xml'],
    ['/contoso/_packaging/tools/pypi/simple/left/', 'text/html'],
    ['/contoso/_packaging/tools/pypi/simple/left/', 'application/vnd.pypi.simple.v1+json'],
    ['/contoso/_packaging/tools/Cargo/index/config.json', JSON_TYPE],
    ['/tfs/DefaultCollection/_apis/connectionData', JSON_TYPE],
  ])('finds addresses in %s', (path, type) => {
    expect(followedIn({ path })?.test(type)).toBe(true);
  });

  it.each([
    ['/contoso/_apis/projects', JSON_TYPE],
    ['/contoso/Payments/_apis/git/repositories/web/items', 'text/html'],
    ['/contoso/_apis/git/connectionData', JSON_TYPE],
    ['/contoso/_packaging/resourceAreas/maven/v1/com/contoso/tools/1/tools-1.pom', 'application/xml'],
    ['/contoso/_packaging/npm/maven/registry', JSON_TYPE],
    ['/contoso/_packaging/tools/npm/registry/left/-/left-1.0.0.tgz', 'application/octet-stream'],
    ['/contoso/_packaging/tools/nuget/v3/flat2/left/1.0.0/left.nuspec', 'application/xml'],
    ['/contoso/Payments/_git/web', 'text/html'],
    ['/contoso/%zz/_apis/resourceAreas', JSON_TYPE],
  ])('leaves %s alone', (path, type) => {
    expect(followedIn({ path })?.test(type) ?? false).toBe(false);
  });
});

describe('isOfSameService()', () => {
  it.each(['dev.azure.com', 'vssps.dev.azure.com', 'contoso.visualstudio.com', 'contoso.pkgs.visualstudio.com'])('knows %s', (host) => {
    expect(isOfSameService({ kind: 'azure-services', host: 'dev.azure.com' }, host)).toBe(true);
  });
  it.each(['evil.dev.azure.com', 'dev.azure.com:8443', 'dev.azure.com.evil.example', 'tfs.example.com', 'contoso.blob.core.windows.net'])(
    'does not know %s',
    (host) => {
      expect(isOfSameService({ kind: 'azure-services', host: 'dev.azure.com' }, host)).toBe(false);
    },
  );
  it('takes a server by its own name and port alone', () => {
    const address = { kind: 'azure-server', host: 'tfs.example.com:8443' } as const;
    expect([isOfSameService(address, 'tfs.example.com:8443'), isOfSameService(address, 'tfs.example.com')]).toEqual([true, false]);
  });
});

describe("npm's names with a scope", () => {
  const base = '/contoso/Payments/_packaging/tools/npm/registry';

  it('are read as the two names that they are', () => {
    expect(isApiPath(`${base}/@contoso%2fright`)).toBe(true);
    expect(parseApiAddress('azure-services', 'pkgs.dev.azure.com', `${base}/@contoso%2Fright`)).toMatchObject({
      kind: 'address',
      address: { path: `${base}/@contoso%2Fright`, display: 'dev.azure.com/contoso/Payments' },
    });
  });

  it.each([
    [`${base}/@contoso%2f..`],
    [`${base}/@contoso%2f..%2f..`],
    [`${base}/@contoso%252fright`],
    [`${base}/contoso%2fright`],
    [`/contoso%2fPayments/_packaging/tools/npm/registry/@a/b`],
    [`/contoso/_apis/tokens%2fpats`],
    [`/contoso/_apis/@x%2ftokens/pats`],
  ])('open no other way to an encoded slash: %s', (path) => {
    expect(parseApiAddress('azure-services', 'pkgs.dev.azure.com', path).kind).toBe('fault');
  });
});
