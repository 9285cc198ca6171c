/**
 * A request of LFS or of the REST API on its way upstream and back, as it came: its carrier says which headers go which way, and what
 * becomes of a redirect or of an answer that is not to be passed on unread.
 */
import type { IncomingMessage } from 'node:http';
import type { DoorOperation } from '../model/operation.js';
import type { Refusal } from '../model/refusal.js';
import type { Route } from '../model/settings.js';
import { discard } from '../upstream/git-answer.js';
import type { Journey } from '../upstream/journey.js';
import type { Outcome } from '../upstream/judgement.js';
import { KEPT_BODY_BYTES, type RequestBody } from './body.js';
import type { Courier, Ends } from './courier.js';
import { isErrorAnswer, passOnError } from './error-answer.js';
import { callerHeaders, CHALLENGE_HEADERS, lfsHeaders, PLAIN_HEADERS } from './headers.js';
import type { OnwardWay } from './onward.js';
import { takeBody } from './take-body.js';
import type { Trip } from './trip.js';

/** How one request is carried. */
export interface PlainPlan {
  readonly journey: Journey;
  /** Headers that go up; framing and Authorization are put on by whoever sends. */
  readonly headers: () => Record<string, string>;
  /** Reads the body, where that is not only taken as it comes. */
  readonly take?: (trip: Trip) => Promise<RequestBody | Refusal>;
  /** Where the caller is to go instead, as an address of this door; or why nowhere. */
  readonly moved: (trip: Trip, to: URL) => string | Refusal;
  /** Hands an answer to the caller by itself and closes the record; false when it is to be passed on as it comes. */
  readonly hand?: (trip: Trip, answer: IncomingMessage) => Promise<boolean>;
}

/** How one is carried to where an earlier answer led. */
export interface OnwardPlan extends Pick<PlainPlan, 'moved'> {
  readonly operation: DoorOperation;
  readonly route: Route;
}

/** Methods whose bodies cannot be passed through (proxying.ts). No call of the API has a long one with them. */
const UNSTREAMED: ReadonlySet<string> = new Set(['DELETE', 'OPTIONS']);

function tooLong({ route }: Trip): Refusal {
  return {
    kind: 'refusal',
    code: 'request-malformed',
    status: 413,
    what: `The body of a DELETE or OPTIONS request is longer than ${KEPT_BODY_BYTES} bytes`,
    todo: 'send less at once',
    route: route.match,
    identity: route.identity,
  };
}

export class PlainForwarder {
  readonly #courier: Courier;

  constructor(courier: Courier) {
    this.#courier = courier;
  }

  /** Carries one admitted request through, to the end of its answer; its record is closed when this resolves. Never rejects. */
  async forward(ends: Ends, plan: PlainPlan): Promise<void> {
    const courier = this.#courier;
    const trip = courier.begin(plan.journey, ends);
    try {
      const body = await (plan.take?.(trip) ?? takeBody(courier.bodies, trip, []));
      if (body.kind === 'refusal') await courier.fail(trip, body, 'refused');
      else if (body.kind === 'stream' && UNSTREAMED.has(ends.request.method ?? '')) await courier.fail(trip, tooLong(trip), 'refused');
      else await this.#tell(trip, plan, await courier.outcomeOf(trip, body, plan.headers));
    } catch (thrown) {
      courier.brokenOff(trip, thrown);
    }
  }

  /** Carries a request to where the seal in its address says, or says why not; else as `forward`. */
  async forwardTo(way: OnwardWay | Refusal, ends: Ends, { operation, route, moved }: OnwardPlan): Promise<void> {
    const { request, record } = ends;
    if (way.kind === 'refusal') {
      record.route = route.match;
      record.identity = route.identity;
      await this.#courier.sayNo(ends, operation, way, { close: request.method !== 'GET' && request.method !== 'HEAD' });
      return;
    }
    const { journey, headers } = way;
    await this.forward(ends, { journey, headers: () => ({ ...lfsHeaders(request.headers), ...headers }), moved });
  }

  async #tell(trip: Trip, plan: PlainPlan, outcome: Outcome): Promise<void> {
    const courier = this.#courier;
    switch (outcome.kind) {
      case 'failure':
        await courier.fail(trip, outcome.refusal);
        return;
      case 'moved': {
        const { answer } = outcome;
        discard(answer);
        const location = plan.moved(trip, outcome.to);
        if (typeof location !== 'string') {
          await courier.fail(trip, location);
          return;
        }
        trip.response.writeHead(answer.statusCode ?? 302, { location, 'content-length': 0, 'cache-control': 'no-store' });
        trip.response.end();
        courier.parts.ledger.finish(trip.record, { verdict: 'passed' });
        return;
      }
      case 'relay':
        if (isErrorAnswer(trip, outcome.answer)) await passOnError(courier, trip, outcome.answer);
        else if ((await plan.hand?.(trip, outcome.answer)) !== true)
          await courier.relay(trip, outcome.answer, callerHeaders(outcome.answer, PLAIN_HEADERS));
        return;
      case 'challenge':
        await courier.relay(trip, outcome.answer, callerHeaders(outcome.answer, CHALLENGE_HEADERS));
        return;
      case 'redirect':
        discard(outcome.answer);
        throw new Error('an answer was taken for one to git');
    }
  }
}

/** Where nothing else is said of redirects: another address is another request, which the caller has to make and the gate to judge. */
export function elsewhere({ route, record }: Trip, to: URL): Refusal {
  return {
    kind: 'refusal',
    code: 'redirect-elsewhere',
    status: 502,
    what: `The upstream redirects to ${to.host}, which is not followed`,
    todo: 'check the address; if it is right, this service wants to be asked elsewhere, which Postern does not know of',
    route: route.match,
    identity: route.identity,
    upstreamStatus: record.upstreamStatus,
  };
}
