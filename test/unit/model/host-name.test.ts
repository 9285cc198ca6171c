import { describe, expect, it } from 'vitest';
import { inferHostKind, isHostName, legacyOrganisation, parseHost } from '../../../src/model/host-name.js';

describe('parseHost()', () => {
  it.each([
    ['dev.azure.com', 'dev.azure.com'],
    ['DEV.Azure.Com', 'dev.azure.com'],
    ['dev.azure.com:443', 'dev.azure.com'],
    ['dev.azure.com:0443', 'dev.azure.com'],
    ['tfs:8080', 'tfs:8080'],
    ['tfs:08080', 'tfs:8080'],
    ['tfs:65535', 'tfs:65535'],
    ['tfs_server', 'tfs_server'],
    ['127.0.0.1:8443', '127.0.0.1:8443'],
    ['[::1]', '[::1]'],
    ['[FE80::1]:8443', '[fe80::1]:8443'],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
    [`${'a'.repeat(63)}.example`, `${'a'.repeat(63)}.example`],
  ])('reads %s', (segment, host) => {
    expect(parseHost(segment)).toBe(host);
  });

  it.each([
    '',
    '.',
    'dev.azure.com.',
    '.dev.azure.com',
    'dev..azure.com',
    'dev.azure.com:',
    'dev.azure.com:0',
    'dev.azure.com:65536',
    'dev.azure.com:99999',
    'dev.azure.com:443443',
    'dev.azure.com:44a',
    'dev.azure.com:443:443',
    'dev.azure.com%2f',
    'dev%2eazure.com',
    'user@dev.azure.com',
    'dev.azure.com@evil.example',
    'dev.azure.com#',
    'dev.azure.com\\@evil.example',
    'dev azure.com',
    '-a.example',
    'a-.example',
    '*.example.com',
    'b\u00fccher.example',
    'dev\u3002azure.com',
    '::1',
    '[::1',
    '[]',
    '[::1]x',
    '[::1%25lo]',
    '[evil.example]',
    `${'a'.repeat(64)}.example`,
    'dev.azure.com\n',
    'dev.azure.com\0',
  ])('finds no host in %j', (segment) => {
    expect(parseHost(segment)).toBeUndefined();
  });
});

it.each([
  ['contoso.visualstudio.com', 'contoso'],
  ['con-toso1.visualstudio.com', 'con-toso1'],
  ['ssh.visualstudio.com', 'ssh'],
  ['vs-ssh.visualstudio.com', undefined],
  ['visualstudio.com', undefined],
  ['a.b.visualstudio.com', undefined],
  ['evilvisualstudio.com', undefined],
  ['contoso.visualstudio.com.evil.example', undefined],
  ['contoso.visualstudio.com:8443', undefined],
  ['-a.visualstudio.com', undefined],
])('legacyOrganisation(%s) is %s', (host, organisation) => {
  expect(legacyOrganisation(host)).toBe(organisation);
});

it.each([
  ['dev.azure.com', 'azure-services'],
  ['ssh.dev.azure.com', 'azure-services'],
  ['vs-ssh.visualstudio.com', 'azure-services'],
  ['contoso.visualstudio.com', 'azure-services'],
  ['dev.azure.com:8443', 'azure-services'],
  ['evil-dev.azure.com', 'azure-server'],
  ['x.dev.azure.com', 'azure-server'],
  ['dev.azure.com.evil.example', 'azure-server'],
  ['evilvisualstudio.com', 'azure-server'],
  ['visualstudio.com', 'azure-server'],
  ['tfs.example.com:8443', 'azure-server'],
  ['github.com', 'generic'],
  ['github.com:8443', 'generic'],
  ['evil-github.com', 'azure-server'],
  ['www.github.com', 'azure-server'],
])('inferHostKind(%s) is %s', (host, kind) => {
  expect(inferHostKind(host)).toBe(kind);
});

it('isHostName() takes no port, bracket or wildcard', () => {
  expect(['a', 'a.b', 'a:1', '[::1]', '*.a', ''].map(isHostName)).toEqual([true, true, false, false, false, false]);
});
