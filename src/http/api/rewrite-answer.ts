/**
 * Answers of the API in which a client finds its next address: asked for in a form that can be read, and passed on with this door in
 * place of the hosts behind it. Everything else is passed on untouched.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { followedIn, isOfSameService } from '../../hosts/api-answers.js';
import type { ApiOperation } from '../../model/operation.js';
import type { Refusal } from '../../model/refusal.js';
import { doorBaseOf } from '../courier.js';
import type { Trip } from '../trip.js';
import { AddressRewriter } from './address-rewriter.js';

/** The one coding that is taken apart here. Clients of a door are near it, its upstream is not. */
const CODING = 'gzip';
/** Of another length when it is rewritten, and in no coding any more. */
const CHANGED: ReadonlySet<string> = new Set(['content-length', 'content-encoding', 'accept-ranges']);

/** How an answer is passed on that is rewritten. */
export interface Rewriting {
  /** What its body goes through, in this order. */
  readonly through: readonly Duplex[];
  /** Headers that are left out, lower case. */
  readonly without: ReadonlySet<string>;
}

/** Request headers of a call, changed where its answer may have to be rewritten: that has to come whole and readable. */
export function readableHeaders(operation: ApiOperation, headers: Record<string, string>): Record<string, string> {
  if (followedIn(operation.address) === undefined) return headers;
  const kept = Object.entries(headers).filter(([name]) => name !== 'range' && name !== 'if-range');
  return { ...Object.fromEntries(kept), 'accept-encoding': CODING };
}

/**
 * How an answer is to be passed on; undefined for one that is passed on as it comes. A refusal for one that should be rewritten and
 * cannot be read.
 */
export function rewritingOf(trip: Trip, operation: ApiOperation, answer: IncomingMessage): Rewriting | Refusal | undefined {
  const followed = followedIn(operation.address);
  const type = (answer.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  if (followed?.test(type) !== true || answer.statusCode !== 200) return undefined;
  const coding = answer.headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
  if (coding !== 'identity' && coding !== CODING && coding !== `x-${CODING}`) return unreadable(trip, coding);
  if (trip.request.method === 'HEAD') return { through: [], without: CHANGED };
  const rewriter = new AddressRewriter((host) => isOfSameService(operation.address, host), doorBaseOf(trip.request));
  return { through: coding === 'identity' ? [rewriter] : [createGunzip(), rewriter], without: CHANGED };
}

function unreadable({ route, record }: Trip, coding: string): Refusal {
  return {
    kind: 'refusal',
    code: 'upstream-broken',
    status: 502,
    what: `The upstream answered in a coding that it was not asked for (${coding.slice(0, 40)})`,
    todo: 'see whether something between here and the upstream changes its answers',
    route: route.match,
    identity: route.identity,
    upstreamStatus: record.upstreamStatus,
    activityId: record.activityId,
  };
}
