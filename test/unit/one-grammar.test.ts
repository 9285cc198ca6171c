/**
 * A pattern is read twice: when the configuration is checked (config), and when the gate compares it with an address
 * (gate, hosts). Where the two readings differ, a route that was accepted and shown opens something else than it says,
 * or nothing at all. These rows go through both.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { covers, parseRoutePattern } from '../../src/config/route-pattern.js';
import { RouteTable } from '../../src/gate/route-table.js';
import { inferHostKind, parseHost } from '../../src/model/host-name.js';
import type { HostKind } from '../../src/model/address.js';
import { addressOf, route } from './route.js';

/** A table with one route, made as the configuration makes it. */
function tableOf(match: string, kind?: HostKind): RouteTable {
  return new RouteTable([route(match, { hostKind: parseRoutePattern(match, kind).hostKind })]);
}

function opens(match: string, spelled: string, kind?: HostKind): boolean {
  const table = tableOf(match, kind);
  const address = addressOf(spelled, table);
  return address !== undefined && table.find(address) !== undefined;
}

const SERVICES = 'dev.azure.com/contoso/web/_git/app';

describe('a pattern that the configuration accepts opens at the gate what it names', () => {
  it.each<[match: string, spelled: string, kind?: HostKind]>([
    ['dev.azure.com/**', SERVICES],
    ['dev.azure.com/contoso/web/app', SERVICES],
    ['DEV.Azure.com/CONTOSO/Web/App', SERVICES],
    ['dev.azure.com/contoso/web/app', 'contoso.visualstudio.com/web/_git/app'],
    ['dev.azure.com/contoso/web/app', 'contoso.visualstudio.com/DefaultCollection/web/_git/app'],
    ['dev.azure.com/contoso/web/app', 'ssh.dev.azure.com/v3/contoso/web/app'],
    ['dev.azure.com/contoso/web/app', 'vs-ssh.visualstudio.com/v3/contoso/web/app'],
    ['contoso.visualstudio.com/web/app', SERVICES],
    ['contoso.visualstudio.com/**', 'vs-ssh.visualstudio.com/v3/contoso/web/app'],
    ['*.visualstudio.com/**', SERVICES],
    ['*.visualstudio.com/**', 'contoso.visualstudio.com/web/_git/app'],
    ['ssh.dev.azure.com/contoso/**', SERVICES],
    ['vs-ssh.visualstudio.com/contoso/web/app', 'contoso.visualstudio.com/web/_git/app'],
    ['ssh.visualstudio.com/web/app', 'ssh.visualstudio.com/web/_git/app'],
    ['ssh.visualstudio.com/web/app', 'dev.azure.com/ssh/web/_git/app'],
    ['dev.azure.com/contoso/My%20Project/*', 'dev.azure.com/contoso/my%20project/_git/x'],
    ['dev.azure.com/contoso/w\u00c9b/app', 'dev.azure.com/contoso/w%C3%A9b/_git/app'],
    ['dev.azure.com/contoso/%EF%BD%97eb/app', 'dev.azure.com/contoso/%EF%BC%B7EB/_git/app'],
    ['dev.azure.com/contoso/we\u0062/app', SERVICES],
    ['git.example.com/Team/App', 'git.example.com/Team/App.git', 'generic'],
    ['tfs.example.com/tfs/**', 'tfs.example.com/tfs/main/web/_git/app'],
    ['tfs.example.com/main/web/app', 'TFS.example.com:443/Main/Web/_git/App'],
    ['tfs.example.com:443/main/web/app', 'tfs.example.com/main/web/_git/app'],
    ['tfs.example.com:8443/**', 'tfs.example.com:8443/main/web/_git/app'],
    ['tfs.example.com:08443/**', 'tfs.example.com:8443/main/web/_git/app'],
    ['tfs_server/**', 'TFS_SERVER/main/web/_git/app'],
    ['*.example.com/main/**', 'tfs.example.com/main/web/_git/app'],
    ['*.example.com:8443/main/**', 'tfs.example.com:8443/main/web/_git/app'],
    ['*.example.com/**', 'git.example.com/a/b.git', 'generic'],
    ['[::1]:3000/main/**', '[::1]:3000/main/web/_git/app'],
    ['github.com/git/*', 'github.com/git/git.git'],
    ['github.com:8443/git/*', 'github.com:8443/git/git.git'],
    ['github.com/**', 'github.com/git/git'],
    ['github.com/git/git', 'github.com/git/git.git'],
    ['github.com/git/git.git', 'github.com/git/Git'],
    ['github.com/git/Git%2Egit', 'github.com/git/git.GIT'],
    ['git.example.com/**', 'git.example.com/a/b/c', 'generic'],
  ])('%s opens %s', (match, spelled, kind) => {
    expect(opens(match, spelled, kind)).toBe(true);
  });

  it.each<[match: string, spelled: string, kind?: HostKind]>([
    ['dev.azure.com/contoso/fleet/**', 'dev.azure.com/contoso/fleet-infra/_git/app'],
    ['dev.azure.com/contoso/**', 'dev.azure.com/contoso-dev/web/_git/app'],
    ['dev.azure.com/**', 'evil-dev.azure.com/contoso/web/_git/app'],
    ['dev.azure.com/**', 'dev.azure.com.evil.example/contoso/web/_git/app'],
    ['dev.azure.com/**', 'dev.azure.com:8443/contoso/web/_git/app'],
    ['*.azure.com/**', SERVICES],
    ['*.visualstudio.com/**', 'evilvisualstudio.com/web/_git/app'],
    ['*.visualstudio.com/**', 'a.b.visualstudio.com/web/_git/app'],
    ['*.visualstudio.com/**', 'visualstudio.com/web/_git/app'],
    ['*.example.com/**', 'example.com/main/web/_git/app'],
    ['*.example.com/**', 'a.tfs.example.com/main/web/_git/app'],
    ['*.example.com/**', 'tfs.example.com:8443/main/web/_git/app'],
    ['*.example.com/**', 'evil-example.com/main/web/_git/app'],
    ['tfs.example.com/**', 'tfs.example.com:8443/main/web/_git/app'],
    ['tfs.example.com/main/fleet/**', 'tfs.example.com/main/fleet-infra/_git/app'],
    ['github.com/git/*', 'github.com/git/a/b'],
    ['tfs.example.com/main/web/app', 'tfs.example.com/main/web/_git/app.git'],
    ['dev.azure.com/contoso/web/app', 'dev.azure.com/contoso/web/_git/app.git'],
    ['ssh.visualstudio.com/web/app', 'dev.azure.com/web/app/_git/app'],
    // Another repository, for all that we know.
    ['dev.azure.com/contoso/%EF%BD%97eb/app', SERVICES],
    ['dev.azure.com/contoso/web/app', 'dev.azure.com/contoso/%EF%BD%97eb/_git/app'],
    ['dev.azure.com/contoso/kiosk/app', 'dev.azure.com/contoso/%E2%84%AAiosk/_git/app'],
    ['git.example.com/Team/App', 'git.example.com/team/App', 'generic'],
    ['git.example.com/Team/App', 'git.example.com/Team/App.GIT', 'generic'],
  ])('%s does not open %s', (match, spelled, kind) => {
    expect(opens(match, spelled, kind)).toBe(false);
  });
});

describe('the kind of a host', () => {
  it.each([
    'dev.azure.com',
    'ssh.dev.azure.com',
    'vs-ssh.visualstudio.com',
    'ssh.visualstudio.com',
    'contoso.visualstudio.com',
    'evil-dev.azure.com',
    'dev.azure.com.evil.example',
    'vssps.dev.azure.com',
    'github.com',
    'gitlab.com:8443',
    'bitbucket.org',
    'tfs',
    'tfs_server',
    'tfs.example.com:8443',
    '[::1]:3000',
  ])('is one for the configuration, the gate and the addresses: %s', (host) => {
    // The longest form that each grammar takes; which one is wanted is not the question here.
    const { hostKind } = parseRoutePattern(`${host}/**`);
    const parsed = parseHost(host) ?? '';
    expect(inferHostKind(parsed)).toBe(hostKind);
    // A route for another spelling of the services is not asked for the kind: the name tells it.
    expect(tableOf(`${host}/**`).kindOf(parsed) ?? inferHostKind(parsed)).toBe(hostKind);
  });

  it.each(['a.b.visualstudio.com', 'visualstudio.com', 'dev.azure.com:8443', 'contoso.visualstudio.com:80', 'dev.azure.com.'])(
    '%s is neither accepted in a pattern nor served by one for all of the services',
    (host) => {
      expect(() => parseRoutePattern(`${host}/**`)).toThrow(SyntaxError);
      expect(opens('dev.azure.com/**', `${host}/contoso/web/_git/app`)).toBe(false);
      expect(opens('*.visualstudio.com/**', `${host}/contoso/web/_git/app`)).toBe(false);
    },
  );

  it.each(['vsspx.dev.azure.com', 'x.ssh.dev.azure.com', 'tfs.example.com', 'evil-dev.azure.com'])(
    'azure-services is not taken for %s, which no address could have',
    (host) => {
      expect(parseRoutePattern(`${host}/**`, 'azure-services').hostKind).not.toBe('azure-services');
    },
  );
});

describe('covers() and the gate', () => {
  const PATTERNS = [
    'dev.azure.com/**',
    'dev.azure.com/contoso/**',
    'dev.azure.com/contoso/fleet/**',
    'dev.azure.com/contoso/fleet-infra/**',
    'dev.azure.com/*/fleet/*',
    'dev.azure.com/contoso/fleet/app',
    'dev.azure.com/contoso/FL\u0045ET/%61pp',
    'contoso.visualstudio.com/fleet/**',
    '*.visualstudio.com/**',
    'vs-ssh.visualstudio.com/contoso/**',
    '*.example.com/**',
    'tfs.example.com/**',
    'tfs.example.com:443/main/**',
    'tfs.example.com/main/fleet/app',
    '*.example.com/*/fleet/*',
    'github.com/**',
    'github.com/git/*',
    'github.com/git/git',
  ];
  const ADDRESSES = ['contoso', 'fabrikam'].flatMap((organisation) =>
    ['fleet', 'fleet-infra'].flatMap((project) =>
      ['app', 'fleet'].flatMap((repository) => [
        `dev.azure.com/${organisation}/${project}/_git/${repository}`,
        `${organisation}.visualstudio.com/${project}/_git/${repository}`,
        `tfs.example.com/main/${project}/_git/${repository}`,
      ]),
    ),
  );
  ADDRESSES.push('github.com/git/git', 'github.com/git/a/b', 'a.example.com/main/fleet/_git/app', 'example.com/main/fleet/_git/app');

  it('agree: what a covered pattern opens, the covering one opens too; what is not covered opens something of its own', () => {
    fc.assert(
      fc.property(fc.constantFrom(...PATTERNS), fc.constantFrom(...PATTERNS), (earlier, later) => {
        const mine = ADDRESSES.filter((spelled) => opens(later, spelled));
        expect(mine, `${later} opens nothing`).not.toEqual([]);
        const missed = mine.filter((spelled) => !opens(earlier, spelled));
        if (covers(parseRoutePattern(earlier), parseRoutePattern(later))) expect(missed, `${earlier} covers ${later}`).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });
});
