/**
 * One operation on its way: where it goes, what it carries, and what may be done with it when something is in the way.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { PROBE_BYTES, smartSuffix } from '../git/smart-http.js';
import { messageOf, ProxyError } from '../model/errors.js';
import { type HttpOperation, serviceOf } from '../model/operation.js';
import type { OperationRecord } from '../model/record.js';
import type { Refusal } from '../model/refusal.js';
import type { Route } from '../model/settings.js';
import type { RequestBody } from './body.js';
import type { Killed } from './killing.js';
import { PushList } from './push-list.js';

/**
 * Life that a token should have when a body that cannot be repeated is let through: long enough for a slow line to
 * deliver the request's head after the probe, and for a server that checks again when the body is in.
 */
const STREAM_LIFE_MS = 5 * 60 * 1000;

/** One operation and where it goes. */
export interface Trip {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly operation: HttpOperation;
  readonly route: Route;
  readonly record: OperationRecord;
  readonly origin: URL;
  readonly basePath: string;
  readonly path: string;
  readonly suffix: string;
  readonly throttleKey: string;
  /** What a push asks for. */
  readonly commands: PushList | undefined;
  /** Aborted, with the refusal to tell, when the operation is ended from outside. */
  readonly killed: AbortSignal;
}

/** Plans the way of an admitted operation. */
export function planTrip(
  request: IncomingMessage,
  response: ServerResponse,
  operation: HttpOperation,
  route: Route,
  record: OperationRecord,
  killed: AbortSignal,
): Trip {
  const { address } = operation;
  const origin = route.upstream ?? new URL(`https://${address.upstreamHost}`);
  const basePath = origin.pathname.replace(/\/$/, '');
  const repositoryPath = route.upstream === undefined ? address.path : address.mainPath;
  return {
    request,
    response,
    operation,
    route,
    record,
    origin,
    basePath,
    path: `${basePath}${repositoryPath}`,
    suffix: smartSuffix(serviceOf(operation), operation.step),
    throttleKey: `${origin.host} ${address.organisation ?? ''} ${route.identity}`,
    commands: commandsOf(request, operation),
    killed,
  };
}

/** What reads the commands of a push; undefined for every other operation. */
export function commandsOf(request: IncomingMessage, operation: HttpOperation): PushList | undefined {
  if (operation.kind !== 'push' || operation.step !== 'exchange') return undefined;
  return new PushList(request.headers['content-encoding']);
}

/** What the credential must be good for. */
export function needOf(trip: Trip, body: RequestBody): { lifeMs?: number } {
  const isProbe = trip.operation.kind === 'push' && body.kind === 'whole' && body.bytes.length === PROBE_BYTES;
  return body.kind === 'stream' || isProbe ? { lifeMs: STREAM_LIFE_MS } : {};
}

/** Whether a request that may or may not have arrived can be sent again: reads, and a push's probe. */
export function isRepeatable(trip: Trip, body: RequestBody): boolean {
  if (trip.operation.kind === 'fetch' || trip.operation.step === 'advertisement') return true;
  return body.kind === 'whole' && body.bytes.length === PROBE_BYTES;
}

/** Whether there is nobody left to answer. */
export function isGone(trip: Trip): boolean {
  return trip.request.socket.destroyed || (trip.response.destroyed && !trip.response.writableFinished);
}

/** Anything thrown, as a refusal with the route and identity that it concerns. */
export function refusalFor(trip: Trip, thrown: unknown): Refusal {
  const error =
    thrown instanceof ProxyError
      ? thrown
      : new ProxyError('internal', `Postern failed: ${messageOf(thrown)}`, { todo: 'report this with the log' });
  const isIdentity = error.code.startsWith('identity-') || error.code === 'secret-unreadable';
  return {
    kind: 'refusal',
    code: error.code,
    status: isIdentity ? 503 : 502,
    what: error.message,
    todo: error.todo ?? 'see the log of the daemon',
    route: trip.route.match,
    identity: trip.route.identity,
  };
}

/** The refusal of what the upstream asked to come later, by more than can be waited out. */
export function throttled(trip: Trip, waitMs: number): Refusal {
  const seconds = Math.ceil(waitMs / 1000);
  return {
    kind: 'refusal',
    code: 'upstream-throttled',
    status: 429,
    what: `The upstream asked this identity to wait; ${seconds} s are left`,
    todo: `try again in ${seconds} s`,
    route: trip.route.match,
    identity: trip.route.identity,
    retryAfterSeconds: waitMs / 1000,
  };
}

/** A refusal of which it is not certain that nothing happened: an unanswered push may have been carried out, and must not be told as undone. */
export function unsure(trip: Trip, refusal: Refusal): Refusal {
  if (trip.operation.kind !== 'push' || trip.operation.step !== 'exchange') return refusal;
  return {
    ...refusal,
    what: `${refusal.what}; the push may have arrived all the same`,
    todo: `\`git fetch\` shows whether it has arrived; if not, ${refusal.todo}`,
  };
}

/** What the caller of an ended operation is told: a push that had not been sent to its end cannot have been carried out. */
export function killedRefusal(trip: Trip, { refusal }: Killed): Refusal {
  const told = { ...refusal, route: trip.route.match, identity: trip.route.identity };
  return trip.request.complete ? unsure(trip, told) : told;
}
