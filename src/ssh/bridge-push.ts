/**
 * A push over the bridge: its command list is judged before anything goes up, then all of it is one request.
 *
 * git closes its side behind a pack, and that ends the body. Clients that hold their side open are understood too: behind
 * deletions nothing can follow, and a pack ends where what has come ends in the hash of everything before, and the client is
 * silent. A pack can be made to look like that in the middle. Cut there it lacks objects that it has promised, and no server takes
 * it; the client is told that its push failed as soon as it sends on.
 */
import { PushEnd, type PushState } from '../git/push-end.js';
import type { CommandList } from '../git/receive-pack.js';
import { ProxyError } from '../model/errors.js';
import {
  ask,
  chunksOf,
  FAILED_UPSTREAM,
  KEPT_REQUEST_BYTES,
  PASSED,
  passPackets,
  readRequest,
  type Trip,
  uploadOf,
} from './bridge-trip.js';
import type { ClientLine } from './client-line.js';
import type { Carried } from './git-session.js';

/**
 * ms of silence behind what can be the end of a pack. Every push of a client that holds its side open waits for it, so it is short;
 * that a network halts for longer, at just the place that someone prepared in a pack, fails a push and harms nothing.
 */
export const END_GRACE_MS = 250;

/**
 * Sends the push of `list`, which stands at the beginning of the input, and passes on what becomes of it.
 * @throws ProxyError `request-malformed`, `upstream-broken`, `upstream-not-git`; and as ask()
 */
export async function carryPush(trip: Trip, list: CommandList, gitProtocol: string | undefined): Promise<Carried> {
  const { line } = trip;
  const next = pushOf(line, list);
  const chunks: Buffer[] = [];
  let size = 0;
  let body;
  while (body === undefined) {
    const chunk = await next();
    if (chunk === undefined) body = Buffer.concat(chunks);
    else {
      chunks.push(chunk);
      size += chunk.length;
      if (size > KEPT_REQUEST_BYTES) body = uploadOf(line, chunks, next);
    }
  }
  const asked = await ask(trip, { service: 'git-receive-pack', step: 'exchange', body, gitProtocol });
  if (asked.kind === 'failed') return asked;
  if (isReported(list)) return (await passPackets(trip, chunksOf(asked.body))) === 'error' ? FAILED_UPSTREAM : PASSED;
  // A client that wants no report reads to the end.
  for await (const chunk of chunksOf(asked.body)) await line.write(chunk);
  return PASSED;
}

/** Gives the bytes of the push one after the other, and undefined behind the last. */
function pushOf(line: ClientLine, list: CommandList): () => Promise<Buffer | undefined> {
  const end = new PushEnd(list);
  let state: PushState = 'open';
  let isOver = false;
  return async () => {
    if (isOver) return undefined;
    const chunk = await line.read(state === 'possible' ? END_GRACE_MS : undefined);
    if (!Buffer.isBuffer(chunk)) {
      isOver = true;
      if (chunk === 'silence') watch(line);
      return undefined;
    }
    readRequest(() => end.push(chunk));
    ({ state } = end);
    if (state === 'beyond') throw tooMuch('nothing of it was passed on');
    if (state === 'over') {
      isOver = true;
      watch(line);
    }
    return chunk;
  };
}

/** Stops everything when something comes behind what was taken for the end: a push is whole, or it has failed. */
function watch(line: ClientLine): void {
  line.read().then(
    (more) => {
      if (Buffer.isBuffer(more)) line.stop(tooMuch('the upstream has what came before, and may have acted on it'));
    },
    // The session has ended.
    () => undefined,
  );
}

function tooMuch(consequence: string): ProxyError {
  return new ProxyError('request-malformed', `The push went on behind its end, so it was broken off; ${consequence}`, {
    todo: 'see with `git ls-remote` what the refs are, and push again with a git client; if it was one, report this with its version',
  });
}

/** Whether the answer is made of packets. */
function isReported({ capabilities }: CommandList): boolean {
  return ['report-status', 'report-status-v2', 'side-band-64k'].some((name) => capabilities.has(name));
}
