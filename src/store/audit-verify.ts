/**
 * Whether the audit is what was written. A whole chain is read once and sealed again record by record; only when that does
 * not come out is it looked at more closely, to tell what was done to it (audit-diagnosis.ts). Changes nothing and needs no
 * daemon; a daemon may write meanwhile.
 */
import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { messageOf } from '../model/errors.js';
import { diagnose } from './audit-diagnosis.js';
import { type AuditPlaces, chainNames, fileName, fileNumbers, headPath, linesOf } from './audit-files.js';
import { type ChainHead, type FoundHead, readHead } from './audit-head.js';
import { readAuditKey } from './audit-key.js';
import { readLine, startOf } from './audit-line.js';
import { follows } from './audit-open.js';
import { type ChainReport, type FoundChain, noteOf } from './audit-report.js';

/** Files are removed and begun while they are read; so often it is tried again. */
const MOST_TRIES = 3;

/**
 * Verifies every chain.
 * @returns undefined when there is no audit at all
 * Rejects with the system's error when something cannot be read, and with an Error when there is no key.
 */
export async function verifyAudit(places: AuditPlaces): Promise<ChainReport[] | undefined> {
  const names = await chainNames(places);
  if (names.length === 0) return undefined;
  const key = await readAuditKey(places.key);
  if (key === undefined) throw new Error(`the key ${places.key} is missing, without which nothing can be verified`);
  const reports: ChainReport[] = [];
  for (const chain of names) {
    const report = await verifyChain(places, key, chain);
    if (report !== undefined) reports.push(report);
  }
  return reports;
}

async function verifyChain(places: AuditPlaces, key: KeyObject, chain: string): Promise<ChainReport | undefined> {
  for (let attempt = 1; ; attempt++) {
    // The head first: records are written before it, so it is never ahead of what is read after it.
    const found = await readHead(headPath(places, chain), key, chain);
    const numbers = await fileNumbers(places.directory, chain);
    const seen: FoundChain = { places, key, chain, found, numbers };
    const report = await reportOf(seen).catch((thrown: unknown) => messageOf(thrown));
    if (typeof report !== 'string' && report.isGood) return report;
    const now = await readHead(headPath(places, chain), key, chain);
    const isSame = JSON.stringify(anchorOf(now)) === JSON.stringify(anchorOf(found)) && now.kind === found.kind;
    if (isSame || attempt === MOST_TRIES) {
      if (typeof report === 'string') throw new Error(report);
      return report;
    }
    // Its writer has removed old files meanwhile, or the whole chain.
    if (now.kind === 'absent' && (await fileNumbers(places.directory, chain)).length === 0) return undefined;
  }
}

function anchorOf(found: FoundHead): readonly unknown[] {
  return found.kind === 'head' ? [found.head.anchorFile, found.head.anchorSeq] : [];
}

async function reportOf(seen: FoundChain): Promise<ChainReport> {
  const { found } = seen;
  const head = found.kind === 'head' ? found.head : undefined;
  const quick = head === undefined ? undefined : await readThrough(seen, head);
  if (quick !== undefined && head !== undefined) {
    const notes = quick.notes;
    if (quick.torn !== undefined) notes.push(`the last record is incomplete (${quick.torn}): its writer was killed, or is writing it`);
    if (quick.lastSeq > head.seq)
      notes.push(`the head is ${quick.lastSeq - head.seq} records behind: its writer was killed, or is writing`);
    if (head.lost > 0) notes.push(`${head.lost} records could not be written before the process ended`);
    return {
      chain: seen.chain,
      isGood: true,
      count: quick.count,
      first: quick.first,
      last: quick.last,
      head: { seq: head.seq, mac: head.mac },
      anchor: { seq: head.anchorSeq, mac: head.anchorMac },
      faults: [],
      notes,
    };
  }
  return diagnose(seen);
}

interface Quick {
  count: number;
  first: ChainReport['first'];
  last: ChainReport['last'];
  lastSeq: number;
  torn: string | undefined;
  notes: string[];
}

/** Reads a chain from its anchor to its end; undefined as soon as something does not come out. */
async function readThrough({ places, key, chain, numbers }: FoundChain, head: ChainHead): Promise<Quick | undefined> {
  let point = { seq: head.anchorSeq, mac: head.anchorMac };
  // A chain that has removed nothing begins at its beginning, whatever its head says.
  if (head.anchorSeq === 0 && head.anchorMac !== startOf(key, chain).mac) return undefined;
  const kept = numbers.filter((number) => number >= head.anchorFile);
  if (kept.length > 0 && (kept.at(-1) ?? 0) - (kept[0] ?? 0) + 1 !== kept.length) return undefined;
  const quick: Quick = { count: 0, first: undefined, last: undefined, lastSeq: 0, torn: undefined, notes: [] };
  let headMac = point.seq === head.seq ? point.mac : undefined;
  for (const number of kept) {
    const name = fileName(chain, number);
    for await (const line of linesOf(join(places.directory, name))) {
      if (!line.isWhole) {
        if (number !== kept.at(-1)) return undefined;
        quick.torn = `${name}, ${line.text.length} characters`;
        continue;
      }
      const read = readLine(line.text);
      // A note of missing records is in order for the chain, and a fault all the same.
      if (read === undefined || read.record.kind === 'missing' || !follows(read, point, key)) return undefined;
      point = { seq: read.record.seq, mac: read.mac };
      if (point.seq === head.seq) headMac = point.mac;
      quick.count += 1;
      quick.last = { seq: point.seq, time: read.record.time };
      quick.first ??= quick.last;
      if (read.record.kind !== 'operation') quick.notes.push(noteOf(read.record));
    }
  }
  if (headMac !== head.mac) return undefined;
  if (numbers.length > kept.length) quick.notes.push(`${numbers.length - kept.length} files are past their age and will be removed`);
  quick.lastSeq = point.seq;
  return quick;
}
