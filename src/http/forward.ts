/**
 * An admitted git operation on its way upstream and back: take the body, put the token on, send, judge the answer, and
 * relay it or say what is wrong. What can be mended without the caller noticing (an ended token, a short throttle, a
 * kept connection that had died) is mended here, within a bounded number of tries and only while the body is at hand.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Ledger } from '../gate/ledger.js';
import { isSignInPage, readActivityId, readFailure, readRetryAfter } from '../hosts/failure.js';
import { Vault } from '../identity/vault.js';
import type { Credential } from '../model/credential.js';
import type { Pass } from '../model/decision.js';
import { messageOf } from '../model/errors.js';
import type { HttpOperation } from '../model/operation.js';
import type { Clock, Logger } from '../model/ports.js';
import type { OperationRecord } from '../model/record.js';
import type { Refusal } from '../model/refusal.js';
import type { Timeouts } from '../model/settings.js';
import { authorizationOf, claimsOf } from '../upstream/authorization.js';
import type { UpstreamConnections } from '../upstream/connections.js';
import { hideEcho } from '../upstream/echo.js';
import { discard, headerOf } from '../upstream/git-answer.js';
import { DEFAULT_WAIT_MS, LONGEST_WAIT_MS, MOST_TRIES, type Throttle } from '../upstream/throttle.js';
import { KeptBodies, type RequestBody } from './body.js';
import { drain } from './drain.js';
import { callerHeaders, CHALLENGE_HEADERS, upstreamHeaders } from './headers.js';
import { judge, type Outcome } from './judge.js';
import { cutWhenKilled, Killed, unlessKilled } from './killing.js';
import type { PrivateAgents } from './private-agents.js';
import { Renewals } from './renewals.js';
import { CallerGone, send, StaleConnection, Unanswered } from './proxying.js';
import { relay } from './relay.js';
import { sayGit } from './speech.js';
import { type Carried, takeBody } from './take-body.js';
import { commandsOf, isGone, isRepeatable, killedRefusal, needOf, planTrip, refusalFor, throttled, type Trip, unsure } from './trip.js';

export interface ForwardParts {
  readonly vault: Vault;
  readonly connections: UpstreamConnections;
  readonly throttle: Throttle;
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
  readonly #renewals: Renewals;

  constructor(parts: ForwardParts) {
    this.#parts = parts;
    this.#renewals = new Renewals(parts.clock);
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
    const trip = planTrip(request, response, operation, route, record, ledger.killSignal(record));
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
    const isThere = await drain(request, this.#parts.clock);
    // Whether or not it is still heard: what was asked for, and that it was refused, stands in the record.
    this.#parts.ledger.finish(record, { verdict: 'refused', refusal });
    if (isThere && !response.destroyed) sayGit(response, operation, refusal, commands?.list, options);
  }

  async #outcomeOf(trip: Trip, body: RequestBody): Promise<Outcome> {
    try {
      return await unlessKilled(trip.killed, this.#tries(trip, body));
    } catch (thrown) {
      if (thrown instanceof Killed) return { kind: 'failure', refusal: killedRefusal(trip, thrown) };
      if (thrown instanceof CallerGone || isGone(trip)) throw new CallerGone();
      const refusal = refusalFor(trip, thrown);
      return { kind: 'failure', refusal: thrown instanceof Unanswered ? unsure(trip, refusal) : refusal };
    }
  }

  /** Sends until there is an outcome; every way back to the top needs a body that is at hand. */
  async #tries(trip: Trip, body: RequestBody): Promise<Outcome> {
    const { vault } = this.#parts;
    const isKept = body.kind === 'whole';
    let renewedFrom: Credential | undefined;
    for (let attempt = 1; ; attempt++) {
      const mayRetry = isKept && attempt < MOST_TRIES;
      const busy = await this.#waitForThrottle(trip);
      if (busy !== undefined) return { kind: 'failure', refusal: busy };
      const credential = await vault.credentialFor(trip.route.identity, needOf(trip, body));
      let answer: IncomingMessage;
      try {
        answer = await this.#send(trip, body, credential);
      } catch (thrown) {
        if (thrown instanceof StaleConnection && mayRetry && isRepeatable(trip, body)) {
          this.#replayed(trip, 'stale connection');
          continue;
        }
        throw thrown instanceof StaleConnection ? thrown.asUnanswered() : thrown;
      }
      this.#note(trip, answer);
      this.#obeyDelay(trip, answer);
      const judged = await judge(trip, answer, { isPassthrough: credential.kind === 'passthrough', stallMs: this.#parts.timeouts.stall });
      if (judged.kind !== 'failed') return judged;
      const { failed } = judged;
      if ((failed.status === 401 || isSignInPage(failed)) && (credential.kind === 'bearer' || credential.kind === 'basic')) {
        const isChallenge = readFailure(trip.operation.address.kind, failed).code === 'upstream-claims';
        if (renewedFrom === undefined && this.#renewals.mayTry(trip.route.identity, trip.throttleKey) && !isChallenge) {
          vault.invalidate(trip.route.identity, credential);
          if (mayRetry) {
            renewedFrom = credential;
            this.#replayed(trip, 'credential refused');
            const renewed = await vault.credentialFor(trip.route.identity);
            if (!Vault.isSame(renewed, credential)) continue;
          }
        }
        if (renewedFrom !== undefined) this.#renewals.wasFruitless(trip.route.identity, trip.throttleKey);
      }
      if (failed.status === 429 || failed.status === 503) {
        const seconds = readRetryAfter(failed.header('retry-after'), failed.header('date'));
        const waitMs = seconds === undefined ? DEFAULT_WAIT_MS * 2 ** (attempt - 1) : seconds * 1000;
        if (failed.status === 429 || seconds !== undefined) this.#parts.throttle.hold(trip.throttleKey, waitMs);
        const mayRepeat = failed.status === 429 || seconds !== undefined || isRepeatable(trip, body);
        if (mayRetry && mayRepeat && waitMs <= LONGEST_WAIT_MS) {
          this.#replayed(trip, `status ${failed.status}`);
          await this.#wait(trip, waitMs);
          continue;
        }
      }
      return {
        kind: 'failure',
        refusal: {
          kind: 'refusal',
          ...readFailure(trip.operation.address.kind, failed, claimsOf(credential)),
          route: trip.route.match,
          identity: trip.route.identity,
        },
      };
    }
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
        if (!(await drain(trip.request, this.#parts.clock))) throw new CallerGone();
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

  async #waitForThrottle(trip: Trip): Promise<Refusal | undefined> {
    const waitMs = this.#parts.throttle.waitFor(trip.throttleKey);
    if (waitMs === 0) return undefined;
    if (waitMs > LONGEST_WAIT_MS) return throttled(trip, waitMs);
    await this.#wait(trip, waitMs);
    return undefined;
  }

  async #wait(trip: Trip, ms: number): Promise<void> {
    this.#parts.logger.log('info', 'throttle-waiting', {
      id: trip.record.id,
      identity: trip.route.identity,
      upstream: trip.origin.host,
      ms,
    });
    await new Promise<void>((resolve) => {
      const cancel = this.#parts.clock.after(ms, resolve);
      trip.response.once('close', () => {
        cancel();
        resolve();
      });
    });
    if (isGone(trip)) throw new CallerGone();
  }

  /** An answer that came late, or asks for a pause, speaks for all callers of the identity. */
  #obeyDelay(trip: Trip, answer: IncomingMessage): void {
    if (answer.statusCode !== 200) return;
    const header = headerOf(answer);
    const seconds = readRetryAfter(header('retry-after') ?? header('x-ratelimit-delay'), header('date'));
    if (seconds !== undefined && seconds > 0) this.#parts.throttle.hold(trip.throttleKey, Math.min(seconds * 1000, LONGEST_WAIT_MS));
  }

  #note(trip: Trip, answer: IncomingMessage): void {
    trip.record.upstreamStatus = answer.statusCode;
    trip.record.activityId = readActivityId(headerOf(answer));
  }

  #replayed(trip: Trip, why: string): void {
    trip.record.replays += 1;
    this.#parts.logger.log('info', 'request-replayed', { id: trip.record.id, identity: trip.route.identity, why });
  }
}
