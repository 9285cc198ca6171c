/**
 * Files as bodies, in both directions, never held in memory: a whole file or one range of it out (RFC 9110, 14.2), a body into a
 * file that is there only when it is whole.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import type { OutgoingHttpHeaders } from 'node:http';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** What to answer to a GET of a file. `from` and `to` (both included) are absent where there are no bytes to send. */
export interface FileAnswer {
  readonly status: 200 | 206 | 416;
  readonly headers: OutgoingHttpHeaders;
  readonly from?: number;
  readonly to?: number;
}

/** Bytes of a file; undefined where there is none. */
export async function sizeOf(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).size;
  } catch {
    // Whatever keeps us from looking at it keeps us from sending it.
    return undefined;
  }
}

/** Reads a Range header against a file's size. A header of another form than one range of bytes is ignored, as it may be. */
export function answerRange(size: number, range: string | undefined): FileAnswer {
  const whole = { 'Accept-Ranges': 'bytes', 'Content-Length': size };
  const [, first = '', last = ''] = /^bytes=([0-9]*)-([0-9]*)$/.exec(range ?? '') ?? [];
  if (first === '' && last === '') return { status: 200, headers: whole, ...(size > 0 ? { from: 0, to: size - 1 } : {}) };
  const from = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const to = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (from >= size || to < from) return { status: 416, headers: { 'Content-Range': `bytes */${size}`, 'Content-Length': 0 } };
  return {
    status: 206,
    headers: { ...whole, 'Content-Length': to - from + 1, 'Content-Range': `bytes ${from}-${to}/${size}` },
    from,
    to,
  };
}

/** The bytes of an answer to a range. */
export async function* readRange(file: string, { from, to }: FileAnswer): AsyncGenerator<Buffer> {
  if (from === undefined || to === undefined) return;
  for await (const chunk of createReadStream(file, { start: from, end: to })) yield chunk as Buffer; // no encoding is set
}

/** One stage of a pipeline. */
export type Pass = (chunks: AsyncIterable<Buffer>) => AsyncGenerator<Buffer>;

/** Passes so many bytes on and reads no further. */
export function firstBytes(count: number): Pass {
  return async function* (chunks) {
    let left = count;
    for await (const chunk of chunks) {
      if (left > 0) yield chunk.subarray(0, left);
      left -= chunk.length;
      if (left <= 0) return;
    }
  };
}

/** Passes chunks on and tells of each as it goes by. */
export function counted(tell: (bytes: number) => void): Pass {
  return async function* (chunks) {
    for await (const chunk of chunks) {
      tell(chunk.length);
      yield chunk;
    }
  };
}

/**
 * Writes a body into a file, which is there only once it is whole and `fits` says yes.
 *
 * @param fits judges the SHA-256 (hexadecimal)
 * @returns whether it was kept
 * @throws Error when the body breaks off
 */
export async function receiveFile(
  file: string,
  body: Readable,
  fits: (sha256: string) => boolean,
  tell: (bytes: number) => void = () => undefined,
): Promise<boolean> {
  await mkdir(dirname(file), { recursive: true });
  const draft = `${file}.${randomUUID()}.draft`;
  const hash = createHash('sha256');
  try {
    await pipeline(
      body,
      counted(tell),
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          hash.update(chunk);
          yield chunk;
        }
      },
      createWriteStream(draft),
    );
    if (!fits(hash.digest('hex'))) return false;
    await rename(draft, file);
    return true;
  } finally {
    await rm(draft, { force: true });
  }
}
