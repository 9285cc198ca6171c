/** A record of the audit as a line for a person. What is in it came from outside: nothing that a terminal would act on passes. */
import type { AuditOperation, AuditRecord } from '../../model/audit.js';

/** Controls, breaks of lines, directions, and what is half a character. */
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]/gu;
/** Refs of a push that are named in its line. */
const MOST_REFS = 3;

/** One line for a record. */
export function recordLine(chain: string, record: AuditRecord): string {
  const start = `${record.time} ${chain}:${record.seq}`;
  if (record.kind !== 'operation') return plain(`${start} -- ${noteText(record)}`);
  const who = record.lease === undefined ? uidText(record) : `lease ${record.lease.ids.at(-1) ?? ''}${labelText(record.lease.label)}`;
  const what = [record.operation, record.step, record.repository].filter((part) => part !== undefined).join(' ');
  const sizes = `${record.bytesUp} up, ${record.bytesDown} down, ${record.ms} ms`;
  const parts = [`${start} ${record.verdict} ${what}`, `by ${who} at ${record.caller}`];
  if (record.identity !== undefined) parts.push(`as ${record.identity}`);
  const refs = record.refs ?? [];
  if (refs.length > 0) parts.push(refsText(refs));
  parts.push(sizes);
  if (record.code !== undefined) parts.push(`${record.code}: ${record.what ?? ''}`);
  return plain(parts.join('; '));
}

/** The text with everything that a terminal would act on written as an escape. */
export function plain(text: string): string {
  return text.replace(UNPRINTABLE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function noteText(record: Exclude<AuditRecord, AuditOperation>): string {
  switch (record.kind) {
    case 'recovered':
      return `the record before this one was incomplete; what was there of it: ${record.text}`;
    case 'lost':
      return `${record.count} records since ${record.since} could not be written (${record.why})`;
    case 'missing':
      return `NOT AS IT WAS LEFT: ${record.what}`;
    case 'removed':
      return `records ${record.from} to ${record.to} removed because of their age`;
    case 'chain-removed':
      return `the chain ${record.chain} (${record.count} records, the last ${record.last}) removed because of its age`;
  }
}

function uidText({ uid, key }: AuditOperation): string {
  if (key !== undefined) return `key ${key}`;
  return uid === undefined ? 'an unknown user' : `uid ${uid}`;
}

function labelText(label: string | undefined): string {
  return label === undefined ? '' : ` (${label})`;
}

function refsText(refs: NonNullable<AuditOperation['refs']>): string {
  const named = refs.slice(0, MOST_REFS).map(({ ref, old, new: next }) => `${ref} ${old.slice(0, 8)}->${next.slice(0, 8)}`);
  return refs.length > MOST_REFS ? `${named.join(', ')} and ${refs.length - MOST_REFS} more refs` : named.join(', ');
}
