/** The part of the house that leases are: their keys, what is revoked, who proves them and who gives them out. */
import { join } from 'node:path';
import type { LeaseVerifier } from '../gate/callers.js';
import { createLeaseVerifier } from '../gate/lease-verifier.js';
import type { HostKind } from '../model/address.js';
import type { ProxyError } from '../model/errors.js';
import type { Clock } from '../model/ports.js';
import type { Secret } from '../model/secret.js';
import type { AccessSettings, SecretReference } from '../model/settings.js';
import { GivenLeaseKeys } from '../store/given-lease-keys.js';
import { FileLeaseKeys } from '../store/lease-keys.js';
import { FileLeaseRegister } from '../store/lease-register.js';
import { SharedRevocations } from '../store/shared-revocations.js';
import { LeaseDesk, type LeaseKeyring } from './lease-desk.js';

export interface LeaseParts {
  /** Undefined without a state directory, unless they are given. Without keys or register every lease is refused. */
  readonly keys: LeaseKeyring | undefined;
  readonly register: FileLeaseRegister | undefined;
  readonly shared: SharedRevocations | undefined;
  readonly verifier: LeaseVerifier;
  readonly leases: LeaseDesk | undefined;
}

interface Around {
  readonly stateDirectory: string | undefined;
  readonly clock: Clock;
  readonly onFault: (fault: ProxyError) => void;
  readonly read: (reference: SecretReference) => Promise<Secret>;
  /** The kind that a route declares for a host. */
  readonly kindOf: (host: string) => HostKind | undefined;
  /** Those of the house whose place this one takes: what is revoked may be known beyond its files. */
  readonly previous: Pick<LeaseParts, 'register' | 'shared'> | undefined;
}

/** Joins them. Nothing is read yet. */
export function assembleLeases({ leaseKey, revocations }: AccessSettings, around: Around): LeaseParts {
  const { stateDirectory, clock, onFault, kindOf, previous } = around;
  const keys = keysOf(leaseKey, around);
  const register =
    stateDirectory === undefined
      ? undefined
      : (previous?.register ?? new FileLeaseRegister(join(stateDirectory, 'leases.json'), { clock, onFault }));
  const shared =
    revocations === undefined
      ? undefined
      : previous?.shared?.path === revocations
        ? previous.shared
        : new SharedRevocations(revocations, { clock, onFault });
  const verifier = createLeaseVerifier({
    keyOf: (id) => (register === undefined ? undefined : keys?.keyOf(id)),
    isUnknown: () => shared?.look() !== undefined,
    isRevoked: (id) => shared?.isRevoked(id) === true || register?.isRevoked(id) !== false,
  });
  const leases =
    keys === undefined || register === undefined
      ? undefined
      : new LeaseDesk({ keys, register, shared, verifier, clock, hasOwnKeys: leaseKey === undefined, kindOf });
  return { keys, register, shared, verifier, leases };
}

/** The keys that seal leases: of a file of our own, of one that others manage, or given once. */
function keysOf(reference: SecretReference | undefined, { stateDirectory, onFault, read }: Around): LeaseKeyring | undefined {
  if (reference === undefined)
    return stateDirectory === undefined ? undefined : new FileLeaseKeys(join(stateDirectory, 'lease-keys'), { isOwn: true, onFault });
  if (reference.kind === 'file') return new FileLeaseKeys(reference.path, { isOwn: false, onFault });
  return new GivenLeaseKeys(() => read(reference));
}
