/**
 * The way up and back that every request of this door takes: put the token on, send (as often as that makes sense:
 * upstream/attempts.ts), and give what came of it. What a carrier makes of that is its own.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Ending, Ledger } from '../gate/ledger.js';
import type { Credential } from '../model/credential.js';
import { messageOf } from '../model/errors.js';
import type { DoorOperation } from '../model/operation.js';
import type { Clock, Logger } from '../model/ports.js';
import type { OperationRecord } from '../model/record.js';
import type { Refusal } from '../model/refusal.js';
import { CallerGone, Unanswered } from '../model/send-faults.js';
import type { Timeouts } from '../model/settings.js';
import type { Attempts } from '../upstream/attempts.js';
import { authorizationOf } from '../upstream/authorization.js';
import type { UpstreamConnections } from '../upstream/connections.js';
import { hideEcho } from '../upstream/echo.js';
import { type Journey, refusalFor, unsure } from '../upstream/journey.js';
import type { Outcome } from '../upstream/judgement.js';
import { KeptBodies, type RequestBody } from './body.js';
import { drain } from './drain.js';
import { cutWhenKilled, Killed, unlessKilled } from './killing.js';
import type { PrivateAgents } from './private-agents.js';
import { send } from './proxying.js';
import { relay } from './relay.js';
import { sayTo } from './speech.js';
import { commandsOf, isGone, isRepeatable, killedRefusal, needOf, type Trip } from './trip.js';

export interface CourierParts {
  readonly attempts: Attempts;
  readonly connections: UpstreamConnections;
  readonly ledger: Ledger;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly timeouts: Timeouts;
  readonly privateAgents: PrivateAgents;
}

/**
 * Each step of the way waits for the end of the caller by itself, and each try anew: some fifteen at most, of which Node would warn on
 * stderr from the eleventh on, as of a leak.
 */
const MOST_LISTENERS = 32;

/** A caller's two ends, and what is remembered of what it asked. */
export interface Ends {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly record: OperationRecord;
}

export class Courier {
  readonly parts: CourierParts;
  /** What is held of bodies, of all carriers together. */
  readonly bodies = new KeptBodies();

  constructor(parts: CourierParts) {
    this.parts = parts;
  }

  /** Begins a trip of an admitted operation. */
  begin(journey: Journey, { request, response, record }: Ends): Trip {
    const { ledger, clock } = this.parts;
    const { route, operation } = journey;
    const trip: Trip = { ...journey, request, response, commands: commandsOf(request, operation), killed: ledger.killSignal(record) };
    response.setMaxListeners(MOST_LISTENERS);
    cutWhenKilled(trip, clock);
    record.route = route.match;
    record.identity = route.identity;
    return trip;
  }

  /**
   * Sends with `headers` (without framing and Authorization, which are put on here) and gives what came of it.
   * @throws CallerGone
   */
  async outcomeOf(trip: Trip, body: RequestBody, headers: () => Record<string, string>): Promise<Outcome> {
    const { request, response } = trip;
    try {
      const trying = this.parts.attempts.run(trip, {
        isKept: body.kind === 'whole',
        isRepeatable: isRepeatable(trip, body),
        need: needOf(trip, body),
        doorBase: doorBaseOf(request),
        stallMs: this.parts.timeouts.stall,
        isHead: request.method === 'HEAD',
        send: (credential) => this.#send(trip, body, credential, headers()),
        isGone: () => isGone(trip),
        whenGone: (run) => response.once('close', run),
      });
      return await unlessKilled(trip.killed, trying);
    } catch (thrown) {
      if (thrown instanceof Killed) return { kind: 'failure', refusal: killedRefusal(trip, thrown) };
      if (thrown instanceof CallerGone || isGone(trip)) throw new CallerGone();
      const refusal = refusalFor(trip, thrown);
      return { kind: 'failure', refusal: thrown instanceof Unanswered ? unsure(trip, refusal) : refusal };
    }
  }

  /** Passes an answer on under `headers` (name and value in turn), its body through `through`, and closes the record. */
  async relay(trip: Trip, answer: IncomingMessage, headers: string[], through: readonly Duplex[] = []): Promise<void> {
    this.parts.ledger.finish(trip.record, await relay(trip, answer, headers, this.parts.timeouts.stall, through));
  }

  /** Says a failure, and closes the record. @throws CallerGone */
  async fail(trip: Trip, refusal: Refusal, verdict: 'failed' | 'refused' = 'failed'): Promise<void> {
    const { record, request, response, operation, commands } = trip;
    // git would not read the answer before it has sent everything.
    if (!(await record.spent.during('caller', drain(request, this.parts.clock)))) throw new CallerGone();
    this.parts.ledger.finish(record, { verdict, refusal });
    sayTo(response, operation, refusal, commands?.list, { isHead: request.method === 'HEAD' });
  }

  /** Closes the record of a trip that was broken off by what was thrown, and says so where anybody can hear it. Never throws. */
  brokenOff(trip: Trip, thrown: unknown): void {
    const { ledger, logger } = this.parts;
    const { record, response, operation } = trip;
    if (thrown instanceof CallerGone || isGone(trip)) {
      ledger.finish(record, { verdict: 'client-gone' });
      return;
    }
    logger.log('error', 'unexpected', { what: messageOf(thrown) });
    const refusal = refusalFor(trip, thrown);
    const verdict: Ending['verdict'] = response.headersSent ? 'broken' : 'failed';
    ledger.finish(record, { verdict, refusal });
    if (response.headersSent) response.destroy();
    else sayTo(response, operation, refusal, trip.commands?.list);
  }

  /** Says no to an operation whose body is on its way: that is read to its end and dropped, and the connection closed if `close`. */
  async sayNo(
    ends: Ends,
    operation: DoorOperation,
    refusal: Refusal,
    { commands, close }: { commands?: Trip['commands']; close: boolean },
  ): Promise<void> {
    const { request, response, record } = ends;
    const isThere = await record.spent.during('caller', drain(request, this.parts.clock));
    // Whether or not it is still heard: what was asked for, and that it was refused, stands in the record.
    this.parts.ledger.finish(record, { verdict: 'refused', refusal });
    if (isThere && !response.destroyed) sayTo(response, operation, refusal, commands?.list, { isHead: request.method === 'HEAD', close });
  }

  async #send(trip: Trip, body: RequestBody, credential: Credential, headers: Record<string, string>): Promise<IncomingMessage> {
    const { connections, privateAgents, timeouts } = this.parts;
    const target = { origin: trip.origin, route: trip.route, identity: trip.route.identity, foreign: trip.foreign };
    let agent;
    // A word to Azure DevOps alone.
    if (trip.foreign !== undefined) delete headers['x-tfs-fedauthredirect'];
    if (credential.kind === 'passthrough') {
      agent = privateAgents.agentFor(trip.request.socket, target, connections);
      const own = trip.request.headers.authorization;
      if (own !== undefined) headers['authorization'] = own;
      delete headers['x-tfs-fedauthredirect'];
    } else {
      agent = connections.agentFor(target);
      const authorization = authorizationOf(credential);
      if (authorization !== undefined) headers['authorization'] = authorization;
    }
    const incoming = trip.request.headers;
    try {
      const answer = await send(trip.request, trip.response, {
        origin: trip.origin,
        path: `${trip.path}${trip.suffix}`,
        headers,
        agent,
        body,
        stallMs: timeouts.stall,
        killed: trip.killed,
        enter: (phase) => trip.record.spent.enter(phase),
      });
      hideEcho(answer, headers['authorization']);
      return answer;
    } finally {
      // A next try must see the caller's own headers, not those that went upstream.
      trip.request.headers = incoming;
    }
  }
}

/** Address of the door as the caller used it: `http://127.0.0.1:8417`. */
export function doorBaseOf(request: IncomingMessage): string {
  return `${'encrypted' in request.socket ? 'https' : 'http'}://${request.headers.host ?? ''}`;
}
