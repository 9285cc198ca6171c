/**
 * What of an operation is written down. Text that came from outside goes through the redaction that is handed in; of a lease
 * there is what it grants and its ids, and never what would let anyone in.
 */
import type { AuditLease, AuditOperation, Unnumbered } from '../model/audit.js';
import type { Lease } from '../model/lease.js';
import type { OperationRecord } from '../model/record.js';

/** The record of an operation that has ended. */
export function auditOperation(record: OperationRecord, redact: (text: string) => string): Unnumbered<AuditOperation> {
  const clean = (text: string | undefined): string | undefined => (text === undefined || text === '' ? undefined : redact(text));
  const { address, failure, lease, refs } = record;
  return {
    kind: 'operation',
    time: new Date(record.startedAt.getTime() + record.ms).toISOString(),
    id: record.id,
    door: record.door,
    caller: record.caller,
    key: record.key,
    uid: record.uid,
    lease: lease === undefined ? undefined : auditLease(lease, redact),
    operation: record.kind,
    step: clean(record.step),
    repository: clean(record.repository),
    address:
      address === undefined ? undefined : { kind: address.kind, host: address.host, parts: address.canonical.map((part) => redact(part)) },
    route: record.route,
    identity: record.identity,
    refs: refs.length === 0 ? undefined : refs.map(({ ref, oldOid, newOid }) => ({ ref: redact(ref), old: oldOid, new: newOid })),
    refsLeftOut: record.refsLeftOut === 0 ? undefined : record.refsLeftOut,
    bytesUp: record.bytesUp,
    bytesDown: record.bytesDown,
    ms: record.ms,
    // It has ended: `running` is not what a ledger hands on.
    verdict: record.verdict === 'running' ? 'failed' : record.verdict,
    code: failure?.code,
    what: clean(failure?.what),
    upstreamStatus: record.upstreamStatus,
    activityId: clean(record.activityId),
    trace: record.trace?.traceId,
  };
}

function auditLease({ keyId, caveats }: Lease, redact: (text: string) => string): AuditLease {
  const label = caveats[0]?.label;
  return {
    keyId,
    label: label === undefined ? undefined : redact(label),
    ids: caveats.map(({ id }) => id),
    // Member by member: whatever else a caveat may come to hold is not written down by accident.
    caveats: caveats.map((each) => ({
      id: each.id,
      label: each.label === undefined ? undefined : redact(each.label),
      repos: each.repos,
      allow: each.allow,
      refs: each.refs,
      protect: each.protect,
      changes: each.changes,
      expiresAt: each.expiresAt?.toISOString(),
      from: each.from,
      uids: each.uids,
    })),
  };
}
