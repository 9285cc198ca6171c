/**
 * An admitted operation of git's on its way upstream and back: take the body (and judge what a push asks for), send it by the courier,
 * and relay the answer or say what is wrong.
 */
import type { Pass } from '../model/decision.js';
import type { DoorOperation, HttpOperation } from '../model/operation.js';
import type { Refusal } from '../model/refusal.js';
import { discard } from '../upstream/git-answer.js';
import { planJourney } from '../upstream/journey.js';
import type { Outcome } from '../upstream/judgement.js';
import type { Courier, Ends } from './courier.js';
import { callerHeaders, CHALLENGE_HEADERS, upstreamHeaders } from './headers.js';
import { cutWhenKilled } from './killing.js';
import { takeBody } from './take-body.js';
import { commandsOf, type Trip } from './trip.js';

export class Forwarder {
  readonly #courier: Courier;

  constructor(courier: Courier) {
    this.#courier = courier;
  }

  /** Carries one admitted operation through, to the end of its answer; its record is closed when this resolves. Never rejects. */
  async forward(ends: Ends, operation: HttpOperation, { route, refPolicies }: Pass): Promise<void> {
    const courier = this.#courier;
    const trip = courier.begin(planJourney(operation, route, ends.record), ends);
    try {
      const taken = await takeBody(courier.bodies, trip, refPolicies);
      if (taken.kind === 'refusal') {
        const refusal = { ...taken, route: route.match, identity: route.identity };
        await courier.sayNo(ends, operation, refusal, { commands: trip.commands, close: false });
        return;
      }
      await this.#tell(trip, await courier.outcomeOf(trip, taken, () => upstreamHeaders(ends.request.headers)));
    } catch (thrown) {
      courier.brokenOff(trip, thrown);
    }
  }

  /**
   * Refuses a request that was not admitted and may have a body, in the way that its client shows: of a push what it asks for is read, to
   * name its refs, and nothing goes anywhere. The connection is closed; the record too when this resolves. Never rejects.
   */
  async refuse(ends: Ends, operation: DoorOperation, refusal: Refusal): Promise<void> {
    const { request, response, record } = ends;
    const { ledger, clock } = this.#courier.parts;
    cutWhenKilled({ response, killed: ledger.killSignal(record) }, clock);
    const carried = { request, response, record, commands: commandsOf(request, operation) };
    // A list that cannot be read, or a caller that goes, changes nothing about the refusal.
    await takeBody(this.#courier.bodies, carried, []).catch(() => undefined);
    await this.#courier.sayNo(ends, operation, refusal, { commands: carried.commands, close: true });
  }

  async #tell(trip: Trip, outcome: Outcome): Promise<void> {
    const courier = this.#courier;
    const { response, record } = trip;
    switch (outcome.kind) {
      case 'failure':
        await courier.fail(trip, outcome.refusal);
        return;
      case 'redirect':
        discard(outcome.answer);
        response.writeHead(outcome.answer.statusCode ?? 302, {
          location: outcome.location,
          'content-length': 0,
          'cache-control': 'no-store',
        });
        response.end();
        courier.parts.ledger.finish(record, { verdict: 'passed' });
        return;
      case 'challenge':
        await courier.relay(trip, outcome.answer, callerHeaders(outcome.answer, CHALLENGE_HEADERS));
        return;
      case 'relay':
        await courier.relay(trip, outcome.answer, callerHeaders(outcome.answer));
        return;
      case 'moved':
        discard(outcome.answer);
        throw new Error('an answer to git was taken for one to something else');
    }
  }
}
