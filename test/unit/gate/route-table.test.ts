import { describe, expect, it } from 'vitest';
import { RouteTable } from '../../../src/gate/route-table.js';
import type { Route } from '../../../src/model/settings.js';
import { addressOf, route } from '../route.js';

/** Which of the routes takes an address, by its pattern. */
function taken(routes: readonly Route[], spelled: string): string | undefined {
  const table = new RouteTable(routes);
  const address = addressOf(spelled, table);
  if (address === undefined) throw new Error(`${spelled} is no address`);
  return table.find(address)?.match;
}

const server = (match: string): Route => route(match, { hostKind: 'azure-server' });
const generic = (match: string): Route => route(match, { hostKind: 'generic' });

describe('RouteTable.find()', () => {
  it.each<[match: string, spelled: string, isTaken: boolean]>([
    ['dev.azure.com/contoso/fleet/*', 'dev.azure.com/contoso/fleet/_git/app', true],
    ['dev.azure.com/contoso/fleet/*', 'dev.azure.com/contoso/fleet-infra/_git/app', false],
    ['dev.azure.com/contoso/fleet-infra/*', 'dev.azure.com/contoso/fleet/_git/app', false],
    ['dev.azure.com/contoso/fleet/**', 'dev.azure.com/contoso/fleet-infra/_git/app', false],
    ['dev.azure.com/contoso/fleet/app', 'dev.azure.com/contoso/fleet/_git/app-secrets', false],
    ['dev.azure.com/contoso/fleet/app', 'dev.azure.com/contoso/fleet/_git/ap', false],
    ['dev.azure.com/contoso/fleet/app/**', 'dev.azure.com/contoso/fleet/_git/app', true],
    ['dev.azure.com/*/fleet/*', 'dev.azure.com/fabrikam/fleet/_git/app', true],
    ['dev.azure.com/contoso/**', 'dev.azure.com/contosox/fleet/_git/app', false],
    ['dev.azure.com/contoso/app/app', 'dev.azure.com/contoso/_git/app', true],
    ['dev.azure.com/contoso/My%20Fleet/*', 'dev.azure.com/contoso/my%20fleet/_git/app', true],
    ['dev.azure.com/contoso/My Fleet/*', 'dev.azure.com/contoso/MY%20FLEET/_git/app', true],
    ['dev.azure.com/contoso/fl%C3%A9et/*', 'dev.azure.com/contoso/flÉet/_git/app', true],
    ['dev.azure.com/contoso/fl%65et/*', 'dev.azure.com/contoso/fleet/_git/app', true],
    ['Dev.Azure.com/CONTOSO/Fleet/APP', 'dev.azure.com/contoso/fleet/_git/app', true],
    ['contoso.visualstudio.com/fleet/app', 'dev.azure.com/contoso/fleet/_git/app', true],
    ['contoso.visualstudio.com/**', 'dev.azure.com/fabrikam/fleet/_git/app', false],
    ['dev.azure.com/contoso/**', 'contoso.visualstudio.com/DefaultCollection/fleet/_git/app', true],
    ['*.visualstudio.com/**', 'dev.azure.com/contoso/fleet/_git/app', true],
    ['*.visualstudio.com/fleet/*', 'contoso.visualstudio.com/fleet/_git/app', true],
    ['ssh.dev.azure.com/contoso/**', 'contoso.visualstudio.com/fleet/_git/app', true],
    ['vs-ssh.visualstudio.com/contoso/fleet/app', 'ssh.dev.azure.com/v3/contoso/fleet/app', true],
    ['vs-ssh.visualstudio.com/contoso/**', 'dev.azure.com/fabrikam/fleet/_git/app', false],
  ])('%s, asked for %s: %s', (match, spelled, isTaken) => {
    expect(taken([route(match)], spelled)).toBe(isTaken ? match : undefined);
  });

  it.each<[match: string, spelled: string, isTaken: boolean]>([
    ['tfs.example.com/tfs/**', 'tfs.example.com/tfs/main/web/_git/app', true],
    ['tfs.example.com/tfs/**', 'tfs.example.com/tfsx/main/web/_git/app', false],
    ['tfs.example.com:443/**', 'tfs.example.com/main/web/_git/app', true],
    ['tfs.example.com/**', 'tfs.example.com:8080/main/web/_git/app', false],
    ['tfs.example.com/**', 'evil-tfs.example.com/main/web/_git/app', false],
    ['tfs.example.com/**', 'tfs.example.com.evil.example/main/web/_git/app', false],
    ['tfs.example.com/main/app/app', 'tfs.example.com/main/_git/app', true],
  ])('on a server, %s, asked for %s: %s', (match, spelled, isTaken) => {
    expect(taken([server(match)], spelled)).toBe(isTaken ? match : undefined);
  });

  it.each<[match: string, spelled: string, isTaken: boolean]>([
    ['git.example.com/**', 'git.example.com/a/b/c', true],
    ['git.example.com/a/*', 'git.example.com/a/b', true],
    ['git.example.com/a/*', 'git.example.com/a/b/c', false],
    // Case counts where it is not known that it does not.
    ['git.example.com/a/b', 'git.example.com/A/B.git', false],
    ['git.example.com/*/b', 'git.example.com/A/b.git', true],
    ['github.com/a/b', 'github.com/A/B.git', true],
    ['github.com:8443/a/b', 'github.com:8443/A/B.GIT', true],
    ['git.example.com/a/b.git', 'git.example.com/a/b', true],
    ['git.example.com/a/b', 'git.example.com/a/bc', false],
    ['git.example.com/o/p/r', 'git.example.com/o/p/_git/r', false],
  ])('on a generic host, %s, asked for %s: %s', (match, spelled, isTaken) => {
    expect(taken([generic(match)], spelled)).toBe(isTaken ? match : undefined);
  });

  it('takes the first that matches, not the longest', () => {
    const routes = [route('dev.azure.com/contoso/**'), route('dev.azure.com/contoso/fleet/app'), route('dev.azure.com/**')];
    expect(taken(routes, 'dev.azure.com/contoso/fleet/_git/app')).toBe('dev.azure.com/contoso/**');
    expect(taken(routes.toReversed(), 'dev.azure.com/contoso/fleet/_git/app')).toBe('dev.azure.com/**');
    expect(taken(routes, 'dev.azure.com/fabrikam/fleet/_git/app')).toBe('dev.azure.com/**');
  });

  it('cannot be made to take the wider route by another spelling of a repository', () => {
    const routes = [route('dev.azure.com/contoso/secret/*'), route('dev.azure.com/**')];
    for (const spelled of [
      'dev.azure.com/contoso/SECRET/_git/app',
      'dev.azure.com/contoso/s%65cret/_git/app',
      'dev.azure.com/contoso/secret/optimized/_git/app',
      'dev.azure.com/contoso/secret/_git/_full/app',
      'contoso.visualstudio.com/secret/_git/app',
      'contoso.visualstudio.com/DefaultCollection/secret/_git/app',
      'ssh.dev.azure.com/v3/contoso/secret/app',
      'vs-ssh.visualstudio.com/v3/contoso/secret/app',
      'DEV.AZURE.COM:443/contoso/secret/_git/app',
    ])
      expect(taken(routes, spelled), spelled).toBe('dev.azure.com/contoso/secret/*');
  });

  it('keeps what only looks like a repository from every later route, and tells from which', () => {
    const rows: [Route[], string][] = [
      [[route('dev.azure.com/contoso/secret/*'), route('dev.azure.com/**')], 'dev.azure.com/contoso/ｓｅｃｒｅｔ/_git/app'],
      [[route('dev.azure.com/contoso/kiosk/*'), route('dev.azure.com/**')], 'dev.azure.com/contoso/\u212aiosk/_git/app'],
      [[route('dev.azure.com/contoso/caf\u00e9/*'), route('dev.azure.com/**')], 'dev.azure.com/contoso/cafe\u0301/_git/app'],
      [[generic('git.example.com/team/secret'), generic('git.example.com/**')], 'git.example.com/Team/secret'],
      [[generic('git.example.com/team/secret'), generic('git.example.com/**')], 'git.example.com/team/secret.GIT'],
      [[generic('git.example.com/team/secret'), generic('git.example.com/**')], 'git.example.com/team/secret.git.git'],
    ];
    for (const [routes, spelled] of rows) {
      const table = new RouteTable(routes);
      const address = addressOf(spelled, table)!;
      expect(table.find(address), spelled).toBeUndefined();
      expect(table.lookAlike(address), spelled).toBe(routes[0]);
      // The wider route alone opens it, and there is nothing that it looks like.
      const wide = new RouteTable(routes.slice(1));
      expect(wide.find(address), spelled).toBe(routes[1]);
      expect(wide.lookAlike(address), spelled).toBeUndefined();
    }
  });

  it('does not take a route of another kind of host', () => {
    expect(taken([server('dev.azure.com/**'), route('dev.azure.com/**')], 'ssh.dev.azure.com/v3/contoso/fleet/app')).toBe(
      'dev.azure.com/**',
    );
    const table = new RouteTable([server('*.azure.com/**')]);
    expect(table.find(addressOf('dev.azure.com/contoso/fleet/_git/app', table)!)).toBeUndefined();
  });

  it('finds nothing in an empty table', () => {
    expect(taken([], 'dev.azure.com/contoso/fleet/_git/app')).toBeUndefined();
  });

  it('cannot be made with a pattern that is none', () => {
    expect(() => new RouteTable([route('dev.azure.com/contoso/%2a%2a')])).toThrow(SyntaxError);
  });
});

describe('RouteTable.kindOf()', () => {
  it.each<[routes: Route[], host: string, kind: string | undefined]>([
    [[generic('git.example.com/**')], 'git.example.com', 'generic'],
    [[generic('GIT.example.com:443/**')], 'git.example.com', 'generic'],
    [[generic('git.example.com/**')], 'git.example.com:8443', undefined],
    [[generic('git.example.com/**')], 'x.git.example.com', undefined],
    [[generic('*.example.com/**')], 'git.example.com', 'generic'],
    [[generic('*.com/**')], 'azure.com', 'generic'],
    [[generic('*.azure.com/**')], 'dev.azure.com', undefined],
    [[generic('*.visualstudio.com/**')], 'contoso.visualstudio.com', undefined],
    [[generic('dev.azure.com/**')], 'dev.azure.com', 'generic'],
    [[server('git.example.com/a/**'), generic('git.example.com/**')], 'git.example.com', 'azure-server'],
    [[], 'dev.azure.com', undefined],
  ])('case %#', (routes, host, kind) => {
    expect(new RouteTable(routes).kindOf(host)).toBe(kind);
  });
});

it('RouteTable.routes are those it was made of, in order', () => {
  const routes = [route('dev.azure.com/a/**'), generic('github.com/**')];
  expect(new RouteTable(routes).routes).toEqual(routes);
});

describe('RouteTable.ofOrganisation()', () => {
  it('gives the routes that serve something of it, in their order', () => {
    const table = new RouteTable([
      route('dev.azure.com/contoso/Payments/*'),
      route('contoso.visualstudio.com/**'),
      route('dev.azure.com/fabrikam/**'),
      generic('dev.azure.example.com/contoso/**'),
      server('tfs.example.com/contoso/**'),
      route('dev.azure.com/*/Payments/web'),
      route('dev.azure.com/**'),
    ]);
    expect(table.ofOrganisation('Contoso').map(({ match }) => match)).toEqual([
      'dev.azure.com/contoso/Payments/*',
      'contoso.visualstudio.com/**',
      'dev.azure.com/*/Payments/web',
      'dev.azure.com/**',
    ]);
  });
});
