/**
 * The faults on the wire. Some are answers of their own, some spoil the true answer, which is fetched only then.
 */
import { randomUUID } from 'node:crypto';
import type { OutgoingHttpHeaders } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import type { Address } from './addresses.js';
import {
  answerHtml,
  answerText,
  answerUnauthorized,
  azureHeaders,
  claimsChallenge,
  NOT_FOUND_PAGE,
  notAuthorized,
  repositoryMissing,
  SIGN_IN_PAGE,
  signInLocation,
} from './azure-answers.js';
import { MOVED, type Fault, type FaultKind } from './faults.js';
import type { BackendAnswer } from './http-backend.js';
import type { Exchange } from './journal.js';
import { refusePush } from './push-policy.js';

export interface FaultScene {
  readonly exchange: Exchange;
  readonly address: Address;
  readonly tenant: string;
  /** Runs the request for real; not called by faults that answer on their own. */
  readonly truth: () => Promise<BackendAnswer>;
  /** The headers that the true answer would have. */
  readonly headersOf: (answer: BackendAnswer) => OutgoingHttpHeaders;
}

const DEFAULT_AFTER_BYTES = 64;
const DEFAULT_DELAY_MS = 300;

/** Answers the request in the way of the fault. Resolves when the answer is out, or at once where none ever comes. */
export async function answerFault(fault: Fault, scene: FaultScene): Promise<void> {
  await ANSWERS[fault.kind](scene, fault);
}

const ANSWERS: Readonly<Record<FaultKind, (scene: FaultScene, fault: Fault) => void | Promise<void>>> = {
  unauthorized: ({ exchange, address, tenant }) => answerUnauthorized(exchange, address, tenant),
  'cae-challenge': ({ exchange, address, tenant }) => answerUnauthorized(exchange, address, tenant, claimsChallenge(tenant)),
  'signin-302': ({ exchange, address, tenant }) =>
    answerHtml(exchange, 302, OBJECT_MOVED, { Location: signInLocation(exchange, address), 'X-VSS-ResourceTenant': tenant }),
  'signin-203': ({ exchange }) => answerHtml(exchange, 203, SIGN_IN_PAGE),
  'html-200': ({ exchange }) => answerHtml(exchange, 200, SIGN_IN_PAGE),
  'html-200-oneline': ({ exchange }) => answerHtml(exchange, 200, SIGN_IN_PAGE.replaceAll('\n', ' ').trim()),
  'empty-200': ({ exchange }) => answerHtml(exchange, 200, ''),
  'missing-org-404': ({ exchange }) => answerHtml(exchange, 404, NOT_FOUND_PAGE),
  'not-found-TF401019': ({ exchange, address }) => answerText(exchange, 404, repositoryMissing(address.leaf)),
  'no-push-TF401027': ({ exchange }) => answerText(exchange, 403, noPush()),
  'forbidden-TF400813': ({ exchange }) => answerText(exchange, 403, notAuthorized(randomUUID())),
  'throttled-429': ({ exchange }, fault) =>
    answerText(exchange, 429, throttled(), { 'Retry-After': '2', ...retryAfter(fault), ...rateLimit(0) }),
  'throttled-429-bare': ({ exchange }) => answerText(exchange, 429, throttled()),
  'soft-throttle': softThrottle,
  'unavailable-503': ({ exchange }, fault) => answerHtml(exchange, 503, UNAVAILABLE_PAGE, retryAfter(fault)),
  'redirect-same-host': redirect,
  'redirect-other-host': redirect,
  'policy-TF402455': ({ exchange }) => refusePush(exchange, azureHeaders()),
  'die-before-answer': ({ exchange }) => exchange.cut(),
  'die-midbody': async (scene, fault) => {
    if (await sendSome(scene, fault)) scene.exchange.cut();
  },
  stall: (scene, fault) =>
    fault.until === undefined ? sendSome(scene, fault).then(() => undefined) : sendInTwo(scene, fault, fault.until),
  'stall-before-answer': () => undefined,
  'not-framed': sendUnframed,
  'truncated-length': sendShort,
  'echo-authorization': echoAuthorization,
};

/** A debugging server's answer: what it was sent stands in the body, in headers, and decoded where it was encoded. */
function echoAuthorization({ exchange }: FaultScene): void {
  const sent = exchange.request.headers.authorization ?? 'nothing';
  const decoded = Buffer.from(sent.replace(/^\S+ /, ''), 'base64').toString('latin1');
  const body = `You sent Authorization: ${sent}\nwhich is ${/^[\x20-\x7e]*$/.test(decoded) ? decoded : 'binary'}\n`;
  answerText(exchange, 403, body, {
    ActivityId: sent,
    'X-VSS-E2EID': sent,
    'X-TFS-ServiceError': encodeURIComponent(`refused: ${sent}`),
    Expires: sent,
  });
}

async function softThrottle(scene: FaultScene, fault: Fault): Promise<void> {
  const { exchange } = scene;
  const delayMs = fault.delayMs ?? DEFAULT_DELAY_MS;
  if (!(await waitFor(delayMs, exchange))) return;
  const answer = await scene.truth();
  exchange.begin(answer.status, {
    ...scene.headersOf(answer),
    ...rateLimit(delayMs / 1000),
    'Retry-After': String(fault.retryAfterSeconds ?? 1),
  });
  await pipeline(answer.body, exchange.response);
}

/** Sends headers and the first bytes of the true body, chunked, and no end. False when the client has gone. */
async function sendSome(scene: FaultScene, fault: Fault): Promise<boolean> {
  const { exchange } = scene;
  const answer = await scene.truth();
  exchange.begin(answer.status, scene.headersOf(answer));
  // Also an empty body must show its headers.
  exchange.response.flushHeaders();
  let left = fault.afterBytes ?? DEFAULT_AFTER_BYTES;
  for await (const chunk of answer.body) {
    const piece = (chunk as Buffer).subarray(0, left); // no encoding is set
    left -= piece.length;
    const sent = await new Promise<boolean>((resolve) => {
      const gone = (): void => resolve(false);
      exchange.response.once('close', gone);
      exchange.response.write(piece, (error) => {
        exchange.response.off('close', gone);
        resolve(!error);
      });
    });
    if (!sent) return false;
    if (left <= 0) break;
  }
  answer.abandon();
  return true;
}

/** Sends the true body, the rest of it only when `until` has resolved. */
async function sendInTwo(scene: FaultScene, fault: Fault, until: Promise<void>): Promise<void> {
  const { exchange } = scene;
  const answer = await scene.truth();
  exchange.begin(answer.status, scene.headersOf(answer));
  let left = fault.afterBytes ?? DEFAULT_AFTER_BYTES;
  await pipeline(
    answer.body,
    async function* (body: AsyncIterable<Buffer>) {
      for await (const chunk of body) {
        const first = chunk.subarray(0, left);
        left -= first.length;
        if (first.length > 0) yield first;
        if (first.length === chunk.length) continue;
        await until;
        yield chunk.subarray(first.length);
      }
    },
    exchange.response,
  );
}

/** The end of the body is the end of the connection, as in HTTP/1.0. */
async function sendUnframed(scene: FaultScene): Promise<void> {
  const { exchange } = scene;
  const answer = await scene.truth();
  exchange.response.shouldKeepAlive = false;
  exchange.response.useChunkedEncodingByDefault = false;
  exchange.begin(answer.status, scene.headersOf(answer));
  await pipeline(answer.body, exchange.response);
}

/** Promises more than it sends, then ends the connection in the ordinary way. Holds the body in memory. */
async function sendShort(scene: FaultScene): Promise<void> {
  const { exchange } = scene;
  const answer = await scene.truth();
  const body = await buffer(answer.body);
  exchange.begin(answer.status, { ...scene.headersOf(answer), 'Content-Length': body.length + 1000 });
  exchange.response.write(body, () => exchange.request.socket.end());
}

function redirect(scene: FaultScene, fault: Fault): void {
  const { exchange, address } = scene;
  const tail = (exchange.request.url ?? '').slice(address.base.length);
  const location = redirectBase(fault, address) + tail;
  // 307 keeps method and body; 302 would turn a POST into a GET.
  const status = exchange.request.method === 'POST' ? 307 : 302;
  answerHtml(exchange, status, OBJECT_MOVED, { Location: location });
}

function redirectBase(fault: Fault, address: Address): string {
  const { location } = fault;
  if (fault.kind === 'redirect-other-host') {
    if (location === undefined) return `https://other.example.com${address.base}`;
    return location.includes('://') ? location : `https://${location}`;
  }
  const parent = address.base.slice(0, address.base.lastIndexOf('/'));
  if (location === undefined) return `${parent}/${MOVED}`;
  if (location.includes('://') || location.startsWith('/')) return location;
  const [organization, project, leaf] = location.split('/');
  if (project === undefined) return `${parent}/${location}`;
  const path = [organization, project, '_git', leaf ?? project].map((part) => encodeURIComponent(part ?? '')).join('/');
  return `/${path}`;
}

/** The pkt-line framing is what the real service sends with this 403. */
export function noPush(): string {
  const sentence = `TF401027: You need the Git 'GenericContribute' permission to perform this action. Details: identity 'Build\\${randomUUID()}', scope 'repository'.`;
  const length = (sentence.length + 5).toString(16).padStart(4, '0');
  return `001f# service=git-receive-pack\n00000000${length}${sentence}\n${sentence}`;
}

function throttled(): string {
  return `TF400733: The request has been canceled: Request was blocked due to exceeding usage of resource 'Concurrency' in namespace '${randomUUID()}'.`;
}

function retryAfter(fault: Fault): OutgoingHttpHeaders {
  return fault.retryAfterSeconds === undefined ? {} : { 'Retry-After': String(fault.retryAfterSeconds) };
}

function rateLimit(delaySeconds: number): OutgoingHttpHeaders {
  return {
    'X-RateLimit-Resource': 'Concurrency',
    'X-RateLimit-Delay': delaySeconds.toFixed(3),
    'X-RateLimit-Limit': '200',
    'X-RateLimit-Remaining': '0',
    'X-RateLimit-Reset': String(Math.floor(Date.now() / 1000) + 300),
  };
}

/** False when the client went away first. */
function waitFor(ms: number, exchange: Exchange): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(true), ms);
    exchange.response.once('close', () => {
      clearTimeout(timer);
      resolve(false);
    });
  });
}

const OBJECT_MOVED = '<html><head><title>Object moved</title></head><body><h2>Object moved</h2></body></html>\n';
const UNAVAILABLE_PAGE =
  '<!DOCTYPE HTML>\n<html><head><title>Service Unavailable</title></head>\n<body><h2>Service Unavailable</h2>\n<hr><p>HTTP Error 503. The service is unavailable.</p></body></html>\n';
