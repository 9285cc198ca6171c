import { describe, expect, it } from 'vitest';
import { decidedThen, isSameResult, replay, type ReplayRules } from '../../../src/gate/decision-replay.js';
import { RouteTable } from '../../../src/gate/route-table.js';
import type { AuditOperation } from '../../../src/model/audit.js';
import type { Route } from '../../../src/model/settings.js';

const NOW = Date.UTC(2030, 0, 1);
const ROUTE: Route = {
  match: 'dev.azure.com/contoso/**',
  identity: 'sp',
  allow: ['fetch', 'push'],
  hostKind: 'azure-services',
  upstream: undefined,
  ca: undefined,
  proxy: undefined,
  refs: undefined,
  ssh: { kind: 'bridge' },
};
const RECORD: AuditOperation = {
  kind: 'operation',
  seq: 1,
  time: new Date(NOW).toISOString(),
  id: 1,
  caller: '127.0.0.1:5000',
  uid: 1000,
  operation: 'fetch',
  step: 'exchange',
  repository: 'dev.azure.com/contoso/web/app',
  address: { kind: 'azure-services', host: 'dev.azure.com', parts: ['dev.azure.com', 'contoso', 'web', 'app'] },
  route: ROUTE.match,
  identity: 'sp',
  bytesUp: 0,
  bytesDown: 0,
  ms: 0,
  verdict: 'passed',
};
const LEASE: NonNullable<AuditOperation['lease']> = {
  keyId: 'k',
  label: 'nightly',
  ids: ['aa', 'bb'],
  caveats: [
    {
      id: 'aa',
      label: 'nightly',
      repos: [{ hostKind: 'azure-services', parts: ['dev.azure.com', 'contoso', 'web', 'app'] }],
      allow: ['fetch', 'push'],
      refs: ['refs/heads/agent'],
      changes: ['create', 'update'],
      expiresAt: new Date(NOW + 60_000).toISOString(),
    },
    { id: 'bb', from: ['10.0.0.0/8'] },
  ],
};

function rules(more: Partial<ReplayRules> & { route?: Partial<Route> } = {}): ReplayRules {
  const { route, ...rest } = more;
  return {
    routes: new RouteTable([{ ...ROUTE, ...route }]),
    uids: [1000],
    keys: [],
    entry: { local: 'uid', remote: 'lease' },
    leaseFault: () => undefined,
    ...rest,
  };
}

describe('replay()', () => {
  it.each([
    ['lfs', 'download', 'passed'],
    ['lfs', 'batch', 'passed'],
    ['lfs', 'upload', 'refused'],
    ['lfs', 'lock', 'refused'],
    ['lfs', 'of another version', 'undecided'],
    ['api', 'read', 'passed'],
    ['api', 'write', 'refused'],
    ['api', 'of another version', 'refused'],
  ])('decides about %s (%s) by what that step needs', (operation, step, kind) => {
    const route = { allow: ['fetch', 'lfs', 'api'] } as const;
    expect(replay({ ...RECORD, operation, step }, rules({ route }), NOW).result).toMatchObject({ kind });
  });

  it('decides as then by the rules of then', () => {
    const { result, steps } = replay(RECORD, rules(), NOW);
    expect(result).toEqual({ kind: 'passed', route: ROUTE.match, identity: 'sp' });
    expect(steps.map(({ question, isNo }) => [question, isNo])).toEqual([
      ['who asks', false],
      ['what for', false],
      ['the route', false],
      ['what the route allows', false],
    ]);
    expect(isSameResult(decidedThen(RECORD), result)).toBe(true);
  });

  it.each<[string, Partial<AuditOperation>, ReplayRules, number, string]>([
    ['another uid', { uid: 1001 }, rules(), NOW, 'caller-refused'],
    ['a uid that is not trusted any more', {}, rules({ uids: [5] }), NOW, 'caller-refused'],
    ['a door that takes leases only', {}, rules({ entry: { local: 'lease', remote: 'lease' } }), NOW, 'lease-required'],
    ['a caller from elsewhere', { caller: '[fd00::1]:5000', uid: undefined }, rules(), NOW, 'lease-required'],
    ['a route that is gone', {}, rules({ route: { match: 'dev.azure.com/other/**' } }), NOW, 'no-route'],
    ['a route that allows less', {}, rules({ route: { allow: ['push'] } }), NOW, 'not-allowed'],
    ['a lease that has ended', { lease: LEASE, caller: '10.1.2.3:5' }, rules(), NOW + 60_001, 'lease-insufficient'],
    ['a lease from the wrong address', { lease: LEASE }, rules(), NOW, 'lease-insufficient'],
    ['a revoked lease', { lease: LEASE, caller: '10.1.2.3:5' }, rules({ leaseFault: () => 'The lease is revoked' }), NOW, 'lease-invalid'],
    [
      'a ref that the lease does not cover',
      {
        lease: LEASE,
        caller: '10.1.2.3:5',
        operation: 'push',
        refs: [{ ref: 'refs/heads/main', old: '0'.repeat(40), new: '1'.repeat(40) }],
      },
      rules(),
      NOW,
      'ref-refused',
    ],
    [
      'a ref that the route protects now',
      { operation: 'push', refs: [{ ref: 'refs/heads/main', old: '0'.repeat(40), new: '1'.repeat(40) }] },
      rules({ route: { refs: { allow: undefined, protect: ['refs/heads/main'], changes: undefined } } }),
      NOW,
      'ref-refused',
    ],
  ])('refuses %s', (_, record, today, now, code) => {
    const { result, steps } = replay({ ...RECORD, ...record }, today, now);
    expect(result).toMatchObject({ kind: 'refused', code });
    expect(steps.at(-1)?.isNo).toBe(true);
    expect(isSameResult(decidedThen(RECORD), result)).toBe(false);
  });

  it('lets a lease pass that still holds, whatever the uid', () => {
    const record: AuditOperation = { ...RECORD, lease: LEASE, caller: '10.1.2.3:5', uid: undefined };
    expect(replay(record, rules(), NOW).result).toMatchObject({ kind: 'passed' });
    const push: AuditOperation = {
      ...record,
      operation: 'push',
      refs: [{ ref: 'refs/heads/agent', old: '0'.repeat(40), new: '1'.repeat(40) }],
    };
    expect(replay(push, rules(), NOW).result).toMatchObject({ kind: 'passed' });
  });

  it('tells another way, or another identity, from the same decision', () => {
    const { result } = replay(RECORD, rules({ route: { identity: 'other' } }), NOW);
    expect(isSameResult(decidedThen(RECORD), result)).toBe(false);
  });

  it('says that it cannot tell what the record does not keep', () => {
    expect(replay({ ...RECORD, operation: 'unknown', address: undefined }, rules(), NOW).result.kind).toBe('undecided');
    const protectedRoute = rules({ route: { refs: { allow: undefined, protect: ['refs/heads/main'], changes: undefined } } });
    const push: AuditOperation = {
      ...RECORD,
      operation: 'push',
      refs: [{ ref: 'refs/heads/x', old: '0'.repeat(40), new: '1'.repeat(40) }],
      refsLeftOut: 3,
    };
    expect(replay(push, protectedRoute, NOW).result.kind).toBe('undecided');
    expect(replay(push, rules(), NOW).result.kind).toBe('passed');
  });
});

describe('decidedThen()', () => {
  it.each<[Partial<AuditOperation>, string]>([
    [{ verdict: 'failed', code: 'upstream-not-found' }, 'passed'],
    [{ verdict: 'client-gone' }, 'passed'],
    [{ verdict: 'client-gone', address: undefined }, 'undecided'],
    [{ verdict: 'refused', code: 'not-allowed' }, 'refused'],
    [{ verdict: 'failed', code: 'ref-refused' }, 'refused'],
    [{ verdict: 'refused', code: 'request-from-browser' }, 'undecided'],
    [{ verdict: 'refused', code: 'audit-unwritable' }, 'undecided'],
  ])('takes %j as %s', (record, kind) => {
    expect(decidedThen({ ...RECORD, ...record }).kind).toBe(kind);
  });
});
