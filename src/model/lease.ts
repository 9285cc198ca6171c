/**
 * A lease: a grant that its holder may pass on and narrow, in the construction of macaroons (Birgisson et al., "Macaroons:
 * Cookies with Contextual Caveats", NDSS 2014): a chain of caveats, each bound to the one before it by an HMAC. This file
 * knows what a lease says; gate/ knows how it is written, sealed and judged.
 */
import type { HostKind } from './address.js';
import type { Permission } from './operation.js';
import type { RefChange } from './refs.js';

/** Repositories by a pattern in the form of RepoAddress.canonical (route-pattern.ts). */
export interface RepoPattern {
  readonly hostKind: HostKind;
  /** Host first; `*` any one part, a last `**` any rest. */
  readonly parts: readonly string[];
}

/**
 * One caveat. In the first one, the grant, a dimension that is not named grants nothing: `repos`, `allow`, `expiresAt`, and
 * for pushes `refs` and `changes`. In a later one what is not named is left as it was. All of them have to hold.
 */
export interface Caveat {
  /** Names this link of the chain: revoking it ends this lease and all that descend from it. Lower-case hex. */
  readonly id: string;
  /** Who holds it, for the audit. Only the grant has one. */
  readonly label?: string | undefined;
  readonly repos?: readonly RepoPattern[] | undefined;
  readonly allow?: readonly Permission[] | undefined;
  /** Globs of refs that a push may touch (model/refs.ts). */
  readonly refs?: readonly string[] | undefined;
  /** Globs of refs that a push may not touch, whatever `refs` says. */
  readonly protect?: readonly string[] | undefined;
  readonly changes?: readonly RefChange[] | undefined;
  readonly expiresAt?: Date | undefined;
  /** Addresses that it may be used from, as CIDR blocks or single addresses; a condition, so absent means any. */
  readonly from?: readonly string[] | undefined;
  /** Local users who may use it; a condition, so absent means any. */
  readonly uids?: readonly number[] | undefined;
}

/** A lease whose chain has been verified. */
export interface Lease {
  /** Which root key sealed it. */
  readonly keyId: string;
  /** The grant, then every narrowing in order; never empty. */
  readonly caveats: readonly Caveat[];
}

/** The lease as texts name it: its latest id, and the holder's label if it has one. */
export function leaseName({ caveats }: Lease): string {
  const id = caveats.at(-1)?.id ?? 'none';
  const label = caveats[0]?.label;
  return label === undefined ? `lease ${id}` : `lease ${id} (${label})`;
}
