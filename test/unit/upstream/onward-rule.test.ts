import { describe, expect, it } from 'vitest';
import type { RepoAddress } from '../../../src/model/address.js';
import type { Route } from '../../../src/model/settings.js';
import { judgeTarget, type OnwardVerdict } from '../../../src/upstream/onward-rule.js';
import { addressOf, route } from '../route.js';

const OID = 'a'.repeat(64);
const REPO = 'dev.azure.com/contoso/Payments/_git/web';

function found(text: string): RepoAddress {
  const address = addressOf(text);
  if (address === undefined) throw new Error(`${text} is no address`);
  return address;
}

interface Case {
  readonly repository?: string;
  readonly also?: Partial<Route>;
  readonly hosts?: readonly string[];
  readonly isObject?: boolean;
}

function judge(url: string, { repository = REPO, also = {}, hosts = [], isObject = true }: Case = {}): OnwardVerdict {
  return judgeTarget(new URL(url), { route: route('dev.azure.com/**', also), address: found(repository), hosts, isObject });
}

/** What was judged, in short. */
function short(verdict: OnwardVerdict): string {
  switch (verdict.kind) {
    case 'no':
      return `no: ${verdict.what}`;
    case 'own':
      return `own ${verdict.origin.href} ${verdict.path}`;
    case 'foreign':
      return `foreign ${verdict.origin.origin} ${verdict.path} ${verdict.mayBePrivate ? 'listed' : 'public'}`;
  }
}

const MAPPED = { also: { upstream: new URL('https://gate.example:8443/azure') } };
const TFS = { repository: 'tfs.example.com/tfs/Main/App/_git/web', also: { hostKind: 'azure-server' } } as const;
const GENERIC = { repository: 'gitlab.com/team/app', also: { hostKind: 'generic' } } as const;

describe('judgeTarget()', () => {
  it.each<[string, string, Case]>([
    [
      `https://${REPO}/info/lfs/objects/${OID}?sig=1`,
      `own https://dev.azure.com/ /contoso/Payments/_git/web/info/lfs/objects/${OID}?sig=1`,
      {},
    ],
    [`https://DEV.azure.com:443/Contoso/x/_git/y/info/lfs/z`, 'own https://dev.azure.com/ /Contoso/x/_git/y/info/lfs/z', {}],
    [
      'https://contoso.visualstudio.com/Payments/_git/web/info/lfs/objects/1',
      'own https://contoso.visualstudio.com/ /Payments/_git/web/info/lfs/objects/1',
      {},
    ],
    [
      'https://dev.azure.com/contoso/Payments/_git/web/info/lfs/objects/1',
      'own https://dev.azure.com/ /contoso/Payments/_git/web/info/lfs/objects/1',
      { repository: 'contoso.visualstudio.com/Payments/_git/web' },
    ],
    [
      'https://dev.azure.com/contoso/Payments/_git/web/info/lfs/objects/1',
      'own https://gate.example:8443/azure /azure/contoso/Payments/_git/web/info/lfs/objects/1',
      MAPPED,
    ],
    [
      'https://contoso.visualstudio.com/DefaultCollection/Payments/_git/web/info/lfs/objects/1?a=b',
      'own https://gate.example:8443/azure /azure/contoso/Payments/_git/web/info/lfs/objects/1?a=b',
      MAPPED,
    ],
    [
      'https://gate.example:8443/azure/contoso/Payments/_git/web/info/lfs/objects/1',
      'own https://gate.example:8443/azure /azure/contoso/Payments/_git/web/info/lfs/objects/1',
      MAPPED,
    ],
    [
      'https://tfs.example.com/tfs/Main/App/_git/web/info/lfs/objects/1',
      'own https://tfs.example.com/ /tfs/Main/App/_git/web/info/lfs/objects/1',
      TFS,
    ],
    ['https://gitlab.com/storage/1', 'own https://gitlab.com/ /storage/1', GENERIC],
    [
      'http://127.0.0.1:9000/base/objects/1',
      'own http://127.0.0.1:9000/base /base/objects/1',
      { ...GENERIC, also: { upstream: new URL('http://127.0.0.1:9000/base') } },
    ],
    ['https://a.blob.core.windows.net/c/1?sig=x%2Fy', 'foreign https://a.blob.core.windows.net /c/1?sig=x%2Fy public', {}],
    [
      'https://objects.example.com:9000/b/1',
      'foreign https://objects.example.com:9000 /b/1 listed',
      { hosts: ['objects.example.com:9000'] },
    ],
    ['https://10.1.2.3/b/1', 'foreign https://10.1.2.3 /b/1 listed', { hosts: ['10.1.2.3'] }],
    ['https://a.blob.core.windows.net/c', 'foreign https://a.blob.core.windows.net /c listed', { hosts: ['a.blob.core.windows.net'] }],
  ])('lets %s pass', (url, expected, options) => expect(short(judge(url, options))).toBe(expected));

  it.each<[string, RegExp, Case]>([
    // Metadata, loopback, private hosts: by whatever name, they are on no list.
    ['https://169.254.169.254/latest/meta-data', /^The upstream names 169\.254\.169\.254 for this, which is neither/, {}],
    ['https://[::ffff:169.254.169.254]/', /^The upstream names \[::ffff:a9fe:a9fe\] for this/, {}],
    ['https://2852039166/', /^The upstream names 169\.254\.169\.254 for this/, {}],
    ['https://localhost/x', /^The upstream names localhost for this/, {}],
    ['https://localhost:8417/x', /^The upstream names localhost:8417 for this/, {}],
    ['https://0x7f.1/x', /^The upstream names 127\.0\.0\.1 for this/, {}],
    ['https://build.corp.example/x', /^The upstream names build\.corp\.example for this/, {}],
    // Other schemes.
    ['http://a.blob.core.windows.net/c', /^The upstream names an address for this that begins with http:, and only https/, {}],
    ['http://dev.azure.com/contoso/Payments/_git/web/info/lfs/objects/1', /begins with http:/, {}],
    ['http://objects.example.com/c', /begins with http:/, { hosts: ['objects.example.com'] }],
    ['file:///etc/passwd', /begins with file:/, {}],
    ['file://dev.azure.com/contoso/info/lfs/x', /begins with file:/, {}],
    ['ftp://a.blob.core.windows.net/c', /begins with ftp:/, {}],
    ['data:text/plain,x', /begins with data:/, {}],
    ['ssh://git@ssh.dev.azure.com/v3/contoso/Payments/web', /user name/, {}],
    // Other ports.
    ['https://dev.azure.com:8443/contoso/Payments/_git/web/info/lfs/objects/1', /^The upstream names dev\.azure\.com:8443 for this/, {}],
    ['https://a.blob.core.windows.net:8443/c', /^The upstream names a\.blob\.core\.windows\.net:8443 for this/, {}],
    ['https://objects.example.com:9001/c', /objects\.example\.com:9001/, { hosts: ['objects.example.com', 'objects.example.com:9000'] }],
    // Names that only look like it.
    ['https://evil-dev.azure.com/contoso/info/lfs/x', /evil-dev\.azure\.com/, {}],
    ['https://dev.azure.com.evil.example/contoso/info/lfs/x', /dev\.azure\.com\.evil\.example/, {}],
    ['https://dev.azure.com./contoso/info/lfs/x', /^The upstream names dev\.azure\.com\. for this/, {}],
    ['https://dev.azur\u0435.com/contoso/info/lfs/x', /dev\.xn--azur-y4d\.com/, {}],
    // More than an address.
    [
      'https://dev.azure.com@evil.example/contoso/info/lfs/x',
      /^The upstream names an address on evil\.example with a user name in it$/,
      {},
    ],
    ['https://u:secret@dev.azure.com/contoso/Payments/_git/web/info/lfs/objects/1', /on dev\.azure\.com with a user name in it$/, {}],
    ['https://a.blob.core.windows.net/c#x', /with a fragment/, {}],
    ['https://a.blob.core.windows.net//evil.example/c', /cannot be read in one way/, {}],
    // Its own hosts, but not where our credential should go.
    [
      'https://dev.azure.com/fabrikam/Payments/_git/web/info/lfs/objects/1',
      /^The upstream names an address of another organisation, fabrikam$/,
      {},
    ],
    ['https://dev.azure.com/fabrikam/Payments/_git/web/info/lfs/objects/1', /another organisation, fabrikam/, MAPPED],
    [
      'https://fabrikam.visualstudio.com/Payments/_git/web/info/lfs/objects/1',
      /^The upstream names fabrikam\.visualstudio\.com for this/,
      {},
    ],
    ['https://dev.azure.com/contoso/_apis/tokens/pats', /^The upstream names an address of its own for an object that is none of LFS$/, {}],
    ['https://dev.azure.com/contoso/Payments/_git/web/info/refs', /none of LFS/, {}],
    ['https://tfs.example.com/tfs/Main/_apis/tokens', /none of LFS/, TFS],
    ['https://dev.azure.com//evil.example/info/lfs/x', /cannot be read in one way: the path has an empty segment/, {}],
    ['https://dev.azure.com/contoso%2f..%2ffabrikam/info/lfs/x', /cannot be read in one way: the path has an encoded slash/, {}],
    ['https://gate.example:8443/elsewhere/info/lfs/x', /outside of the upstream of the route$/, MAPPED],
    ['https://gate.example:8443/azurefoo/info/lfs/x', /outside of the upstream of the route$/, MAPPED],
    ['https://gate.example/azure/info/lfs/x', /^The upstream names gate\.example for this/, MAPPED],
    // Storage of Azure's is nobody else's.
    ['https://a.blob.core.windows.net/c', /which is neither one of its own hosts nor storage/, TFS],
    ['https://a.blob.core.windows.net/c', /which is neither one of its own hosts nor storage/, GENERIC],
    ['https://objects.example.com/c', /which is neither/, { hosts: ['example.com', 'evil-objects.example.com'] }],
  ])('lets %s not pass', (url, what, options) => {
    const verdict = judge(url, options);
    expect(verdict.kind === 'no' && verdict.what).toMatch(what);
  });

  it('says which key lets a host in, and shows nothing of the address but its host', () => {
    const verdict = judge('https://objects.example.com/bucket/1?X-Amz-Signature=c0ffee');
    expect(verdict).toEqual({
      kind: 'no',
      what: 'The upstream names objects.example.com for this, which is neither one of its own hosts nor storage that it is known to have',
      todo: 'if it should be used, list objects.example.com under `lfs: { hosts: [...] }` in the configuration',
    });
  });

  it('lets a package be anywhere in its organisation', () => {
    expect(short(judge('https://dev.azure.com/contoso/_apis/packaging/x', { isObject: false }))).toBe(
      'own https://dev.azure.com/ /contoso/_apis/packaging/x',
    );
  });
});
