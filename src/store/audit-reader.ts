/**
 * The records of all chains as one stream in the order of time, for whoever looks through them. Reads what is there and checks
 * nothing (audit-verify.ts does); needs neither key nor daemon.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AuditRecord } from '../model/audit.js';
import { systemCodeOf } from '../model/errors.js';
import { type AuditPlaces, chainNames, fileName, fileNumbers, linesOf } from './audit-files.js';
import { readLine } from './audit-line.js';

/** How often followed files are looked at: below what a person notices. */
const LOOK_MS = 200;

/** A record and the chain that it is in. */
export interface ChainRecord {
  readonly chain: string;
  readonly record: AuditRecord;
}

/** How far a chain has been read, for `follow`. */
export type ReadSoFar = Map<string, { file: number; offset: number }>;

/**
 * Every record, oldest first; of one chain always in its own order. `sofar` is brought to where the reading ended. A record
 * that cannot be read is passed over.
 */
export async function* readAudit(places: AuditPlaces, sofar: ReadSoFar = new Map()): AsyncGenerator<ChainRecord> {
  const streams: { readonly rest: AsyncGenerator<ChainRecord>; next: ChainRecord }[] = [];
  for (const chain of await chainNames(places)) {
    const rest = readChain(places, chain, sofar);
    const next = await rest.next();
    if (next.done !== true) streams.push({ rest, next: next.value });
  }
  while (streams.length > 0) {
    let oldest = streams[0];
    for (const stream of streams) if (oldest === undefined || stream.next.record.time < oldest.next.record.time) oldest = stream;
    if (oldest === undefined) return;
    yield oldest.next;
    const next = await oldest.rest.next();
    if (next.done === true) streams.splice(streams.indexOf(oldest), 1);
    else oldest.next = next.value;
  }
}

/** What comes from now on, after what `sofar` says; ends when `signal` does. */
export async function* followAudit(places: AuditPlaces, sofar: ReadSoFar, signal?: AbortSignal): AsyncGenerator<ChainRecord> {
  while (signal?.aborted !== true) {
    yield* readAudit(places, sofar);
    await sleep(LOOK_MS, undefined, signal === undefined ? {} : { signal }).catch(() => undefined); // aborted: the loop ends
  }
}

/** One record by its number. */
export async function findRecord(places: AuditPlaces, chain: string, seq: number): Promise<AuditRecord | undefined> {
  for await (const { record } of readChain(places, chain, new Map())) if (record.seq === seq) return record;
  return undefined;
}

async function* readChain(places: AuditPlaces, chain: string, sofar: ReadSoFar): AsyncGenerator<ChainRecord> {
  const from = sofar.get(chain) ?? { file: 0, offset: 0 };
  for (const file of await fileNumbers(places.directory, chain)) {
    if (file < from.file) continue;
    const path = join(places.directory, fileName(chain, file));
    const offset = file === from.file ? from.offset : 0;
    // Cut off while it was followed: what is there now has been read.
    if (offset > 0 && (await sizeOf(path)) <= offset) continue;
    try {
      for await (const line of linesOf(path, offset)) {
        if (!line.isWhole) break;
        sofar.set(chain, { file, offset: line.end });
        const read = readLine(line.text);
        if (read !== undefined) yield { chain, record: read.record };
      }
    } catch (thrown) {
      // Removed because of its age between the listing and now.
      if (systemCodeOf(thrown) !== 'ENOENT') throw thrown;
    }
  }
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}
