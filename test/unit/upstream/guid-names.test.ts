import { describe, expect, it } from 'vitest';
import { RouteTable } from '../../../src/gate/route-table.js';
import type { Caller } from '../../../src/model/caller.js';
import { ProxyError } from '../../../src/model/errors.js';
import type { HttpOperation } from '../../../src/model/operation.js';
import type { OperationRecord } from '../../../src/model/record.js';
import type { Route } from '../../../src/model/settings.js';
import { TimeSpent } from '../../../src/model/time-spent.js';
import { GuidNames } from '../../../src/upstream/guid-names.js';
import type { OwnAnswer, OwnPlace, OwnRequest } from '../../../src/upstream/own-requests.js';
import { FakeClock } from '../../fakes/clock.js';
import { addressOf, route } from '../route.js';

const GUID = '6ce954b1-ce1f-45d1-b94d-e6bf2464ba2c';
const CALLER: Caller = { kind: 'user', uid: 1000, peer: { address: '127.0.0.1:5', ip: '127.0.0.1', uid: { kind: 'known', uid: 1000 } } };
const WEB = { id: GUID, name: 'Web', project: { id: 'x', name: 'Payments' } };
const ROUTES = [route('dev.azure.com/contoso/secret/*', { identity: 'narrow' }), route('dev.azure.com/contoso/**', { identity: 'wide' })];

type Tell = (identity: string, count: number) => { status?: number; json?: unknown } | Promise<{ status?: number; json?: unknown }>;

function rig(tell: Tell, routes: readonly Route[] = ROUTES) {
  const clock = new FakeClock();
  const asked: string[] = [];
  const ask = async ({ identity }: OwnPlace, { url }: OwnRequest): Promise<OwnAnswer> => {
    asked.push(`${identity} ${url.href}`);
    const { status = 200, json } = await tell(identity, asked.length);
    return {
      status,
      json,
      text: '',
      header: () => undefined,
      failure: () => ({ code: 'upstream-error', status: 502, what: 'x', todo: 'y' }),
    };
  };
  const names = new GuidNames({ requests: { ask }, clock });
  const table = new RouteTable(routes);
  const name = async (path = `dev.azure.com/contoso/_git/${GUID}`): Promise<{ said: string; record: OperationRecord }> => {
    const operation: HttpOperation = { kind: 'fetch', step: 'advertisement', address: addressOf(path, table)! };
    const record = { spent: new TimeSpent() } as unknown as OperationRecord; // of which no more is looked at
    const named = await names.name(operation, { caller: CALLER, routes: table, record });
    return { said: named.kind === 'refusal' ? `${named.code}: ${named.what}` : named.address.canonical.join('/'), record };
  };
  return { clock, asked, name };
}

describe('GuidNames', () => {
  it('gives an operation the names of its repository, and notes them', async () => {
    const { name, asked } = rig((identity) => (identity === 'wide' ? { json: WEB } : { status: 404 }));
    const { said, record } = await name();
    expect(said).toBe('dev.azure.com/contoso/payments/web');
    expect(record.address?.display).toBe('dev.azure.com/contoso/Payments/Web');
    expect(asked).toEqual(
      ['narrow', 'wide'].map((identity) => `${identity} https://dev.azure.com/contoso/_apis/git/repositories/${GUID}?api-version=7.1`),
    );
  });

  it('asks nothing where the names make no difference', async () => {
    const { name, asked } = rig(() => ({ json: WEB }), [route('dev.azure.com/**')]);
    expect((await name()).said).toBe(`dev.azure.com/contoso/${GUID}/${GUID}`);
    expect(asked).toEqual([]);
  });

  it('asks once, however many want to know, and remembers for minutes', async () => {
    const { name, asked, clock } = rig(() => ({ json: WEB }));
    await Promise.all([name(), name(), name()]);
    await name();
    expect(asked).toHaveLength(1);
    clock.jump(5 * 60 * 1000);
    await name();
    expect(asked).toHaveLength(2);
  });

  it('remembers a no for seconds', async () => {
    const { name, asked, clock } = rig(() => ({ status: 404 }));
    await name();
    await name();
    expect(asked).toHaveLength(2);
    clock.jump(15_000);
    await name();
    expect(asked).toHaveLength(4);
  });

  it.each<[string, { status?: number; json?: unknown }]>([
    ['not found', { status: 404 }],
    ['a sign-in page', { status: 203 }],
    ['no JSON', { json: undefined }],
    ['no project', { json: { name: 'Web' } }],
    ['no name', { json: { project: { name: 'Payments' } } }],
    ['a name that is a path', { json: { name: 'a/b', project: { name: 'Payments' } } }],
    ['a name of another kind', { json: { name: 7, project: { name: 'Payments' } } }],
    ['an empty name', { json: { name: '', project: { name: 'Payments' } } }],
    ['another success', { status: 201, json: WEB }],
  ])('refuses when the upstream tells %s', async (_, answer) => {
    const { name } = rig(() => answer);
    expect((await name()).said).toMatch(/^name-unknown: Which project and repository dev.azure.com\/contoso\/.* cannot be told/);
  });

  it('refuses with the cause when nobody can ask', async () => {
    const { name } = rig(() => Promise.reject(new ProxyError('identity-unavailable', 'No token could be had')));
    expect((await name()).said).toMatch(/^name-unknown: .*No token could be had$/);
  });

  it('asks for so many at once and no more', async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const { name, asked } = rig(async () => {
      await held;
      return { json: WEB };
    });
    const all = Array.from({ length: 40 }, (_, at) => name(`dev.azure.com/contoso/_git/${String(at).padStart(8, '0')}${GUID.slice(8)}`));
    await Promise.resolve();
    release();
    const said = (await Promise.all(all)).map((each) => each.said);
    expect(asked).toHaveLength(16);
    expect(said.filter((each) => each.includes('too many others'))).toHaveLength(24);
  });

  it('asks the upstream of the route, and an on-premises server in words that it knows', async () => {
    const server = { hostKind: 'azure-server', identity: 'wide' } as const;
    const { name, asked } = rig(
      () => ({ json: WEB }),
      [
        route('tfs.example.com/tfs/Main/secret/*', server),
        route('tfs.example.com/**', { ...server, upstream: new URL('https://inner.example.com:8443/base/') }),
      ],
    );
    expect((await name(`tfs.example.com/tfs/Main/Payments/_git/${GUID}`)).said).toBe('tfs.example.com/tfs/main/payments/web');
    expect(asked).toEqual([`wide https://tfs.example.com/tfs/Main/Payments/_apis/git/repositories/${GUID}?api-version=5.0`]);
  });
});
