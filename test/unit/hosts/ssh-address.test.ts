import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSshAddress } from '../../../src/hosts/ssh-address.js';
import type { HostKind } from '../../../src/model/address.js';

const generic = (host: string): HostKind | undefined =>
  host.startsWith('git.example.com') ? 'generic' : host === 'tfs.example.com' ? 'azure-server' : undefined;

function read(text: string): { canonical: string; path: string; url: string } | string {
  const parsed = parseSshAddress(text, generic);
  if (parsed.kind === 'fault') return parsed.what;
  const { address, path } = parsed;
  return { canonical: address.canonical.join('/'), path, url: `https://${address.upstreamHost}${address.path}` };
}

const APP = { canonical: 'dev.azure.com/contoso/my project/app', url: 'https://dev.azure.com/contoso/My%20Project/_git/App' };

describe('parseSshAddress()', () => {
  it.each([
    ['/ssh.dev.azure.com/v3/contoso/My Project/App', { ...APP, path: '/v3/contoso/My Project/App' }],
    ['ssh.dev.azure.com/v3/contoso/My%20Project/App', { ...APP, path: 'v3/contoso/My%20Project/App' }],
    ['ssh.dev.azure.com/v3/contoso/My Project/App', { ...APP, path: 'v3/contoso/My Project/App' }],
    ['/ssh.dev.azure.com:22/v3/contoso/My Project/App/', { ...APP, path: '/v3/contoso/My Project/App' }],
    ['/SSH.dev.azure.com/V3/contoso/My Project/App', { ...APP, path: '/V3/contoso/My Project/App' }],
    ['/vs-ssh.visualstudio.com/v3/contoso/My Project/App', { ...APP, path: '/v3/contoso/My Project/App' }],
    ['/dev.azure.com/contoso/My Project/_git/App', { ...APP, path: '/contoso/My Project/_git/App' }],
    [
      '/tfs.example.com/tfs/DefaultCollection/web/_git/app',
      {
        canonical: 'tfs.example.com/tfs/defaultcollection/web/app',
        path: '/tfs/DefaultCollection/web/_git/app',
        url: 'https://tfs.example.com/tfs/DefaultCollection/web/_git/app',
      },
    ],
    [
      'git.example.com/team/tools.git',
      { canonical: 'git.example.com/team/tools', path: 'team/tools.git', url: 'https://git.example.com/team/tools.git' },
    ],
    [
      '/git.example.com/team/tools.git',
      { canonical: 'git.example.com/team/tools', path: '/team/tools.git', url: 'https://git.example.com/team/tools.git' },
    ],
    [
      '/git.example.com:2222/team/tools',
      { canonical: 'git.example.com:2222/team/tools', path: '/team/tools', url: 'https://git.example.com:2222/team/tools' },
    ],
    [
      '/git.example.com/~ada/tools',
      { canonical: 'git.example.com/~ada/tools', path: '~ada/tools', url: 'https://git.example.com/~ada/tools' },
    ],
    ['git.example.com/100%/a b', { canonical: 'git.example.com/100%/a b', path: '100%/a b', url: 'https://git.example.com/100%25/a%20b' }],
    [
      '/git.example.com/Größe',
      { canonical: 'git.example.com/Größe', path: '/GrÃ\u00b6Ã\u009fe', url: 'https://git.example.com/Gr%C3%B6%C3%9Fe' },
    ],
  ])('reads %j', (text, expected) => {
    expect(read(text)).toEqual(expected);
  });

  it.each([
    ['', 'it is not a host name'],
    ['/', 'it is not a host name'],
    ['//dev.azure.com/a', 'it is not a host name'],
    ['/git.example.com', 'the path does not begin with a slash'],
    ['/git.example.com/../x', 'the path has a dot segment (. or ..)'],
    ['git.example.com/a//b', 'the path has an empty segment (//)'],
    // To a host that is not Azure's it is a letter, and to a web server it would be another name.
    ['git.example.com/a%2e%2e/b', 'the path is percent-encoded twice'],
    ['/git.example.com/a%20b', 'the path is percent-encoded twice'],
    ['/ssh.dev.azure.com/v3/contoso/My%20Project/App', 'the path is percent-encoded twice'],
    ['ssh.dev.azure.com/v3/contoso/a%2fb/App', 'the path has an encoded slash or a backslash'],
    ['ssh.dev.azure.com/v3/contoso/App', 'v3/contoso/App is not v3/{organisation}/{project}/{repository}'],
    ['/ssh.dev.azure.com/v2/contoso/web/App', 'v2/contoso/web/App is not v3/{organisation}/{project}/{repository}'],
    ['/evil host/a', 'evil host is not a host name'],
  ])('refuses %j', (text, what) => {
    expect(read(text)).toBe(what);
  });

  it('reads the two forms of one address as one repository, and asks a web server for that one', () => {
    const name = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
      .filter((text) => !/[/\\%]|^\.+$/.test(text.normalize('NFKC')));
    fc.assert(
      fc.property(fc.array(name, { minLength: 1, maxLength: 4 }), (names) => {
        const path = names.join('/');
        const [one, other] = [read(`/git.example.com/${path}`), read(`git.example.com/${path}`)];
        if (typeof one === 'string' || typeof other === 'string') {
          expect(one).toEqual(other);
          return;
        }
        expect(one.canonical).toBe(other.canonical);
        expect(decodeURIComponent(new URL(one.url).pathname)).toBe(`/${path}`);
        expect(Buffer.from(other.path, 'latin1').toString('utf8')).toBe(path);
      }),
    );
  });
});
