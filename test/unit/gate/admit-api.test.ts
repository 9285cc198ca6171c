/**
 * Promise: the REST API is no way round the rules for refs, and a GUID is no way round the rules for names. The attacks: a lease for agents'
 * branches that has the API complete a pull request into main; a repository that a narrow route keeps back, asked for by its id.
 */
import { describe, expect, it } from 'vitest';
import { admit } from '../../../src/gate/admit.js';
import { routesToName } from '../../../src/gate/guid-rules.js';
import { RouteTable } from '../../../src/gate/route-table.js';
import { withNames } from '../../../src/hosts/guid-address.js';
import { parseApiAddress } from '../../../src/hosts/api-address.js';
import type { RepoAddress } from '../../../src/model/address.js';
import type { Caller } from '../../../src/model/caller.js';
import type { Caveat } from '../../../src/model/lease.js';
import type { ApiOperation, ApiStep } from '../../../src/model/operation.js';
import { inferHostKind } from '../../../src/model/host-name.js';
import { REF_CHANGES, type RefRules } from '../../../src/model/refs.js';
import { addressOf, route } from '../route.js';
import { grant, NOW, PEER, repo } from './lease-world.js';

const GUID = '6ce954b1-ce1f-45d1-b94d-e6bf2464ba2c';
const USER: Caller = { kind: 'user', uid: 1000, peer: PEER };
const ALL = ['fetch', 'push', 'lfs', 'api'] as const;
const EVERYTHING: RefRules = { allow: ['refs/**'], protect: [], changes: [...REF_CHANGES] };

function holder(also: Partial<Caveat>, ...more: Caveat[]): Caller {
  return { kind: 'lease', peer: PEER, lease: { keyId: '00000000000000aa', caveats: [grant({ allow: ALL, ...also }), ...more] } };
}

function api(path: string): RepoAddress {
  const [host = ''] = path.split('/');
  const parsed = parseApiAddress(inferHostKind(host), host, path.slice(host.length));
  if (parsed.kind === 'fault') throw new Error(parsed.what);
  return parsed.address;
}

function call(step: ApiStep, path = 'dev.azure.com/contoso/web/_apis/git/repositories/app/pullrequests'): ApiOperation {
  return { kind: 'api', step, address: api(path), query: '' };
}

const decide = (operation: ApiOperation, caller: Caller, routes: RouteTable): string => {
  const decision = admit(operation, caller, routes, NOW);
  return decision.kind === 'pass' ? `pass by ${decision.route.match}` : decision.code;
};
const OPEN = new RouteTable([route('dev.azure.com/**', { allow: ALL })]);

describe('admit() of calls of the REST API', () => {
  it.each<[step: ApiStep, allow: readonly (typeof ALL)[number][], expected: string]>([
    ['read', ['api'], 'pass by dev.azure.com/**'],
    ['discovery', ['api'], 'pass by dev.azure.com/**'],
    ['read', ['fetch', 'push', 'lfs'], 'not-allowed'],
    ['discovery', ['fetch', 'push', 'lfs'], 'not-allowed'],
    ['write', ['api', 'fetch'], 'not-allowed'],
    ['write-beside-refs', ['api', 'fetch'], 'not-allowed'],
    ['write', ['api', 'push'], 'pass by dev.azure.com/**'],
    ['write-beside-refs', ['api', 'push'], 'pass by dev.azure.com/**'],
  ])('%s with %j: %s', (step, allow, expected) => {
    expect(decide(call(step), USER, new RouteTable([route('dev.azure.com/**', { allow })]))).toBe(expected);
  });

  it.each<[what: string, refs: Partial<RefRules>]>([
    ['allows some refs', { allow: ['refs/heads/*'] }],
    ['allows none', { allow: [] }],
    ['protects one', { protect: ['refs/heads/main'] }],
    ['allows some changes', { changes: ['create', 'update', 'tag'] }],
  ])('refuses what may change a ref on a route that %s, and nothing else', (_, refs) => {
    const limited = new RouteTable([route('dev.azure.com/**', { allow: ALL, refs: { ...EVERYTHING, ...refs } })]);
    expect(decide(call('write'), USER, limited)).toBe('ref-refused');
    for (const step of ['read', 'discovery', 'write-beside-refs'] as const) expect(decide(call(step), USER, limited)).toMatch(/^pass/);
  });

  it('lets everything through where every ref may be changed in every way', () => {
    expect(decide(call('write'), USER, new RouteTable([route('dev.azure.com/**', { allow: ALL, refs: EVERYTHING })]))).toMatch(/^pass/);
    expect(decide(call('write'), holder({ refs: ['refs/**'], changes: REF_CHANGES }), OPEN)).toMatch(/^pass/);
  });

  it('refuses what may change a ref to a lease that limits them, in its grant or in any narrowing', () => {
    const whole = { refs: ['refs/**'], changes: REF_CHANGES };
    expect(decide(call('write'), holder({}), OPEN)).toBe('ref-refused');
    expect(decide(call('write-beside-refs'), holder({}), OPEN)).toMatch(/^pass/);
    const narrowings: Partial<Caveat>[] = [{ refs: ['refs/heads/a'] }, { protect: ['refs/heads/main'] }, { changes: ['create'] }];
    for (const narrowing of narrowings)
      expect(decide(call('write'), holder(whole, { id: '2222222222222222', ...narrowing }), OPEN)).toBe('ref-refused');
  });

  it('limits a lease to its repositories', () => {
    const own = holder({ repos: [repo('contoso', 'web', 'app')] });
    const of = (path: string): string => decide(call('read', `dev.azure.com/contoso${path}`), own, OPEN);
    expect(of('/web/_apis/git/repositories/app/items')).toMatch(/^pass/);
    expect(of('/_apis/git/web/repositories/APP')).toMatch(/^pass/);
    for (const path of [
      '/web/_apis/git/repositories/other/items',
      '/other/_apis/git/repositories/app/items',
      '/web/_apis/git/repositories',
      '/_apis/git/pullrequests/7',
      '/web/_apis/wit/workitems/1',
      '/_apis/projects',
      `/_apis/git/repositories/${GUID}`,
      `/web/_apis/git/repositories/${GUID}`,
    ])
      expect(of(path), path).toBe('lease-insufficient');
  });

  it('lets a lease and a narrow route ask where things are, and nobody else', () => {
    const where = call('discovery', 'dev.azure.com/contoso/_apis/resourceAreas');
    const elsewhere = call('discovery', 'dev.azure.com/fabrikam/_apis/resourceAreas');
    const own = holder({ repos: [repo('contoso', 'web', 'app')] });
    expect(decide(where, own, OPEN)).toMatch(/^pass/);
    expect(decide(elsewhere, own, OPEN)).toBe('lease-insufficient');
    const narrow = new RouteTable([
      route('dev.azure.com/contoso/other/*', { allow: ['fetch'] }),
      route('dev.azure.com/contoso/web/*', { allow: ['api'] }),
    ]);
    expect(decide(where, USER, narrow)).toBe('pass by dev.azure.com/contoso/web/*');
    expect(decide(elsewhere, USER, narrow)).toBe('no-route');
    expect(decide(where, USER, new RouteTable([route('dev.azure.com/contoso/web/*', { allow: ['fetch'] })]))).toBe('no-route');
  });
});

describe('routesToName()', () => {
  const needed = (address: RepoAddress, caller: Caller, ...routes: Parameters<typeof route>[]): readonly string[] | undefined =>
    routesToName(address, caller, new RouteTable(routes.map((each) => route(...each))))?.map(({ match }) => match);
  const byId = api(`dev.azure.com/contoso/_apis/git/repositories/${GUID}`);
  const gitById = addressOf(`dev.azure.com/contoso/${GUID}/_git/${GUID}`)!;

  it('asks nothing where one route is for all that it could be', () => {
    expect(needed(byId, USER, ['dev.azure.com/contoso/**'])).toBeUndefined();
    expect(needed(gitById, USER, ['dev.azure.com/*/**'])).toBeUndefined();
    expect(needed(byId, USER, ['dev.azure.com/fabrikam/secret/*'], ['dev.azure.com/**'])).toBeUndefined();
    expect(needed(byId, USER, ['dev.azure.com/contoso/**'], ['dev.azure.com/contoso/secret/*'])).toBeUndefined();
  });

  it('asks by the routes that it may get where a narrower one comes first', () => {
    const routes: Parameters<typeof route>[] = [['dev.azure.com/contoso/secret/*'], ['dev.azure.com/contoso/**'], ['dev.azure.com/**']];
    for (const address of [byId, gitById]) {
      expect(needed(address, USER, ...routes)).toEqual(['dev.azure.com/contoso/secret/*', 'dev.azure.com/contoso/**']);
      // What only looks like it keeps back too.
      expect(needed(address, USER, ['dev.azure.com/\uff43ontoso/secret/*'], ['dev.azure.com/contoso/**'])).toHaveLength(2);
    }
  });

  it('asks nothing where no route or no lease is for any of it', () => {
    expect(needed(byId, USER, ['dev.azure.com/fabrikam/**'])).toBeUndefined();
    expect(needed(byId, holder({ repos: [repo('fabrikam', 'web', 'app')] }), ['dev.azure.com/**'])).toBeUndefined();
  });

  it('asks for a lease that is for some of it, in any of its caveats', () => {
    expect(needed(byId, holder({}), ['dev.azure.com/**'])).toBeUndefined();
    expect(needed(byId, holder({ repos: [repo('contoso', 'web', 'app')] }), ['dev.azure.com/**'])).toHaveLength(1);
    const narrowed = holder({}, { id: '2222222222222222', repos: [repo('contoso', 'web', '*')] });
    expect(needed(gitById, narrowed, ['dev.azure.com/**'])).toHaveLength(1);
  });

  it('knows that a collection may be below a virtual directory', () => {
    const address = api(`tfs.example.com/Main/_apis/git/repositories/${GUID}`);
    const server = { hostKind: 'azure-server' } as const;
    expect(needed(address, USER, ['tfs.example.com/**', server])).toBeUndefined();
    expect(needed(address, USER, ['tfs.example.com/Main/*/*', server], ['tfs.example.com/**', server])).toHaveLength(2);
  });

  it('is about GUIDs alone', () => {
    const named = api('dev.azure.com/contoso/web/_apis/git/repositories/app');
    expect(needed(named, USER, ['dev.azure.com/contoso/secret/*'], ['dev.azure.com/**'])).toBeUndefined();
  });

  it('holds rules that are written with the GUID, for who comes by it', () => {
    const spelled = addressOf(`dev.azure.com/contoso/web/_git/${GUID}`)!;
    const exact = holder({ repos: [repo('contoso', 'web', GUID)] });
    expect(needed(spelled, exact, ['dev.azure.com/**'])).toBeUndefined();
    const operation = { kind: 'fetch', step: 'advertisement', address: spelled } as const;
    expect(admit(operation, exact, OPEN, NOW).kind).toBe('pass');
    const named = { ...operation, address: withNames(spelled, { project: 'Vault', repository: 'keys' }) };
    const table = new RouteTable([
      route(`dev.azure.com/contoso/web/${GUID}`, { allow: ['lfs'] }),
      route('dev.azure.com/**', { allow: ALL }),
    ]);
    expect(admit(named, exact, OPEN, NOW).kind).toBe('pass');
    expect(admit(named, USER, table, NOW)).toMatchObject({ code: 'not-allowed', route: `dev.azure.com/contoso/web/${GUID}` });
    // The project that stands before it is not its own, so what is for all of that project is not for it.
    expect(admit(named, holder({ repos: [repo('contoso', 'web', '*')] }), OPEN, NOW)).toMatchObject({ code: 'lease-insufficient' });
    expect(admit(named, holder({ repos: [repo('contoso', 'web', '**')] }), OPEN, NOW)).toMatchObject({ code: 'lease-insufficient' });
  });
});
