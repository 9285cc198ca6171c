/**
 * The command list of a push as the chunks of its body come in, also of a body that is compressed (JGit does that): it is
 * decoded here for reading only, and no further than the list goes; what goes upstream are the caller's own bytes.
 *
 * Source: RFC 9110 section 8.4 (Content-Encoding); http-backend.c, inflate_request: git knows exactly these two names.
 */
import { createGunzip, type Gunzip } from 'node:zlib';
import { refuseUnreadable } from '../gate/ref-policy.js';
import { type CommandList, CommandListReader, LARGEST_COMMAND_LIST_BYTES } from '../git/receive-pack.js';
import type { Refusal } from '../model/refusal.js';

/** Spelled as git compares them: in another case it would take the body as it is. */
const GZIP: readonly string[] = ['gzip', 'x-gzip'];

/** Decoded bytes at a time: what a bomb gains before the reader has said that it is enough. */
const PIECE_BYTES = 64 * 1024;

export class PushList {
  readonly #reader = new CommandListReader();
  readonly #gunzip: Gunzip | undefined;
  #fault: { readonly status: number; readonly what: string } | undefined;
  /** Bytes as they came. */
  #taken = 0;

  /** `coding`: the Content-Encoding of the body, undefined when there is none. */
  constructor(coding: string | undefined) {
    if (coding === undefined) return;
    if (!GZIP.includes(coding)) {
      this.#fault = { status: 415, what: `its body has the Content-Encoding ${coding.slice(0, 40)}, and only gzip can be read` };
      return;
    }
    this.#gunzip = createGunzip({ chunkSize: PIECE_BYTES });
    this.#gunzip.on('data', (piece: Buffer) => {
      this.#reader.push(piece);
      if (!this.#reader.isReading) this.#gunzip?.destroy();
    });
    this.#gunzip.on('error', () => this.#refuse(400, 'its body is not the gzip that it says it is'));
    // At the body's end it is not listened to any more: what ends before has something behind it.
    this.#gunzip.on('end', () => this.#refuse(400, 'something follows its gzip'));
  }

  /** Whether nothing that may still come could change what is known. */
  get isSettled(): boolean {
    return this.#fault !== undefined || !this.#reader.isReading;
  }

  /** What the push asks for; undefined until it is known, and when it cannot be read. */
  get list(): CommandList | undefined {
    return this.#fault === undefined ? this.#reader.list : undefined;
  }

  /** What it takes in memory, about: bytes as they came, or as they were decoded. */
  get bytes(): number {
    return Math.max(this.#taken, this.#reader.readBytes);
  }

  /** Takes the next chunk. What is given back, if anything, must be waited for before the next call. */
  push(chunk: Buffer): Promise<void> | undefined {
    if (this.isSettled) return undefined;
    this.#taken += chunk.length;
    const gunzip = this.#gunzip;
    if (gunzip === undefined) {
      this.#reader.push(chunk);
      return undefined;
    }
    return settled(gunzip, (done) => void gunzip.write(chunk, done)).then(() => {
      // A gzip can go on for ever and hold nothing.
      if (this.#taken > LARGEST_COMMAND_LIST_BYTES) this.#refuse(413, 'it is too long');
    });
  }

  /** Tells that the body has ended. */
  async end(): Promise<void> {
    const gunzip = this.#gunzip;
    if (this.isSettled || this.#taken === 0) return;
    if (gunzip !== undefined) {
      gunzip.removeAllListeners('end');
      await settled(gunzip, () => void gunzip.end());
    }
    this.#reader.end();
  }

  #refuse(status: number, what: string): void {
    if (!this.isSettled) this.#fault = { status, what };
  }

  /** Frees what decoding needs; nothing is read any more. */
  close(): void {
    this.#gunzip?.destroy();
  }

  /** Why this push cannot be judged and goes no further, `push-unreadable`; undefined when there is no reason. */
  refusal(): Refusal | undefined {
    if (this.#fault !== undefined) return refuseUnreadable(this.#fault.status, this.#fault.what);
    const { fault } = this.#reader;
    return fault === undefined ? undefined : refuseUnreadable(fault.isTooLong ? 413 : 400, fault.what);
  }
}

/** Calls `begin` and waits until it has called back or the stream has ended, in whatever way. */
function settled(stream: Gunzip, begin: (done: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off('close', done).off('error', done).off('end', done);
      resolve();
    };
    stream.on('close', done).on('error', done).on('end', done);
    begin(done);
  });
}
