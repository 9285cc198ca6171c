import { describe, expect, it } from 'vitest';
import { isStorageHost } from '../../../src/hosts/storage-hosts.js';

describe('isStorageHost()', () => {
  it.each([
    'contoso.blob.core.windows.net',
    'vsblobprodscussu5shard87.blob.core.windows.net',
    'contoso-secondary.blob.core.windows.net',
    'contoso.z42.blob.storage.azure.net',
    'fqfvsblobprodcus39.vsblob.vsassets.io',
    'contoso.vsblob.visualstudio.com',
    'contoso.blob.core.usgovcloudapi.net',
    'contoso.blob.core.chinacloudapi.cn',
  ])('knows %s as storage of Azure DevOps Services', (host) => {
    expect(isStorageHost('azure-services', 'dev.azure.com', host)).toBe(true);
    expect(isStorageHost('azure-server', 'tfs.example.com', host)).toBe(false);
    expect(isStorageHost('generic', 'github.com', host)).toBe(false);
  });

  it.each([
    'blob.core.windows.net',
    'evilblob.core.windows.net',
    'a.b.blob.core.windows.net',
    'contoso.blob.core.windows.net.evil.example',
    'contoso.blob.core.windows.net:8443',
    'contoso.blob.core.windows.net.',
    '.blob.core.windows.net',
    'contoso.queue.core.windows.net',
    'contoso.file.core.windows.net',
    'contoso.vssps.visualstudio.com',
    'windows.net',
    '169.254.169.254',
    'localhost',
    '',
  ])('knows %j as none', (host) => {
    expect(isStorageHost('azure-services', 'dev.azure.com', host)).toBe(false);
  });

  it('knows the storage of a well-known host for that host alone', () => {
    expect(isStorageHost('generic', 'github.com', 'github-cloud.githubusercontent.com')).toBe(true);
    expect(isStorageHost('generic', 'git.example.com', 'github-cloud.githubusercontent.com')).toBe(false);
    expect(isStorageHost('azure-services', 'dev.azure.com', 'github-cloud.githubusercontent.com')).toBe(false);
    expect(isStorageHost('generic', 'constructor', 'github-cloud.githubusercontent.com')).toBe(false);
  });
});
