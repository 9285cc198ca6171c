/**
 * What the audit says: one record for each operation that has ended, and notes about the audit itself. Records stand in chains,
 * one for each process that writes, and each is bound to the one before it by an HMAC (store/audit-line.ts). Everything here is
 * plain data that can be read without Postern: times are ISO 8601, a member that does not apply is left out.
 */
import type { HostKind } from './address.js';
import type { ErrorCode } from './errors.js';
import type { Caveat } from './lease.js';
import type { Verdict } from './record.js';
import type { AuditSettings } from './settings.js';

/** A caveat of a lease as it stands in a record: its end as text. */
export type AuditCaveat = Omit<Caveat, 'expiresAt'> & { readonly expiresAt?: string | undefined };

/** The lease of an operation, without its seal: nothing here lets anyone in. */
export interface AuditLease {
  readonly keyId: string;
  readonly label?: string | undefined;
  /** Ids of its caveats: the grant first, the holder's own last. */
  readonly ids: readonly string[];
  readonly caveats: readonly AuditCaveat[];
}

/** A ref that a push named: hex ids, all zero for none. */
export interface AuditRef {
  readonly ref: string;
  readonly old: string;
  readonly new: string;
}

/** One operation or refusal, when it has ended. */
export interface AuditOperation {
  readonly kind: 'operation';
  readonly seq: number;
  /** When it ended. */
  readonly time: string;
  /** Number within the process that wrote it: the same as in its log. */
  readonly id: number;
  /** The door that it came by; records of before there were two have none. */
  readonly door?: 'http' | 'ssh' | undefined;
  /** The peer, `ip:port`. */
  readonly caller: string;
  /** Fingerprint of the key that the caller signed with, where that let it in. */
  readonly key?: string | undefined;
  readonly uid?: number | undefined;
  readonly lease?: AuditLease | undefined;
  /** `fetch`, `push`, `archive`, `lfs`, `api`, or `unknown` for what was refused before that was read. */
  readonly operation: string;
  readonly step?: string | undefined;
  readonly repository?: string | undefined;
  /** The address as policy compares it (RepoAddress.canonical). */
  readonly address?: { readonly kind: HostKind; readonly host: string; readonly parts: readonly string[] } | undefined;
  readonly route?: string | undefined;
  readonly identity?: string | undefined;
  readonly refs?: readonly AuditRef[] | undefined;
  /** How many more refs the push named. */
  readonly refsLeftOut?: number | undefined;
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly ms: number;
  readonly verdict: Exclude<Verdict, 'running'>;
  readonly code?: ErrorCode | undefined;
  readonly what?: string | undefined;
  readonly upstreamStatus?: number | undefined;
  readonly activityId?: string | undefined;
  /** Id of the trace that the caller counted it to: 32 hex digits. */
  readonly trace?: string | undefined;
}

/** What happened to the audit itself. */
export type AuditNote = { readonly seq: number; readonly time: string } & (
  | {
      readonly kind: 'recovered';
      /** What was left of a record that its writer could not finish. */
      readonly text: string;
    }
  | {
      readonly kind: 'lost';
      /** Records that could not be written and are nowhere. */
      readonly count: number;
      readonly since: string;
      readonly why: string;
    }
  | {
      readonly kind: 'missing';
      /** What was not as it had been left when the chain was opened, or while it was written. */
      readonly what: string;
      /** The value that this record is chained to, which nothing before it may have. */
      readonly prev: string;
    }
  | {
      readonly kind: 'removed';
      /** Files that went because of their age, and the records that were in them. */
      readonly files: readonly string[];
      readonly from: number;
      readonly to: number;
    }
  | {
      readonly kind: 'chain-removed';
      /** A chain whose writer has ended and whose last record is past its age. */
      readonly chain: string;
      readonly count: number;
      readonly last: string;
    }
);

export type AuditRecord = AuditOperation | AuditNote;

/** A record without the number that its place in the chain gives it. */
export type Unnumbered<Record extends AuditRecord> = Record extends AuditRecord ? Omit<Record, 'seq'> : never;

/** What `status` tells of the audit. */
export type AuditState =
  | { readonly kind: 'off' }
  | {
      readonly kind: 'on';
      readonly directory: string;
      readonly onFailure: AuditSettings['onFailure'];
      /** Name of the chain that this process writes; undefined until one could be opened. */
      readonly chain: string | undefined;
      /** The head: number and value of the last record, and of the one before the oldest that is kept. */
      readonly count: number;
      readonly last: string;
      readonly anchor: { readonly count: number; readonly last: string };
      readonly file: string | undefined;
      /** Records that wait to be written. */
      readonly waiting: number;
      /** Records that could not be written and are nowhere, since the start. */
      readonly lost: number;
      /** Why nothing can be written at the moment. */
      readonly failure: { readonly what: string; readonly since: string } | undefined;
      /** What was not as it had been left. */
      readonly findings: readonly string[];
    };
