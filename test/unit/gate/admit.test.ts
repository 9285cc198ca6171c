import { describe, expect, it } from 'vitest';
import { admit } from '../../../src/gate/admit.js';
import { RouteTable } from '../../../src/gate/route-table.js';
import type { Caller } from '../../../src/model/caller.js';
import type { HttpOperation } from '../../../src/model/operation.js';
import type { Permission } from '../../../src/model/operation.js';
import { addressOf, route } from '../route.js';

const CALLER: Caller = {
  kind: 'user',
  uid: 1000,
  peer: { address: '127.0.0.1:50000', ip: '127.0.0.1', uid: { kind: 'known', uid: 1000 } },
};
const NOW = 0;

function operation(kind: HttpOperation['kind'], step: HttpOperation['step'] = 'advertisement'): HttpOperation {
  return { kind, step, address: addressOf('dev.azure.com/Contoso/web/_git/App')! };
}

function tableWith(...allow: Permission[]): RouteTable {
  return new RouteTable([route('dev.azure.com/contoso/**', { allow, identity: 'agents' }), route('dev.azure.com/**')]);
}

describe('admit()', () => {
  it.each<[allow: Permission[], kind: HttpOperation['kind'], passes: boolean]>([
    [['fetch', 'push', 'lfs'], 'fetch', true],
    [['fetch', 'push', 'lfs'], 'push', true],
    [['fetch'], 'fetch', true],
    [['fetch'], 'push', false],
    [['push'], 'fetch', false],
    [['push'], 'push', true],
    [['lfs', 'api'], 'fetch', false],
    [['lfs', 'api'], 'push', false],
  ])('with %j, for a %s: %s', (allow, kind, passes) => {
    for (const step of ['advertisement', 'exchange'] as const) {
      const decision = admit(operation(kind, step), CALLER, tableWith(...allow), NOW);
      if (passes) expect(decision).toMatchObject({ kind: 'pass', route: { match: 'dev.azure.com/contoso/**' } });
      else
        expect(decision).toEqual({
          kind: 'refusal',
          code: 'not-allowed',
          status: 403,
          what: `The route allows ${allow.join(', ')}, not ${kind}`,
          todo: `add ${kind} to \`allow\` of this route if it should be possible`,
          route: 'dev.azure.com/contoso/**',
          identity: 'agents',
        });
    }
  });

  it('does not go on to a wider route when the first one says no', () => {
    const routes = new RouteTable([
      route('dev.azure.com/contoso/web/app', { allow: ['fetch'] }),
      route('dev.azure.com/**', { allow: ['fetch', 'push'] }),
    ]);
    expect(admit(operation('push'), CALLER, routes, NOW)).toMatchObject({ code: 'not-allowed', route: 'dev.azure.com/contoso/web/app' });
  });

  it('refuses what only looks like the repository of a route, and names both', () => {
    const routes = new RouteTable([
      route('dev.azure.com/contoso/kiosk/app', { allow: ['fetch'], identity: 'agents' }),
      route('dev.azure.com/**'),
    ]);
    const address = addressOf('dev.azure.com/contoso/\u212aiosk/_git/app')!;
    expect(admit({ kind: 'push', step: 'exchange', address }, CALLER, routes, NOW)).toEqual({
      kind: 'refusal',
      code: 'no-route',
      status: 403,
      what: 'dev.azure.com/contoso/\u212aiosk/app only looks like what the route dev.azure.com/contoso/kiosk/app names: to its host it may be another repository',
      todo: 'write the names in the address letter by letter as the route does, or a route of its own before that one',
      route: 'dev.azure.com/contoso/kiosk/app',
      identity: 'agents',
    });
  });

  it('refuses what no route covers, and says how to find out why', () => {
    const decision = admit(operation('fetch'), CALLER, new RouteTable([route('dev.azure.com/fabrikam/**')]), NOW);
    expect(decision).toMatchObject({
      kind: 'refusal',
      code: 'no-route',
      status: 403,
      what: 'No route matches dev.azure.com/Contoso/web/App',
    });
    expect(decision.kind === 'refusal' && decision.todo).toContain('postern route explain');
  });
});
