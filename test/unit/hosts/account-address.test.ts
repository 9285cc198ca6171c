import { describe, expect, it } from 'vitest';
import { parseAccount, repositoryIn } from '../../../src/hosts/account-address.js';
import { inferHostKind } from '../../../src/model/host-name.js';

const read = (text: string): ReturnType<typeof parseAccount> =>
  parseAccount(text, (host) => (host === 'git.example.com' ? 'generic' : inferHostKind(host)));

describe('parseAccount()', () => {
  it.each([
    'contoso',
    'dev.azure.com/contoso',
    'https://dev.azure.com/contoso',
    'https://dev.azure.com/contoso/',
    'HTTPS://contoso@DEV.azure.com:443/contoso',
    'https://contoso.visualstudio.com',
    'contoso.visualstudio.com/DefaultCollection/',
  ])('reads %s as the organisation', (text) => {
    expect(read(text)).toEqual({
      kind: 'account',
      account: {
        kind: 'azure-services',
        host: 'dev.azure.com',
        names: ['contoso'],
        organisation: 'contoso',
        canonical: ['dev.azure.com', 'contoso'],
        length: 4,
        path: '/contoso',
        display: 'contoso',
      },
    });
  });

  it.each([
    ['https://tfs.example.com/tfs/DefaultCollection', '/tfs/DefaultCollection', ['tfs.example.com', 'tfs', 'defaultcollection'], 5],
    ['http://tfs.example.com:8080/DefaultCollection/', '/DefaultCollection', ['tfs.example.com:8080', 'defaultcollection'], 4],
    ['tfs.example.com/devops/Team%20A', '/devops/Team%20A', ['tfs.example.com', 'devops', 'team a'], 5],
    ['tfs.example.com/tfs/Größe', '/tfs/Gr%C3%B6%C3%9Fe', ['tfs.example.com', 'tfs', 'größe'], 5],
  ])('reads %s as a collection', (text, path, canonical, length) => {
    const parsed = read(text);
    expect(parsed.kind === 'account' && parsed.account).toMatchObject({
      kind: 'azure-server',
      path,
      canonical,
      length,
      organisation: undefined,
    });
  });

  it.each([
    '',
    '-contoso',
    'a b',
    'x'.repeat(51),
    'dev.azure.com',
    'https://dev.azure.com/',
    'https://dev.azure.com/contoso/Payments',
    'https://dev.azure.com/contoso/Payments/_git/web',
    'https://dev.azure.com/con_toso',
    'https://contoso.visualstudio.com/Payments',
    'https://ssh.dev.azure.com/contoso',
    'https://tfs.example.com',
    'https://tfs.example.com/tfs',
    'https://tfs.example.com/tfs/a/b',
    'https://tfs.example.com/tfs/_apis',
    'https://tfs.example.com/tfs/..',
    'https://tfs.example.com/tfs/a%2fb',
    'https://tfs.example.com/tfs//a',
    'https://tfs.example.com/tfs/a?x=y',
    'https://git.example.com/x',
    'ssh://tfs.example.com/tfs/a',
    'https://evil.example@/x',
  ])('takes %s for neither', (text) => {
    expect(read(text).kind).toBe('fault');
  });

  it('repeats nothing of a password', () => {
    const parsed = read('https://jane:s3cret@dev.azure.com/contoso/x');
    expect(parsed).toEqual({ kind: 'fault', what: 'it goes on after the organisation' });
  });
});

describe('repositoryIn()', () => {
  const account = (text: string) => {
    const parsed = read(text);
    if (parsed.kind === 'fault') throw new Error(parsed.what);
    return parsed.account;
  };

  it('gives the address that the door reads, whatever the names hold', () => {
    const parsed = repositoryIn(account('contoso'), 'Grüße an alle', "a'b(c)");
    expect(parsed.kind === 'address' && [parsed.address.path, parsed.address.canonical]).toEqual([
      "/contoso/Gr%C3%BC%C3%9Fe%20an%20alle/_git/a'b(c)",
      ['dev.azure.com', 'contoso', 'grüße an alle', "a'b(c)"],
    ]);
    expect(repositoryIn(account('tfs.example.com/tfs/A'), 'p', 'r')).toMatchObject({ address: { path: '/tfs/A/p/_git/r' } });
  });

  it.each(['..', '.', '', 'a/b', 'a\\b', '_git', '_apis', 'a\u0007', 'a\u202e', 'a%2e', 'a '])('gives none for %j', (name) => {
    expect(repositoryIn(account('contoso'), 'p', name).kind).toBe('fault');
    expect(repositoryIn(account('contoso'), name, 'r').kind).toBe('fault');
  });
});
