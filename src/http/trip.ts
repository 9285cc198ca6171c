/**
 * One request on its way through this door: the journey to its upstream, the caller's ends, and what may be done with it when
 * something is in the way.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { PROBE_BYTES } from '../git/smart-http.js';
import { type DoorOperation, isReading } from '../model/operation.js';
import type { Refusal } from '../model/refusal.js';
import { type Journey, STREAM_LIFE_MS, unsure } from '../upstream/journey.js';
import type { RequestBody } from './body.js';
import type { Killed } from './killing.js';
import { PushList } from './push-list.js';

export interface Trip extends Journey {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** What a push asks for. */
  readonly commands: PushList | undefined;
  /** Aborted, with the refusal to tell, when the operation is ended from outside. */
  readonly killed: AbortSignal;
}

/** What reads the commands of a push; undefined for every other operation. */
export function commandsOf(request: IncomingMessage, operation: DoorOperation): PushList | undefined {
  if (operation.kind !== 'push' || operation.step !== 'exchange') return undefined;
  return new PushList(request.headers['content-encoding']);
}

/** What the credential must be good for. */
export function needOf(trip: Trip, body: RequestBody): { lifeMs?: number } {
  const isProbe = trip.operation.kind === 'push' && body.kind === 'whole' && body.bytes.length === PROBE_BYTES;
  return body.kind === 'stream' || isProbe ? { lifeMs: STREAM_LIFE_MS } : {};
}

/** Whether a request that may or may not have arrived can be sent again: reads, objects of LFS, and a push's probe. */
export function isRepeatable(trip: Trip, body: RequestBody): boolean {
  const { operation } = trip;
  if (operation.kind === 'api') return isReading(operation);
  const { kind, step } = operation;
  // An object is what its name says however often it is brought; a lock is somebody's once.
  if (kind === 'lfs') return step !== 'lock' && step !== 'unlock';
  if (kind === 'fetch' || step === 'advertisement') return true;
  return body.kind === 'whole' && body.bytes.length === PROBE_BYTES;
}

/** Whether there is nobody left to answer. */
export function isGone(trip: Trip): boolean {
  return trip.request.socket.destroyed || (trip.response.destroyed && !trip.response.writableFinished);
}

/** What the caller of an ended operation is told: a push that had not been sent to its end cannot have been carried out. */
export function killedRefusal(trip: Trip, { refusal }: Killed): Refusal {
  const told = { ...refusal, route: trip.route.match, identity: trip.route.identity };
  return trip.request.complete ? unsure(trip, told) : told;
}
