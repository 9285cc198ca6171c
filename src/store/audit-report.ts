/** What is told of a chain that was verified. */
import type { KeyObject } from 'node:crypto';
import type { AuditRecord } from '../model/audit.js';
import type { AuditPlaces } from './audit-files.js';
import type { FoundHead } from './audit-head.js';

/** What there is to say of one chain. */
export interface ChainReport {
  readonly chain: string;
  readonly isGood: boolean;
  /** Records that are there, and the first and last of them. */
  readonly count: number;
  readonly first: { readonly seq: number; readonly time: string } | undefined;
  readonly last: { readonly seq: number; readonly time: string } | undefined;
  readonly head: { readonly seq: number; readonly mac: string } | undefined;
  readonly anchor: { readonly seq: number; readonly mac: string } | undefined;
  /** What was done to it, each with the record or file. */
  readonly faults: readonly string[];
  /** What is no fault and worth knowing. */
  readonly notes: readonly string[];
}

/** One chain as it was found, with what verifying it needs. */
export interface FoundChain {
  readonly places: AuditPlaces;
  readonly key: KeyObject;
  readonly chain: string;
  readonly found: FoundHead;
  readonly numbers: readonly number[];
}

/** A note of the chain in words. */
export function noteOf(record: AuditRecord): string {
  const where = `record ${record.seq} of ${record.time}`;
  switch (record.kind) {
    case 'recovered':
      return `${where}: the record before it was incomplete, and what was there of it is kept in this one`;
    case 'lost':
      return `${where}: ${record.count} records since ${record.since} could not be written (${record.why})`;
    case 'missing':
      return `${where}: when the chain was opened, ${record.what}`;
    case 'removed':
      return `${where}: ${record.files.join(', ')} (records ${record.from} to ${record.to}) removed because of their age`;
    case 'chain-removed':
      return `${where}: the chain ${record.chain} (${record.count} records) removed because of its age`;
    case 'operation':
      return `${where}: ${record.operation} ${record.repository ?? ''}`;
  }
}
