/**
 * A batch: the client names objects, and is told where each is to be had or brought. Which way it goes stands in the body, so the gate
 * is asked again when that has been read; and every address in the answer is made one of this door.
 */
import type { IncomingMessage } from 'node:http';
import { admit } from '../../gate/admit.js';
import { endOf } from '../../gate/lease-words.js';
import { narrowToLfs } from '../../gate/lfs-lease.js';
import type { RouteTable } from '../../gate/route-table.js';
import {
  type BatchRequest,
  type ClientAction,
  type LfsAction,
  type LfsObject,
  type ObjectError,
  readBatchRequest,
  rewriteBatchAnswer,
  type UpstreamAction,
  writeBatchRequest,
} from '../../git/lfs-batch.js';
import { LFS_MEDIA_TYPE } from '../../git/lfs-request.js';
import type { Caller } from '../../model/caller.js';
import type { LfsOperation } from '../../model/operation.js';
import type { Refusal } from '../../model/refusal.js';
import type { Route } from '../../model/settings.js';
import { withoutEcho } from '../../upstream/echo.js';
import { planJourney } from '../../upstream/journey.js';
import { KEPT_BODY_BYTES, type RequestBody } from '../body.js';
import { type Courier, doorBaseOf, type Ends } from '../courier.js';
import { lfsHeaders } from '../headers.js';
import { LONGEST_LIFE_MS, type Onward } from '../onward.js';
import { elsewhere, type PlainForwarder } from '../plain-forward.js';
import { readAnswer } from '../read-answer.js';
import { takeBody } from '../take-body.js';
import type { Trip } from '../trip.js';

/** Longest answer: a thousand objects with addresses and headers of a few KiB each. */
const LONGEST_ANSWER_BYTES = 8 * 1024 * 1024;
/** What follows the path of LFS in the address of a batch. */
const BATCH = /\/objects\/batch(?:\?.*)?$/;

const ABOUT_BODIES: ReadonlySet<string> = new Set(['content-encoding', 'if-match', 'if-none-match', 'if-range', 'range']);

const METHODS = { download: 'GET', upload: 'PUT', verify: 'POST' } as const satisfies Readonly<Record<LfsAction, string>>;

export interface BatchParts {
  readonly courier: Courier;
  readonly forwarder: PlainForwarder;
  readonly onward: Onward;
  readonly routes: RouteTable;
}

/** Carries a batch through; its record is closed when this resolves. Never rejects. */
export async function carryBatch(parts: BatchParts, ends: Ends, operation: LfsOperation, route: Route, caller: Caller): Promise<void> {
  const { courier, forwarder } = parts;
  const { request, record } = ends;
  // What is sent upstream is written into the request by whoever sends it.
  const local = `${doorBaseOf(request)}${(request.url ?? '').replace(BATCH, '')}`;
  let asked: BatchRequest | undefined;
  await forwarder.forward(ends, {
    journey: planJourney(operation, route, record),
    take: async (trip) => {
      const read = await readAsked(courier, trip);
      if ('kind' in read) return read;
      const step = `batch-${read.operation}` as const;
      record.step = step;
      const decision = admit({ ...operation, step }, caller, parts.routes, courier.parts.clock.now());
      if (decision.kind === 'refusal') return decision;
      asked = read;
      return { kind: 'whole', bytes: writeBatchRequest(read) };
    },
    headers: () => {
      const headers = lfsHeaders(request.headers);
      // It is another body than the client's, and the answer is needed whole: what is said of either does not go up.
      return {
        ...Object.fromEntries(Object.entries(headers).filter(([name]) => !ABOUT_BODIES.has(name))),
        accept: LFS_MEDIA_TYPE,
        'accept-encoding': 'identity',
        'content-type': LFS_MEDIA_TYPE,
      };
    },
    moved: elsewhere,
    hand: async (trip, answer) => {
      if (answer.statusCode !== 200 || asked === undefined) return false;
      await handOn(parts, trip, answer, { asked, local, caller, operation });
      return true;
    },
  });
}

/** The request as it was asked, or a refusal of what is none. */
async function readAsked({ bodies }: Courier, trip: Trip): Promise<BatchRequest | Refusal> {
  const body: RequestBody | Refusal = await takeBody(bodies, trip, []);
  if (body.kind === 'refusal') return body;
  if (body.kind === 'stream') return malformed(trip, 413, `is longer than ${KEPT_BODY_BYTES} bytes`);
  const coding = trip.request.headers['content-encoding'] ?? 'identity';
  if (coding !== 'identity') return malformed(trip, 415, 'is compressed');
  const read = readBatchRequest(body.bytes);
  return typeof read === 'string' ? malformed(trip, 422, `cannot be read: ${read}`) : read;
}

function malformed({ route }: Trip, status: number, what: string): Refusal {
  return {
    kind: 'refusal',
    code: 'request-malformed',
    status,
    what: `The LFS batch request ${what}`,
    todo: 'use git-lfs 2 or later, with its own basic transfers',
    route: route.match,
    identity: route.identity,
  };
}

/** What of a request its answer depends on. */
interface Question {
  readonly asked: BatchRequest;
  /** Address of LFS at this door, as the caller reached it. */
  readonly local: string;
  readonly caller: Caller;
  readonly operation: LfsOperation;
}

async function handOn(
  parts: BatchParts,
  trip: Trip,
  answer: IncomingMessage,
  { asked, local, caller, operation }: Question,
): Promise<void> {
  const { courier } = parts;
  const { record, response } = trip;
  const bytes = await record.spent.during('upstream', readAnswer(answer, LONGEST_ANSWER_BYTES));
  const coding = answer.headers['content-encoding'] ?? 'identity';
  // A server may give back what it was sent for each object; with our credential that must not go anywhere.
  const text = bytes === undefined || coding !== 'identity' ? undefined : withoutEcho(answer, bytes.toString('utf8'));
  const now = courier.parts.clock.now();
  // One for all of them: who holds it may ask for each.
  const known = knownBy(caller, { ...operation, step: `batch-${asked.operation}` }, new Date(now + LONGEST_LIFE_MS));
  const rewrite = (object: LfsObject, action: LfsAction, given: UpstreamAction): ClientAction | ObjectError =>
    rewritten(parts.onward, trip, { object, action, given, now, local, known });
  const written = text === undefined ? undefined : rewriteBatchAnswer(text, asked, now, rewrite);
  if (written === undefined) {
    await courier.fail(trip, unreadable(trip));
    return;
  }
  response.writeHead(200, { 'content-type': LFS_MEDIA_TYPE, 'content-length': written.length, 'cache-control': 'no-store' });
  response.end(written);
  record.bytesDown += written.length;
  courier.parts.ledger.finish(record, { verdict: 'passed' });
}

/** How the caller is known at an address, and until when. */
interface Known {
  readonly header: Readonly<Record<string, string>>;
  readonly end: Date;
}

interface Named {
  readonly object: LfsObject;
  readonly action: LfsAction;
  readonly given: UpstreamAction;
}

function rewritten(
  onward: Onward,
  { route, operation }: Trip,
  { object, action, given, now, local, known }: Named & { readonly now: number; readonly local: string; readonly known: Known },
): ClientAction | ObjectError {
  const { href, header, expiresAt } = given;
  const named = { url: href, method: METHODS[action], action, oid: object.oid, headers: header, expiresAt };
  const to = onward.addressFor(named, { route, address: operation.address, local: `${local}/objects/${object.oid}`, isByStorage: false });
  if (to.kind === 'no') return { code: 502, message: `postern: ${to.what}; what to do: ${to.todo}` };
  // It is the client's switch: with it git-lfs sends a body without telling its length, which Azure wants of large ones.
  const isChunked = action === 'upload' && header['transfer-encoding']?.toLowerCase() === 'chunked';
  const ends = Math.min(to.expiresAt.getTime(), known.end.getTime());
  return {
    href: to.href,
    header: { ...(isChunked ? { 'Transfer-Encoding': 'chunked' } : {}), ...known.header },
    // git-lfs asks for another address when this one's time is over, and with it for another lease.
    expiresIn: Math.max(1, Math.floor((ends - now) / 1000)),
  };
}

/**
 * What a caller by lease has to send to such an address until `latest`: its lease, narrowed to what the address is for. Of clients that had
 * the lease from an answer over SSH, or hold it as user or password, git-lfs sends nothing there by itself. Others are known by who they are.
 */
function knownBy(caller: Caller, operation: LfsOperation, latest: Date): Known {
  if (caller.kind !== 'lease' || caller.text === undefined) return { header: {}, end: latest };
  const end = new Date(Math.floor(Math.min(latest.getTime(), endOf(caller.lease)?.getTime() ?? Number.POSITIVE_INFINITY) / 1000) * 1000);
  return { header: { 'X-Postern-Lease': narrowToLfs(caller.text, operation, end).reveal() }, end };
}

function unreadable({ route, record }: Trip): Refusal {
  return {
    kind: 'refusal',
    code: 'upstream-error',
    status: 502,
    what: 'The upstream answered the LFS batch with what is no answer of Git LFS',
    todo: 'see whether LFS is switched on for the repository, and whether something on the way answers in its place',
    route: route.match,
    identity: route.identity,
    upstreamStatus: record.upstreamStatus,
    activityId: record.activityId,
  };
}
