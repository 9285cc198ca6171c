/**
 * Where the parts of the audit are, and what its files are called. Records are in a directory that may be anywhere; the key and
 * the heads of the chains are apart from it, in the state directory, so that who can change the one cannot therewith change
 * the other.
 *
 *   DIRECTORY/CHAIN.NNNNNN.jsonl     records, in the order of the numbers; the highest is being written
 *   STATE/audit-key                  the key of all chains
 *   STATE/audit-heads/CHAIN.head     how far a chain has come
 */
import { isUtf8 } from 'node:buffer';
import { open, readdir, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCodeOf } from '../model/errors.js';

const FILE = /^([a-z0-9-]+)\.([0-9]{6,9})\.jsonl$/;
const HEAD = /^([a-z0-9-]+)\.head$/;
const BLOCK_BYTES = 64 * 1024;

export interface AuditPlaces {
  readonly directory: string;
  readonly key: string;
  readonly heads: string;
}

/** The places for a state directory; `directory` is where the configuration puts the records. */
export function auditPlaces(stateDirectory: string, directory: string | undefined): AuditPlaces {
  return {
    directory: directory ?? join(stateDirectory, 'audit'),
    key: join(stateDirectory, 'audit-key'),
    heads: join(stateDirectory, 'audit-heads'),
  };
}

/** Name of a chain's file, 1 the first. */
export function fileName(chain: string, number: number): string {
  return `${chain}.${String(number).padStart(6, '0')}.jsonl`;
}

/** The file of a chain's head. */
export function headPath(places: AuditPlaces, chain: string): string {
  return join(places.heads, `${chain}.head`);
}

/** Numbers of a chain's files that are there, in order. An absent directory has none. */
export async function fileNumbers(directory: string, chain: string): Promise<number[]> {
  const names = await namesIn(directory);
  return names
    .flatMap((name) => {
      const match = FILE.exec(name);
      return match?.[1] === chain ? [Number(match[2])] : [];
    })
    .sort((a, b) => a - b);
}

/** Every chain that has a file or a head, by name. */
export async function chainNames(places: AuditPlaces): Promise<string[]> {
  const ofFiles = (await namesIn(places.directory)).flatMap((name) => FILE.exec(name)?.[1] ?? []);
  const ofHeads = (await namesIn(places.heads)).flatMap((name) => HEAD.exec(name)?.[1] ?? []);
  return [...new Set([...ofFiles, ...ofHeads])].sort();
}

/** A line of a file, and where it begins. The last one may have no end. */
export interface FileLine {
  readonly text: string;
  readonly offset: number;
  /** Offset after its line feed. */
  readonly end: number;
  readonly isWhole: boolean;
}

/** Reads a file's lines from an offset on, as it is now: what is appended meanwhile may or may not be among them. */
export async function* linesOf(path: string, from = 0): AsyncGenerator<FileLine> {
  const handle = await open(path, 'r');
  try {
    yield* linesIn(handle, from);
  } finally {
    await handle.close();
  }
}

async function* linesIn(handle: FileHandle, from: number): AsyncGenerator<FileLine> {
  const buffer = Buffer.alloc(BLOCK_BYTES);
  // Parts of a line that is longer than a block: joined once, when its end has come.
  let parts: Buffer[] = [];
  let offset = from;
  let position = from;
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, BLOCK_BYTES, position);
    if (bytesRead === 0) break;
    position += bytesRead;
    let start = 0;
    for (let end = buffer.indexOf(10, start); end >= 0 && end < bytesRead; end = buffer.indexOf(10, start)) {
      const piece = buffer.subarray(start, end);
      const bytes = parts.length === 0 ? piece : Buffer.concat([...parts, piece]);
      parts = [];
      const next = offset + bytes.length + 1;
      yield { text: exactText(bytes), offset, end: next, isWhole: true };
      offset = next;
      start = end + 1;
    }
    if (start < bytesRead) parts.push(Buffer.from(buffer.subarray(start, bytesRead)));
  }
  const rest = Buffer.concat(parts);
  if (rest.length > 0) yield { text: rest.toString('utf8'), offset, end: offset + rest.length, isWhole: false };
}

/** The line that ends at `end` (after its line feed), or undefined when none does. */
export async function lineBefore(handle: FileHandle, end: number): Promise<string | undefined> {
  let from = end;
  let bytes = Buffer.alloc(0);
  while (from > 0) {
    const length = Math.min(BLOCK_BYTES, from);
    from -= length;
    const block = Buffer.alloc(length);
    const { bytesRead } = await handle.read(block, 0, length, from);
    if (bytesRead !== length) return undefined;
    bytes = Buffer.concat([block, bytes]);
    const before = bytes.length < 2 ? -1 : bytes.lastIndexOf(10, bytes.length - 2);
    if (before >= 0 || from === 0) return bytes.at(-1) === 10 ? bytes.toString('utf8', before + 1, bytes.length - 1) : undefined;
  }
  return undefined;
}

/** Bytes as text of which no two give the same: what is no UTF-8 was not written here, and must not pass for what was. */
function exactText(bytes: Buffer): string {
  return isUtf8(bytes) ? bytes.toString('utf8') : bytes.toString('latin1');
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (thrown) {
    if (systemCodeOf(thrown) === 'ENOENT') return [];
    throw thrown;
  }
}
