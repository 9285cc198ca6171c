/**
 * What goes on the wire for an identity. Born in the identity room, put on a request in the upstream room.
 */
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
  | { readonly kind: 'basic'; readonly user: string; readonly password: Secret }
  | { readonly kind: 'none' }
  | { readonly kind: 'passthrough' };
