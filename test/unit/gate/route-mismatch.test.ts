import { describe, expect, it } from 'vitest';
import { RouteTable } from '../../../src/gate/route-table.js';
import { addressOf, route } from '../route.js';

/** What each route that is passed by differs in, as one line each. */
function passedBy(spelled: string, ...matches: (string | [string, 'azure-server' | 'generic'])[]): string[] {
  const table = new RouteTable(
    matches.map((match) => (typeof match === 'string' ? route(match) : route(match[0], { hostKind: match[1] }))),
  );
  const address = addressOf(spelled, table);
  if (address === undefined) throw new Error(`${spelled} is no address`);
  return table.passedBy(address).map(({ match, part, wanted, found }) => `${match}: ${part} ${found ?? 'ends'}, not ${wanted ?? 'ended'}`);
}

describe('RouteTable.passedBy()', () => {
  it('names the first part that differs, of each route before the one that takes the address', () => {
    expect(
      passedBy(
        'dev.azure.com/contoso/Web/_git/app',
        ['git.example.com/**', 'generic'],
        'dev.azure.com/fabrikam/**',
        'dev.azure.com/contoso/Payments/*',
        'dev.azure.com/*/web/api',
        'dev.azure.com/contoso/web',
        'dev.azure.com/contoso/web/app/more',
        'dev.azure.com/contoso/**',
        'dev.azure.com/fabrikam/late/*',
      ),
    ).toEqual([
      'git.example.com/**: kind of host azure-services, not generic',
      'dev.azure.com/fabrikam/**: organisation contoso, not fabrikam',
      'dev.azure.com/contoso/Payments/*: project web, not payments',
      'dev.azure.com/*/web/api: repository app, not api',
      'dev.azure.com/contoso/web: repository app, not ended',
      'dev.azure.com/contoso/web/app/more: repository ends, not more',
    ]);
  });

  it('has none for the first route, and all where no route takes it', () => {
    expect(passedBy('dev.azure.com/contoso/web/_git/app', 'dev.azure.com/**', 'dev.azure.com/contoso/**')).toEqual([]);
    expect(passedBy('dev.azure.com/contoso/web/_git/app', 'dev.azure.com/fabrikam/**')).toHaveLength(1);
  });

  it('names the parts of other hosts', () => {
    expect(
      passedBy(
        'tfs.example.com/tfs/main/web/_git/app',
        ['other.example.com/**', 'azure-server'],
        ['tfs.example.com/tfs/old/**', 'azure-server'],
        ['tfs.example.com/**', 'azure-server'],
      ),
    ).toEqual([
      'other.example.com/**: host tfs.example.com, not other.example.com',
      'tfs.example.com/tfs/old/**: collection main, not old',
    ]);
    expect(passedBy('git.example.com/team/app', ['git.example.com/Team/app', 'generic'], ['git.example.com/ops/*', 'generic'])).toEqual([]);
    expect(passedBy('git.example.com/team/app', ['git.example.com/ops/*', 'generic'], ['git.example.com/**', 'generic'])).toEqual([
      'git.example.com/ops/*: path team, not ops',
    ]);
  });
});
