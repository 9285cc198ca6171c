/**
 * The body of a request: kept whole when it is small, so that it can be sent again after a 401 or a short throttle;
 * passed through when it is not. The command list of a push is read before anything of it is passed on, however long it is.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { PushList } from './push-list.js';

/**
 * Largest body that is kept: git's own http.postBuffer, below which it sends a push in one piece and could repeat it
 * itself.
 */
export const KEPT_BODY_BYTES = 1024 * 1024;

/**
 * And of all bodies together: a caller that leaves while it is held back is noticed late (Node does not look at a socket
 * that it does not read), so the number of bodies that are waiting is no bound. Above this they are passed through.
 */
const KEPT_ALTOGETHER_BYTES = 16 * KEPT_BODY_BYTES;

/**
 * Command lists cannot be passed through. Those of usual length (700 refs) are always read; of the longer ones there may be
 * this much at once, two of the largest, and who comes then is asked to come again.
 */
const LONG_LIST_BYTES = 64 * 1024;
const LISTS_ALTOGETHER_BYTES = 32 * 1024 * 1024;

export type RequestBody =
  | { readonly kind: 'whole'; readonly bytes: Buffer }
  /** `length` is undefined for a chunked body. */
  | { readonly kind: 'stream'; readonly stream: Readable; readonly length: number | undefined };

/** There is no room for one more long command list. */
export class TooManyLists extends Error {}

/** What was read of a body, and why no more was. */
interface Ahead {
  readonly chunks: readonly Buffer[];
  readonly size: number;
  readonly why: 'end' | 'enough' | 'crowded';
}

/** What is held in memory of all bodies together. */
export class KeptBodies {
  #bytes = 0;
  #listBytes = 0;

  /**
   * Takes the body of `request`; `seen` is told of every chunk as it goes by. With a `list`, what a push asks for is known when
   * this resolves, or that it cannot be. Rejects when the caller goes away before that, or before a body that would be kept is
   * all there; with TooManyLists when there is no room. The request can be read on after the latter.
   */
  async take(request: IncomingMessage, response: ServerResponse, seen: (chunk: Buffer) => void, list?: PushList): Promise<RequestBody> {
    const declared = request.headers['content-length'];
    const length = declared === undefined ? undefined : Number(declared);
    const isChunked = request.headers['transfer-encoding'] !== undefined;
    if (length === undefined && !isChunked) return { kind: 'whole', bytes: Buffer.alloc(0) };
    request.pause();
    const isLong = length !== undefined && length > KEPT_BODY_BYTES;
    if (isLong && (list === undefined || list.isSettled)) {
      request.on('data', seen);
      return { kind: 'stream', stream: request, length };
    }
    const room = this.#room(list);
    let held = 0;
    const release = (bytes: number): void => {
      const freed = Math.min(held, bytes);
      held -= freed;
      this.#bytes -= freed;
    };
    response.once('close', () => {
      room.close();
      release(held);
    });
    const ahead = await this.#readAhead(request, list, isLong, room.hasRoom);
    held = ahead.size;
    if (response.closed || request.socket.destroyed) release(held);
    if (ahead.why === 'end') {
      ahead.chunks.forEach(seen);
      return { kind: 'whole', bytes: Buffer.concat(ahead.chunks) };
    }
    request.on('data', (chunk: Buffer) => {
      release(chunk.length);
      seen(chunk);
    });
    if (ahead.why === 'crowded') throw new TooManyLists();
    return { kind: 'stream', stream: request, length };
  }

  /**
   * Reads to the end of the body, or until there is more than is kept (`isLong` says that there will be) and the list is known;
   * the request is paused then, and has back what was read of it.
   */
  #readAhead(request: IncomingMessage, list: PushList | undefined, isLong: boolean, hasRoom: () => boolean): Promise<Ahead> {
    const chunks: Buffer[] = [];
    let size = 0;
    let isEnded = false;
    /** While a chunk is being decoded: a paused stream can end all the same, once its last chunk is taken. */
    let isDecoding = false;
    let isOver = false;
    return new Promise((resolve, reject) => {
      const stop = (why: Ahead['why']): void => {
        finish();
        if (why !== 'end') {
          request.pause();
          // Put back, not copied: a second stream between the two ends would cost memory and time for the whole of the body.
          // At once, because in the next moment the stream may say that it is at its end.
          for (const chunk of chunks.reverse()) request.unshift(chunk);
        }
        resolve({ chunks, size, why });
      };
      const look = (): void => {
        if (isOver) return;
        const isKnown = list === undefined || list.isSettled;
        if (isEnded) void (list?.end() ?? Promise.resolve()).then(() => stop('end'));
        else if (!hasRoom()) stop('crowded');
        else if (isKnown && (isLong || size > KEPT_BODY_BYTES || this.#bytes > KEPT_ALTOGETHER_BYTES)) stop('enough');
        else request.resume();
      };
      const take = (chunk: Buffer): void => {
        chunks.push(chunk);
        size += chunk.length;
        this.#bytes += chunk.length;
        const decoding = list?.push(chunk);
        if (decoding === undefined) {
          look();
          return;
        }
        isDecoding = true;
        request.pause();
        void decoding.then(() => {
          isDecoding = false;
          look();
        });
      };
      const end = (): void => {
        isEnded = true;
        if (!isDecoding) look();
      };
      const fail = (): void => {
        // What has ended closes in good order.
        if (isEnded) return;
        finish();
        this.#bytes -= size;
        reject(new Error('the caller went away before its request was complete'));
      };
      const finish = (): void => {
        isOver = true;
        list?.close();
        request.off('data', take).off('end', end).off('error', fail).off('close', fail);
      };
      request.on('data', take).on('end', end).on('error', fail).on('close', fail);
      request.resume();
    });
  }

  /**
   * Counts what a list takes in memory, until `close`; `hasRoom` tells whether there is room for what it has become.
   */
  #room(list: PushList | undefined): { readonly hasRoom: () => boolean; readonly close: () => void } {
    let held = 0;
    let isClosed = false;
    return {
      hasRoom: () => {
        if (list === undefined || isClosed || list.isSettled || list.bytes <= LONG_LIST_BYTES) return true;
        this.#listBytes += list.bytes - held;
        held = list.bytes;
        return this.#listBytes <= LISTS_ALTOGETHER_BYTES;
      },
      close: () => {
        isClosed = true;
        this.#listBytes -= held;
        held = 0;
      },
    };
  }
}
