/**
 * The tries of one request: what can be mended without the caller noticing (an ended token, a short throttle, a kept connection
 * that had died) is mended here, within a bounded number of tries and only while the body is at hand. How a request is put on
 * the wire is the door's own.
 */
import type { IncomingMessage } from 'node:http';
import { explainObject, explainStored } from '../hosts/object-texts.js';
import { type Failure, isSignInPage, readActivityId, readFailure } from '../hosts/failure.js';
import { Vault } from '../identity/vault.js';
import type { Credential, CredentialTarget } from '../model/credential.js';
import type { PatWitness } from '../model/pat.js';
import type { Clock, Logger } from '../model/ports.js';
import type { Refusal } from '../model/refusal.js';
import { readRetryAfter } from '../model/retry-after.js';
import { claimsOf } from './authorization.js';
import { challengedClaims, isClaimsChallenge } from './claims-challenge.js';
import { type ChallengeState, claimsText } from './claims-texts.js';
import { headerOf } from './git-answer.js';
import { type Journey, throttled } from './journey.js';
import { judge } from './judge.js';
import type { Outcome } from './judgement.js';
import { explainRefusedPat } from './refused-pat.js';
import { Renewals } from './renewals.js';
import { placeOf, type Tenants } from './tenants.js';
import { CallerGone, StaleConnection } from '../model/send-faults.js';
import { DEFAULT_WAIT_MS, LONGEST_WAIT_MS, MOST_TRIES, type Throttle } from './throttle.js';

/** What the door knows of a request and its caller. */
export interface Sending {
  /** Whether the whole body is at hand, so that it can be sent again. */
  readonly isKept: boolean;
  /** Whether nothing is done twice when a request that may have arrived is sent again. */
  readonly isRepeatable: boolean;
  /** What the credential must be good for. */
  readonly need: { readonly lifeMs?: number };
  /** Address of the door as the caller used it, to rewrite redirects to. */
  readonly doorBase: string;
  /** ms of silence after which an exchange counts as dead. */
  readonly stallMs: number;
  /** Whether only the head of an answer is asked for. */
  readonly isHead?: boolean;
  /** Puts the request on the wire. @throws ProxyError; Unanswered, StaleConnection, CallerGone (send-faults.ts) */
  send(credential: Credential): Promise<IncomingMessage>;
  /** Whether there is nobody left to answer. */
  isGone(): boolean;
  /** Calls back once when the caller goes. */
  whenGone(run: () => void): void;
}

export interface AttemptsParts {
  readonly vault: Vault;
  readonly tenants: Tenants;
  readonly throttle: Throttle;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What is known of personal access tokens, for the text of a refusal. */
  readonly pats?: PatWitness | undefined;
}

/** What is sent to a host that is not the route's upstream. */
const NOTHING: Credential = { kind: 'none' };

/** Sends until there is an outcome. One for all doors: what is known of refused credentials is shared. */
export class Attempts {
  readonly #parts: AttemptsParts;
  readonly #renewals: Renewals;

  constructor(parts: AttemptsParts) {
    this.#parts = parts;
    this.#renewals = new Renewals(parts.clock);
  }

  /**
   * Every way back to the top needs a body that is at hand.
   * @throws CallerGone, ProxyError (Unanswered when the request may have been carried out)
   */
  async run(journey: Journey, sending: Sending): Promise<Outcome> {
    const { vault, tenants } = this.#parts;
    const { route, throttleKey, operation } = journey;
    const { spent } = journey.record;
    const target = await this.#targetOf(journey);
    let renewedFrom: Credential | undefined;
    for (let attempt = 1; ; attempt++) {
      const mayRetry = sending.isKept && attempt < MOST_TRIES;
      const busy = await this.#waitForThrottle(journey, sending);
      if (busy !== undefined) return { kind: 'failure', refusal: busy };
      const credential = journey.foreign
        ? NOTHING
        : await spent.during('token', vault.credentialFor(route.identity, { ...sending.need, target }));
      let answer: IncomingMessage;
      try {
        answer = await sending.send(credential);
      } catch (thrown) {
        if (thrown instanceof StaleConnection && mayRetry && sending.isRepeatable) {
          this.#replayed(journey, 'stale connection');
          continue;
        }
        throw thrown instanceof StaleConnection ? thrown.asUnanswered() : thrown;
      } finally {
        spent.enter('own');
      }
      this.#note(journey, answer);
      tenants.compare(journey, credential, answer);
      this.#obeyDelay(journey, answer);
      const judged = await judge(journey, answer, {
        isPassthrough: credential.kind === 'passthrough',
        stallMs: sending.stallMs,
        doorBase: sending.doorBase,
        isHead: sending.isHead,
      });
      if (judged.kind !== 'failed') {
        if (judged.kind === 'relay' && journey.foreign === undefined) vault.accepted(route.identity, credential);
        return judged;
      }
      const { failed } = judged;
      let challenge: ChallengeState | undefined;
      if ((failed.status === 401 || isSignInPage(failed)) && (credential.kind === 'bearer' || credential.kind === 'basic')) {
        const header = credential.kind === 'bearer' ? failed.header('www-authenticate') : undefined;
        const claims = challengedClaims(header);
        if (isClaimsChallenge(header)) challenge = claims === undefined ? 'unreadable' : 'refused';
        if (renewedFrom === undefined && this.#renewals.mayTry(route.identity, throttleKey)) {
          vault.invalidate(route.identity, credential, claims);
          if (mayRetry) {
            renewedFrom = credential;
            this.#replayed(journey, claims === undefined ? 'credential refused' : 'claims asked for');
            const renewed = await spent.during('token', vault.credentialFor(route.identity, { target }));
            if (!Vault.isSame(renewed, credential)) continue;
            if (claims !== undefined) challenge = 'unchanged';
          } else if (claims !== undefined) challenge = 'open';
        }
        if (renewedFrom !== undefined) {
          this.#renewals.wasFruitless(route.identity, throttleKey);
          if (target.tenant !== undefined) tenants.forget(placeOf(journey));
        }
      }
      if (failed.status === 429 || failed.status === 503) {
        const seconds = readRetryAfter(failed.header('retry-after'), failed.header('date'));
        const waitMs = seconds === undefined ? DEFAULT_WAIT_MS * 2 ** (attempt - 1) : seconds * 1000;
        if (failed.status === 429 || seconds !== undefined) this.#parts.throttle.hold(throttleKey, waitMs);
        const mayRepeat = failed.status === 429 || seconds !== undefined || sending.isRepeatable;
        if (mayRetry && mayRepeat && waitMs <= LONGEST_WAIT_MS) {
          this.#replayed(journey, `status ${failed.status}`);
          await this.#wait(journey, sending, waitMs);
          continue;
        }
      }
      const failure = readFailure(operation.address.kind, failed, {
        claims: claimsOf(credential),
        challenge: challenge && claimsText(challenge, { name: route.identity, kind: vault.kindOf(route.identity) }),
      });
      return {
        kind: 'failure',
        refusal: {
          kind: 'refusal',
          ...this.#explained(journey, credential, aboutObject(journey, failure)),
          route: route.match,
          identity: route.identity,
        },
      };
    }
  }

  /** A refused credential is told with what is known of it beforehand: of its kind, or of this personal access token. */
  #explained({ route, operation }: Journey, credential: Credential, failure: Failure): Failure {
    const words = failure.code === 'upstream-unauthenticated' ? this.#parts.vault.refusedWords(route.identity) : undefined;
    if (words !== undefined) return { ...failure, ...words };
    const known = credential.kind === 'basic' ? this.#parts.pats?.knownOf(route.identity) : undefined;
    if (known === undefined) return failure;
    if (failure.code === 'upstream-unauthenticated') this.#parts.pats?.refused(route.identity);
    return explainRefusedPat(failure, operation.address.kind, known);
  }

  /** What the credential is wanted for; the tenant of the organisation is looked up for those to whom it makes a difference. */
  async #targetOf(journey: Journey): Promise<CredentialTarget> {
    const { vault, tenants } = this.#parts;
    const { route, record, path, origin } = journey;
    const hostKind = journey.operation.address.kind;
    const isWanted = journey.foreign === undefined && hostKind === 'azure-services' && vault.wantsTenant(route.identity);
    const tenant = isWanted ? await record.spent.during('token', tenants.tenantOf(placeOf(journey))) : undefined;
    return { url: new URL(path, origin), hostKind, tenant };
  }

  async #waitForThrottle(journey: Journey, sending: Sending): Promise<Refusal | undefined> {
    const waitMs = this.#parts.throttle.waitFor(journey.throttleKey);
    if (waitMs === 0) return undefined;
    if (waitMs > LONGEST_WAIT_MS) return throttled(journey, waitMs);
    await this.#wait(journey, sending, waitMs);
    return undefined;
  }

  async #wait(journey: Journey, sending: Sending, ms: number): Promise<void> {
    const { id, spent } = journey.record;
    this.#parts.logger.log('info', 'throttle-waiting', { id, identity: journey.route.identity, upstream: journey.origin.host, ms });
    const waited = new Promise<void>((resolve) => {
      const cancel = this.#parts.clock.after(ms, resolve);
      sending.whenGone(() => {
        cancel();
        resolve();
      });
    });
    await spent.during('throttle', waited);
    if (sending.isGone()) throw new CallerGone();
  }

  /** An answer that came late, or asks for a pause, speaks for all callers of the identity. */
  #obeyDelay({ throttleKey }: Journey, answer: IncomingMessage): void {
    if (answer.statusCode !== 200) return;
    const header = headerOf(answer);
    const seconds = readRetryAfter(header('retry-after') ?? header('x-ratelimit-delay'), header('date'));
    if (seconds !== undefined && seconds > 0) this.#parts.throttle.hold(throttleKey, Math.min(seconds * 1000, LONGEST_WAIT_MS));
  }

  #note({ record }: Journey, answer: IncomingMessage): void {
    record.upstreamStatus = answer.statusCode;
    record.activityId = readActivityId(headerOf(answer));
  }

  #replayed({ record, route }: Journey, why: string): void {
    record.replays += 1;
    this.#parts.logger.log('info', 'request-replayed', { id: record.id, identity: route.identity, why });
  }
}

function aboutObject({ operation, foreign, origin }: Journey, failure: Failure): Failure {
  if (operation.kind === 'api') return foreign === undefined ? failure : explainStored(failure, origin.host);
  if (operation.kind !== 'lfs' || operation.oid === undefined) return failure;
  return explainObject(failure, { oid: operation.oid, storage: foreign === undefined ? undefined : origin.host });
}
