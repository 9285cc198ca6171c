import { describe, expect, it } from 'vitest';
import { reposActions } from '../../../src/daemon/repos-actions.js';
import { ReposDesk } from '../../../src/daemon/repos-desk.js';
import { reposAsk, type ReposRoads, type ReposWish } from '../../../src/daemon/repos-roads.js';
import { RouteTable } from '../../../src/gate/route-table.js';
import { ProxyError } from '../../../src/model/errors.js';
import type { IdentitySettings, Route } from '../../../src/model/settings.js';
import type { Listing, RepositoryFacts, ReposAsk } from '../../../src/upstream/repos-api.js';
import { FakeLogger } from '../../fakes/logger.js';
import { route } from '../route.js';

const identity = (name: string): IdentitySettings => ({ name, kind: 'basic', user: 'x', secret: { kind: 'env', name: 'UNUSED' } });

/** Routes as `dev.azure.com/... identity`. */
function roads(...written: readonly string[]): ReposRoads {
  const routes = written.map((text): Route => {
    const [match = '', name = ''] = text.split(' ');
    return route(match, { identity: name, hostKind: match.startsWith('dev.') ? 'azure-services' : 'azure-server' });
  });
  return { routes: new RouteTable(routes), identities: [identity('me'), identity('other'), { name: 'callers', kind: 'passthrough' }] };
}

const wish = (account: string, more: Partial<ReposWish> = {}): ReposWish => ({ account, project: undefined, identity: undefined, ...more });

describe('reposAsk()', () => {
  it.each<[string, readonly string[], Partial<ReposWish>, string]>([
    ['the one that has it all, whatever comes before', ['dev.azure.com/contoso/web/api other', 'dev.azure.com/contoso/** me'], {}, 'me'],
    ['the one of all repositories, in another spelling', ['dev.azure.com/contoso/a/* other', 'dev.azure.com/contoso/*/* me'], {}, 'me'],
    ['the one of all organisations', ['dev.azure.com/contoso/a/* other', 'dev.azure.com/** me'], {}, 'me'],
    ['the one of the old host', ['contoso.visualstudio.com/** me'], {}, 'me'],
    ['the only one', ['dev.azure.com/contoso/a/* me', 'dev.azure.com/contoso/b/* me'], {}, 'me'],
    ['the one of the project', ['dev.azure.com/contoso/A/* other', 'dev.azure.com/contoso/b/* me'], { project: 'a' }, 'other'],
    ['the first of the project', ['dev.azure.com/contoso/a/** other', 'dev.azure.com/contoso/** me'], { project: 'a' }, 'other'],
    ['the one that is named', ['dev.azure.com/contoso/a/** other', 'dev.azure.com/contoso/** me'], { identity: 'other' }, 'other'],
  ])('takes %s', (_, written, more, name) => {
    const match =
      written[0]?.startsWith('dev') === true
        ? roads(...written)
        : { ...roads(), routes: new RouteTable([route(written[0]?.split(' ')[0] ?? '')]) };
    expect(reposAsk(match, wish('Contoso', more)).identity).toBe(name);
  });

  it('goes by the route of the identity, and of the collection', () => {
    const tfs = roads('tfs.example.com/tfs/a/** other', 'tfs.example.com/tfs/** me', 'dev.azure.com/** me');
    expect(reposAsk(tfs, wish('https://tfs.example.com/tfs/A')).route.match).toBe('tfs.example.com/tfs/a/**');
    expect(reposAsk(tfs, wish('https://tfs.example.com/tfs/B')).route.match).toBe('tfs.example.com/tfs/**');
    expect(reposAsk(tfs, wish('https://tfs.example.com/tfs/A', { identity: 'me' })).route.match).toBe('tfs.example.com/tfs/**');
  });

  it.each<[string, readonly string[], ReposWish, string]>([
    ['no route', ['dev.azure.com/fabrikam/** me'], wish('contoso'), 'No route of the configuration is for contoso'],
    ['a route that only begins alike', ['dev.azure.com/contoso-x/** me'], wish('contoso'), 'No route of the configuration is for contoso'],
    ['a collection that only looks alike', ['tfs.example.com/tfs/\uff21/** me'], wish('tfs.example.com/tfs/A'), 'No route'],
    ['no route for the project', ['dev.azure.com/contoso/a/* me'], wish('contoso', { project: 'b' }), 'No route'],
    ['several', ['dev.azure.com/contoso/a/* me', 'dev.azure.com/contoso/b/* other'], wish('contoso'), 'It is not clear who is to ask'],
    [
      'the credential of another host',
      ['dev.azure.com/** me', 'tfs.example.com/** other'],
      wish('contoso', { identity: 'other' }),
      'No route for contoso has the identity other',
    ],
    ['an identity that is none', ['dev.azure.com/** me'], wish('contoso', { identity: 'x' }), 'There is no identity x'],
    ['credentials of callers', ['dev.azure.com/** callers'], wish('contoso'), 'Identity callers holds no credential'],
    ['no organisation', ['dev.azure.com/** me'], wish('..'), 'That is not an organisation or a collection'],
    ['no project', ['dev.azure.com/** me'], wish('contoso', { project: 'a/b' }), 'That is not the name of a project'],
    ['no project either', ['dev.azure.com/** me'], wish('contoso', { project: '..' }), 'That is not the name of a project'],
  ])('refuses %s', (_, written, wanted, message) => {
    expect(() => reposAsk(roads(...written), wanted)).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringContaining(message) as string }),
    );
  });
});

const project = (name: string) => ({ id: `id of ${name}`, name });
const repository = (at: string, more: Partial<RepositoryFacts> = {}): RepositoryFacts => {
  const [inProject = '', name = ''] = at.split('/');
  const rest = { defaultBranch: 'main', sizeBytes: 1, isDisabled: false, isFork: false, sshUrl: undefined };
  return { id: at, name, project: project(inProject), ...rest, ...more };
};

function desk(listing: Listing | ProxyError, written: ReposRoads) {
  const logger = new FakeLogger();
  const asked: ReposAsk[] = [];
  const api = {
    list: (ask: ReposAsk) => {
      asked.push(ask);
      return listing instanceof ProxyError ? Promise.reject(listing) : Promise.resolve(listing);
    },
  };
  return { desk: new ReposDesk({ ...written, api, logger }), logger, asked };
}

const LISTING: Listing = {
  repositories: [repository('b/two'), repository('a/one'), repository('b/Three'), repository('b/..')],
  projects: [project('empty'), project('b'), project('a')],
  projectsUntold: undefined,
};

describe('ReposDesk', () => {
  it('lists by name, with the route of each, and projects without any', async () => {
    const { desk: own, logger } = desk(LISTING, roads('dev.azure.com/contoso/b/** me'));
    const list = await own.list(wish('contoso'), { isShared: false });
    expect(
      list.projects.map(({ name, repositories }) => [name, ...repositories.map((each) => `${each.name} ${each.route ?? '-'}`)]),
    ).toEqual([['a', 'one -'], ['b', '.. -', 'Three dev.azure.com/contoso/b/**', 'two dev.azure.com/contoso/b/**'], ['empty']]);
    expect(list.leftOut).toBe(0);
    expect(logger.lines).toEqual([
      { level: 'info', event: 'repos-listed', fields: { organization: 'contoso', identity: 'me', projects: 3, count: 4 } },
    ]);
  });

  // A member of postern-admin may let a route be used; what else the identity sees is not theirs to know.
  it('tells no name that no route leads to where a group may use the admin socket', async () => {
    const { desk: own } = desk({ ...LISTING, projectsUntold: 'because' }, roads('dev.azure.com/contoso/b/** me'));
    const list = await own.list(wish('contoso'), { isShared: true });
    expect(list.projects.map(({ name, repositories }) => [name, ...repositories.map((each) => each.name)])).toEqual([
      ['b', 'Three', 'two'],
    ]);
    expect(list.leftOut).toBe(2);
    expect(JSON.stringify(list)).not.toMatch(/one|empty|because/);
  });

  it('counts a route without fetch as none', async () => {
    const noFetch = { ...roads(), routes: new RouteTable([route('dev.azure.com/**', { allow: ['api'] })]) };
    const list = await desk(LISTING, noFetch).desk.list(wish('contoso'), { isShared: true });
    expect(list.projects).toEqual([]);
  });

  it('takes the SSH address of a server only if it leads there', async () => {
    const told = async (sshUrl: string): Promise<string | undefined> => {
      const listing = { ...LISTING, repositories: [repository('a/one', { sshUrl })] };
      const list = await desk(listing, roads('tfs.example.com:8443/** me')).desk.list(wish('tfs.example.com:8443/tfs/A'), {
        isShared: false,
      });
      return list.projects.find(({ name }) => name === 'a')?.repositories[0]?.ssh;
    };
    expect(await told('ssh://tfs.example.com:2222/tfs/A/a/_git/one')).toBe('ssh://tfs.example.com:2222/tfs/A/a/_git/one');
    for (const wrong of [
      'ssh://evil.example/tfs',
      'https://tfs.example.com/tfs',
      'ssh://a:b@tfs.example.com/x',
      'ssh://-oProxyCommand=x@tfs.example.com/x',
      '',
    ])
      expect(await told(wrong), wrong).toBeUndefined();
  });

  it('says in the log that there was none, and why', async () => {
    const { desk: own, logger } = desk(new ProxyError('upstream-forbidden', 'No'), roads('dev.azure.com/** me'));
    await expect(own.list(wish('contoso'), { isShared: false })).rejects.toMatchObject({ code: 'upstream-forbidden' });
    expect(logger.lines).toEqual([{ level: 'warn', event: 'repos-refused', fields: { code: 'upstream-forbidden', what: 'No' } }]);
  });
});

describe('reposActions()', () => {
  it.each([undefined, null, 'contoso', {}, { account: 3 }, { account: 'contoso', project: 1 }, { account: 'contoso', identity: {} }])(
    'refuse %j',
    async (body) => {
      const { desk: own, asked } = desk(LISTING, roads('dev.azure.com/** me'));
      const act = async (): Promise<unknown> => reposActions(own, { isShared: false }).get('/repos/list')?.(body);
      await expect(act()).rejects.toMatchObject({ code: 'usage', message: 'The daemon does not understand what was asked' });
      expect(asked).toEqual([]);
    },
  );

  it('know whether a group may ask', async () => {
    const { desk: own } = desk(LISTING, roads('dev.azure.com/contoso/b/** me'));
    for (const [isShared, leftOut] of [
      [true, 2],
      [false, 0],
    ] as const)
      expect(await reposActions(own, { isShared }).get('/repos/list')?.({ account: 'contoso' })).toMatchObject({ leftOut });
  });
});
