/**
 * How far a chain has come, kept apart from its records: that is what shows when its end has been cut off. A file of two slots
 * of fixed size, written in place and in turn: it needs no room on a full disk, and a write that a power cut tears leaves the
 * other slot, which is a batch of records older. Each slot is sealed, so that a made-up head is told from an old one.
 */
import type { KeyObject } from 'node:crypto';
import { constants, open, type FileHandle } from 'node:fs/promises';
import { systemCodeOf } from '../model/errors.js';
import { type ChainPoint, macOf } from './audit-line.js';

/** A sector, which disks write whole; three macs, a name and numbers fit into it. */
const SLOT_BYTES = 512;
const SLOTS = 2;

export interface ChainHead extends ChainPoint {
  readonly chain: string;
  /** When its last record was written, ISO. */
  readonly time: string;
  /** Number of the file that is being written, and how many bytes of it are records of this head. */
  readonly file: number;
  readonly size: number;
  /** The oldest file that is kept, and the record before its first one. */
  readonly anchorFile: number;
  readonly anchorSeq: number;
  readonly anchorMac: string;
  /** Records that were never written, and about which no record says so yet. */
  readonly lost: number;
}

export type FoundHead =
  | { readonly kind: 'head'; readonly head: ChainHead }
  | { readonly kind: 'absent' }
  /** There is one that was not made with this key for this chain. */
  | { readonly kind: 'wrong'; readonly what: string };

/** Reads the newest head of a chain. Rejects with the system's error. */
export async function readHead(path: string, key: KeyObject, chain: string): Promise<FoundHead> {
  let text: string;
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      text = await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  } catch (thrown) {
    if (systemCodeOf(thrown) === 'ENOENT') return { kind: 'absent' };
    throw thrown;
  }
  // Killed between making the file and its first head.
  if (text === '') return { kind: 'absent' };
  let newest: (ChainHead & { turn: number }) | undefined;
  let other: string | undefined;
  for (let slot = 0; slot < SLOTS; slot++) {
    const head = readSlot(text.slice(slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES), key);
    if (head === undefined) continue;
    if (head.chain !== chain) other = head.chain;
    else if (newest === undefined || head.turn > newest.turn) newest = head;
  }
  if (newest !== undefined) return { kind: 'head', head: newest };
  return { kind: 'wrong', what: other === undefined ? 'it was not written with this key' : `it is the head of the chain ${other}` };
}

/** Writes the heads of one chain. */
export class HeadFile {
  readonly #handle: FileHandle;
  readonly #key: KeyObject;
  #turn: number;

  /** Opens or makes the file. Rejects with the system's error. */
  static async open(path: string, key: KeyObject): Promise<HeadFile> {
    const handle = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    try {
      const text = await handle.readFile('utf8');
      const turns = [0, 1].map((slot) => readSlot(text.slice(slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES), key)?.turn ?? 0);
      return new HeadFile(handle, key, Math.max(...turns));
    } catch (thrown) {
      await handle.close();
      throw thrown;
    }
  }

  private constructor(handle: FileHandle, key: KeyObject, turn: number) {
    this.#handle = handle;
    this.#key = key;
    this.#turn = turn;
  }

  /** Writes the newest head. Not synced unless `sync`: after a power cut an older head is as good, while the records chain. */
  async write(head: ChainHead, options: { readonly sync?: boolean } = {}): Promise<void> {
    const turn = this.#turn + 1;
    const { chain, time, seq, mac, file, size, anchorFile, anchorSeq, anchorMac, lost } = head;
    const body = JSON.stringify({ turn, chain, time, seq, mac, file, size, anchorFile, anchorSeq, anchorMac, lost });
    const text = `${body}\n${macOf(this.#key, 'head', body)}`.padEnd(SLOT_BYTES - 1);
    if (Buffer.byteLength(text) >= SLOT_BYTES) throw new Error(`the head of ${chain} does not fit into its slot`);
    const { bytesWritten } = await this.#handle.write(`${text}\n`, (turn % SLOTS) * SLOT_BYTES, 'utf8');
    if (bytesWritten !== SLOT_BYTES) throw Object.assign(new Error('the head was written in part'), { code: 'ENOSPC' });
    this.#turn = turn;
    if (options.sync === true) await this.#handle.datasync();
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

function readSlot(text: string, key: KeyObject): (ChainHead & { turn: number }) | undefined {
  const [body = '', seal = ''] = text.split('\n');
  if (body === '' || macOf(key, 'head', body) !== seal.trim()) return undefined;
  return JSON.parse(body) as ChainHead & { turn: number }; // because its seal says that this file wrote it
}
