/**
 * The objects of repositories and their way in and out through the git host itself: files, ranges, and what may go wrong in between.
 * An object is a blob of the storage account, wherever its address leads.
 */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { azureHeaders } from './azure-answers.js';
import type { BlobStorage } from './blob-storage.js';
import { answerRange, counted, firstBytes, type Pass, readRange, receiveFile, sizeOf } from './file-bodies.js';
import type { Exchange } from './journal.js';
import { refuseLength, refuseLfs } from './lfs-answers.js';
import type { LfsFault } from './lfs-faults.js';

/** Azure Repos takes no more with a Content-Length; chunked there is no such limit. */
export const LENGTH_LIMIT_BYTES = 128 << 20;

export interface LfsTransfer {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Canonical name. */
  readonly repository: string;
  readonly oid: string;
  readonly action: 'upload' | 'download';
  /** Object bytes that came or went. */
  bytes: number;
  readonly isChunked: boolean;
  /** As asked for. */
  readonly range: string | undefined;
}

export class LfsTransfers {
  readonly seen: LfsTransfer[] = [];
  /** Most bytes of an upload with Content-Length. */
  lengthLimitBytes = LENGTH_LIMIT_BYTES;
  /** Told of each as it begins. */
  noted: ((entry: LfsTransfer) => void) | undefined;
  readonly #storage: BlobStorage;

  constructor(storage: BlobStorage) {
    this.#storage = storage;
  }

  /** The blob that holds an object, there or not. */
  blobOf(repository: string, oid: string): string {
    return `lfs-${createHash('sha256').update(repository).digest('hex').slice(0, 16)}/${oid}`;
  }

  /** Bytes of an object; undefined where the repository has none such. */
  sizeOf(repository: string, oid: string): Promise<number | undefined> {
    return sizeOf(this.#fileOf(repository, oid));
  }

  /** Puts an object there without a request, and gives its name. */
  async put(repository: string, content: Buffer): Promise<string> {
    const oid = createHash('sha256').update(content).digest('hex');
    await this.#storage.put(this.blobOf(repository, oid), content);
    return oid;
  }

  async upload(exchange: Exchange, repository: string, oid: string, fault: LfsFault | undefined): Promise<void> {
    const { request } = exchange;
    const length = request.headers['content-length'];
    const entry = this.#note(exchange, repository, oid, 'upload');
    if (length !== undefined && Number(length) > this.lengthLimitBytes) {
      refuseLength(exchange);
      return;
    }
    const count = (bytes: number): void => {
      entry.bytes += bytes;
      if (fault?.kind === 'cut' && entry.bytes >= fault.afterBytes) exchange.cut();
    };
    const fits = (sha256: string): boolean => sha256 === oid && fault?.kind !== 'corrupt';
    const body: Readable = request;
    if (await receiveFile(this.#fileOf(repository, oid), body, fits, count)) exchange.answer(200, azureHeaders());
    else refuseLfs(exchange, 422, 'The content does not have the object id that it was announced with');
  }

  async download(exchange: Exchange, repository: string, oid: string, fault: LfsFault | undefined): Promise<void> {
    const file = this.#fileOf(repository, oid);
    const size = await sizeOf(file);
    if (size === undefined) {
      refuseLfs(exchange, 404, 'Object does not exist');
      return;
    }
    const entry = this.#note(exchange, repository, oid, 'download');
    const answer = answerRange(size, entry.range);
    exchange.begin(answer.status, { ...azureHeaders(), 'Content-Type': 'application/octet-stream', ...answer.headers });
    const count = counted((bytes) => (entry.bytes += bytes));
    if (fault?.kind !== 'cut') {
      await pipeline(readRange(file, answer), spoiled(fault), count, exchange.response);
      return;
    }
    await pipeline(readRange(file, answer), firstBytes(fault.afterBytes), count, exchange.response, { end: false });
    // What was written must have gone out, or the cut would come sooner than was asked for.
    exchange.response.write('', () => exchange.cut());
  }

  #fileOf(repository: string, oid: string): string {
    return this.#storage.fileOf(this.blobOf(repository, oid));
  }

  #note({ request }: Exchange, repository: string, oid: string, action: LfsTransfer['action']): LfsTransfer {
    const isChunked = request.headers['transfer-encoding'] === 'chunked';
    const entry = { at: Date.now(), repository, oid, action, bytes: 0, isChunked, range: request.headers.range };
    this.seen.push(entry);
    this.noted?.(entry);
    return entry;
  }
}

function spoiled(fault: LfsFault | undefined): Pass {
  return async function* (chunks) {
    let at = 0;
    for await (const chunk of chunks) {
      if (fault?.kind === 'corrupt' && at === 0) chunk[0] = (chunk[0] ?? 0) ^ 1;
      if (fault?.kind !== 'hold' || at > fault.afterBytes || at + chunk.length <= fault.afterBytes) yield chunk;
      else {
        yield chunk.subarray(0, fault.afterBytes - at);
        await fault.until;
        yield chunk.subarray(fault.afterBytes - at);
      }
      at += chunk.length;
    }
  };
}
