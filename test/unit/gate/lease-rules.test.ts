/** Promise: a lease permits what its grant names and no caveat takes away, and narrowing never gives anything. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { refPoliciesOf, refuseByLease } from '../../../src/gate/lease-rules.js';
import { refuseByRefs } from '../../../src/gate/ref-policy.js';
import type { Caveat, Lease } from '../../../src/model/lease.js';
import { addressOf } from '../route.js';
import { anyPartialGrant, anyOperation, anyPeer, grant, KEY_ID, narrowing, NOW, operation, PEER, repo } from './lease-world.js';

function lease(...caveats: Caveat[]): Lease {
  return { keyId: KEY_ID, caveats };
}

describe('refuseByLease()', () => {
  it('permits what the grant names', () => {
    expect(refuseByLease(lease(grant()), operation('fetch'), PEER, NOW)).toBeUndefined();
    expect(refuseByLease(lease(grant()), operation('push'), PEER, NOW)).toBeUndefined();
  });

  it.each<[what: string, also: Partial<Caveat>, text: string]>([
    ['no repositories', { repos: undefined }, 'is not for the repository dev.azure.com/contoso/web/app'],
    ['other repositories', { repos: [repo('contoso', 'web', 'app-2')] }, 'is not for the repository dev.azure.com/contoso/web/app'],
    [
      'another host of that grammar',
      { repos: [{ hostKind: 'azure-services', parts: ['evil.example', '**'] }] },
      'is not for the repository',
    ],
    ['the same words under another grammar', { repos: [{ ...repo('**'), hostKind: 'generic' }] }, 'is not for the repository'],
    ['nothing that is allowed', { allow: undefined }, 'allows nothing, not fetch'],
    ['only pushes', { allow: ['push', 'lfs'] }, 'allows push, lfs, not fetch'],
    ['no end', { expiresAt: undefined }, 'names no time at which it ends, so it grants nothing'],
    ['an end that is now', { expiresAt: new Date(NOW) }, 'ended at 2030-01-01T00:00:00.000Z'],
    ['other addresses', { from: ['10.0.0.0/8', '127.0.0.2', '::1'] }, 'may not be used from 127.0.0.1'],
    ['another user', { uids: [1001] }, 'is for another local user'],
    ['other users', { uids: [1001, 0] }, 'is for other local users'],
  ])('refuses by a grant that names %s', (_what, also, text) => {
    const refusal = refuseByLease(lease(grant({ label: 'nightly', ...also })), operation('fetch'), PEER, NOW);
    expect(refusal).toMatchObject({ code: 'lease-insufficient', status: 403 });
    expect(refusal?.what).toContain(`The lease 1111111111111111 (nightly) ${text}`);
  });

  it.each<[what: string, also: Partial<Caveat>]>([
    ['repositories', { repos: [repo('contoso', 'other', '*')] }],
    ['operations', { allow: ['push'] }],
    ['an end', { expiresAt: new Date(NOW) }],
    ['addresses', { from: ['192.0.2.0/24'] }],
    ['users', { uids: [7] }],
  ])('refuses by a narrowing of %s, naming its id', (_what, also) => {
    const refusal = refuseByLease(lease(grant(), { id: '2222222222222222', ...also }), operation('fetch'), PEER, NOW);
    expect(refusal?.what).toMatch(/^The lease 2222222222222222 /);
  });

  it('takes from a narrowing only what it names', () => {
    expect(refuseByLease(lease(grant(), { id: '2222222222222222' }), operation('push'), PEER, NOW)).toBeUndefined();
  });

  it.each<[repoPath: string, passes: boolean]>([
    ['contoso/Web/_git/App', true],
    ['CONTOSO/web/_git/%41pp', true],
    ['contoso/web/_git/app-2', false],
    ['contoso/web/_git/ap', false],
    ['contoso/web2/_git/app', false],
    ['contoso-web/web/_git/app', false],
    ['contoso/_git/app', false],
  ])('compares whole names without case: %s', (path, passes) => {
    const only = lease(grant({ repos: [repo('contoso', 'web', 'app')] }));
    expect(refuseByLease(only, operation('fetch', path), PEER, NOW) === undefined).toBe(passes);
  });

  it('takes the SSH form and the old host for the repository that they name', () => {
    const only = lease(grant({ repos: [repo('contoso', 'web', 'app')] }));
    for (const text of ['ssh.dev.azure.com/v3/contoso/web/app', 'contoso.visualstudio.com/DefaultCollection/web/_git/app']) {
      expect(refuseByLease(only, { kind: 'fetch', step: 'exchange', address: addressOf(text)! }, PEER, NOW), text).toBeUndefined();
    }
  });

  it.each<[ip: string, block: string, passes: boolean]>([
    ['10.1.2.3', '10.0.0.0/8', true],
    ['10.1.2.3', '10.9.9.9/8', true],
    ['11.1.2.3', '10.0.0.0/8', false],
    ['10.1.2.3', '0.0.0.0/0', true],
    ['::1', '0.0.0.0/0', false],
    ['10.1.2.3', '::/0', false],
    ['fd00::5', 'fd00::/8', true],
    ['fe80::1%eth0', 'fe80::/10', true],
    ['fe80::1%eth0', 'fe80::1', true],
    ['', '0.0.0.0/0', false],
  ])('%j in %s: %s', (ip, block, passes) => {
    expect(refuseByLease(lease(grant({ from: [block] })), operation('fetch'), { ...PEER, ip }, NOW) === undefined).toBe(passes);
  });

  it.each([{ kind: 'unknown', why: 'x' } as const, { kind: 'remote' } as const])(
    'lets no peer pass as a user that is not known: $kind',
    (uid) => {
      expect(refuseByLease(lease(grant({ uids: [0, 1000] })), operation('fetch'), { ...PEER, uid }, NOW)).toBeDefined();
    },
  );

  it('never permits more after a narrowing than before', () => {
    let both = 0;
    fc.assert(
      fc.property(
        anyPartialGrant,
        fc.array(narrowing, { maxLength: 3 }),
        narrowing,
        anyOperation,
        anyPeer,
        (first, more, last, asked, peer) => {
          const parent = lease(first, ...more);
          const child = lease(first, ...more, last);
          if (refuseByLease(child, asked, peer, NOW) !== undefined) return;
          both += 1;
          expect(refuseByLease(parent, asked, peer, NOW)).toBeUndefined();
        },
      ),
      { numRuns: 3_000 },
    );
    // Otherwise nothing was proved.
    expect(both).toBeGreaterThan(100);
  });
});

describe('refPoliciesOf()', () => {
  const command = (ref: string, change: 'create' | 'update' | 'delete') => {
    const [none, some] = ['0'.repeat(40), 'a'.repeat(40)];
    return { ref, oldOid: change === 'create' ? none : some, newOid: change === 'delete' ? none : some };
  };
  const changes = ['create', 'update', 'delete'] as const;
  const refs = ['refs/heads/a', 'refs/heads/agent/x', 'refs/tags/v1', 'refs/notes/x'];

  it('gives a grant without refs or changes no ref at all', () => {
    for (const also of [{ refs: undefined }, { changes: undefined }])
      for (const ref of refs)
        for (const change of changes) expect(refuseByRefs([command(ref, change)], refPoliciesOf(lease(grant(also)))), ref).toBeDefined();
  });

  it.each<[what: string, narrowing: Partial<Caveat>, ref: string, change: 'create' | 'update' | 'delete', passes: boolean]>([
    ['nothing', {}, 'refs/heads/agent/x', 'update', true],
    ['refs', { refs: ['refs/heads/agent/y'] }, 'refs/heads/agent/x', 'update', false],
    ['refs', { refs: ['refs/heads/agent/x'] }, 'refs/heads/agent/x', 'update', true],
    ['refs beyond the grant', { refs: ['refs/heads/main'] }, 'refs/heads/main', 'update', false],
    ['what may not be touched', { protect: ['refs/heads/agent/x'] }, 'refs/heads/agent/x', 'update', false],
    ['changes', { changes: ['create'] }, 'refs/heads/agent/x', 'update', false],
    ['changes beyond the grant', { changes: ['delete'] }, 'refs/heads/agent/x', 'delete', false],
  ])('takes from pushes what a narrowing names: %s', (_what, narrowing, ref, change, passes) => {
    const policies = refPoliciesOf(lease(grant(), { id: '2222222222222222', ...narrowing }));
    expect(refuseByRefs([command(ref, change)], policies) === undefined).toBe(passes);
  });

  it('names the lease as the source', () => {
    expect(refPoliciesOf(lease(grant({ label: 'nightly' })))[0]?.source).toBe('the lease 1111111111111111 (nightly)');
  });

  it('never permits more after a narrowing than before', () => {
    let both = 0;
    fc.assert(
      fc.property(
        anyPartialGrant,
        fc.array(narrowing, { maxLength: 3 }),
        narrowing,
        fc.constantFrom(...refs),
        fc.constantFrom(...changes),
        (first, more, last, ref, change) => {
          const list = [command(ref, change)];
          if (refuseByRefs(list, refPoliciesOf(lease(first, ...more, last))) !== undefined) return;
          both += 1;
          expect(refuseByRefs(list, refPoliciesOf(lease(first, ...more)))).toBeUndefined();
        },
      ),
      { numRuns: 3_000 },
    );
    expect(both).toBeGreaterThan(100);
  });
});
