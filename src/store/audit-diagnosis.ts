/**
 * What was done to a chain that does not verify. Each record is sealed again behind the one that has the number before its own,
 * wherever that stands: so a record that was only moved is told from one that was changed, and a missing one accuses no other.
 */
import { join } from 'node:path';
import { fileName, linesOf } from './audit-files.js';
import { type AuditLine, type ChainPoint, macOf, previousOf, readLine, startOf } from './audit-line.js';
import { type ChainReport, type FoundChain, noteOf } from './audit-report.js';

/** Faults that are told one by one; what was done by a program to thousands of records is clear from the first. */
const MOST_FAULTS = 50;

/** A line of a chain and what became of it. */
interface Seen {
  readonly file: number;
  readonly line: number;
  readonly seq: number;
  readonly mac: string;
  readonly time: string;
  /** Whether it is what was written with this key as this number; undefined when the record before it is not there. */
  readonly isGenuine: boolean | undefined;
  readonly note: string | undefined;
  readonly isMissingNote: boolean;
}

/** Tells what is wrong with a chain. */
export async function diagnose(found: FoundChain): Promise<ChainReport> {
  const { key, chain, found: foundHead, numbers } = found;
  const head = foundHead.kind === 'head' ? foundHead.head : undefined;
  const faults: string[] = [];
  const notes: string[] = [];
  if (foundHead.kind === 'absent') faults.push('the head is missing: it cannot be told whether records are missing at the end');
  if (foundHead.kind === 'wrong') faults.push(`the head was replaced: ${foundHead.what}`);
  const start = startOf(key, chain);
  const anchor: ChainPoint | undefined = head === undefined ? undefined : { seq: head.anchorSeq, mac: head.anchorMac };
  const kept = head === undefined ? numbers : numbers.filter((number) => number >= head.anchorFile);
  const macs = new Map<number, string>([[start.seq, start.mac]]);
  if (anchor !== undefined && anchor.mac !== '') macs.set(anchor.seq, anchor.mac);
  for await (const { read } of linesAt(found, kept))
    if (read !== undefined && !macs.has(read.record.seq)) macs.set(read.record.seq, read.mac);

  const seen: Seen[] = [];
  for await (const { file, line, text, isWhole, read } of linesAt(found, kept)) {
    const where = `line ${line} of ${fileName(chain, file)}`;
    if (!isWhole && file === kept.at(-1)) notes.push(`the last record is incomplete (${fileName(chain, file)}, ${text.length} characters)`);
    else if (!isWhole) faults.push(`${where} has no end, and is not the last`);
    else if (read === undefined) faults.push(`${where} was changed: it is no record`);
    else {
      const { record } = read;
      const before = previousOf(read, macs.get(record.seq - 1) ?? '');
      const isNote = record.kind !== 'operation';
      seen.push({
        file,
        line,
        seq: record.seq,
        mac: read.mac,
        time: record.time,
        isGenuine: before === '' ? undefined : macOf(key, before, read.body) === read.mac,
        note: isNote ? noteOf(record) : undefined,
        isMissingNote: record.kind === 'missing',
      });
    }
  }
  const first = seen[0];
  const last = seen.at(-1);
  if (seen.length > 0 && seen.every(({ isGenuine }) => isGenuine !== true) && seen.length > 1) {
    faults.splice(0, faults.length, 'nothing in it was written with this key: the key or the files are of another daemon');
  } else {
    faults.push(...changes(seen, chain), ...order(seen, chain), ...gaps(seen, found, kept));
    for (const { note, isMissingNote, isGenuine } of seen) {
      if (note === undefined || isGenuine !== true) continue;
      if (isMissingNote) faults.push(note);
      else notes.push(note);
    }
  }
  if (faults.length === 0) faults.push(headFault(head?.seq, head?.mac, macs));
  const told = faults.length > MOST_FAULTS ? [...faults.slice(0, MOST_FAULTS), `and ${faults.length - MOST_FAULTS} more`] : faults;
  return {
    chain,
    isGood: false,
    count: seen.length,
    first: first === undefined ? undefined : { seq: first.seq, time: first.time },
    last: last === undefined ? undefined : { seq: last.seq, time: last.time },
    head: head === undefined ? undefined : { seq: head.seq, mac: head.mac },
    anchor,
    faults: told,
    notes,
  };
}

interface PlacedLine {
  readonly file: number;
  /** 1 the first. */
  readonly line: number;
  readonly text: string;
  readonly isWhole: boolean;
  readonly read: AuditLine | undefined;
}

async function* linesAt({ places, chain }: FoundChain, files: readonly number[]): AsyncGenerator<PlacedLine> {
  for (const file of files) {
    let line = 0;
    for await (const { text, isWhole } of linesOf(join(places.directory, fileName(chain, file)))) {
      line += 1;
      yield { file, line, text, isWhole, read: isWhole ? readLine(text) : undefined };
    }
  }
}

function changes(seen: readonly Seen[], chain: string): string[] {
  return seen
    .filter(({ isGenuine }) => isGenuine === false)
    .map(({ seq, file, line }) => `record ${seq} was changed (line ${line} of ${fileName(chain, file)})`);
}

/** Records that do not stand in the order of their numbers, a run of them as one. */
function order(seen: readonly Seen[], chain: string): string[] {
  const faults: string[] = [];
  const placed = new Map<number, Seen>();
  const where = ({ line, file }: Seen): string => `line ${line} of ${fileName(chain, file)}`;
  let highest = 0;
  let run: { readonly from: Seen; to: Seen; readonly behind: number } | undefined;
  const end = (): void => {
    if (run === undefined) return;
    const { from, to, behind } = run;
    const what = from === to ? `record ${from.seq} stands` : `records ${from.seq} to ${to.seq} stand`;
    faults.push(`${what} behind record ${behind}, where ${from === to ? 'it does' : 'they do'} not belong (${where(from)})`);
    run = undefined;
  };
  let behind = 0;
  for (const each of seen) {
    const twin = placed.get(each.seq);
    if (twin !== undefined) {
      end();
      faults.push(`record ${each.seq} stands twice (${where(twin)} and ${where(each)})`);
    } else if (each.seq > highest) {
      end();
      highest = each.seq;
    } else if (run !== undefined && each.seq === run.to.seq + 1) run.to = each;
    else {
      end();
      run = { from: each, to: each, behind };
    }
    if (twin === undefined) placed.set(each.seq, each);
    behind = each.seq;
  }
  end();
  return faults;
}

/** Records that are nowhere: whole files, inner ones, and the end. */
function gaps(seen: readonly Seen[], { found, chain }: FoundChain, kept: readonly number[]): string[] {
  const head = found.kind === 'head' ? found.head : undefined;
  const faults: string[] = [];
  const oldest = head?.anchorFile ?? kept[0] ?? 1;
  const newest = Math.max(head === undefined || head.size === 0 ? 0 : head.file, kept.at(-1) ?? 0);
  for (let file = oldest; file <= newest; file++) if (!kept.includes(file)) faults.push(`${fileName(chain, file)} is missing`);
  const there = [...new Set(seen.map(({ seq }) => seq))].sort((a, b) => a - b);
  const expected = head?.anchorSeq ?? (there[0] ?? 1) - 1;
  let before = expected;
  for (const seq of there) {
    if (seq > before + 1) faults.push(`${range(before + 1, seq - 1)} missing${before === expected ? ' at the beginning' : ''}`);
    before = Math.max(before, seq);
  }
  if (head !== undefined && before < head.seq)
    faults.push(`${range(before + 1, head.seq)} missing at the end: the head says that there were ${head.seq}`);
  return faults;
}

function range(from: number, to: number): string {
  return from === to ? `record ${from} is` : `records ${from} to ${to} are`;
}

/** Everything chains, and the head does not belong to it. */
function headFault(seq: number | undefined, mac: string | undefined, macs: ReadonlyMap<number, string>): string {
  return seq !== undefined && macs.get(seq) !== mac
    ? `the head does not belong to these records: it has another value for record ${seq}`
    : 'the chain does not begin where its head says';
}
