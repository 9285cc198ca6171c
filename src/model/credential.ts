/**
 * What goes on the wire for an identity. Born in the identity room, put on a request in the upstream room.
 */
import type { HostKind } from './address.js';
import type { Secret } from './secret.js';

export type Credential =
  | {
      readonly kind: 'bearer';
      readonly token: Secret;
      /** When the issuer says it ends. */
      readonly expiresAt: Date;
      /** When it was received. */
      readonly obtainedAt: Date;
    }
  | {
      readonly kind: 'basic';
      readonly user: string;
      readonly password: Secret;
      /** When whoever gave it says it ends; undefined if nobody does. */
      readonly expiresAt?: Date | undefined;
    }
  | { readonly kind: 'none' }
  | { readonly kind: 'passthrough' };

/** What a credential is wanted for. A kind of identity takes of it what makes a difference to it. */
export interface CredentialTarget {
  /** Tenant of the organisation: an id, or `organizations` for one without; undefined where there is none or nobody knows. */
  readonly tenant?: string | undefined;
  /** Kind of the host that it goes to. */
  readonly hostKind?: HostKind | undefined;
  /** Address of the repository at its upstream, without git's own suffix. */
  readonly url?: URL | undefined;
}
