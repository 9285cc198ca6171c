/**
 * What an upstream's answer to a request of LFS or of the REST API is. These protocols have errors of their own, in JSON, which are
 * passed on; what is none of theirs (a sign-in page, text of something on the way) is read and told.
 */
import type { IncomingMessage } from 'node:http';
import { isSignInPage } from '../hosts/failure.js';
import type { Refusal } from '../model/refusal.js';
import { beginningText, discard, failureText, headerOf, isFramed } from './git-answer.js';
import { type Journey, refusalFor } from './journey.js';
import type { Judgement, JudgeOptions } from './judgement.js';
import { about, unframed } from './judge-git.js';
import { isRedirect } from './redirect.js';

/** Answers that another try, a renewed credential or a pause may mend. */
const MENDABLE: ReadonlySet<number> = new Set([401, 429, 503]);
/** In so much of a page stands what it is. */
const PAGE_BYTES = 4096;
const JSON_TYPE = /^application\/(?:[a-z0-9.+-]+\+)?json$/;

/** Reads an answer's head; its body only where it has to be told what is wrong. */
export async function judgePlain(
  journey: Journey,
  answer: IncomingMessage,
  { isPassthrough, isHead }: Pick<JudgeOptions, 'isPassthrough' | 'isHead'>,
): Promise<Judgement> {
  const { operation, record, route } = journey;
  const status = answer.statusCode ?? 0;
  const header = headerOf(answer);
  const wanted = operation.kind === 'api' ? 'an answer of the REST API' : 'an answer of Git LFS';
  const isSignIn = isSignInPage({ status, header, text: '' });
  if (isRedirect(status) && !isSignIn) {
    const to = readLocation(answer.headers.location, journey);
    if (to !== undefined) return { kind: 'moved', answer, to };
    discard(answer);
    const refusal: Refusal = {
      kind: 'refusal',
      code: 'redirect-elsewhere',
      status: 502,
      what: 'The upstream answered with a redirect without a usable Location',
      todo: 'try again; if it stays, ask the administrator of the upstream',
      route: route.match,
      identity: route.identity,
      ...about(answer),
    };
    return { kind: 'failure', refusal };
  }
  if (status === 401 && isPassthrough) return { kind: 'challenge', answer };
  // Of an object the client shows what it can read, which is the message alone: it is told with everything else.
  const isObject = operation.kind === 'lfs' && ['download', 'upload', 'verify'].includes(operation.step);
  const isTold = !isObject && JSON_TYPE.test((header('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '');
  if (isSignIn || MENDABLE.has(status) || (status >= 400 && !isTold && status !== 416)) {
    const text = await record.spent.during('upstream', failureText(answer));
    return { kind: 'failed', failed: { status, header, text, wanted } };
  }
  const page = await pageInstead(journey, answer);
  if (page !== undefined) return { kind: 'failed', failed: { status, header, text: page, wanted } };
  if (isHead !== true && !hasNoBody(status) && !isFramed(answer)) {
    answer.destroy();
    return { kind: 'failure', refusal: { ...refusalFor(journey, unframed()), ...about(answer) } };
  }
  return { kind: 'relay', answer };
}

/**
 * The beginning of a sign-in page that came with a status of success, where only the API can be meant. Feeds have pages of their own,
 * and files are whatever they are.
 */
async function pageInstead({ operation, record, path }: Journey, answer: IncomingMessage): Promise<string | undefined> {
  const header = headerOf(answer);
  const isPage = operation.kind === 'api' && answer.statusCode === 200 && /^text\/html\b/i.test(header('content-type') ?? '');
  if (!isPage || header('content-disposition') !== undefined || /\/_packaging\//i.test(path)) return undefined;
  const text = await record.spent.during('upstream', beginningText(answer, PAGE_BYTES));
  if (!isSignInPage({ status: 200, header, text })) return undefined;
  discard(answer);
  return text;
}

function readLocation(location: string | undefined, { origin, path, suffix }: Journey): URL | undefined {
  const base = `${origin.origin}${path}${suffix}`;
  return location !== undefined && URL.canParse(location, base) ? new URL(location, base) : undefined;
}

/** Statuses whose answers end with their head (RFC 9112 section 6.3). */
function hasNoBody(status: number): boolean {
  return status === 204 || status === 304;
}
