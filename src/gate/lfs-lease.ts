/**
 * Leases that are given back to a caller for Git LFS: beside the address of an object, and in the answer to git-lfs-authenticate. git-lfs prints
 * them when it is asked to trace (GIT_TRACE shows what it is answered), so they are for one repository and one direction, for a short
 * time, and for no ref.
 */
import type { Caveat } from '../model/lease.js';
import { LFS_STEPS, type LfsOperation } from '../model/operation.js';
import type { Secret } from '../model/secret.js';
import { narrowLease, newLeaseId } from './lease-seal.js';

/** No ref may be touched with it, whatever the lease that it came from permits. */
const EVERY_REF = 'refs/**';

/** The operation that a lease is for, and those that follow it. */
type Asked = Pick<LfsOperation, 'address' | 'step'>;

/** What a lease permits that is for the direction of an operation, on its repository. As a grant it permits no ref, because it names none. */
export function lfsGrant({ address, step }: Asked, expiresAt: Date): Omit<Caveat, 'id'> {
  const repos = [{ hostKind: address.kind, parts: address.canonical }];
  return { repos, allow: [LFS_STEPS[step] === 'push' ? 'push' : 'fetch', 'lfs'], expiresAt };
}

/**
 * A caller's lease, narrowed to that. One that has been narrowed as often as one can be, or whose repository has a name that no lease can
 * hold, is given as it is: it is its holder's. `expiresAt` in whole seconds.
 */
export function narrowToLfs(text: Secret, asked: Asked, expiresAt: Date): Secret {
  try {
    return narrowLease(text, { ...lfsGrant(asked, expiresAt), id: newLeaseId(), protect: [EVERY_REF] });
  } catch (thrown) {
    if (thrown instanceof RangeError || thrown instanceof SyntaxError) return text;
    throw thrown;
  }
}
