/**
 * An admitted git operation on its way upstream and back: take the body, put the token on, send (as often as that makes sense:
 * upstream/attempts.ts), and relay the answer or say what is wrong.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Ledger } from '../gate/ledger.js';
import type { Credential } from '../model/credential.js';
import type { Pass } from '../model/decision.js';
import { messageOf } from '../model/errors.js';
import type { HttpOperation } from '../model/operation.js';
import type { Clock, Logger } from '../model/ports.js';
import type { OperationRecord } from '../model/record.js';
import type { Refusal } from '../model/refusal.js';
import type { Timeouts } from '../model/settings.js';
import type { Attempts, Sending } from '../upstream/attempts.js';
import { authorizationOf } from '../upstream/authorization.js';
import type { UpstreamConnections } from '../upstream/connections.js';
import { hideEcho } from '../upstream/echo.js';
import { discard } from '../upstream/git-answer.js';
import { planJourney, refusalFor, unsure } from '../upstream/journey.js';
import type { Outcome } from '../upstream/judge.js';
import { CallerGone, Unanswered } from '../model/send-faults.js';
import { KeptBodies, type RequestBody } from './body.js';
import { drain } from './drain.js';
import { callerHeaders, CHALLENGE_HEADERS, upstreamHeaders } from './headers.js';
import { cutWhenKilled, Killed, unlessKilled } from './killing.js';
import type { PrivateAgents } from './private-agents.js';
import { send } from './proxying.js';
import { relay } from './relay.js';
import { sayGit } from './speech.js';
import { type Carried, takeBody } from './take-body.js';
import { commandsOf, isGone, isRepeatable, killedRefusal, needOf, type Trip } from './trip.js';

export interface ForwardParts {
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
export class Forwarder {
  readonly #parts: ForwardParts;
  readonly #bodies = new KeptBodies();

  constructor(parts: ForwardParts) {
    this.#parts = parts;
  }

  /** Carries one admitted operation through, to the end of its answer; its record is closed when this resolves. Never rejects. */
  async forward(
    request: IncomingMessage,
    response: ServerResponse,
    operation: HttpOperation,
    { route, refPolicies }: Pass,
    record: OperationRecord,
  ): Promise<void> {
    const { ledger } = this.#parts;
    const trip: Trip = {
      ...planJourney(operation, route, record),
      request,
      response,
      commands: commandsOf(request, operation),
      killed: ledger.killSignal(record),
    };
    response.setMaxListeners(MOST_LISTENERS);
    cutWhenKilled(trip, this.#parts.clock);
    record.route = route.match;
    record.identity = route.identity;
    try {
      const taken = await takeBody(this.#bodies, trip, refPolicies);
      if (taken.kind === 'refusal') {
        await this.#sayNo(trip, operation, { ...taken, route: route.match, identity: route.identity }, { close: false });
        return;
      }
      await this.#tell(trip, await this.#outcomeOf(trip, taken));
    } catch (thrown) {
      if (thrown instanceof CallerGone || isGone(trip)) {
        ledger.finish(record, { verdict: 'client-gone' });
        return;
      }
      this.#parts.logger.log('error', 'unexpected', { what: messageOf(thrown) });
      const refusal = refusalFor(trip, thrown);
      ledger.finish(record, { verdict: response.headersSent ? 'broken' : 'failed', refusal });
      if (response.headersSent) response.destroy();
      else sayGit(response, operation, refusal, trip.commands?.list);
    }
  }

  /**
   * Refuses an exchange that was not admitted, in the way that git shows: what it asks for is read, to name the refs of a push,
   * and nothing of it goes anywhere. The connection is closed; the record too when this resolves. Never rejects.
   */
  async refuse(
    request: IncomingMessage,
    response: ServerResponse,
    operation: HttpOperation,
    refusal: Refusal,
    record: OperationRecord,
  ): Promise<void> {
    const { ledger, clock } = this.#parts;
    cutWhenKilled({ response, killed: ledger.killSignal(record) }, clock);
    const carried = { request, response, record, commands: commandsOf(request, operation) };
    // A list that cannot be read, or a caller that goes, changes nothing about the refusal.
    await takeBody(this.#bodies, carried, []).catch(() => undefined);
    await this.#sayNo(carried, operation, refusal, { close: true });
  }

  async #sayNo(carried: Carried, operation: HttpOperation, refusal: Refusal, options: { close: boolean }): Promise<void> {
    const { request, response, record, commands } = carried;
    const isThere = await record.spent.during('caller', drain(request, this.#parts.clock));
    // Whether or not it is still heard: what was asked for, and that it was refused, stands in the record.
    this.#parts.ledger.finish(record, { verdict: 'refused', refusal });
    if (isThere && !response.destroyed) sayGit(response, operation, refusal, commands?.list, options);
  }

  async #outcomeOf(trip: Trip, body: RequestBody): Promise<Outcome> {
    const { attempts } = this.#parts;
    try {
      return await unlessKilled(trip.killed, attempts.run(trip, this.#sending(trip, body)));
    } catch (thrown) {
      if (thrown instanceof Killed) return { kind: 'failure', refusal: killedRefusal(trip, thrown) };
      if (thrown instanceof CallerGone || isGone(trip)) throw new CallerGone();
      const refusal = refusalFor(trip, thrown);
      return { kind: 'failure', refusal: thrown instanceof Unanswered ? unsure(trip, refusal) : refusal };
    }
  }

  #sending(trip: Trip, body: RequestBody): Sending {
    const { request, response } = trip;
    return {
      isKept: body.kind === 'whole',
      isRepeatable: isRepeatable(trip, body),
      need: needOf(trip, body),
      doorBase: `${'encrypted' in request.socket ? 'https' : 'http'}://${request.headers.host ?? ''}`,
      stallMs: this.#parts.timeouts.stall,
      send: (credential) => this.#send(trip, body, credential),
      isGone: () => isGone(trip),
      whenGone: (run) => response.once('close', run),
    };
  }

  async #send(trip: Trip, body: RequestBody, credential: Credential): Promise<IncomingMessage> {
    const { connections, privateAgents, timeouts } = this.#parts;
    const target = { origin: trip.origin, route: trip.route, identity: trip.route.identity };
    const headers = upstreamHeaders(trip.request.headers);
    let agent;
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

  async #tell(trip: Trip, outcome: Outcome): Promise<void> {
    const { ledger } = this.#parts;
    const { response, record, operation } = trip;
    switch (outcome.kind) {
      case 'failure':
        // git would not read the answer before it has sent everything.
        if (!(await record.spent.during('caller', drain(trip.request, this.#parts.clock)))) throw new CallerGone();
        ledger.finish(record, { verdict: 'failed', refusal: outcome.refusal });
        sayGit(response, operation, outcome.refusal, trip.commands?.list);
        return;
      case 'redirect':
        discard(outcome.answer);
        response.writeHead(outcome.answer.statusCode ?? 302, {
          location: outcome.location,
          'content-length': 0,
          'cache-control': 'no-store',
        });
        response.end();
        ledger.finish(record, { verdict: 'passed' });
        return;
      case 'challenge':
        ledger.finish(
          record,
          await relay(trip, outcome.answer, callerHeaders(outcome.answer, CHALLENGE_HEADERS), this.#parts.timeouts.stall),
        );
        return;
      case 'relay':
        ledger.finish(record, await relay(trip, outcome.answer, callerHeaders(outcome.answer), this.#parts.timeouts.stall));
        return;
    }
  }
}
