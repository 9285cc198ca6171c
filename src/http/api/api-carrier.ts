/** An admitted call of the REST API, or request for a package feed, on its way upstream and back. */
import type { IncomingMessage } from 'node:http';
import { isOfSameService } from '../../hosts/api-answers.js';
import type { RepoAddress } from '../../model/address.js';
import type { Pass } from '../../model/decision.js';
import { DEV_AZURE_HOST, familyHost, legacyOrganisation, parseHost } from '../../model/host-name.js';
import type { ApiOperation } from '../../model/operation.js';
import type { Refusal } from '../../model/refusal.js';
import type { Route } from '../../model/settings.js';
import { discard } from '../../upstream/git-answer.js';
import { planJourney } from '../../upstream/journey.js';
import { type Courier, doorBaseOf, type Ends } from '../courier.js';
import { apiHeaders, callerHeaders, PLAIN_HEADERS } from '../headers.js';
import { Onward } from '../onward.js';
import { elsewhere, PlainForwarder } from '../plain-forward.js';
import type { Trip } from '../trip.js';
import { readableHeaders, rewritingOf } from './rewrite-answer.js';

export class ApiCarrier {
  readonly #courier: Courier;
  readonly #onward: Onward;
  readonly #forwarder: PlainForwarder;

  constructor(courier: Courier, { onward }: { onward: Onward }) {
    this.#courier = courier;
    this.#onward = onward;
    this.#forwarder = new PlainForwarder(courier);
  }

  /** Carries one admitted call through; its record is closed when this resolves. Never rejects. */
  async carry(ends: Ends, operation: ApiOperation, { route }: Pass): Promise<void> {
    const local = localAddress(ends);
    const sealed = Onward.sealIn(operation.query);
    if (sealed !== undefined) {
      await this.#carryOn(ends, operation, route, { sealed, local });
      return;
    }
    await this.#forwarder.forward(ends, {
      journey: planJourney(operation, route, ends.record),
      headers: () => readableHeaders(operation, apiHeaders(ends.request.headers)),
      moved: (trip, to) => this.#moved(trip, operation, to, local),
      hand: (trip, answer) => this.#hand(trip, operation, answer),
    });
  }

  /** Carries a request to where a redirect of an earlier one led: a file in the service's storage. */
  async #carryOn(ends: Ends, operation: ApiOperation, route: Route, { sealed, local }: { sealed: string; local: string }): Promise<void> {
    const { request, record } = ends;
    const way = this.#onward.wayTo(sealed, { operation, route, record, method: request.method });
    await this.#forwarder.forwardTo(way, ends, { operation, route, moved: (trip, to) => this.#moved(trip, operation, to, local) });
  }

  /**
   * A redirect to the same service is to another address of this door, which the gate judges like any other; one to elsewhere comes
   * back sealed, under the rules for what LFS is told.
   */
  #moved(trip: Trip, { address }: ApiOperation, to: URL, local: string): string | Refusal {
    const here = ownAddress(trip, address, to);
    if (here !== undefined) return `${doorBaseOf(trip.request)}/${here}`;
    const { method } = trip.request;
    if (method !== 'GET' && method !== 'HEAD') return elsewhere(trip, to);
    const named = { url: to.href, method, action: 'get' } as const;
    const onwards = this.#onward.addressFor(named, { route: trip.route, address, local, isByStorage: trip.foreign !== undefined });
    return onwards.kind === 'address' ? onwards.href : { ...elsewhere(trip, to), what: onwards.what, todo: onwards.todo };
  }

  async #hand(trip: Trip, operation: ApiOperation, answer: IncomingMessage): Promise<boolean> {
    const rewriting = rewritingOf(trip, operation, answer);
    if (rewriting === undefined) return false;
    if ('kind' in rewriting) {
      discard(answer);
      await this.#courier.fail(trip, rewriting);
      return true;
    }
    await this.#courier.relay(trip, answer, callerHeaders(answer, PLAIN_HEADERS, rewriting.without), rewriting.through);
    return true;
  }
}

/** The request's own address at this door, without query. What is sent upstream is written into the request by whoever sends it. */
function localAddress({ request }: Ends): string {
  return `${doorBaseOf(request)}${(request.url ?? '').replace(/\?.*$/, '')}`;
}

/** An address of the same service as a path of this door, without its first slash; undefined for any other. */
function ownAddress({ route, origin, basePath, foreign }: Trip, address: RepoAddress, to: URL): string | undefined {
  // A storage, in which anybody may have an account, has no say in what the caller asks of the service next.
  if (foreign !== undefined || hasUser(to)) return undefined;
  if (route.upstream !== undefined && to.origin === origin.origin && to.pathname.startsWith(`${basePath}/`)) {
    const host = address.kind === 'azure-services' ? DEV_AZURE_HOST : address.upstreamHost;
    return `${host}${to.pathname.slice(basePath.length)}${to.search}`;
  }
  const host = to.protocol === 'https:' ? parseHost(to.host) : undefined;
  if (host === undefined || !isOfSameService(address, host)) return undefined;
  // Some of the names below visualstudio.com are no organisation's but the service's own storage.
  const organisation = legacyOrganisation(host) ?? familyHost(host)?.organisation;
  const isOther = organisation !== undefined && organisation !== address.organisation?.toLowerCase();
  return isOther ? undefined : `${host}${to.pathname}${to.search}`;
}

function hasUser({ username, password }: URL): boolean {
  return username !== '' || password !== '';
}
