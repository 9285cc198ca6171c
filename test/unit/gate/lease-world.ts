/**
 * A small world for properties of leases: few names, so that random grants, narrowings and operations meet often, and every
 * dimension that a caveat has.
 */
import fc from 'fast-check';
import type { Peer } from '../../../src/model/caller.js';
import type { Caveat, RepoPattern } from '../../../src/model/lease.js';
import { PERMISSIONS } from '../../../src/model/operation.js';
import type { HttpOperation } from '../../../src/model/operation.js';
import type { LeaseRegister } from '../../../src/model/ports.js';
import { REF_CHANGES } from '../../../src/model/refs.js';
import { Secret } from '../../../src/model/secret.js';
import { addressOf } from '../route.js';

export const NOW = Date.UTC(2030, 0, 1);
export const KEY_ID = '00000000000000aa';
export const ROOT_KEY = new Secret(Buffer.alloc(32, 7).toString('base64'));

/** A register that knows one key and no revocation. */
export const REGISTER: LeaseRegister = { keyOf: (id) => (id === KEY_ID ? ROOT_KEY : undefined), isRevoked: () => false };

export const PEER: Peer = { address: '127.0.0.1:50000', ip: '127.0.0.1', uid: { kind: 'known', uid: 1000 } };

export function repo(...parts: string[]): RepoPattern {
  return { hostKind: 'azure-services', parts: ['dev.azure.com', ...parts] };
}

/** A grant for fetches and pushes of one organisation, changed as a test wants it. */
export function grant(also: Partial<Caveat> = {}): Caveat {
  return {
    id: '1111111111111111',
    repos: [repo('contoso', '**')],
    allow: ['fetch', 'push'],
    refs: ['refs/heads/agent/*'],
    changes: ['create', 'update'],
    expiresAt: new Date(NOW + 3_600_000),
    ...also,
  };
}

export function operation(kind: HttpOperation['kind'], path = 'contoso/web/_git/app'): HttpOperation {
  const address = addressOf(`dev.azure.com/${path}`);
  if (address === undefined) throw new Error(`no address: ${path}`);
  return { kind, step: 'exchange', address };
}

const name = fc.constantFrom('a', 'b');
const part = fc.constantFrom('a', 'b', '*', '*');
const pattern: fc.Arbitrary<RepoPattern> = fc
  .tuple(
    part,
    part,
    fc.constantFrom('a', 'b', '*', '**'),
    fc.constantFrom<RepoPattern['hostKind']>('azure-services', 'azure-services', 'generic'),
  )
  .map(([organisation, project, repository, hostKind]) => ({ hostKind, parts: ['dev.azure.com', organisation, project, repository] }));

/** Mostly nothing, so that chains of several still let something through. */
function maybe<Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<Value | undefined> {
  return fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value });
}

function some<Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<readonly Value[] | undefined> {
  return maybe(fc.uniqueArray(value, { minLength: 1, maxLength: 3, selector: (each) => JSON.stringify(each) }));
}
function words<Word>(all: readonly Word[]): fc.Arbitrary<readonly Word[] | undefined> {
  return maybe(fc.subarray([...all], { minLength: 1 }));
}

const glob = fc.constantFrom('refs/heads/a', 'refs/heads/*', 'refs/heads/agent/*', 'refs/**', 'refs/tags/*');

/** Any caveat that can stand behind a grant. */
export const narrowing: fc.Arbitrary<Caveat> = fc.record({
  id: fc.stringMatching(/^[0-9a-f]{16}$/),
  repos: some(pattern),
  allow: words(PERMISSIONS),
  refs: some(glob),
  protect: some(glob),
  changes: words(REF_CHANGES),
  expiresAt: maybe(fc.integer({ min: -2, max: 5 }).map((seconds) => new Date(NOW + seconds * 1000))),
  from: some(fc.constantFrom('127.0.0.1', '127.0.0.0/8', '10.0.0.0/8', '::1', 'fd00::/8')),
  uids: some(fc.constantFrom(0, 1000, 1001)),
});

/** Any grant: most of its dimensions are usually there. */
export const anyGrant: fc.Arbitrary<Caveat> = fc
  .tuple(narrowing, narrowing, fc.option(fc.constantFrom('nightly', 'J\u00fcrgen\u2019s agent'), { nil: undefined }))
  .map(([one, two, label]) => ({
    ...one,
    label,
    repos: one.repos ?? two.repos ?? [repo('**')],
    allow: one.allow ?? two.allow ?? ['fetch', 'push'],
    refs: one.refs ?? ['refs/**', 'refs/heads/a', 'refs/heads/agent/x', 'refs/tags/v1'],
    changes: one.changes ?? two.changes ?? REF_CHANGES,
    expiresAt: one.expiresAt ?? two.expiresAt ?? new Date(NOW + 4000),
  }));

/** The same with some dimensions left out, which then grant nothing. */
export const anyPartialGrant: fc.Arbitrary<Caveat> = fc.oneof(
  { weight: 3, arbitrary: anyGrant },
  {
    weight: 1,
    arbitrary: fc
      .tuple(anyGrant, fc.constantFrom('repos', 'allow', 'refs', 'changes', 'expiresAt'))
      .map(([full, without]) => ({ ...full, [without]: undefined })),
  },
);

export const anyOperation: fc.Arbitrary<HttpOperation> = fc
  .tuple(fc.constantFrom<HttpOperation['kind']>('fetch', 'push'), name, name, name)
  .map(([kind, organisation, project, repository]) => operation(kind, `${organisation}/${project}/_git/${repository}`));

export const anyPeer: fc.Arbitrary<Peer> = fc
  .tuple(
    fc.constantFrom('127.0.0.1', '127.9.9.9', '10.1.2.3', '::1', 'fd00::5', '192.0.2.1'),
    fc.constantFrom<Peer['uid']>(
      { kind: 'known', uid: 0 },
      { kind: 'known', uid: 1000 },
      { kind: 'unknown', why: 'x' },
      { kind: 'remote' },
    ),
  )
  .map(([ip, uid]) => ({ address: `${ip}:1`, ip, uid }));
