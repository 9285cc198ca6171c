/**
 * The body of a request: kept whole when it is small, so that it can be sent again after a 401 or a short throttle;
 * passed through when it is not.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';

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

export type RequestBody =
  | { readonly kind: 'whole'; readonly bytes: Buffer }
  /** `length` is undefined for a chunked body. */
  | { readonly kind: 'stream'; readonly stream: Readable; readonly length: number | undefined };

/** What is held in memory of all bodies together. */
export class KeptBodies {
  #bytes = 0;

  /**
   * Takes the body of `request`; `seen` is told of every chunk as it goes by. Rejects when the caller goes away before a
   * body that would be kept is all there.
   */
  async take(request: IncomingMessage, response: ServerResponse, seen: (chunk: Buffer) => void): Promise<RequestBody> {
    const declared = request.headers['content-length'];
    const length = declared === undefined ? undefined : Number(declared);
    const isChunked = request.headers['transfer-encoding'] !== undefined;
    if (length === undefined && !isChunked) return { kind: 'whole', bytes: Buffer.alloc(0) };
    request.pause();
    if (length !== undefined && length > KEPT_BODY_BYTES) {
      request.on('data', seen);
      return { kind: 'stream', stream: request, length };
    }
    const { chunks, size, isWhole } = await this.#readAhead(request);
    let held = size;
    const release = (bytes: number): void => {
      const freed = Math.min(held, bytes);
      held -= freed;
      this.#bytes -= freed;
    };
    response.once('close', () => release(held));
    if (request.socket.destroyed) release(held);
    if (isWhole) {
      chunks.forEach(seen);
      return { kind: 'whole', bytes: Buffer.concat(chunks) };
    }
    request.on('data', (chunk: Buffer) => {
      release(chunk.length);
      seen(chunk);
    });
    // Put back, not copied: a second stream between the two ends would cost memory and time for the whole of the body.
    for (const chunk of chunks.reverse()) request.unshift(chunk);
    return { kind: 'stream', stream: request, length };
  }

  /** Reads to the end of the body, or until there is more than is kept; the request is paused then. */
  #readAhead(request: IncomingMessage): Promise<{ chunks: Buffer[]; size: number; isWhole: boolean }> {
    const chunks: Buffer[] = [];
    let size = 0;
    return new Promise((resolve, reject) => {
      const take = (chunk: Buffer): void => {
        chunks.push(chunk);
        size += chunk.length;
        this.#bytes += chunk.length;
        if (size <= KEPT_BODY_BYTES && this.#bytes <= KEPT_ALTOGETHER_BYTES) return;
        request.pause();
        done();
        resolve({ chunks, size, isWhole: false });
      };
      const end = (): void => {
        done();
        resolve({ chunks, size, isWhole: true });
      };
      const fail = (): void => {
        done();
        this.#bytes -= size;
        reject(new Error('the caller went away before its request was complete'));
      };
      const done = (): void => {
        request.off('data', take).off('end', end).off('error', fail).off('close', fail);
      };
      request.on('data', take).on('end', end).on('error', fail).on('close', fail);
      request.resume();
    });
  }
}
