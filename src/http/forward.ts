/**
 * An admitted git operation on its way upstream and back: take the body, put the token on, send, judge the answer, and
 * relay it or say what is wrong. What can be mended without the caller noticing (an ended token, a short throttle, a
 * kept connection that had died) is mended here, within a bounded number of tries and only while the body is at hand.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Ledger } from '../gate/ledger.js';
import { CommandListReader } from '../git/receive-pack.js';
import { answerMediaType, PROBE_BYTES, smartSuffix } from '../git/smart-http.js';
import { type FailedAnswer, isSignInPage, readFailure, readRetryAfter } from '../hosts/failure.js';
import { Vault } from '../identity/vault.js';
import type { Credential } from '../model/credential.js';
import { messageOf, ProxyError } from '../model/errors.js';
import { type GitOperation, serviceOf } from '../model/operation.js';
import type { Clock, Logger } from '../model/ports.js';
import type { OperationRecord } from '../model/record.js';
import type { Refusal } from '../model/refusal.js';
import type { Route, Timeouts } from '../model/settings.js';
import { authorizationOf } from '../upstream/authorization.js';
import type { UpstreamConnections } from '../upstream/connections.js';
import { beginsWithPacket, discard, failureText, hasGitHead, headerOf, isFramed } from '../upstream/git-answer.js';
import { DEFAULT_WAIT_MS, LONGEST_WAIT_MS, MOST_TRIES, type Throttle } from '../upstream/throttle.js';
import { type RequestBody, takeBody } from './body.js';
import { callerHeaders, upstreamHeaders } from './headers.js';
import type { PrivateAgents } from './private-agents.js';
import { CallerGone, send, StaleConnection } from './proxying.js';
import { isRedirect, readRedirect } from './redirect.js';
import { sayGit } from './speech.js';

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
 * Life that a token should have when a body that cannot be repeated is let through: long enough for a slow line to
 * deliver the request's head after the probe, and for a server that checks again when the body is in.
 */
const STREAM_LIFE_MS = 5 * 60 * 1000;
/** After a renewed token was refused too, the upstream's 401 is believed for this long without another renewal. */
const BELIEVE_401_MS = 30_000;
/** Headers of a 401 that a passthrough caller needs. */
const CHALLENGE: ReadonlySet<string> = new Set(['www-authenticate']);

/** One operation and where it goes. */
interface Trip {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly operation: GitOperation;
  readonly route: Route;
  readonly record: OperationRecord;
  readonly origin: URL;
  readonly basePath: string;
  readonly path: string;
  readonly suffix: string;
  readonly throttleKey: string;
  readonly commands: CommandListReader | undefined;
}

type Outcome =
  | { readonly kind: 'relay'; readonly answer: IncomingMessage }
  | { readonly kind: 'redirect'; readonly answer: IncomingMessage; readonly location: string }
  | { readonly kind: 'challenge'; readonly answer: IncomingMessage }
  | { readonly kind: 'failure'; readonly refusal: Refusal };

export class Forwarder {
  readonly #parts: ForwardParts;
  /** When a renewed token was last refused too, by throttle key. */
  readonly #refusedAnew = new Map<string, number>();

  constructor(parts: ForwardParts) {
    this.#parts = parts;
  }

  /** Carries one admitted operation through, to the end of its answer; its record is closed when this resolves. Never rejects. */
  async forward(
    request: IncomingMessage,
    response: ServerResponse,
    operation: GitOperation,
    route: Route,
    record: OperationRecord,
  ): Promise<void> {
    const { ledger } = this.#parts;
    const trip = plan(request, response, operation, route, record);
    record.route = route.match;
    record.identity = route.identity;
    request.on('data', (chunk: Buffer) => {
      record.bytesUp += chunk.length;
      trip.commands?.push(chunk);
    });
    request.pause();
    try {
      const outcome = await this.#outcomeOf(trip);
      await this.#tell(trip, outcome);
    } catch (thrown) {
      if (thrown instanceof CallerGone || isGone(trip)) {
        ledger.finish(record, { verdict: 'client-gone' });
        return;
      }
      this.#parts.logger.log('error', 'unexpected', { what: messageOf(thrown) });
      const refusal = this.#named(trip, thrown);
      ledger.finish(record, { verdict: response.headersSent ? 'broken' : 'failed', refusal });
      if (response.headersSent) response.destroy();
      else sayGit(response, operation, refusal, trip.commands?.list);
    }
  }

  async #outcomeOf(trip: Trip): Promise<Outcome> {
    let body: RequestBody;
    try {
      body = await takeBody(trip.request);
    } catch {
      throw new CallerGone();
    }
    try {
      return await this.#tries(trip, body);
    } catch (thrown) {
      if (thrown instanceof CallerGone || isGone(trip)) throw new CallerGone();
      return { kind: 'failure', refusal: this.#named(trip, thrown) };
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
        throw thrown instanceof StaleConnection ? staleFailure(thrown) : thrown;
      }
      this.#note(trip, answer);
      this.#obeyDelay(trip, answer);
      const judged = await this.#judge(trip, answer);
      if (judged.kind !== 'failed') return judged;
      const { failed } = judged;
      if ((failed.status === 401 || isSignInPage(failed)) && (credential.kind === 'bearer' || credential.kind === 'basic')) {
        const isChallenge = readFailure(trip.operation.address.kind, failed).code === 'upstream-claims';
        if (renewedFrom === undefined && !this.#believes401(trip) && !isChallenge) {
          vault.invalidate(trip.route.identity, credential);
          if (mayRetry) {
            renewedFrom = credential;
            this.#replayed(trip, 'credential refused');
            const renewed = await vault.credentialFor(trip.route.identity);
            if (!Vault.isSame(renewed, credential)) continue;
          }
        }
        this.#refusedAnew.set(trip.throttleKey, this.#parts.clock.now());
      }
      if (failed.status === 429 || failed.status === 503) {
        const seconds = readRetryAfter(failed.header('retry-after'), failed.header('date'));
        const waitMs = seconds === undefined ? DEFAULT_WAIT_MS * 2 ** (attempt - 1) : seconds * 1000;
        if (failed.status === 429 || seconds !== undefined) this.#parts.throttle.hold(trip.throttleKey, waitMs);
        const mayRepeat =
          failed.status === 429 || seconds !== undefined || trip.operation.kind === 'fetch' || trip.operation.step === 'advertisement';
        if (mayRetry && mayRepeat && waitMs <= LONGEST_WAIT_MS) {
          this.#replayed(trip, `status ${failed.status}`);
          await this.#wait(trip, waitMs);
          continue;
        }
      }
      return { kind: 'failure', refusal: this.#refusalOf(trip, failed) };
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
      return await send(trip.request, trip.response, {
        origin: trip.origin,
        path: `${trip.path}${trip.suffix}`,
        headers,
        agent,
        body,
        stallMs: timeouts.stall,
      });
    } finally {
      // A next try must see the caller's own headers, not those that went upstream.
      trip.request.headers = incoming;
    }
  }

  /** Reads an answer's head and, where it is none of git's, its text. */
  async #judge(trip: Trip, answer: IncomingMessage): Promise<Outcome | { readonly kind: 'failed'; readonly failed: FailedAnswer }> {
    const { operation, route } = trip;
    if (hasGitHead(answer, answerMediaType(serviceOf(operation), operation.step))) {
      if (!isFramed(answer)) {
        answer.destroy();
        return { kind: 'failure', refusal: this.#named(trip, unframed()) };
      }
      if (operation.step === 'exchange' || (await beginsWithPacket(answer))) return { kind: 'relay', answer };
      discard(answer);
      return {
        kind: 'failed',
        failed: { status: 200, header: (name) => (name === 'content-type' ? 'an empty or foreign body' : undefined), text: '' },
      };
    }
    const isSignIn = isSignInPage({ status: answer.statusCode ?? 0, header: headerOf(answer), text: '' });
    if (isRedirect(answer.statusCode) && !isSignIn) return this.#redirect(trip, answer);
    if (answer.statusCode === 401 && this.#isPassthrough(route)) return { kind: 'challenge', answer };
    return { kind: 'failed', failed: { status: answer.statusCode ?? 0, header: headerOf(answer), text: await failureText(answer) } };
  }

  #redirect(trip: Trip, answer: IncomingMessage): Outcome {
    const { request, operation, route } = trip;
    const isMapped = route.upstream !== undefined;
    const redirect = readRedirect(answer.headers.location, {
      origin: trip.origin,
      basePath: trip.basePath,
      path: trip.path,
      suffix: trip.suffix,
      address: operation.address,
      localHost: isMapped && operation.address.kind === 'azure-services' ? 'dev.azure.com' : operation.address.upstreamHost,
      doorBase: `http://${request.headers.host ?? ''}`,
    });
    if (redirect.kind === 'here' && operation.step === 'advertisement') return { kind: 'redirect', answer, location: redirect.location };
    discard(answer);
    const common = {
      kind: 'refusal',
      code: 'redirect-elsewhere',
      status: 502,
      route: route.match,
      identity: route.identity,
      upstreamStatus: answer.statusCode,
    } as const;
    if (redirect.kind === 'here') {
      return {
        kind: 'failure',
        refusal: { ...common, what: 'The upstream moved the repository while it was in use', todo: 'run the command again' },
      };
    }
    if (redirect.kind === 'elsewhere') {
      return {
        kind: 'failure',
        refusal: {
          ...common,
          what: `The upstream redirects to another host, ${redirect.host}, which is not followed: the credential is for ${trip.origin.host} alone`,
          todo: `if the repository has moved, change the address of the remote to ${redirect.host}`,
        },
      };
    }
    return {
      kind: 'failure',
      refusal: { ...common, what: `The upstream answered with ${redirect.what}`, todo: 'check the address of the remote' },
    };
  }

  async #tell(trip: Trip, outcome: Outcome): Promise<void> {
    const { ledger } = this.#parts;
    const { response, record, operation } = trip;
    switch (outcome.kind) {
      case 'failure':
        await this.#drain(trip);
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
        await this.#relay(trip, outcome.answer, callerHeaders(outcome.answer, CHALLENGE));
        return;
      case 'relay':
        await this.#relay(trip, outcome.answer, callerHeaders(outcome.answer));
        return;
    }
  }

  /** Passes an answer on as it comes. A break upstream becomes a break to the caller, never an end. */
  async #relay(trip: Trip, answer: IncomingMessage, headers: string[]): Promise<void> {
    const { ledger } = this.#parts;
    const { response, record } = trip;
    response.writeHead(answer.statusCode ?? 502, headers);
    answer.on('data', (chunk: Buffer) => {
      record.bytesDown += chunk.length;
    });
    try {
      await pipeline(answer, response);
      ledger.finish(record, { verdict: 'passed' });
    } catch (thrown) {
      const isUpstream = !answer.complete && !trip.request.socket.destroyed;
      response.destroy();
      // Both ends look alike from here when a socket dies; the caller's own is the one that can be asked.
      if (!isUpstream || isGone(trip)) {
        ledger.finish(record, { verdict: 'client-gone' });
        return;
      }
      ledger.finish(record, {
        verdict: 'broken',
        refusal: this.#named(trip, brokenMidway(thrown, record.bytesDown, this.#parts.timeouts.stall)),
      });
    }
  }

  /** Lets a caller finish its request before it is told no: git would not read the answer, and a push could not be named. */
  async #drain(trip: Trip): Promise<void> {
    const { request } = trip;
    if (request.readableEnded || request.destroyed) return;
    await new Promise<void>((resolve) => {
      request
        .once('end', resolve)
        .once('close', resolve)
        .once('error', () => resolve());
      request.unpipe();
      request.resume();
    });
    if (!request.complete) throw new CallerGone();
  }

  async #waitForThrottle(trip: Trip): Promise<Refusal | undefined> {
    const waitMs = this.#parts.throttle.waitFor(trip.throttleKey);
    if (waitMs === 0) return undefined;
    if (waitMs > LONGEST_WAIT_MS) {
      return {
        kind: 'refusal',
        code: 'upstream-throttled',
        status: 429,
        what: `The upstream asked this identity to wait; ${Math.ceil(waitMs / 1000)} s are left`,
        todo: `try again in ${Math.ceil(waitMs / 1000)} s`,
        route: trip.route.match,
        identity: trip.route.identity,
        retryAfterSeconds: waitMs / 1000,
      };
    }
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
    const header = headerOf(answer);
    trip.record.upstreamStatus = answer.statusCode;
    trip.record.activityId = header('activityid') ?? header('x-vss-e2eid');
  }

  #replayed(trip: Trip, why: string): void {
    trip.record.replays += 1;
    this.#parts.logger.log('info', 'request-replayed', { id: trip.record.id, identity: trip.route.identity, why });
  }

  #believes401(trip: Trip): boolean {
    const at = this.#refusedAnew.get(trip.throttleKey);
    const age = at === undefined ? Number.POSITIVE_INFINITY : this.#parts.clock.now() - at;
    return age >= 0 && age < BELIEVE_401_MS;
  }

  #isPassthrough(route: Route): boolean {
    return this.#parts.vault.kindOf(route.identity) === 'passthrough';
  }

  #refusalOf(trip: Trip, failed: FailedAnswer): Refusal {
    return { kind: 'refusal', ...readFailure(trip.operation.address.kind, failed), route: trip.route.match, identity: trip.route.identity };
  }

  /** Anything thrown, as a refusal with the route and identity it concerns. */
  #named(trip: Trip, thrown: unknown): Refusal {
    const error =
      thrown instanceof ProxyError
        ? thrown
        : new ProxyError('internal', `Postern failed: ${messageOf(thrown)}`, { todo: 'report this with the log' });
    const isIdentity = error.code.startsWith('identity-') || error.code === 'secret-unreadable';
    return {
      kind: 'refusal',
      code: error.code,
      status: isIdentity ? 503 : 502,
      what: error.message,
      todo: error.todo ?? 'see the log of the daemon',
      route: trip.route.match,
      identity: trip.route.identity,
    };
  }
}

function plan(request: IncomingMessage, response: ServerResponse, operation: GitOperation, route: Route, record: OperationRecord): Trip {
  const { address } = operation;
  const origin = route.upstream ?? new URL(`https://${address.upstreamHost}`);
  const basePath = origin.pathname.replace(/\/$/, '');
  const repositoryPath = route.upstream === undefined ? address.path : address.mainPath;
  return {
    request,
    response,
    operation,
    route,
    record,
    origin,
    basePath,
    path: `${basePath}${repositoryPath}`,
    suffix: smartSuffix(serviceOf(operation), operation.step),
    throttleKey: `${origin.host} ${address.organisation ?? ''} ${route.identity}`,
    commands: operation.kind === 'push' && operation.step === 'exchange' ? new CommandListReader() : undefined,
  };
}

function needOf(trip: Trip, body: RequestBody): { lifeMs?: number } {
  const isProbe = trip.operation.kind === 'push' && body.kind === 'whole' && body.bytes.length === PROBE_BYTES;
  return body.kind === 'stream' || isProbe ? { lifeMs: STREAM_LIFE_MS } : {};
}

/** Whether a request that may or may not have arrived can be sent again: reads, and a push's probe. */
function isRepeatable(trip: Trip, body: RequestBody): boolean {
  if (trip.operation.kind === 'fetch' || trip.operation.step === 'advertisement') return true;
  return body.kind === 'whole' && body.bytes.length === PROBE_BYTES;
}

function isGone(trip: Trip): boolean {
  return trip.request.socket.destroyed || (trip.response.destroyed && !trip.response.writableFinished);
}

function staleFailure(stale: StaleConnection): ProxyError {
  return new ProxyError('upstream-broken', 'The upstream closed the connection before it answered', {
    todo: 'run the command again',
    cause: stale,
  });
}

function unframed(): ProxyError {
  return new ProxyError(
    'upstream-not-git',
    'The upstream answers without saying where its answer ends, so a broken answer could not be told from a whole one',
    {
      todo: 'let the upstream answer with HTTP/1.1 (Content-Length or chunked); a proxy in front of it may be the cause',
    },
  );
}

function brokenMidway(thrown: unknown, bytes: number, stallMs: number): ProxyError {
  if (thrown instanceof ProxyError) return thrown;
  return new ProxyError('upstream-broken', `The upstream broke off its answer after ${bytes} bytes (${messageOf(thrown)})`, {
    todo: `run the command again; if it stays, see whether something between here and the upstream cuts connections (a silence of ${stallMs / 1000} s also counts as a break)`,
    cause: thrown,
  });
}
