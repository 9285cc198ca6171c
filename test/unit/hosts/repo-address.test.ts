import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inferHostKind, parseHost } from '../../../src/model/host-name.js';
import { parseRepoAddress } from '../../../src/hosts/repo-address.js';
import type { HostKind, RepoAddress } from '../../../src/model/address.js';

/** Parses `host/path`, given as text, the way a door does. */
function parse(spelled: string, kind?: HostKind): RepoAddress | string {
  const slash = spelled.indexOf('/');
  const host = parseHost(spelled.slice(0, slash));
  if (host === undefined) return 'no host';
  const parsed = parseRepoAddress(kind ?? inferHostKind(host), host, Buffer.from(spelled.slice(slash), 'utf8').toString('latin1'));
  return parsed.kind === 'address' ? parsed.address : parsed.what;
}

function canonical(spelled: string, kind?: HostKind): string {
  const parsed = parse(spelled, kind);
  return typeof parsed === 'string' ? `fault: ${parsed}` : parsed.canonical.join('/');
}

const APP = 'dev.azure.com/contoso/web/app';

describe('parseRepoAddress() of azure-services', () => {
  it.each<[spelled: string, canonical: string, upstream: string]>([
    ['dev.azure.com/contoso/web/_git/app', APP, 'dev.azure.com /contoso/web/_git/app'],
    ['DEV.AZURE.COM:443/Contoso/WEB/_GIT/App', APP, 'dev.azure.com /Contoso/WEB/_GIT/App'],
    ['dev.azure.com/contoso/%77eb/_git/app', APP, 'dev.azure.com /contoso/%77eb/_git/app'],
    ['dev.azure.com/contoso/web/%5Fgit/app', APP, 'dev.azure.com /contoso/web/%5Fgit/app'],
    [
      'dev.azure.com/contoso/ＷＥＢ/_git/app',
      'dev.azure.com/contoso/ｗｅｂ/app',
      'dev.azure.com /contoso/\u00ef\u00bc\u00b7\u00ef\u00bc\u00a5\u00ef\u00bc\u00a2/_git/app',
    ],
    ['dev.azure.com/contoso/web/_git/_optimized/app', APP, 'dev.azure.com /contoso/web/_git/_optimized/app'],
    ['dev.azure.com/contoso/web/_git/_full/app', APP, 'dev.azure.com /contoso/web/_git/_full/app'],
    ['dev.azure.com/contoso/web/optimized/_git/app', APP, 'dev.azure.com /contoso/web/optimized/_git/app'],
    ['dev.azure.com/contoso/web/full/_git/app', APP, 'dev.azure.com /contoso/web/full/_git/app'],
    ['contoso.visualstudio.com/web/_git/app', APP, 'contoso.visualstudio.com /web/_git/app'],
    ['Contoso.VisualStudio.com/DefaultCollection/web/_git/app', APP, 'contoso.visualstudio.com /DefaultCollection/web/_git/app'],
    [
      'contoso.visualstudio.com/defaultcollection/web/_git/_full/app',
      APP,
      'contoso.visualstudio.com /defaultcollection/web/_git/_full/app',
    ],
    ['contoso.visualstudio.com/web/optimized/_git/app', APP, 'contoso.visualstudio.com /web/optimized/_git/app'],
    ['ssh.dev.azure.com/v3/contoso/web/app', APP, 'dev.azure.com /contoso/web/_git/app'],
    ['ssh.dev.azure.com/V3/contoso/w%65b/app', APP, 'dev.azure.com /contoso/w%65b/_git/app'],
    ['vs-ssh.visualstudio.com/v3/contoso/web/app', APP, 'dev.azure.com /contoso/web/_git/app'],
    ['dev.azure.com/contoso/_git/app', 'dev.azure.com/contoso/app/app', 'dev.azure.com /contoso/_git/app'],
    ['contoso.visualstudio.com/_git/app', 'dev.azure.com/contoso/app/app', 'contoso.visualstudio.com /_git/app'],
    [
      'contoso.visualstudio.com/DefaultCollection/_git/app',
      'dev.azure.com/contoso/app/app',
      'contoso.visualstudio.com /DefaultCollection/_git/app',
    ],
    ['dev.azure.com/contoso/_git/_optimized/app', 'dev.azure.com/contoso/app/app', 'dev.azure.com /contoso/_git/_optimized/app'],
    ['dev.azure.com/contoso/optimized/_git/app', 'dev.azure.com/contoso/optimized/app', 'dev.azure.com /contoso/optimized/_git/app'],
    [
      'dev.azure.com/contoso/My%20Project/_git/my.repo',
      'dev.azure.com/contoso/my project/my.repo',
      'dev.azure.com /contoso/My%20Project/_git/my.repo',
    ],
    ['dev.azure.com/contoso/web/_git/app.git', 'dev.azure.com/contoso/web/app.git', 'dev.azure.com /contoso/web/_git/app.git'],
    [
      'dev.azure.com/contoso/0f8fad5b-d9cb-469f-a165-70867728950e/_git/7c9e6679-7425-40de-944b-e07fc1f90ae7',
      'dev.azure.com/contoso/0f8fad5b-d9cb-469f-a165-70867728950e/7c9e6679-7425-40de-944b-e07fc1f90ae7',
      'dev.azure.com /contoso/0f8fad5b-d9cb-469f-a165-70867728950e/_git/7c9e6679-7425-40de-944b-e07fc1f90ae7',
    ],
  ])('reads %s', (spelled, wanted, upstream) => {
    const address = parse(spelled);
    if (typeof address === 'string') throw new Error(address);
    expect([address.kind, address.canonical.join('/'), `${address.upstreamHost} ${address.path}`]).toEqual([
      'azure-services',
      wanted,
      upstream,
    ]);
  });

  it.each([
    ['contoso.visualstudio.com/DefaultCollection/We%62/_git/app', '/contoso/We%62/_git/app'],
    ['contoso.visualstudio.com/_git/app', '/contoso/_git/app'],
    ['dev.azure.com/Contoso/web/_git/app', '/Contoso/web/_git/app'],
    ['ssh.dev.azure.com/v3/contoso/web/app', '/contoso/web/_git/app'],
  ])('has the main form of %s for an upstream of its own', (spelled, mainPath) => {
    expect(parse(spelled)).toMatchObject({ mainPath, organisation: expect.stringMatching(/^contoso$/i) as string });
  });

  it('shows names in the case of the caller', () => {
    expect(parse('Contoso.visualstudio.com/DefaultCollection/My%20Web/_git/App')).toMatchObject({
      display: 'dev.azure.com/contoso/My Web/App',
    });
  });

  it.each([
    'dev.azure.com/contoso/web/app',
    'dev.azure.com/contoso',
    'dev.azure.com/_git/app',
    'dev.azure.com/contoso/web/_git',
    'dev.azure.com/contoso/web/_git/app/more',
    'dev.azure.com/contoso/a/b/_git/app',
    'dev.azure.com/contoso/web/_git/_other/app',
    'dev.azure.com/contoso/web/_git/_full/_full/app',
    'dev.azure.com/contoso/a/b/optimized/_git/app',
    'dev.azure.com/contoso/DefaultCollection/web/_git/app',
    'contoso.visualstudio.com/a/b/_git/app',
    'contoso.visualstudio.com/DefaultCollection/DefaultCollection/web/_git/app',
    'dev.azure.com/contoso/web/_git/app.',
    'dev.azure.com/contoso/web/_git/app%20',
    'dev.azure.com/contoso/web/_git/%20app',
    'dev.azure.com/contoso/web/_git/app%C2%A0',
    'dev.azure.com/contoso/web./_git/app',
    'dev.azure.com/contoso%20/web/_git/app',
    'ssh.dev.azure.com/v3/contoso/web',
    'ssh.dev.azure.com/v3/contoso/web/app/more',
    'ssh.dev.azure.com/v2/contoso/web/app',
    'ssh.dev.azure.com/contoso/web/_git/app',
    'ssh.dev.azure.com/v3/contoso/web/app.',
    'dev.azure.com:8443/contoso/web/_git/app',
    'contoso.visualstudio.com:80/web/_git/app',
    'dev.azure.com/contoso/web/../secret/_git/app',
    'dev.azure.com/contoso/web/_git/%2e%2e',
    'dev.azure.com/contoso/web/_git/a%2fb',
    'dev.azure.com//contoso/web/_git/app',
    'dev.azure.com/contoso/web/_git/app/',
    'dev.azure.com/contoso/web/_git/%2561pp',
    // Words of Azure's own addresses are no names, and nothing but these words is one of them.
    'dev.azure.com/contoso/web/_git/_optimized',
    'dev.azure.com/contoso/_git/_full',
    'dev.azure.com/contoso/web/_git/_GIT',
    'dev.azure.com/contoso/_apis/_git/app',
    'dev.azure.com/contoso/＿git/_git/app',
    'dev.azure.com/contoso/web/＿git/app',
    'contoso.visualstudio.com/ＤefaultCollection/web/_git/app',
    'dev.azure.com/contoso/web/ｆull/_git/app',
    'dev.azure.com/contoso/web/_git/_ｆull/app',
    'ssh.dev.azure.com/ｖ3/contoso/web/app',
  ])('finds no repository in %s', (spelled) => {
    expect(canonical(spelled)).toMatch(/^fault: /);
  });

  it('has one canonical form for all spellings of a repository, and others for other repositories', () => {
    const name = fc
      .stringMatching(/^[a-z][a-z0-9. _-]{0,8}[a-z0-9]$/)
      .filter((text) => !['_git', 'optimized', 'full', 'defaultcollection', 'v3'].includes(text));
    const organisation = fc.stringMatching(/^[a-z][a-z0-9]{1,8}$/).filter((text) => text !== 'ssh');
    /** Any case, any character percent-encoded. */
    const spell = (text: string, choices: readonly number[]): string =>
      Array.from(text)
        .map((char, index) => {
          const choice = choices[index % choices.length] ?? 0;
          const cased = choice % 2 === 0 ? char : char.toUpperCase();
          return choice % 3 === 0 || char === ' ' ? `%${cased.charCodeAt(0).toString(16)}` : cased;
        })
        .join('');
    const forms: ((o: string, p: string, r: string) => string)[] = [
      (o, p, r) => `dev.azure.com/${o}/${p}/_git/${r}`,
      (o, p, r) => `DEV.azure.com:443/${o}/${p}/_git/_optimized/${r}`,
      (o, p, r) => `dev.azure.com/${o}/${p}/full/_git/${r}`,
      (o, p, r) => `${decodeURIComponent(o)}.visualstudio.com/${p}/_git/${r}`,
      (o, p, r) => `${decodeURIComponent(o)}.VisualStudio.com/DefaultCollection/${p}/%5fgit/_full/${r}`,
      (o, p, r) => `ssh.dev.azure.com/v3/${o}/${p}/${r}`,
      (o, p, r) => `vs-ssh.visualstudio.com/v3/${o}/${p}/${r}`,
    ];
    fc.assert(
      fc.property(organisation, name, name, fc.nat(6), fc.array(fc.nat(11), { minLength: 3, maxLength: 9 }), (o, p, r, form, choices) => {
        const spelled = forms[form]?.(spell(o, choices), spell(p, choices), spell(r, choices)) ?? '';
        expect(canonical(spelled), spelled).toBe(`dev.azure.com/${o}/${p}/${r}`);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('parseRepoAddress() of azure-server', () => {
  it.each([
    ['tfs.example.com/main/web/_git/app', 'tfs.example.com/main/web/app'],
    ['TFS.example.com:8080/tfs/Main/Web/_git/App', 'tfs.example.com:8080/tfs/main/web/app'],
    ['tfs.example.com/main/_git/app', 'tfs.example.com/main/app/app'],
    ['tfs.example.com/tfs/main/_git/app', 'tfs.example.com/tfs/main/app/app'],
    ['tfs.example.com/tfs/main/web/_git/_optimized/app', 'tfs.example.com/tfs/main/web/app'],
    ['tfs.example.com/main/web/full/_git/app', 'tfs.example.com/main/web/app'],
    ['tfs.example.com/tfs/main/web/optimized/_git/app', 'tfs.example.com/tfs/main/web/app'],
    ['tfs.example.com/devops/main/web/_git/app', 'tfs.example.com/devops/main/web/app'],
    ['[::1]:8080/main/web/_git/app', '[::1]:8080/main/web/app'],
  ])('reads %s', (spelled, wanted) => {
    const address = parse(spelled);
    if (typeof address === 'string') throw new Error(address);
    expect(address.canonical.join('/')).toBe(wanted);
    expect(address).toMatchObject({ kind: 'azure-server', organisation: undefined, upstreamHost: address.host, mainPath: address.path });
  });

  it.each([
    'tfs.example.com/_git/app',
    'tfs.example.com/tfs/_git/app',
    'tfs.example.com/tfs/main/a/b/_git/app',
    'tfs.example.com/devops/main/a/b/_git/app',
    'tfs.example.com/tfs/tfs/main/web/_git/app',
    'tfs.example.com/tfs/main/web/_git/_full',
    'tfs.example.com/main/web/app',
    'tfs.example.com/main/web/_git/app.',
    'tfs.example.com/main/web/_git/a/b',
  ])('finds no repository in %s', (spelled) => {
    expect(canonical(spelled)).toMatch(/^fault: /);
  });
});

describe('parseRepoAddress() of generic', () => {
  it.each([
    ['github.com/Git/git', 'github.com/git/git'],
    ['github.com/git/git.git', 'github.com/git/git'],
    ['github.com/git/git%2EGIT', 'github.com/git/git'],
    ['github.com/git/git.git.git', 'github.com/git/git.git'],
    ['github.com/git.git/git', 'github.com/git.git/git'],
    ['gitlab.com/a/b/c/d.git', 'gitlab.com/a/b/c/d'],
    ['gitlab.com:8443/A/b', 'gitlab.com:8443/a/b'],
    ['github.com/a/.git', 'github.com/a/.git'],
    ['github.com:8443/a', 'github.com:8443/a'],
  ])('reads %s', (spelled, wanted) => {
    const address = parse(spelled);
    expect(canonical(spelled)).toBe(wanted);
    expect(address).toMatchObject({ kind: 'generic', path: spelled.slice(spelled.indexOf('/')) });
  });

  it('keeps the case of names, unless the host is known to ignore it', () => {
    expect(canonical('GIT.example.com/Team/App.git', 'generic')).toBe('git.example.com/Team/App');
    expect(canonical('git.example.com/Team/App.GIT', 'generic')).toBe('git.example.com/Team/App.GIT');
  });

  it('takes a path with _git as any other when the route says so', () => {
    expect(canonical('git.example.com/o/p/_git/r', 'generic')).toBe('git.example.com/o/p/_git/r');
  });

  it.each(['github.com/a/../b', 'github.com/a//b', 'github.com/a%2fb', 'github.com/a/', 'github.com/a%00'])(
    'finds no repository in %s',
    (spelled) => {
      expect(canonical(spelled)).toMatch(/^fault: /);
    },
  );
});

it('parseRepoAddress() takes no host for Azure DevOps Services that is not', () => {
  for (const host of [
    'evil-dev.azure.com',
    'dev.azure.com.evil.example',
    'evilvisualstudio.com',
    'a.b.visualstudio.com',
    'tfs.example.com',
  ])
    expect(canonical(`${host}/contoso/web/_git/app`, 'azure-services')).toMatch(/^fault: /);
});
