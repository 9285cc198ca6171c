/**
 * Who asks. A door knows a peer (the other end of a connection) before it has read a byte; the gate makes a caller of it, or
 * says no. One shape for both doors.
 */
import type { Lease } from './lease.js';
import type { Secret } from './secret.js';

/** What is known of the user at the other end. */
export type PeerUid =
  | { readonly kind: 'known'; readonly uid: number }
  /** It is on this machine, as far as addresses tell, and cannot be told; `why` is for a person. */
  | {
      readonly kind: 'unknown';
      readonly why: string;
      /** Set where too much is going on to look, so that it will do to ask again later. */
      readonly isOverload?: true;
    }
  /** It did not come over loopback, or nobody looked. */
  | { readonly kind: 'remote' };

export interface Peer {
  /** `ip:port`, as logs and the audit show it. */
  readonly address: string;
  /** The IP alone; an IPv4-mapped one is written as IPv4. */
  readonly ip: string;
  readonly uid: PeerUid;
}

/** What a listener takes as proof: the uid of a local peer, a lease, or nothing at all. */
export type Entry = 'uid' | 'lease' | 'anyone';

export type Caller =
  /** A local user whom the configuration trusts. */
  | { readonly kind: 'user'; readonly peer: Peer; readonly uid: number }
  /** The holder of a key that the configuration lists, who signed with it. */
  | { readonly kind: 'key'; readonly peer: Peer; readonly fingerprint: string }
  /** Whoever it is: the configuration trusts everyone who can reach the listener. */
  | { readonly kind: 'anyone'; readonly peer: Peer }
  /** The holder of a valid lease, which alone decides what may be done. */
  | {
      readonly kind: 'lease';
      readonly peer: Peer;
      readonly lease: Lease;
      /** The lease as it was shown; undefined where only what it says is known (a record of the audit). */
      readonly text?: Secret | undefined;
    };
