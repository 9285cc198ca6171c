/** What the parts of the bridge have in common: a session on its way, what is asked upstream, and answers as they are passed on. */
import { Readable } from 'node:stream';
import { AdvertisementReader, type Advertised } from '../git/advertisement.js';
import { PacketWalk } from '../git/packet-walk.js';
import { ProxyError } from '../model/errors.js';
import type { GitService } from '../model/operation.js';
import type { ClientLine } from './client-line.js';
import type { GitLeg, LegRequest } from './git-leg.js';
import type { Carried, GitSession } from './git-session.js';

/**
 * Largest request that is kept whole, so that it can be sent again after a renewed credential; what is longer goes up as it comes.
 * git's own http.postBuffer, below which it sends in one piece over HTTP too.
 */
export const KEPT_REQUEST_BYTES = 1024 * 1024;

export interface Trip {
  readonly session: GitSession;
  readonly leg: GitLeg;
  readonly line: ClientLine;
}

export const PASSED: Carried = { kind: 'passed', exitCode: 0 };
/** The upstream said itself, in git's way, that it failed; git's own server ends with this status then. */
export const FAILED_UPSTREAM: Carried = { kind: 'passed', exitCode: 128 };

/** The body of an answer, in keeping of the line; or how the session ends without one. */
export type Asked = { readonly kind: 'body'; readonly body: Readable } | Extract<Carried, { kind: 'failed' }>;

/**
 * Sends one request.
 * @throws ClientGone, and what the line was stopped with
 */
export async function ask({ leg, line }: Trip, request: LegRequest): Promise<Asked> {
  const sending = leg.send(request);
  // Also when nobody waits any more: an answer that comes too late must not stay open.
  void sending.then((answer) => {
    if (answer.kind === 'answer') line.keep(answer.body);
  });
  const answer = await line.during(sending);
  if (answer.kind === 'answer') return { kind: 'body', body: answer.body };
  return { kind: 'failed', verdict: answer.verdict, refusal: answer.refusal, where: 'between' };
}

/** Chunks of a body, for `for await`: leaving the loop early lets go of the body. */
export function chunksOf(body: Readable): AsyncIterable<Buffer, undefined> {
  return body; // no encoding is set, so its chunks are Buffers
}

/**
 * Passes an advertisement on. Gives what it said, or how the session ends.
 * @throws ProxyError `upstream-not-git`, `upstream-broken`; and as ask()
 */
export async function passAdvertisement(
  trip: Trip,
  service: GitService,
  gitProtocol: string | undefined,
): Promise<{ readonly kind: 'advertised'; readonly advertised: Advertised } | Carried> {
  const asked = await ask(trip, { service, step: 'advertisement', gitProtocol });
  if (asked.kind === 'failed') return asked;
  const reader = new AdvertisementReader(service);
  for await (const chunk of chunksOf(asked.body))
    await writeInside(
      trip,
      readAnswer(() => reader.push(chunk)),
    );
  if (reader.state === 'error') return FAILED_UPSTREAM;
  if (reader.state === 'open') throw brokenOff();
  trip.line.isInside = false;
  return { kind: 'advertised', advertised: reader.advertised };
}

/**
 * Passes an answer on that is made of packets. It ends in a flush, or says itself that it failed (`error`): any other was cut,
 * however orderly its transport ended, as when a server's child dies and the server ends the body for it.
 * @throws ProxyError `upstream-broken`, `upstream-not-git`; and as ask()
 */
export async function passPackets(trip: Trip, chunks: AsyncIterable<Buffer>): Promise<'whole' | 'error'> {
  const walk = new PacketWalk();
  for await (const chunk of chunks) {
    readAnswer(() => walk.walkAll(chunk));
    await writeInside(trip, chunk);
  }
  if (walk.isAtError) return 'error';
  if (!walk.isAtFlush) throw brokenOff();
  trip.line.isInside = false;
  return 'whole';
}

/** Writes part of an answer. */
export async function writeInside({ line }: Trip, bytes: Buffer): Promise<void> {
  if (bytes.length === 0) return;
  line.isInside = true;
  await line.write(bytes);
}

/**
 * Reads something of the upstream's.
 * @throws ProxyError `upstream-not-git` instead of SyntaxError
 */
export function readAnswer<T>(read: () => T): T {
  return reread('upstream-not-git', 'The upstream gave an answer that is none of git', UPSTREAM_TODO, read);
}

/**
 * Reads something of the client's.
 * @throws ProxyError `request-malformed` instead of SyntaxError
 */
export function readRequest<T>(read: () => T): T {
  return reread(
    'request-malformed',
    'What the client sent is not git',
    'use a git client; if it was one, report this with its version',
    read,
  );
}

const UPSTREAM_TODO = 'run the command again; if it stays, see what stands between here and the upstream';

function reread<T>(code: 'upstream-not-git' | 'request-malformed', what: string, todo: string, read: () => T): T {
  try {
    return read();
  } catch (thrown) {
    if (!(thrown instanceof SyntaxError)) throw thrown;
    throw new ProxyError(code, `${what}: ${thrown.message}`, { todo, cause: thrown });
  }
}

/** An answer that ended in good order as HTTP has it, and in the middle as git has it. */
export function brokenOff(): ProxyError {
  return new ProxyError('upstream-broken', 'The upstream ended its answer before it was complete', { todo: UPSTREAM_TODO });
}

/**
 * A body of `first`, and then of what `next` gives until it gives undefined. The line keeps it; what `next` throws stops the line,
 * and the body breaks off.
 */
export function uploadOf(line: ClientLine, first: readonly Buffer[], next: () => Promise<Buffer | undefined>): Readable {
  const waiting = [...first];
  const upload: Readable = new Readable({
    read() {
      const chunk = waiting.shift();
      if (chunk !== undefined) {
        upload.push(chunk);
        return;
      }
      next().then(
        (more) => {
          if (!upload.destroyed) upload.push(more ?? null);
        },
        (thrown: unknown) => {
          const cause = thrown instanceof Error ? thrown : new Error(String(thrown));
          line.stop(cause);
          upload.destroy(cause);
        },
      );
    },
  });
  line.keep(upload);
  return upload;
}
