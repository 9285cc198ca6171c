/** An object on its way, to or from where a batch answer said. */
import type { LfsOperation } from '../../model/operation.js';
import type { Refusal } from '../../model/refusal.js';
import type { Route } from '../../model/settings.js';
import { doorBaseOf, type Ends } from '../courier.js';
import { Onward } from '../onward.js';
import type { PlainForwarder } from '../plain-forward.js';
import type { Trip } from '../trip.js';

export interface ObjectParts {
  readonly forwarder: PlainForwarder;
  readonly onward: Onward;
}

/** Carries an object through; its record is closed when this resolves. Never rejects. */
export async function carryObject({ forwarder, onward }: ObjectParts, ends: Ends, operation: LfsOperation, route: Route): Promise<void> {
  const { request, record } = ends;
  const mark = operation.suffix.indexOf('?');
  // What is sent upstream is written into the request by whoever sends it.
  const local = `${doorBaseOf(request)}${(request.url ?? '').replace(/\?.*$/, '')}`;
  const sealed = mark < 0 ? undefined : Onward.sealIn(operation.suffix.slice(mark));
  const way = sealed === undefined ? unnamed(route) : onward.wayTo(sealed, { operation, route, record, method: request.method });
  await forwarder.forwardTo(way, ends, { operation, route, moved: (trip, to) => movedTo(onward, trip, operation, to, local) });
}

/** A redirect leads on under the rules for what a batch answer names. Of a verification there is none that could be followed. */
function movedTo(onward: Onward, trip: Trip, operation: LfsOperation, to: URL, local: string): string | Refusal {
  const { route } = trip;
  const { step, oid, address } = operation;
  const action = step === 'upload' ? 'upload' : 'download';
  const named = { url: to.href, method: action === 'upload' ? 'PUT' : 'GET', action, oid } as const;
  const onwards =
    step === 'verify' ? undefined : onward.addressFor(named, { route, address, local, isByStorage: trip.foreign !== undefined });
  if (onwards?.kind === 'address') return onwards.href;
  return {
    kind: 'refusal',
    code: 'redirect-elsewhere',
    status: 502,
    what: onwards?.what ?? `The upstream redirects the verification of an object to ${to.host}, which is not followed`,
    todo: onwards?.todo ?? 'ask the administrator of the upstream',
    route: route.match,
    identity: route.identity,
    upstreamStatus: trip.record.upstreamStatus,
  };
}

function unnamed({ match, identity }: Route): Refusal {
  return {
    kind: 'refusal',
    code: 'target-refused',
    status: 403,
    what: 'The address of an object is taken from a batch answer of this door, and this one is not',
    todo: 'use git-lfs, which asks for addresses first',
    route: match,
    identity,
  };
}
