/**
 * Promise: an address that the door gave for one thing is good for that alone: this method, action, route, repository and object, until
 * its end, and only where today's rules let it lead. The attack: a client that takes it elsewhere.
 */
import { describe, expect, it } from 'vitest';
import { Ledger } from '../../../src/gate/ledger.js';
import { OnwardSeal } from '../../../src/gate/onward-seal.js';
import { LONGEST_LIFE_MS, Onward, type OnwardWay } from '../../../src/http/onward.js';
import type { DoorOperation } from '../../../src/model/operation.js';
import type { OperationRecord } from '../../../src/model/record.js';
import type { Refusal } from '../../../src/model/refusal.js';
import type { Route } from '../../../src/model/settings.js';
import { FakeClock } from '../../fakes/clock.js';
import { addressOf, route } from '../route.js';

const WEB = 'dev.azure.com/contoso/Payments/_git/web';
const OID = 'a'.repeat(64);
const ROUTE = route('dev.azure.com/**', { upstream: new URL('https://gate.example') });
const HREF = `https://${WEB}/info/lfs/objects/${OID}`;
const STORED = 'https://contoso.blob.core.windows.net/lfs/1?sig=x';

function lfs(step: 'download' | 'upload' | 'verify', { at = WEB, oid = OID }: { at?: string; oid?: string } = {}): DoorOperation {
  const address = addressOf(at);
  if (address === undefined) throw new Error(`${at} is no address`);
  return { kind: 'lfs', step, address, suffix: `.git/info/lfs/objects/${oid}?postern-to=x`, oid };
}

const clock = new FakeClock();
const seal = new OnwardSeal(undefined);
const ledger = new Ledger({ clock, logger: { log: () => undefined }, audit: { write: () => undefined, refusal: () => undefined } });
const onward = (hosts: readonly string[] = []): Onward => new Onward({ seal, hosts, clock });

/** The seal that a client is given for an object. */
function given(
  also: {
    url?: string;
    method?: 'GET' | 'PUT' | 'POST';
    action?: 'download' | 'upload' | 'verify' | 'get';
    hosts?: string[];
    headers?: Record<string, string>;
    expiresAt?: Date;
    by?: Route;
  } = {},
): string {
  const { url = HREF, method = 'GET', action = 'download', hosts = [], headers = {}, expiresAt, by = ROUTE } = also;
  const to = onward(hosts).addressFor(
    { url, method, action, oid: action === 'get' ? undefined : OID, headers, expiresAt },
    { route: by, address: lfs('download').address, local: 'http://127.0.0.1:8417/x', isByStorage: false },
  );
  if (to.kind === 'no') throw new Error(to.what);
  const sealed = Onward.sealIn(new URL(to.href).search);
  if (sealed === undefined) throw new Error(`${to.href} has no seal`);
  return sealed;
}

function use(sealed: string, also: { operation?: DoorOperation; method?: string; by?: Route; hosts?: string[] } = {}): OnwardWay | Refusal {
  const { operation = lfs('download'), method = 'GET', by = ROUTE, hosts = [] } = also;
  const record: OperationRecord = ledger.begin('127.0.0.1:1');
  return onward(hosts).wayTo(sealed, { operation, route: by, record, method });
}

describe('Onward', () => {
  it('leads to what was named: the upstream of the route, with its own credential alone', () => {
    const way = use(
      given({ headers: { authorization: 'Basic x', 'x-wanted': '1', host: 'evil.example', 'x-postern-lease': 'y', cookie: 'z' } }),
    );
    expect(way.kind === 'way' && [way.headers, way.journey.origin.href]).toEqual([{ 'x-wanted': '1' }, 'https://gate.example/']);
    expect(way.kind === 'way' && [way.journey.path, way.journey.suffix, way.journey.foreign]).toEqual([
      `/contoso/Payments/_git/web/info/lfs/objects/${OID}`,
      '',
      undefined,
    ]);
  });

  it('leads to storage without a credential of ours, with what the upstream gave for it', () => {
    const way = use(given({ url: STORED, headers: { authorization: 'Bearer of-the-storage', 'transfer-encoding': 'chunked' } }));
    expect(way.kind === 'way' && way.headers).toEqual({ authorization: 'Bearer of-the-storage' });
    expect(way.kind === 'way' && [way.journey.origin.origin, way.journey.path, way.journey.foreign]).toEqual([
      'https://contoso.blob.core.windows.net',
      '/lfs/1?sig=x',
      { mayBePrivate: false },
    ]);
    // An upstream that says our own credential back, which was taken out of what it said.
    const echoed = use(given({ url: STORED, headers: { authorization: 'Bearer [credential]' } }));
    expect(echoed.kind === 'way' && echoed.headers).toEqual({});
  });

  it.each<[string, Parameters<typeof use>[1]]>([
    ['another method', { method: 'PUT' }],
    ['HEAD', { method: 'HEAD' }],
    ['a method in small letters', { method: 'get' }],
    ['no method', { method: '' }],
    ['another action', { operation: lfs('upload'), method: 'PUT' }],
    ['another action by the same method', { operation: lfs('verify') }],
    ['another object', { operation: lfs('download', { oid: 'b'.repeat(64) }) }],
    ['another repository', { operation: lfs('download', { at: 'dev.azure.com/contoso/Payments/_git/api' }) }],
    ['another project', { operation: lfs('download', { at: 'dev.azure.com/contoso/Other/_git/web' }) }],
    ['another organisation', { operation: lfs('download', { at: 'dev.azure.com/fabrikam/Payments/_git/web' }) }],
    ['another route', { by: { ...ROUTE, match: 'dev.azure.com/contoso/**' } }],
    ['a call of the API', { operation: { kind: 'api', step: 'read', address: lfs('download').address, query: '' } }],
  ])('is not for %s', (_, also) => {
    expect(use(given(), also)).toMatchObject({
      kind: 'refusal',
      code: 'target-refused',
      status: 403,
      what: 'The address was made for something else than this',
      todo: 'run the command again: each time it is given new addresses',
    });
  });

  it('is for the repository and the object in any spelling', () => {
    for (const at of ['DEV.azure.com/CONTOSO/payments/_git/WEB', 'contoso.visualstudio.com/Payments/_git/web'])
      expect(use(given(), { operation: lfs('download', { at: at.toLowerCase() }) }).kind, at).toBe('way');
  });

  it('of a package is not for an object, nor the other way round', () => {
    expect(use(given({ url: STORED, action: 'get' })).kind).toBe('refusal');
  });

  it('ends when the upstream says, and after an hour whatever it says', () => {
    const inTenMinutes = given({ expiresAt: new Date(clock.now() + 600_000) });
    const never = given({ expiresAt: new Date(clock.now() + 10 * LONGEST_LIFE_MS) });
    clock.jump(599_999);
    expect(use(inTenMinutes).kind).toBe('way');
    clock.jump(1);
    expect(use(inTenMinutes)).toMatchObject({ code: 'target-refused', what: 'The address ended at 2030-01-01T00:10:00.000Z' });
    clock.jump(LONGEST_LIFE_MS - 600_001);
    expect(use(never).kind).toBe('way');
    clock.jump(1);
    expect(use(never)).toMatchObject({ code: 'target-refused', what: 'The address ended at 2030-01-01T01:00:00.000Z' });
  });

  it('is judged again by the rules of the day it is used', () => {
    const sealed = given({ url: 'https://objects.example.com/1', hosts: ['objects.example.com'] });
    expect(use(sealed, { hosts: ['objects.example.com'] })).toMatchObject({ journey: { foreign: { mayBePrivate: true } } });
    expect(use(sealed)).toMatchObject({
      code: 'target-refused',
      todo: expect.stringContaining('list objects.example.com under `lfs:') as string,
    });
    // A route that has another upstream now: what was that of the old one is nobody's.
    const moved = given({ url: `https://gate.example/contoso/x/_git/y/info/lfs/objects/${OID}` });
    expect(use(moved).kind).toBe('way');
    expect(use(moved, { by: { ...ROUTE, upstream: new URL('https://new.example') } })).toMatchObject({ code: 'target-refused' });
  });

  it.each([
    ['https://169.254.169.254/latest/meta-data/', /^The upstream names 169\.254\.169\.254 for this/],
    ['https://localhost/', /^The upstream names localhost for this/],
    ['http://contoso.blob.core.windows.net/1', /only https is followed$/],
    ['file:///etc/passwd', /only https is followed$/],
    ['not an address', /^The upstream names an address that is none$/],
    ['//contoso.blob.core.windows.net/1', /^The upstream names an address that is none$/],
    ['', /^The upstream names an address that is none$/],
    [`https://contoso.blob.core.windows.net/${'x'.repeat(20_000)}`, /^The upstream names an address that is too long$/],
  ])('is not made for %s', (url, what) => {
    const { address } = lfs('download');
    const to = onward().addressFor(
      { url, method: 'GET', action: 'download', oid: OID },
      { route: ROUTE, address, local: 'http://127.0.0.1:8417/x', isByStorage: false },
    );
    expect(to).toMatchObject({ kind: 'no', what: expect.stringMatching(what) as string });
  });

  it('is not made for the upstream where a storage names it', () => {
    const { address } = lfs('download');
    const named = { method: 'GET', action: 'download', oid: OID } as const;
    const from = { route: ROUTE, address, local: 'http://127.0.0.1:8417/x', isByStorage: true };
    expect(onward().addressFor({ ...named, url: HREF }, from)).toMatchObject({
      what: expect.stringMatching(/^The storage leads back/) as string,
    });
    expect(onward().addressFor({ ...named, url: STORED }, from).kind).toBe('address');
  });
});
