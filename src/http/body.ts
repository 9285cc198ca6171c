/**
 * The body of a request: kept whole when it is small, so that it can be sent again after a 401 or a short throttle;
 * passed through when it is not.
 */
import type { IncomingMessage } from 'node:http';
import { PassThrough, type Readable } from 'node:stream';

/**
 * Largest body that is kept: git's own http.postBuffer, below which it sends a push in one piece and could repeat it
 * itself.
 */
export const KEPT_BODY_BYTES = 1024 * 1024;

export type RequestBody =
  | { readonly kind: 'whole'; readonly bytes: Buffer }
  /** `length` is undefined for a chunked body. */
  | { readonly kind: 'stream'; readonly stream: Readable; readonly length: number | undefined };

/**
 * Takes the body of `request`. Rejects when the caller goes away before it is all there.
 */
export async function takeBody(request: IncomingMessage): Promise<RequestBody> {
  const declared = request.headers['content-length'];
  const length = declared === undefined ? undefined : Number(declared);
  const isChunked = request.headers['transfer-encoding'] !== undefined;
  if (length === undefined && !isChunked) return { kind: 'whole', bytes: Buffer.alloc(0) };
  if (length !== undefined && length > KEPT_BODY_BYTES) return { kind: 'stream', stream: request, length };
  const chunks: Buffer[] = [];
  let size = 0;
  const isWhole = await new Promise<boolean>((resolve, reject) => {
    const take = (chunk: Buffer): void => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > KEPT_BODY_BYTES) {
        request.pause();
        done();
        resolve(false);
      }
    };
    const end = (): void => {
      done();
      resolve(true);
    };
    const fail = (): void => {
      done();
      reject(new Error('the caller went away before its request was complete'));
    };
    const done = (): void => {
      request.off('data', take).off('end', end).off('error', fail).off('close', fail);
    };
    request.on('data', take).on('end', end).on('error', fail).on('close', fail);
    request.resume();
  });
  const bytes = Buffer.concat(chunks);
  if (isWhole) return { kind: 'whole', bytes };
  const stream = new PassThrough();
  stream.write(bytes);
  request.on('error', () => stream.destroy());
  request.on('close', () => {
    if (!request.complete) stream.destroy();
  });
  request.pipe(stream);
  return { kind: 'stream', stream, length: undefined };
}
