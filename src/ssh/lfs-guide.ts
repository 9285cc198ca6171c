/**
 * `git-lfs-authenticate`: git-lfs asks over SSH where LFS of a repository is served over HTTP, and what to show there. No LFS goes over
 * SSH itself. Who knows the answer is no part of this room; here is what is asked, and how the answer is written.
 *
 *   {"href": "http://127.0.0.1:8417/...", "header": {"X-Postern-Lease": "..."}, "expires_in": 900, "expires_at": "2030-01-01T00:00:00.000Z"}
 *
 * Source: git-lfs docs/api/server-discovery.md, "SSH".
 */
import type { Caller } from '../model/caller.js';
import type { LfsOperation } from '../model/operation.js';
import type { Refusal } from '../model/refusal.js';
import type { Secret } from '../model/secret.js';
import type { Route } from '../model/settings.js';

/** A client that has been admitted to what it wants of LFS. */
export interface LfsQuestion {
  readonly operation: LfsOperation;
  readonly route: Route;
  readonly caller: Caller;
  /** Whether its listener is on loopback. */
  readonly isLocal: boolean;
  /** The address of this machine that it has reached, an IP literal. */
  readonly dialed: string;
}

export interface LfsAccess {
  readonly kind: 'access';
  /** Address of LFS at the HTTP door, to which git-lfs adds `/objects/batch` and `/locks`. */
  readonly href: string;
  /** What the HTTP door knows the client by. */
  readonly lease: Secret;
  /** When the client is to ask again; the lease itself may last longer. */
  readonly expiresAt: Date;
}

/** Says where a client is to go on, or why it cannot. Rejects only for what is unexpected. */
export type LfsGuide = (question: LfsQuestion) => Promise<LfsAccess | Refusal>;

/** Writes the answer at `now` (ms since the epoch). The client goes by the seconds: its clock may be another. */
export function writeLfsAccess({ href, lease, expiresAt }: LfsAccess, now: number): string {
  // To git-lfs 0 seconds are for ever.
  const seconds = Math.max(1, Math.floor((expiresAt.getTime() - now) / 1000));
  const header = { 'X-Postern-Lease': lease.reveal() };
  return `${JSON.stringify({ href, header, expires_in: seconds, expires_at: expiresAt.toISOString() })}\n`;
}
