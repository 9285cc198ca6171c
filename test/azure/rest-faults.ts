/**
 * What can go wrong with a call of the REST API on purpose, and how it looks on the wire.
 */
import { randomUUID } from 'node:crypto';
import type { OutgoingHttpHeaders } from 'node:http';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { answerHtml, answerUnauthorized, azureHeaders, claimsChallenge, SIGN_IN_PAGE, signInLocation } from './azure-answers.js';
import type { RestCall } from './rest-call.js';
import { projectShape } from './rest-shapes.js';

export const REST_FAULT_KINDS = [
  'unauthorized',
  'cae-challenge',
  'signin-302',
  'signin-203',
  'html-200',
  'forbidden',
  'not-found',
  'expired-pat',
  'throttled-429',
  'unavailable-503',
  'not-json',
  'die-midbody',
  'huge',
  'endless-pages',
  'echo-authorization',
  'error-cut',
  'redirect',
  'die-in-gzip',
  'other-coding',
  'uncompressed',
] as const;

export type RestFaultKind = (typeof REST_FAULT_KINDS)[number];

export interface RestFault {
  readonly kind: RestFaultKind;
  /** How many requests meet it. Default: for ever. */
  readonly times?: number;
  readonly retryAfterSeconds?: number;
  /** Of a `redirect`. */
  readonly location?: string;
}

/** Bytes of a `huge` answer, about. */
const HUGE_BYTES = 24 << 20;

/** Whether a fault shows before the credential is looked at. */
export function isBeforeAccess({ kind }: RestFault): boolean {
  return kind === 'unauthorized' || kind === 'signin-302' || kind === 'signin-203';
}

/** Answers a call in the way of the fault. */
export function answerRestFault(fault: RestFault, call: RestCall, tenant: string): void {
  if (fault.kind === 'redirect') {
    answerHtml(call.exchange, 302, '<html><title>Object moved</title></html>', { Location: fault.location ?? '/' });
    return;
  }
  ANSWERS[fault.kind](call, tenant, fault.retryAfterSeconds === undefined ? {} : { 'Retry-After': String(fault.retryAfterSeconds) });
}

const JSON_TYPE = 'application/json; charset=utf-8';
const NOBODY = {
  id: '00000000-0000-4000-8000-000000000000',
  name: 'Nobody',
  description: '',
  visibility: 'private',
  state: 'wellFormed',
} as const;

const ANSWERS: Readonly<Record<Exclude<RestFaultKind, 'redirect'>, (call: RestCall, tenant: string, retry: OutgoingHttpHeaders) => void>> =
  {
    unauthorized: ({ exchange, address }, tenant) => answerUnauthorized(exchange, address, tenant),
    'cae-challenge': ({ exchange, address }, tenant) => answerUnauthorized(exchange, address, tenant, claimsChallenge(tenant)),
    'signin-302': ({ exchange, address }) => answerHtml(exchange, 302, SIGN_IN_PAGE, { Location: signInLocation(exchange, address) }),
    'signin-203': ({ exchange }) => answerHtml(exchange, 203, SIGN_IN_PAGE),
    'html-200': ({ exchange }) => answerHtml(exchange, 200, SIGN_IN_PAGE),
    forbidden: (call) =>
      call.error(403, "TF401027: You need the Git 'GenericRead' permission to perform this action.", 'GitNeedsPermissionException'),
    'not-found': (call) => call.error(404, 'VS800075: The project with this id does not exist.', 'ProjectDoesNotExistException'),
    'expired-pat': (call) => call.error(401, 'Access Denied: The Personal Access Token used has expired.', 'AccessCheckException'),
    'throttled-429': (call, _, retry) =>
      call.error(
        429,
        'TF400733: The request has been canceled: Request was blocked due to exceeding usage.',
        'RequestBlockedException',
        retry,
      ),
    'unavailable-503': ({ exchange }, _, retry) => answerHtml(exchange, 503, '<html><title>Service Unavailable</title></html>', retry),
    'not-json': (call) => call.send('{"count": 1, "value": [', JSON_TYPE),
    'die-midbody': ({ exchange }) => {
      exchange.begin(200, { ...azureHeaders(), 'Content-Type': JSON_TYPE, 'Content-Length': 4096 });
      exchange.response.write('{"count": 1, "value": [{"locationUrl": "https', () => exchange.cut());
    },
    'die-in-gzip': ({ exchange }) => {
      exchange.begin(200, { ...azureHeaders(), 'Content-Type': JSON_TYPE, 'Content-Encoding': 'gzip' });
      const bytes = gzipSync(JSON.stringify({ value: Array.from({ length: 5000 }, () => randomUUID()) }));
      exchange.response.write(bytes.subarray(0, bytes.length >> 1), () => exchange.cut());
    },
    'other-coding': ({ exchange }) =>
      exchange.answer(200, { ...azureHeaders(), 'Content-Type': JSON_TYPE, 'Content-Encoding': 'br' }, brotliCompressSync('{"count":0}')),
    uncompressed: (call) =>
      call.exchange.answer(
        200,
        { ...azureHeaders(), 'Content-Type': JSON_TYPE },
        JSON.stringify({ value: [{ locationUrl: call.base('feeds') }] }),
      ),
    huge: (call) => call.list([{ id: 'x', locationUrl: call.base('feeds'), filler: 'https://dev.azure.com/'.repeat(HUGE_BYTES / 22) }]),
    'endless-pages': (call) =>
      call.list([projectShape(call, call.collection.projects[0] ?? NOBODY)], { 'x-ms-continuationtoken': 'again' }),
    'echo-authorization': (call) => {
      const sent = call.exchange.request.headers.authorization ?? 'nothing';
      call.error(403, `TF400813: You sent Authorization: ${sent}`, 'UnauthorizedRequestException', { ActivityId: sent });
    },
    'error-cut': ({ exchange }) => exchange.answer(409, { ...azureHeaders(), 'Content-Type': JSON_TYPE }, '{"$id":"1","message":"TF'),
  };
