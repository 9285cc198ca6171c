/**
 * Whether an upstream's answer to a git request is git's. Nothing counts as success but status 200, exactly the media
 * type of the step, a framed body (one whose end can be told from a break), and, for an advertisement, a first packet:
 * git takes a sign-in page or an empty body for an empty repository, and `fetch --prune` then deletes every branch.
 *
 * Source: gitprotocol-http "Smart Clients" (media types); RFC 9112 section 6.3 (message body length).
 */
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { brotliDecompressSync, gunzipSync, inflateSync, constants as zlib } from 'node:zlib';
import { withoutEcho } from './echo.js';

/** How much of a failed answer's body is read for its text. */
const LONGEST_FAILURE_BYTES = 64 * 1024;
/** And how long it may take: the status alone says enough. */
const FAILURE_READ_MS = 5_000;
/** A packet's length digits. */
const FIRST_BYTES = 4;

/** Judges the head of an answer. */
export function hasGitHead(answer: IncomingMessage, mediaType: string): boolean {
  const type = (answer.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase();
  return answer.statusCode === 200 && type === mediaType;
}

/** Whether the end of the body can be told from a broken connection: chunked must be the last coding (RFC 9112, 6.3), or the connection's end is the body's. */
export function isFramed(answer: IncomingMessage): boolean {
  const coding = answer.headers['transfer-encoding'];
  return coding === undefined ? answer.headers['content-length'] !== undefined : /(?:^|,)[ \t]*chunked$/i.test(coding.trim());
}

/**
 * Looks at the first bytes of the body without taking them away. True when they begin a packet; for a compressed body
 * true when there are any.
 */
export async function beginsWithPacket(answer: IncomingMessage): Promise<boolean> {
  const head = await beginningOf(answer, FIRST_BYTES);
  if (head.length < FIRST_BYTES) return false;
  return answer.headers['content-encoding'] !== undefined || /^[0-9a-fA-F]{4}/.test(head.toString('latin1', 0, FIRST_BYTES));
}

/** The beginning of a body as text, without taking it away: `least` bytes as they came, or all that there are. */
export async function beginningText(answer: IncomingMessage, least: number): Promise<string> {
  return decompress(await beginningOf(answer, least), answer.headers['content-encoding']).toString('utf8');
}

async function beginningOf(answer: IncomingMessage, least: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  while (size < least) {
    const chunk = await firstChunk(answer);
    if (chunk === undefined) break;
    chunks.push(chunk);
    size += chunk.length;
  }
  const head = Buffer.concat(chunks);
  if (head.length > 0) answer.unshift(head);
  return head;
}

function firstChunk(answer: IncomingMessage): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const take = (): void => {
      const chunk = answer.read() as Buffer | null;
      if (chunk === null) return;
      done();
      resolve(chunk);
    };
    const end = (): void => {
      done();
      resolve(undefined);
    };
    const fail = (fault: Error): void => {
      done();
      reject(fault);
    };
    const done = (): void => {
      answer.off('readable', take).off('end', end).off('error', fail).off('close', end);
    };
    answer.on('readable', take).on('end', end).on('error', fail).on('close', end);
    take();
  });
}

/** The beginning of a failed answer's body as text; what follows is dropped, and the connection with it. */
export async function failureText(answer: IncomingMessage): Promise<string> {
  const bytes = await new Promise<Buffer>((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const finish = (): void => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks));
      if (!answer.readableEnded) answer.destroy();
    };
    const timer = setTimeout(finish, FAILURE_READ_MS);
    answer.on('data', (chunk: Buffer) => {
      size += chunk.length;
      chunks.push(chunk);
      if (size >= LONGEST_FAILURE_BYTES) finish();
    });
    answer.once('end', finish).once('error', finish).once('close', finish);
  });
  return withoutEcho(answer, decompress(bytes, answer.headers['content-encoding']).toString('utf8'));
}

function decompress(bytes: Buffer, encoding: string | undefined): Buffer {
  // What was cut is decoded as far as it goes; a bomb stops at the bound.
  const options = { maxOutputLength: LONGEST_FAILURE_BYTES * 4, finishFlush: zlib.Z_SYNC_FLUSH };
  try {
    switch (encoding?.trim().toLowerCase()) {
      case 'gzip':
      case 'x-gzip':
        return gunzipSync(bytes, options);
      case 'deflate':
        return inflateSync(bytes, options);
      case 'br':
        return brotliDecompressSync(bytes, { maxOutputLength: options.maxOutputLength, finishFlush: zlib.BROTLI_OPERATION_FLUSH });
      case undefined:
      default:
        return bytes;
    }
  } catch {
    // Unreadable text is no text; the status is told all the same.
    return Buffer.alloc(0);
  }
}

/** A header of an answer by lower-case name, repeated ones joined. */
export function headerOf(answer: IncomingMessage): (name: string) => string | undefined {
  return (name) => {
    const value = answer.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  };
}

/** Reads and drops what is left of an answer, so that its connection can be used again; one that is long is cut instead. */
export function discard(answer: Readable): void {
  let size = 0;
  const timer = setTimeout(() => answer.destroy(), FAILURE_READ_MS);
  timer.unref();
  answer.on('error', () => undefined);
  answer.once('close', () => clearTimeout(timer));
  answer.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > LONGEST_FAILURE_BYTES) answer.destroy();
  });
}
