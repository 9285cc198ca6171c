/**
 * The HTTPS half of a bridged session: each request of it takes the road that those of the HTTP door take, with the route's
 * identity, its throttle, its renewals and its judgement of answers.
 */
import type { IncomingMessage } from 'node:http';
import { PassThrough, Readable } from 'node:stream';
import { answerMediaType } from '../git/smart-http.js';
import type { Credential } from '../model/credential.js';
import type { Refusal } from '../model/refusal.js';
import { brokenOff, CallerGone, Unanswered } from '../model/send-faults.js';
import { traceHeaders } from '../model/trace-context.js';
import type { Attempts } from '../upstream/attempts.js';
import { authorizationOf } from '../upstream/authorization.js';
import type { UpstreamConnections } from '../upstream/connections.js';
import { hideEcho } from '../upstream/echo.js';
import { discard } from '../upstream/git-answer.js';
import { sendGitRequest } from '../upstream/git-request.js';
import { type Journey, planJourney, refusalFor, STREAM_LIFE_MS, unsure } from '../upstream/journey.js';
import type { GitLeg, LegAnswer, LegRequest } from './git-leg.js';
import type { GitSession } from './git-session.js';

/** What a server learns of the client: it is git's protocol, whatever program speaks it on the other side. */
const USER_AGENT = 'git/postern';

export interface LegParts {
  readonly attempts: Attempts;
  readonly connections: UpstreamConnections;
  /** ms of silence after which an exchange counts as dead. */
  readonly stallMs: number;
}

/** The leg of one session. */
export function httpsLeg(parts: LegParts, session: GitSession): GitLeg {
  const { pass } = session;
  return {
    send: (request) => sendOne(parts, session, request),
    refusalFor: (thrown) => refusalFor(pass, thrown),
  };
}

async function sendOne(parts: LegParts, session: GitSession, request: LegRequest): Promise<LegAnswer> {
  const { operation, pass, record, over } = session;
  const { step, service, body } = request;
  const isStream = body instanceof Readable;
  const kind = service === 'git-upload-pack' ? 'fetch' : 'push';
  const journey = planJourney({ kind, step, address: operation.address }, pass.route, record);
  record.spent.enter('own');
  try {
    const outcome = await parts.attempts.run(journey, {
      isKept: !isStream,
      isRepeatable: kind === 'fetch' || step === 'advertisement',
      need: isStream ? { lifeMs: STREAM_LIFE_MS } : {},
      // Nobody is redirected to it; it only has to be an address.
      doorBase: 'http://bridge',
      stallMs: parts.stallMs,
      send: (credential) => put(parts, session, journey, request, credential),
      isGone: () => over.aborted,
      whenGone: (run) => over.addEventListener('abort', run, { once: true }),
    });
    switch (outcome.kind) {
      case 'relay':
        // A head says that there will be an answer: an upstream that has yet to count objects sends it at once.
        record.spent.enter('upstream');
        outcome.answer.once('data', () => record.spent.enter('transfer'));
        return { kind: 'answer', body: whole(outcome.answer, parts.stallMs) };
      case 'failure':
        return { kind: 'failure', verdict: 'failed', refusal: outcome.refusal };
      case 'redirect':
        discard(outcome.answer);
        return { kind: 'failure', verdict: 'failed', refusal: moved(journey, outcome.location) };
      case 'moved':
        discard(outcome.answer);
        return { kind: 'failure', verdict: 'failed', refusal: moved(journey, outcome.to.href) };
      case 'challenge':
        discard(outcome.answer);
        return { kind: 'failure', verdict: 'failed', refusal: unsigned(journey) };
    }
  } catch (thrown) {
    const refusal = refusalFor(journey, thrown);
    return { kind: 'failure', verdict: 'failed', refusal: thrown instanceof Unanswered ? unsure(journey, refusal) : refusal };
  }
}

async function put(
  parts: LegParts,
  { over, record }: GitSession,
  journey: Journey,
  { service, step, body, gitProtocol }: LegRequest,
  credential: Credential,
): Promise<IncomingMessage> {
  if (over.aborted) throw new CallerGone();
  const { origin, route, path, suffix } = journey;
  const headers: Record<string, string> = {
    'user-agent': USER_AGENT,
    accept: step === 'advertisement' ? '*/*' : answerMediaType(service, step),
    // What comes back is passed on as it is, and SSH has no way to say that it is compressed.
    'accept-encoding': 'identity',
    // Asks Azure DevOps for a 401 where it would redirect to its sign-in page.
    'x-tfs-fedauthredirect': 'Suppress',
    ...(step === 'exchange' ? { 'content-type': `application/x-${service}-request` } : {}),
    ...(gitProtocol === undefined ? {} : { 'git-protocol': gitProtocol }),
    ...traceHeaders(record.trace),
  };
  const authorization = authorizationOf(credential);
  if (authorization !== undefined) headers['authorization'] = authorization;
  const answer = await sendGitRequest({
    method: step === 'advertisement' ? 'GET' : 'POST',
    origin,
    path: `${path}${suffix}`,
    headers,
    agent: parts.connections.agentFor({ origin, route, identity: route.identity }),
    body,
    stallMs: parts.stallMs,
    over,
    enter: (phase) => record.spent.enter(phase),
  });
  hideEcho(answer, authorization);
  return answer;
}

/** The body of an answer, of which an end is never a break. */
function whole(answer: IncomingMessage, stallMs: number): Readable {
  const body = new PassThrough();
  let bytes = 0;
  let isWhole = false;
  const broken = (fault: unknown): void => void body.destroy(brokenOff(fault, bytes, stallMs));
  answer.on('data', (chunk: Buffer) => (bytes += chunk.length));
  answer.once('end', () => (isWhole = answer.complete));
  answer.once('error', broken);
  answer.once('close', () => {
    if (!isWhole) broken(new Error('it was closed'));
  });
  // Whoever has enough of it lets go of the connection too.
  body.once('close', () => answer.destroy());
  const coding = answer.headers['content-encoding'] ?? 'identity';
  if (coding === 'identity') answer.pipe(body);
  else answer.destroy(new Error(`it has the Content-Encoding ${coding.slice(0, 40)}, which was not asked for`));
  return body;
}

/** The identity is the caller's own sign-in, and over SSH there is none that could be passed on. */
function unsigned({ route }: Journey): Refusal {
  return {
    kind: 'refusal',
    code: 'upstream-unauthenticated',
    status: 403,
    what: `The upstream asks for a sign-in, and the identity ${route.identity} passes on the caller's own, which a bridged SSH remote has none of`,
    todo: 'use the HTTPS address of the repository, or `ssh: agent` in the route',
    route: route.match,
    identity: route.identity,
  };
}

function moved({ route }: Journey, location: string): Refusal {
  const path = new URL(location).pathname.replace(/\/info\/refs$/, '');
  return {
    kind: 'refusal',
    code: 'redirect-elsewhere',
    status: 502,
    what: `The upstream says that the repository is at ${path} now`,
    todo: 'change the address of the remote',
    route: route.match,
    identity: route.identity,
  };
}
