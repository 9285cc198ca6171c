/**
 * What telemetry may know of the house: small questions, asked when somebody reads the numbers. Nothing here can change anything,
 * and nothing here tells a secret, a repository or a lease.
 */
import type { IdentityState } from '../identity/vault-state.js';
import type { AuditState } from '../model/audit.js';
import type { LogEvent, LogLevel } from '../model/ports.js';
import type { OperationRecord } from '../model/record.js';
import type { Limits } from '../model/settings.js';

/** Where the daemon is in its life. */
export interface Life {
  readonly state: 'starting' | 'ready' | 'draining';
  /** Why nothing new is taken on although it is ready; undefined when it is. */
  readonly unready: string | undefined;
  /** Why only a new process would help; undefined when nothing is wrong. */
  readonly fault: string | undefined;
}

/** Connections to upstreams, together for one identity. */
export interface PoolCount {
  readonly protocol: 'https' | 'ssh';
  /** Undefined for SSH, where a key signs and no identity of ours. */
  readonly identity: string | undefined;
  readonly busy: number;
  readonly idle: number;
}

export interface LoggedEvent {
  readonly level: LogLevel;
  readonly event: LogEvent;
  readonly count: number;
  /** When it was last logged, ms since the epoch. */
  readonly lastAt: number;
}

export interface HouseView {
  readonly version: string;
  /** When this configuration was first read, ms since the epoch. */
  readonly startedAt: number;
  /** ms since the epoch. */
  readonly now: () => number;
  readonly life: () => Life;
  readonly running: () => readonly OperationRecord[];
  readonly identities: () => readonly IdentityState[];
  /** When personal access tokens end, ms since the epoch, by identity; only those of which it is known. */
  readonly patEnds: () => readonly { readonly identity: string; readonly expiresAt: number }[];
  readonly pools: () => readonly PoolCount[];
  /** How many of (upstream, organisation, identity) are held back at the upstream's wish. */
  readonly throttled: () => number;
  readonly audit: () => AuditState;
  readonly limits: () => Limits;
  /** Open connections by door; a door that is off is left out. */
  readonly doorConnections: () => Promise<readonly { readonly door: OperationRecord['door']; readonly count: number }[]>;
  /** When the certificate of the TLS listeners ends, ms since the epoch; undefined when there is none. */
  readonly certificateEndsAt: () => number | undefined;
  /** Every event that was logged since the start, also below the level that is written. */
  readonly logged: () => readonly LoggedEvent[];
}
