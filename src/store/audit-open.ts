/**
 * Finds where a chain goes on. What was left is compared with its head: records beyond the head are taken when they chain, for
 * a process may be killed between a record and its head; a last line without an end is one that was being written. Anything else
 * that is not as it was left is a finding, after which nothing of what is there is touched any more: the chain goes on in a
 * new file.
 */
import type { KeyObject } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { fileName, fileNumbers, lineBefore, linesOf } from './audit-files.js';
import type { ChainHead, FoundHead } from './audit-head.js';
import { type AuditLine, type ChainPoint, macOf, previousOf, readLine, startOf } from './audit-line.js';

/** A head is a batch of records behind, and not more; a number further on is nobody's. */
const MOST_BEYOND_HEAD = 1_000_000;

/** Where a chain goes on. */
export interface ChainEnd {
  readonly point: ChainPoint;
  readonly file: number;
  /** Bytes of that file that are records. */
  readonly size: number;
  /** Whether the file has to be made. */
  readonly isNew: boolean;
  /** What stands behind those bytes: a record that was not finished. */
  readonly torn: string | undefined;
  /** What is not as it was left. */
  readonly finding: string | undefined;
  readonly anchor: { readonly file: number } & ChainPoint;
  readonly lost: number;
}

interface Chain {
  readonly directory: string;
  readonly chain: string;
  readonly key: KeyObject;
}

/** Looks at what there is of a chain; changes nothing. Rejects with the system's error. */
export async function findEnd(chain: Chain, found: FoundHead): Promise<ChainEnd> {
  const numbers = await fileNumbers(chain.directory, chain.chain);
  if (found.kind === 'head') return endByHead(chain, found.head, numbers);
  const start = startOf(chain.key, chain.chain);
  if (numbers.length === 0 && found.kind === 'absent') return fresh(start);
  return endWithoutHead(chain, numbers, found.kind === 'absent' ? 'its head is missing' : `its head is wrong: ${found.what}`);
}

function fresh(point: ChainPoint): ChainEnd {
  return {
    point,
    file: 1,
    size: 0,
    isNew: true,
    torn: undefined,
    finding: undefined,
    anchor: { file: 1, ...point },
    lost: 0,
  };
}

async function endByHead(chain: Chain, head: ChainHead, numbers: readonly number[]): Promise<ChainEnd> {
  const anchor = { file: head.anchorFile, seq: head.anchorSeq, mac: head.anchorMac };
  const { lost } = head;
  const newest = Math.max(head.file, numbers.at(-1) ?? 0);
  let point: ChainPoint = { seq: head.seq, mac: head.mac };
  const broken = async (finding: string): Promise<ChainEnd> => {
    // A number that is used twice would make the next look at it harder; what stands in the files may be anybody's.
    const seen = await lastLine(chain, newest).catch(() => undefined);
    const seq = Math.max(point.seq, head.seq, Math.min(seen?.record.seq ?? 0, head.seq + MOST_BEYOND_HEAD));
    return { point: { seq, mac: head.mac }, file: newest + 1, size: 0, isNew: true, torn: undefined, finding, anchor, lost };
  };
  const name = fileName(chain.chain, head.file);
  if (!numbers.includes(head.file)) {
    if (head.size === 0 && newest === head.file)
      return { point, file: head.file, size: 0, isNew: true, torn: undefined, finding: undefined, anchor, lost };
    return broken(`${name} is missing; the last of its records was number ${head.seq}`);
  }
  const handle = await open(join(chain.directory, name), 'r');
  try {
    const { size } = await handle.stat();
    if (size < head.size)
      return await broken(`the end of ${name} is missing: it had ${head.size} bytes up to record ${head.seq}, and has ${size}`);
    const last = head.size === 0 ? undefined : readLine((await lineBefore(handle, head.size)) ?? '');
    if (head.size > 0 && last?.mac !== head.mac) return await broken(`${name} was changed: record ${head.seq} is not where it was written`);
  } finally {
    await handle.close();
  }
  let size = head.size;
  let torn: string | undefined;
  for (let number = head.file; number <= newest; number++) {
    if (!numbers.includes(number)) return broken(`${fileName(chain.chain, number)} is missing`);
    if (torn !== undefined) return broken(`the last record of ${fileName(chain.chain, number - 1)} is incomplete`);
    if (number > head.file) size = 0;
    for await (const line of linesOf(join(chain.directory, fileName(chain.chain, number)), size)) {
      if (!line.isWhole) {
        torn = line.text;
        break;
      }
      const read = readLine(line.text);
      if (read === undefined || !follows(read, point, chain.key))
        return broken(`${fileName(chain.chain, number)} was changed: what stands behind record ${point.seq} does not belong there`);
      point = { seq: read.record.seq, mac: read.mac };
      size = line.end;
    }
  }
  return { point, file: newest, size, isNew: false, torn, finding: undefined, anchor, lost };
}

/** Without a head the records are taken as they are, and the chain says from then on that it had none. */
async function endWithoutHead(chain: Chain, numbers: readonly number[], finding: string): Promise<ChainEnd> {
  const start = startOf(chain.key, chain.chain);
  const [oldest = 1] = numbers;
  const newest = numbers.at(-1) ?? 0;
  const last = newest === 0 ? undefined : await lastLine(chain, newest);
  const first = newest === 0 ? undefined : await firstLine(chain, oldest);
  const before = first === undefined || first.record.seq === 1 ? start : { seq: first.record.seq - 1, mac: previousOf(first, '') };
  return {
    point: last === undefined ? start : { seq: last.record.seq, mac: last.mac },
    file: newest + 1,
    size: 0,
    isNew: true,
    torn: undefined,
    finding,
    anchor: { file: oldest, ...before },
    lost: 0,
  };
}

/** Whether a line is the one after a point. */
export function follows(line: AuditLine, point: ChainPoint, key: KeyObject): boolean {
  const previous = previousOf(line, point.mac);
  const isNext = previous === point.mac ? line.record.seq === point.seq + 1 : line.record.seq > point.seq;
  return isNext && macOf(key, previous, line.body) === line.mac;
}

/** The first line of a file that can be read; nothing about it is checked. */
export async function firstLine({ directory, chain }: Omit<Chain, 'key'>, number: number): Promise<AuditLine | undefined> {
  for await (const line of linesOf(join(directory, fileName(chain, number)))) return line.isWhole ? readLine(line.text) : undefined;
  return undefined;
}

/** The last whole line of a file, if it can be read; nothing about it is checked. */
export async function lastLine({ directory, chain }: Omit<Chain, 'key'>, number: number): Promise<AuditLine | undefined> {
  const handle = await open(join(directory, fileName(chain, number)), 'r');
  try {
    const { size } = await handle.stat();
    const whole = await endOfWhole(handle, size);
    return readLine((await lineBefore(handle, whole)) ?? '');
  } finally {
    await handle.close();
  }
}

/** Offset after the last line feed of a file. */
async function endOfWhole(handle: Awaited<ReturnType<typeof open>>, size: number): Promise<number> {
  const block = Buffer.alloc(64 * 1024);
  for (let end = size; end > 0; end -= Math.min(end, block.length)) {
    const from = Math.max(0, end - block.length);
    const { bytesRead } = await handle.read(block, 0, end - from, from);
    const at = block.subarray(0, bytesRead).lastIndexOf(10);
    if (at >= 0) return from + at + 1;
  }
  return 0;
}
