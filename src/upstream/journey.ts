/**
 * One request on its way to its upstream, whichever door it came by: where it goes, by which route and identity, and
 * what is said of it when something is in the way.
 */
import { smartSuffix } from '../git/smart-http.js';
import { nameObject } from '../hosts/object-texts.js';
import type { RepoAddress } from '../model/address.js';
import { messageOf, ProxyError } from '../model/errors.js';
import { type DoorOperation, serviceOf } from '../model/operation.js';
import type { OperationRecord } from '../model/record.js';
import type { Refusal } from '../model/refusal.js';
import type { Route } from '../model/settings.js';

/**
 * Life that a token should have when a body that cannot be repeated is let through: long enough for a slow line to
 * deliver the request's head after the probe, and for a server that checks again when the body is in.
 */
export const STREAM_LIFE_MS = 5 * 60 * 1000;

export interface Journey {
  readonly operation: DoorOperation;
  readonly route: Route;
  readonly record: OperationRecord;
  /** Scheme, host and port of the upstream. */
  readonly origin: URL;
  /** Path that the route's upstream begins with, no slash at its end. */
  readonly basePath: string;
  /** Path of the repository there. */
  readonly path: string;
  /** What follows it: git's own end of the path for this step, LFS's, or nothing; with the query. */
  readonly suffix: string;
  /**
   * Set where it leads to a host that is not the route's upstream, where no credential of ours may come: whether that host may have a
   * private address.
   */
  readonly foreign?: { readonly mayBePrivate: boolean };
  /** Who is throttled together: upstream, organisation and identity. */
  readonly throttleKey: string;
}

/** Plans the way of an admitted operation. */
export function planJourney(operation: DoorOperation, route: Route, record: OperationRecord): Journey {
  const { address } = operation;
  const way = wayOf(address, route);
  return {
    operation,
    route,
    record,
    ...way,
    suffix: suffixOf(operation),
    throttleKey: `${way.origin.host} ${address.organisation ?? ''} ${route.identity}`,
  };
}

/** Where a repository is for those who take this route. */
export function wayOf(address: RepoAddress, route: Route): Pick<Journey, 'origin' | 'basePath' | 'path'> {
  const origin = route.upstream ?? new URL(`https://${address.upstreamHost}`);
  const basePath = origin.pathname.replace(/\/$/, '');
  return { origin, basePath, path: `${basePath}${route.upstream === undefined ? address.path : address.mainPath}` };
}

function suffixOf(operation: DoorOperation): string {
  switch (operation.kind) {
    case 'fetch':
    case 'push':
      return smartSuffix(serviceOf(operation), operation.step);
    case 'lfs':
      return operation.suffix;
    case 'api':
      return operation.query;
  }
}

/** Files come free as operations end, which takes seconds. */
const OVERLOADED_SECONDS = 5;

/** Anything thrown, as a refusal with the route and identity that it concerns, and the object of LFS where it is about one. */
export function refusalFor({ route, operation }: Pick<Journey, 'route'> & Partial<Pick<Journey, 'operation'>>, thrown: unknown): Refusal {
  const error =
    thrown instanceof ProxyError
      ? thrown
      : new ProxyError('internal', `Postern failed: ${messageOf(thrown)}`, { todo: 'report this with the log' });
  const isIdentity = error.code.startsWith('identity-') || error.code === 'secret-unreadable';
  return {
    kind: 'refusal',
    code: error.code,
    status: isIdentity || error.code === 'overloaded' ? 503 : 502,
    what: operation?.kind === 'lfs' && operation.oid !== undefined ? `${error.message}; ${nameObject(operation.oid)}` : error.message,
    todo: error.todo ?? 'see the log of the daemon',
    route: route.match,
    identity: route.identity,
    ...(error.code === 'overloaded' ? { retryAfterSeconds: OVERLOADED_SECONDS } : {}),
  };
}

/** The refusal of what the upstream asked to come later, by more than can be waited out. */
export function throttled({ route }: Pick<Journey, 'route'>, waitMs: number): Refusal {
  const seconds = Math.ceil(waitMs / 1000);
  return {
    kind: 'refusal',
    code: 'upstream-throttled',
    status: 429,
    what: `The upstream asked this identity to wait; ${seconds} s are left`,
    todo: `try again in ${seconds} s`,
    route: route.match,
    identity: route.identity,
    retryAfterSeconds: waitMs / 1000,
  };
}

/** A refusal of which it is not certain that nothing happened: an unanswered push may have been carried out, and must not be told as undone. */
export function unsure({ operation }: Pick<Journey, 'operation'>, refusal: Refusal): Refusal {
  if (operation.kind !== 'push' || operation.step !== 'exchange') return refusal;
  return {
    ...refusal,
    what: `${refusal.what}; the push may have arrived all the same`,
    todo: `\`git fetch\` shows whether it has arrived; if not, ${refusal.todo}`,
  };
}
