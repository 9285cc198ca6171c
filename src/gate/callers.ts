/**
 * Who may come in at all, before it is known what for. A peer becomes a caller by the uid that the kernel tells, by a lease, or
 * because the configuration trusts everyone who can reach the listener. A lease that is there is what counts: a valid one admits
 * whatever the uid and then alone decides, an invalid one is refused and never ignored.
 */
import type { Caller, Entry, Peer } from '../model/caller.js';
import type { Lease } from '../model/lease.js';
import type { Refusal } from '../model/refusal.js';
import type { Secret } from '../model/secret.js';

/** What of a lease came with a request. */
export type PresentedLease =
  | { readonly kind: 'none' }
  | { readonly kind: 'one'; readonly text: Secret }
  /** More than one, or in a form that cannot be read in one way. */
  | { readonly kind: 'unclear'; readonly what: string };

/** Makes a lease of its text when seal, key and revocations allow. */
export interface LeaseVerifier {
  verify(text: Secret): { readonly kind: 'lease'; readonly lease: Lease } | LeaseFault;
}

export interface LeaseFault {
  readonly kind: 'fault';
  readonly what: string;
  readonly todo: string;
  /** The trouble is the daemon's, and the lease may be good. */
  readonly isOurs?: true;
}

export interface Knock {
  readonly peer: Peer;
  readonly lease: PresentedLease;
  /** Fingerprint of the key that the caller has signed with; undefined on a door where nobody signs. */
  readonly key?: string | undefined;
  /** What the listener takes as proof. */
  readonly entry: Entry;
  /** The name of a header that says that something stands between us and who asks; undefined when none does. */
  readonly forwardedBy: string | undefined;
  /**
   * What the request calls the door, where a web page may be called the same: a name that is looked up, without TLS. To such a one
   * a browser sends nothing that tells it from git. Undefined for loopback's own names and over TLS.
   */
  readonly calledBy: string | undefined;
  /** Whether something was sent that may be meant as proof and is no lease (an Authorization header). */
  readonly hasOtherCredential: boolean;
}

export class Callers {
  readonly #uids: ReadonlySet<number>;
  readonly #keys: ReadonlySet<string>;
  readonly #leases: LeaseVerifier;

  /** `uids`: the daemon's own and those of `access.uids`; `keys`: the fingerprints of `access.keys`. */
  constructor(options: { readonly uids: readonly number[]; readonly keys: readonly string[]; readonly leases: LeaseVerifier }) {
    this.#uids = new Set(options.uids);
    this.#keys = new Set(options.keys);
    this.#leases = options.leases;
  }

  /** Refusals: `lease-invalid`, `state-unusable`, `lease-required`, `caller-refused`, `caller-forwarded`. */
  identify(knock: Knock): Caller | Refusal {
    const { peer, lease, entry } = knock;
    if (lease.kind === 'unclear')
      return refusal('lease-invalid', lease.what, 'send one lease: in the header X-Postern-Lease, or as user or password');
    if (lease.kind === 'one') {
      const verified = this.#leases.verify(lease.text);
      if (verified.kind === 'fault') {
        if (verified.isOurs !== true) return refusal('lease-invalid', verified.what, verified.todo);
        return { ...refusal('state-unusable', verified.what, verified.todo), status: 503 };
      }
      return { kind: 'lease', peer, lease: verified.lease, text: lease.text };
    }
    if (knock.key !== undefined && this.#keys.has(knock.key)) return { kind: 'key', peer, fingerprint: knock.key };
    switch (entry) {
      case 'anyone':
        return { kind: 'anyone', peer };
      case 'lease':
        return {
          ...refusal(
            'lease-required',
            'This door needs a lease, and none came with the request',
            'get one with `postern lease create` where the daemon runs, and put what it prints into the environment of the job',
          ),
          // What was sent already would only be sent again.
          ...(knock.hasOtherCredential ? {} : { asksForLease: true as const }),
        };
      case 'uid':
        return this.#byUid(knock);
    }
  }

  #byUid({ peer, forwardedBy, calledBy }: Knock): Caller | Refusal {
    if (forwardedBy !== undefined) {
      return refusal(
        'caller-forwarded',
        `The request carries the header ${forwardedBy}, so it came through something else, and the user at the other end of the connection is not who asks`,
        'let git come to the door directly, or give whoever asks a lease (`postern lease create`)',
      );
    }
    if (calledBy !== undefined) {
      return refusal(
        'caller-forwarded',
        `The request calls this door ${calledBy}, and a web page may have that name, so the user at the other end of the connection may not know of it`,
        'use 127.0.0.1 or localhost as the address, or TLS (`listen.http.tls`), or give whoever asks a lease (`postern lease create`)',
      );
    }
    switch (peer.uid.kind) {
      case 'known':
        if (this.#uids.has(peer.uid.uid)) return { kind: 'user', peer, uid: peer.uid.uid };
        return refusal(
          'caller-refused',
          `This door does not serve the local user with uid ${peer.uid.uid}`,
          'use a Postern of your own, ask its owner for a lease (`postern lease create`), or to be listed in `access.uids`',
        );
      case 'unknown':
        if (peer.uid.isOverload === true) return overloaded(peer.uid.why);
        return untold(peer.uid.why);
      case 'remote':
        return untold('the connection is not from this machine');
    }
  }
}

function untold(why: string): Refusal {
  return refusal(
    'caller-refused',
    `It cannot be told which local user asks: ${why}`,
    'try again; if it stays, use a lease (`postern lease create`)',
  );
}

/** Nobody is let in unseen, and nobody is told that they may not: it is Postern that cannot look. */
function overloaded(why: string): Refusal {
  return {
    ...refusal('overloaded', `It cannot be told which local user asks: ${why}`, 'try again in a few seconds'),
    status: 503,
    retryAfterSeconds: 5,
  };
}

function refusal(code: Refusal['code'], what: string, todo: string): Refusal {
  return { kind: 'refusal', code, status: 403, what, todo };
}
