/** An admitted call of the REST API, or request for a package feed, on its way upstream and back. */
import type { IncomingMessage } from 'node:http';
import { isOfSameService } from '../../hosts/api-answers.js';
import type { RepoAddress } from '../../model/address.js';
import type { Pass } from '../../model/decision.js';
import { DEV_AZURE_HOST, parseHost } from '../../model/host-name.js';
import type { ApiOperation } from '../../model/operation.js';
import type { Refusal } from '../../model/refusal.js';
import { discard } from '../../upstream/git-answer.js';
import { planJourney } from '../../upstream/journey.js';
import { type Courier, doorBaseOf, type Ends } from '../courier.js';
import { apiHeaders, callerHeaders, PLAIN_HEADERS } from '../headers.js';
import { elsewhere, PlainForwarder } from '../plain-forward.js';
import type { Trip } from '../trip.js';
import { readableHeaders, rewritingOf } from './rewrite-answer.js';

export class ApiCarrier {
  readonly #courier: Courier;
  readonly #forwarder: PlainForwarder;

  constructor(courier: Courier) {
    this.#courier = courier;
    this.#forwarder = new PlainForwarder(courier);
  }

  /** Carries one admitted call through; its record is closed when this resolves. Never rejects. */
  async carry(ends: Ends, operation: ApiOperation, { route }: Pass): Promise<void> {
    await this.#forwarder.forward(ends, {
      journey: planJourney(operation, route, ends.record),
      headers: () => readableHeaders(operation, apiHeaders(ends.request.headers)),
      moved: (trip, to) => this.#moved(trip, operation, to),
      hand: (trip, answer) => this.#hand(trip, operation, answer),
    });
  }

  /** A redirect to the same service is to another address of this door, which the gate judges like any other. */
  #moved(trip: Trip, { address }: ApiOperation, to: URL): string | Refusal {
    const here = ownAddress(trip, address, to);
    return here === undefined ? elsewhere(trip, to) : `${doorBaseOf(trip.request)}/${here}`;
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

/** An address of the same service as a path of this door, without its first slash; undefined for any other. */
function ownAddress({ route, origin, basePath }: Trip, address: RepoAddress, to: URL): string | undefined {
  if (to.username !== '' || to.password !== '') return undefined;
  if (route.upstream !== undefined && to.origin === origin.origin && to.pathname.startsWith(`${basePath}/`)) {
    const host = address.kind === 'azure-services' ? DEV_AZURE_HOST : address.upstreamHost;
    return `${host}${to.pathname.slice(basePath.length)}${to.search}`;
  }
  const host = to.protocol === 'https:' ? parseHost(to.host) : undefined;
  return host !== undefined && isOfSameService(address, host) ? `${host}${to.pathname}${to.search}` : undefined;
}
