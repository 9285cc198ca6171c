/**
 * A chain that is open for writing: appends what it is given, keeps its head, begins a new file when one is full or old, and
 * removes files that are past their age. One process at a time holds it, by its lock.
 *
 * Killed at any moment it leaves a last line without an end, or a head that is behind; both are mended when it is opened again.
 */
import type { KeyObject } from 'node:crypto';
import { constants, open, stat, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { AuditRecord, Unnumbered } from '../model/audit.js';
import { systemCodeOf } from '../model/errors.js';
import { makeDirectory, syncDirectory } from './atomic-file.js';
import { replaceEnd, writeAll } from './audit-append.js';
import { type AuditPlaces, fileName, fileNumbers, headPath } from './audit-files.js';
import { HeadFile, readHead } from './audit-head.js';
import { type ChainPoint, previousOf, writeLine } from './audit-line.js';
import { findEnd, firstLine, lastLine } from './audit-open.js';

/** A file is closed after this part of the time for which it is kept, so that records do not outlive that by much. */
const FILES_PER_AGE = 10;
const FILE_MODE = 0o600;

export interface ChainLimits {
  readonly maxSizeBytes: number;
  /** ms. */
  readonly maxAge: number;
}

/** What was done when a chain was opened. */
export interface Opening {
  readonly chain: AuditChain;
  /** Where the records ended that were found. */
  readonly found: ChainPoint;
  readonly torn: string | undefined;
  readonly finding: string | undefined;
  readonly lost: number;
}

interface Options {
  readonly places: AuditPlaces;
  readonly name: string;
  readonly key: KeyObject;
  readonly limits: ChainLimits;
  /** ms since the epoch. */
  readonly now: () => number;
}

interface Anchor extends ChainPoint {
  readonly file: number;
}

/** Its file is not as this process left it. */
export class ChainDisturbed extends Error {
  constructor(path: string) {
    super(`${path} is not as it was left`);
  }
}

export class AuditChain {
  readonly #options: Options;
  readonly #head: HeadFile;
  #handle: FileHandle;
  #point: ChainPoint;
  #anchor: Anchor;
  #file: number;
  #size: number;
  /** When the first record of the file was written; undefined while there is none. */
  #begunAt: number | undefined;
  #lastAt = 0;
  /** Records that are nowhere, as the head says them. */
  #lost: number;

  /** Opens a chain whose lock is held, and writes down what was found. Rejects with the system's error; nothing is changed then. */
  static async open(options: Options): Promise<Opening> {
    const { places, name, key } = options;
    for (const directory of [places.directory, places.heads]) await makeDirectory(directory);
    const former = await readHead(headPath(places, name), key, name);
    const end = await findEnd({ directory: places.directory, chain: name, key }, former);
    const head = await HeadFile.open(headPath(places, name), key);
    let handle: FileHandle | undefined;
    try {
      const path = join(places.directory, fileName(name, end.file));
      if (end.isNew && end.finding === undefined) {
        // The head first: a chain that has none any more must not look like one that never began.
        const { point, anchor } = end;
        await head.write(headOf(name, options.now(), { ...end, point, anchor }), { sync: true });
        await syncDirectory(places.heads);
      }
      handle = await open(
        path,
        constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW | (end.isNew ? constants.O_CREAT | constants.O_EXCL : 0),
        FILE_MODE,
      );
      if (end.isNew) await syncDirectory(places.directory);
      const begun = end.isNew ? undefined : await firstLine({ directory: places.directory, chain: name }, end.file);
      const chain = new AuditChain(options, head, handle, end, begun === undefined ? undefined : Date.parse(begun.record.time));
      const time = new Date(options.now()).toISOString();
      try {
        if (end.finding !== undefined) await chain.append([{ kind: 'missing', time, what: end.finding, prev: end.point.mac }], end.lost);
        else if (end.torn !== undefined) await chain.#replaceTorn(path, end.torn, time);
        else await chain.#writeHead();
      } catch (thrown) {
        if (end.isNew) await unlink(path).catch(() => undefined); // what is left of it is a file without a record
        throw thrown;
      }
      const { point: found, torn, finding, lost } = end;
      return { chain, found, torn, finding, lost };
    } catch (thrown) {
      await handle?.close().catch(() => undefined); // the first fault counts
      await head.close().catch(() => undefined);
      if (former.kind === 'absent') await unlink(headPath(places, name)).catch(() => undefined); // half a head would look like a changed one
      throw thrown;
    }
  }

  private constructor(
    options: Options,
    head: HeadFile,
    handle: FileHandle,
    end: { readonly point: ChainPoint; readonly anchor: Anchor; readonly file: number; readonly size: number; readonly lost: number },
    begunAt: number | undefined,
  ) {
    this.#options = options;
    this.#head = head;
    this.#handle = handle;
    this.#point = end.point;
    this.#anchor = end.anchor;
    this.#file = end.file;
    this.#size = end.size;
    this.#begunAt = begunAt;
    this.#lost = end.lost;
  }

  get name(): string {
    return this.#options.name;
  }

  get point(): ChainPoint {
    return this.#point;
  }

  get anchor(): ChainPoint {
    return this.#anchor;
  }

  /** The file that is being written. */
  get path(): string {
    return join(this.#options.places.directory, fileName(this.name, this.#file));
  }

  /**
   * Appends records as one write, and waits until they are on the disk. When it rejects, none of them is there, unless the
   * disk did not even let them be cut off again; `open` finds those. `lost`: what the head says of records that are nowhere.
   * @throws ChainDisturbed when someone else has changed the file, or the system's error
   */
  async append(records: readonly Unnumbered<AuditRecord>[], lost = 0): Promise<void> {
    if (this.#isFull()) await this.#rotate();
    await this.#look();
    const { text, point } = this.#sealed(records);
    const bytes = Buffer.from(text, 'utf8');
    try {
      await writeAll(this.#handle, bytes);
      await this.#handle.datasync();
    } catch (thrown) {
      await this.#handle.truncate(this.#size).catch(() => undefined); // what stays is found when the chain is opened again
      throw thrown;
    }
    this.#commit(point, this.#size + bytes.length);
    this.#lost = lost;
    await this.#writeHead();
  }

  /** Removes files that are past their age and gives the note about it; undefined when there are none. */
  async removeOld(): Promise<Unnumbered<AuditRecord> | undefined> {
    const { places, now, limits } = this.#options;
    const which = { directory: places.directory, chain: this.name };
    const all = await fileNumbers(places.directory, this.name);
    // Left by one that was killed while it removed them: the head has long said that they are gone.
    for (const number of all.filter((each) => each < this.#anchor.file)) await unlink(join(places.directory, fileName(this.name, number)));
    const numbers = all.filter((each) => each >= this.#anchor.file);
    const old: number[] = [];
    let anchor = this.#anchor;
    for (const number of numbers.filter((each) => each < this.#file)) {
      const last = await lastLine(which, number);
      if (last === undefined || !(now() - Date.parse(last.record.time) > limits.maxAge)) break;
      old.push(number);
      const next = numbers[numbers.indexOf(number) + 1] ?? this.#file;
      const first = await firstLine(which, next);
      anchor =
        first === undefined
          ? { file: next, seq: last.record.seq, mac: last.mac }
          : { file: next, seq: first.record.seq - 1, mac: previousOf(first, last.mac) };
    }
    if (old.length === 0) return undefined;
    const from = this.#anchor.seq + 1;
    this.#anchor = anchor;
    // The head before the files: what is kept too long does no harm, what is missing does.
    await this.#writeHead({ sync: true });
    for (const number of old) await unlink(join(places.directory, fileName(this.name, number)));
    const files = old.map((number) => fileName(this.name, number));
    return { kind: 'removed', time: new Date(now()).toISOString(), files, from, to: anchor.seq };
  }

  /** Says in the head that records are nowhere: for a process that ends and cannot write them any more. */
  async leave(lost: number): Promise<void> {
    this.#lost = lost;
    await this.#writeHead({ sync: true });
  }

  async close(): Promise<void> {
    await this.#handle.close();
    await this.#head.close();
  }

  #sealed(records: readonly Unnumbered<AuditRecord>[]): { text: string; point: ChainPoint } {
    let point = this.#point;
    let text = '';
    for (const record of records) {
      const { time, kind, ...rest } = record;
      const seq = point.seq + 1;
      const line = writeLine(this.#options.key, point.mac, { seq, time, kind, ...rest } as AuditRecord); // because only `seq` was missing
      text += line.text;
      point = { seq, mac: line.mac };
      this.#lastAt = Date.parse(time);
    }
    return { text, point };
  }

  async #replaceTorn(path: string, torn: string, time: string): Promise<void> {
    const { text, point } = this.#sealed([{ kind: 'recovered', time, text: torn }]);
    const bytes = Buffer.from(text, 'utf8');
    await replaceEnd(path, this.#size, bytes);
    this.#commit(point, this.#size + bytes.length);
    await this.#writeHead();
  }

  #commit(point: ChainPoint, size: number): void {
    this.#point = point;
    this.#size = size;
    this.#begunAt ??= this.#lastAt;
  }

  /** Whether the file is the one that was opened, and ends where this process ended it. */
  async #look(): Promise<void> {
    const own = await this.#handle.stat();
    const there = await stat(this.path).catch((thrown: unknown) => {
      if (systemCodeOf(thrown) === 'ENOENT') return undefined;
      throw thrown;
    });
    if (there === undefined || there.ino !== own.ino || there.dev !== own.dev || own.size !== this.#size)
      throw new ChainDisturbed(this.path);
  }

  #isFull(): boolean {
    const { limits, now } = this.#options;
    if (this.#size === 0) return false;
    return this.#size >= limits.maxSizeBytes || (this.#begunAt !== undefined && now() - this.#begunAt > limits.maxAge / FILES_PER_AGE);
  }

  async #rotate(): Promise<void> {
    const { places } = this.#options;
    const path = join(places.directory, fileName(this.name, this.#file + 1));
    const next = await open(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL, FILE_MODE);
    await syncDirectory(places.directory);
    await this.#handle.close();
    this.#handle = next;
    this.#file += 1;
    this.#size = 0;
    this.#begunAt = undefined;
    await this.#writeHead();
  }

  #writeHead(options: { readonly sync?: boolean } = {}): Promise<void> {
    const { now } = this.#options;
    return this.#head.write(
      headOf(this.name, now(), { point: this.#point, anchor: this.#anchor, file: this.#file, size: this.#size, lost: this.#lost }),
      options,
    );
  }
}

function headOf(
  chain: string,
  now: number,
  state: { readonly point: ChainPoint; readonly anchor: Anchor; readonly file: number; readonly size: number; readonly lost: number },
): Parameters<HeadFile['write']>[0] {
  const { point, anchor, file, size, lost } = state;
  return {
    chain,
    time: new Date(now).toISOString(),
    seq: point.seq,
    mac: point.mac,
    file,
    size,
    anchorFile: anchor.file,
    anchorSeq: anchor.seq,
    anchorMac: anchor.mac,
    lost,
  };
}
