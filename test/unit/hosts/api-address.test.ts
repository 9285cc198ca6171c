import { describe, expect, it } from 'vitest';
import { isApiPath, parseApiAddress } from '../../../src/hosts/api-address.js';
import { withNames } from '../../../src/hosts/guid-address.js';
import { inferHostKind } from '../../../src/model/host-name.js';

const GUID = '6ce954b1-ce1f-45d1-b94d-e6bf2464ba2c';
const OTHER = '11111111-2222-3333-4444-555555555555';

function canonical(text: string): string {
  const [host = ''] = text.split('/');
  const parsed = parseApiAddress(inferHostKind(host), host, Buffer.from(text.slice(host.length), 'utf8').toString('latin1'));
  return parsed.kind === 'fault' ? `no: ${parsed.what}` : parsed.address.canonical.join('/');
}

describe('parseApiAddress()', () => {
  it.each([
    ['dev.azure.com/Contoso/_apis', 'dev.azure.com/contoso'],
    ['dev.azure.com/contoso/_apis/projects/', 'dev.azure.com/contoso'],
    ['dev.azure.com/contoso/My%20Project/_APIS/wit/wiql', 'dev.azure.com/contoso/my project'],
    ['dev.azure.com/contoso/Payments/Team%201/_apis/wit/wiql', 'dev.azure.com/contoso/payments'],
    ['dev.azure.com/contoso/Payments/_apis/git/repositories/Web/items', 'dev.azure.com/contoso/payments/web'],
    ['dev.azure.com/contoso/Payments/_apis/%67it/repositories/Web/items', 'dev.azure.com/contoso/payments/web'],
    ['dev.azure.com/contoso/DefaultCollection/Payments/_apis/git/repositories/Web', 'dev.azure.com/contoso/payments/web'],
    ['dev.azure.com/contoso/_apis/git/Payments/repositories/Web/refs', 'dev.azure.com/contoso/payments/web'],
    ['dev.azure.com/contoso/_apis/git/Payments/repositoriesPaged', 'dev.azure.com/contoso/payments'],
    [`dev.azure.com/contoso/_apis/git/repositories/${GUID}`, `dev.azure.com/contoso/*/${GUID}`],
    ['dev.azure.com/contoso/Payments/_apis/git/repositories', 'dev.azure.com/contoso/payments'],
    ['dev.azure.com/contoso/_apis/git/pullrequests/7', 'dev.azure.com/contoso'],
    ['contoso.visualstudio.com/_apis/projects', 'dev.azure.com/contoso'],
    ['contoso.visualstudio.com/DefaultCollection/Payments/_apis/git/repositories/Web', 'dev.azure.com/contoso/payments/web'],
    ['vssps.dev.azure.com/contoso/_apis/graph/users', 'dev.azure.com/contoso'],
    ['contoso.vsrm.visualstudio.com/Payments/_apis/release/releases', 'dev.azure.com/contoso/payments'],
    ['vstmr.dev.azure.com/contoso/Payments/_apis/testresults/runs', 'dev.azure.com/contoso/payments'],
    ['pkgs.dev.azure.com/contoso/_packaging/tools/npm/registry/left-pad', 'dev.azure.com/contoso'],
    ['pkgs.dev.azure.com/contoso/Payments/_packaging/tools/nuget/v3/index.json', 'dev.azure.com/contoso/payments'],
    ['app.vssps.visualstudio.com/_apis/profile/profiles/me', 'dev.azure.com'],
    ['app.vssps.visualstudio.com/_apis/accounts', 'dev.azure.com'],
    ['tfs.example.com/tfs/DefaultCollection/Payments/_apis/git/repositories/Web', 'tfs.example.com/tfs/defaultcollection/payments/web'],
    ['tfs.example.com/tfs/DefaultCollection/Payments/Team/_apis/wit/wiql', 'tfs.example.com/tfs/defaultcollection/payments'],
    ['tfs.example.com/Main/Payments/_apis/git/repositories/Web', 'tfs.example.com/main/payments/web'],
    ['tfs.example.com/Main/Payments/Team/_apis/wit/wiql', 'tfs.example.com/main/payments'],
    ['tfs.example.com/ado/Main/Payments/_apis/git/repositories/Web', 'tfs.example.com/ado/main/payments/web'],
    ['tfs.example.com/Main/_apis/projects', 'tfs.example.com/main'],
  ])('reads %s as %s', (text, expected) => {
    expect(canonical(text)).toBe(expected);
  });

  it.each([
    'dev.azure.com/_apis/projects',
    'dev.azure.com/contoso/_apis/git/repositories/web',
    'dev.azure.com/contoso/Payments/Team/_apis/git/repositories/web',
    'dev.azure.com/contoso/Payments/_apis/git/Other/repositories/web',
    'dev.azure.com/contoso/a/b/c/_apis/projects',
    'dev.azure.com/contoso/_apis/x/_apis/tokens/pats',
    'dev.azure.com/contoso/_apis%3bx/_apis/projects',
    'dev.azure.com/contoso/P/_apis%3bx/_apis/projects',
    'dev.azure.com/contoso/_apis/x/_APIS/tokens/pats',
    'dev.azure.com/contoso/_packaging/feed/_apis/tokens/pats',
    'dev.azure.com/contoso/_git/_apis/projects',
    'dev.azure.com/contoso/_details/_apis/projects',
    'dev.azure.com/contoso/Payments./_apis/projects',
    'dev.azure.com/contoso/Payments%20/_apis/projects',
    'dev.azure.com/contoso/Payments/_apis/git/repositories/web.',
    'dev.azure.com/contoso/*/_apis/git/repositories/web',
    'dev.azure.com/contoso/%2e%2e/_apis/projects',
    'dev.azure.com/contoso/a%2fb/_apis/projects',
    'dev.azure.com/contoso/%c0%af/_apis/projects',
    'dev.azure.com/contoso/%2561/_apis/projects',
    'vstoken.dev.azure.com/contoso/_apis/projects',
    'evil.dev.azure.com/contoso/_apis/projects',
    'app.vssps.visualstudio.com/_apis/token/sessiontokens',
    'app.vssps.visualstudio.com/contoso/_apis/accounts',
    'app.vsaex.visualstudio.com/_apis/accounts',
    'tfs.example.com/_apis/projects',
    'tfs.example.com/tfs/_apis/projects',
    'github.com/contoso/_apis/projects',
  ])('does not read %s', (text) => {
    expect(canonical(text)).toMatch(/^no: /);
  });

  it.each<[string, string | undefined, readonly number[]]>([
    [`dev.azure.com/contoso/_apis/git/repositories/${GUID}/items`, `/contoso/_apis/git/repositories/${GUID}`, [4]],
    [`dev.azure.com/contoso/_apis/git/repositories/%7B${GUID}%7D`, `/contoso/_apis/git/repositories/%7B${GUID}%7D`, [4]],
    [
      `dev.azure.com/contoso/P/_apis/git/repositories/${GUID.replaceAll('-', '')}`,
      `/contoso/P/_apis/git/repositories/${GUID.replaceAll('-', '')}`,
      [4],
    ],
    [`dev.azure.com/contoso/${GUID}/_apis/git/repositories/web`, `/contoso/${GUID}/_apis/git/repositories/web`, [4]],
    [`vsrm.dev.azure.com/contoso/${GUID}/_apis/release/releases`, `/contoso/_apis/projects/${GUID}`, [3]],
    [`tfs.example.com/tfs/Main/_apis/git/repositories/${GUID}`, `/tfs/Main/_apis/git/repositories/${GUID}`, [5]],
    [`tfs.example.com/Main/P/_apis/git/repositories/${GUID}`, `/Main/P/_apis/git/repositories/${GUID}`, [4, 5]],
    ['dev.azure.com/contoso/P/_apis/git/repositories/web', undefined, []],
  ])('of %s asks %s for the names', (text, ask, lengths) => {
    const [host = ''] = text.split('/');
    const parsed = parseApiAddress(inferHostKind(host), host, text.slice(host.length));
    const guids = parsed.kind === 'address' ? parsed.address.guids : undefined;
    expect(guids?.ask).toBe(ask);
    expect(guids?.lengths ?? []).toEqual(lengths);
  });

  it.each([
    [`dev.azure.com/contoso/_apis/git/repositories/${GUID}`, 'dev.azure.com/contoso/payments/web'],
    // Whatever project stands there: the repository is in its own.
    [`dev.azure.com/contoso/Open/_apis/git/repositories/${GUID}`, 'dev.azure.com/contoso/payments/web'],
    [`dev.azure.com/contoso/${OTHER}/_apis/git/repositories/${GUID}`, 'dev.azure.com/contoso/payments/web'],
    [`tfs.example.com/tfs/Main/_apis/git/repositories/${GUID}`, 'tfs.example.com/tfs/main/payments/web'],
    [`tfs.example.com/Main/_apis/git/repositories/${GUID}`, 'tfs.example.com/main/payments/web'],
    [`tfs.example.com/Main/Payments/_apis/git/repositories/${GUID}`, 'tfs.example.com/main/payments/web'],
    // `ado` is a virtual directory, as the project shows.
    [`tfs.example.com/ado/Main/_apis/git/repositories/${GUID}`, 'tfs.example.com/ado/main/payments/web'],
    [`tfs.example.com/ado/Main/${OTHER}/_apis/git/repositories/${GUID}`, 'tfs.example.com/ado/main/payments/web'],
  ])('is %s with its names %s', (text, expected) => {
    const [host = ''] = text.split('/');
    const parsed = parseApiAddress(inferHostKind(host), host, text.slice(host.length));
    if (parsed.kind === 'fault') throw new Error(parsed.what);
    expect(withNames(parsed.address, { project: 'Payments', repository: 'Web' }).canonical.join('/')).toBe(expected);
  });
});

describe('isApiPath()', () => {
  it.each(['/contoso/_apis', '/contoso/_APIS/x/', '/contoso/%5fapis/x', '/c/_packaging/f', '/c/_apis/%2561', '/c/_apis//x'])(
    'knows %s',
    (path) => {
      expect(isApiPath(path)).toBe(true);
    },
  );

  it.each(['/contoso/p/_git/r', '/contoso/_api/x', '/contoso/apis', '/x/%ff'])('leaves %s alone', (path) => {
    expect(isApiPath(path)).toBe(false);
  });
});
