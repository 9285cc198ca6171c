/**
 * One line of the audit: a record as JSON whose last member is its `mac`, which binds it to the line before it.
 *
 *   line  = body without its last "}"  ',"mac":"' hex '"}' LF
 *   mac   = HMAC-SHA256(key, previous mac in hex LF body)       the first previous mac is that of the chain's name
 *
 * The bytes of the line are what is sealed, not what they mean: a record that was written anew in other words is a changed one.
 */
import { createHmac, type KeyObject } from 'node:crypto';
import type { AuditRecord } from '../model/audit.js';

/** Hex digits of a value in the chain. */
const MAC = /,"mac":"([0-9a-f]{64})"\}$/;
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?$/;

/** A place in a chain: how many records there are up to it, and the mac of the last. */
export interface ChainPoint {
  readonly seq: number;
  readonly mac: string;
}

/** A line as it was read; nothing about it has been checked. */
export interface AuditLine {
  readonly record: AuditRecord;
  readonly body: string;
  readonly mac: string;
}

/** Whether a text can name a chain: it becomes a part of file names. */
export function isChainName(text: string): boolean {
  return NAME.test(text);
}

/** Where a chain begins. Each has a beginning of its own, so that the files of one cannot stand in for another's. */
export function startOf(key: KeyObject, chain: string): ChainPoint {
  return { seq: 0, mac: createHmac('sha256', key).update(`postern audit chain ${chain}`).digest('hex') };
}

/** The mac of a body that follows `previous` (hex). */
export function macOf(key: KeyObject, previous: string, body: string): string {
  return createHmac('sha256', key).update(`${previous}\n`).update(body).digest('hex');
}

/** Writes a record as the line after `previous`, line feed included; twin of `readLine`. */
export function writeLine(key: KeyObject, previous: string, record: AuditRecord): { readonly text: string; readonly mac: string } {
  const body = JSON.stringify(record);
  const mac = macOf(key, previous, body);
  return { text: `${body.slice(0, -1)},"mac":"${mac}"}\n`, mac };
}

/** Reads a line without its line feed; undefined when it is none of the audit. */
export function readLine(text: string): AuditLine | undefined {
  const mac = MAC.exec(text)?.[1];
  if (mac === undefined) return undefined;
  const body = `${text.slice(0, -`,"mac":"${mac}"}`.length)}}`;
  try {
    const record: unknown = JSON.parse(body);
    if (typeof record !== 'object' || record === null || !('seq' in record) || !Number.isSafeInteger(record.seq)) return undefined;
    if (!('kind' in record) || typeof record.kind !== 'string' || !('time' in record) || typeof record.time !== 'string') return undefined;
    return { record: record as AuditRecord, body, mac }; // because only its number, time and kind are relied upon before it is checked
  } catch {
    // No JSON: not a line of ours, or no longer.
    return undefined;
  }
}

/** The point that a line must follow: the one before it, or the one that a note of missing records names itself. */
export function previousOf({ record }: AuditLine, before: string): string {
  return record.kind === 'missing' && typeof record.prev === 'string' ? record.prev : before;
}
