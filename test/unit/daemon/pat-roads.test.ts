import { describe, expect, it } from 'vitest';
import { askFor, type PatRoads } from '../../../src/daemon/pat-roads.js';
import { RouteTable } from '../../../src/gate/route-table.js';
import type { IdentitySettings, Route } from '../../../src/model/settings.js';

const NO_ENTRA = { tenant: undefined, clientId: undefined, authority: undefined, resource: 'r', ca: undefined, proxy: undefined };

function person(name: string): IdentitySettings {
  return { name, kind: 'browser', user: undefined, ...NO_ENTRA };
}

const APPLICATION: IdentitySettings = { name: 'agents', kind: 'client-secret', secret: { kind: 'env', name: 'UNUSED' }, ...NO_ENTRA };

/** Routes of dev.azure.com, as `ORGANISATION/... identity`. */
function roads(...written: string[]): PatRoads {
  const routes = written.map((text): Route => {
    const [path = '', identity = ''] = text.split(' ');
    return {
      match: `dev.azure.com/${path}`,
      identity,
      allow: ['fetch'],
      hostKind: 'azure-services',
      upstream: undefined,
      ca: undefined,
      proxy: undefined,
      refs: undefined,
      ssh: { kind: 'bridge' },
    };
  });
  return { routes: new RouteTable(routes), identities: [person('me'), person('other'), APPLICATION] };
}

describe('askFor() without an identity', () => {
  it.each([
    ['the one that the whole organisation has, whatever comes before it', ['contoso/web/api other', 'contoso/** me'], 'me'],
    ['the one of a route for all organisations', ['contoso/web/api other', '** me'], 'me'],
    ['the only person among applications', ['contoso/web/api other', 'contoso/** agents'], 'other'],
    ['the same person of several routes', ['contoso/web/* me', 'contoso/api/* me'], 'me'],
  ])('takes %s', (_, written, identity) => {
    expect(askFor(roads(...written), 'contoso').identity).toBe(identity);
  });

  it('asks which of several is meant where none has the whole organisation', () => {
    expect(() => askFor(roads('contoso/web/* me', 'contoso/api/* other'), 'contoso')).toThrow(
      expect.objectContaining({ code: 'usage', todo: 'name one of them with --identity: me, other' }),
    );
  });

  it('goes by the first route of an identity that is named', () => {
    const { identity, route } = askFor(roads('contoso/web/* other', 'contoso/** me'), 'contoso', 'other');
    expect([identity, route.match]).toEqual(['other', 'dev.azure.com/contoso/web/*']);
  });
});
