/**
 * From the text of a lease to what it says, when its seal, its key and the list of revoked ones allow. Whether it covers what is
 * asked is judged apart (lease-rules.ts), operation by operation.
 */
import { type Caveat, type Lease, leaseName } from '../model/lease.js';
import type { LeaseRegister } from '../model/ports.js';
import type { Secret } from '../model/secret.js';
import type { LeaseFault, LeaseVerifier } from './callers.js';
import { parseCaveat } from './caveat-text.js';
import { isSealed } from './lease-seal.js';
import { parseLeaseText } from './lease-text.js';

const ANOTHER = 'ask whoever gave it for a new one (`postern lease create` where the daemon runs)';

/**
 * Reads a lease without proving anything: for whoever holds it and wants to know what it says.
 * @throws SyntaxError that goes on from "the lease"
 */
export function readLease(text: Secret): Lease {
  const { keyId, caveats } = parseLeaseText(text.reveal());
  return { keyId, caveats: readCaveats(caveats) };
}

/** Makes the verifier. A fault's text names the lease by its id once the seal has proved that the id is right. */
export function createLeaseVerifier(register: LeaseRegister): LeaseVerifier {
  return {
    verify(text) {
      let lease: Lease;
      try {
        const pieces = parseLeaseText(text.reveal());
        const rootKey = register.keyOf(pieces.keyId);
        if (rootKey === undefined)
          return fault('The lease is sealed with a key that this daemon does not have: it is of another daemon, or the key was given up');
        if (!isSealed(pieces, rootKey)) return fault('The lease was changed, or is not one of this daemon: its seal is wrong');
        lease = { keyId: pieces.keyId, caveats: readCaveats(pieces.caveats) };
      } catch (thrown) {
        if (!(thrown instanceof SyntaxError)) throw thrown;
        return fault(`The lease ${thrown.message}`);
      }
      if (register.isUnknown?.() === true) {
        return {
          ...fault('It cannot be read now which leases were revoked, so this daemon takes none'),
          todo: 'try again soon; if it stays, tell whoever runs Postern: its log says why (`access.revocations`)',
          isOurs: true,
        };
      }
      const revoked = lease.caveats.find(({ id }) => register.isRevoked(id));
      if (revoked === undefined) return { kind: 'lease', lease };
      const isItself = revoked === lease.caveats.at(-1);
      return fault(`The ${leaseName(lease)} was revoked${isItself ? '' : `, with all that come from ${revoked.id}`}`);
    },
  };
}

function readCaveats(all: readonly Uint8Array[]): Caveat[] {
  return all.map((bytes, index) => {
    const caveat = parseCaveat(bytes);
    // The label tells the audit who holds it, so only who issues the lease may say it.
    if (index > 0 && caveat.label !== undefined) throw new SyntaxError('has a label that its issuer did not give');
    return caveat;
  });
}

function fault(what: string): LeaseFault {
  return { kind: 'fault', what, todo: ANOTHER };
}
