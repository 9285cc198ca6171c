/**
 * What an upstream's answer means when it is not git's. Every such answer is named; none is passed on as if it were
 * an empty repository. Texts from upstream are cleaned before anyone sees them: packet framing and markup taken out,
 * control characters removed (a terminal would act on them), length bounded.
 */
import type { HostKind } from '../model/address.js';
import { printableLine } from '../model/printable.js';
import type { Refusal } from '../model/refusal.js';
import { readRetryAfter } from '../model/retry-after.js';
import { isAzureDevOps } from '../model/resource.js';
import type { TokenClaims } from '../model/token-claims.js';
import { findAzureText } from './azure-texts.js';

export interface FailedAnswer {
  readonly status: number;
  /** A response header by lower-case name, repeated ones joined with ", ". */
  readonly header: (name: string) => string | undefined;
  /** The body's beginning, decoded. */
  readonly text: string;
  /** What was asked for, when it is not git. */
  readonly wanted?: string | undefined;
}

/** A refusal that does not know its route and identity yet. */
export type Failure = Omit<Refusal, 'kind' | 'route' | 'identity'>;

/** What the failed request carried. */
export interface SentCredential {
  /** What its token says of itself. */
  readonly claims: TokenClaims | undefined;
  /** What is to be said of a claims challenge in the answer; undefined when there is none. */
  readonly challenge: Pick<Refusal, 'what' | 'todo'> | undefined;
}

const MOST_LINES = 8;
const LONGEST_LINE = 400;

const SIGN_IN = {
  code: 'upstream-unauthenticated',
  status: 502,
  todo: 'run `postern status` to see the identity and its token; sign in again or renew its secret if it has changed',
} as const;

/** Reads a failed answer. Never throws; an answer that nobody knows gets a plain name and its status. */
export function readFailure(kind: HostKind, answer: FailedAnswer, sent?: SentCredential): Failure {
  const upstreamText = upstreamWords(answer);
  const about = {
    upstreamStatus: answer.status,
    activityId: readActivityId(answer.header),
    upstreamText: upstreamText === '' ? undefined : upstreamText,
  };
  const retryAfterSeconds = readRetryAfter(answer.header('retry-after'), answer.header('date'));
  if (answer.status === 401) {
    if (sent?.challenge !== undefined) return { ...about, code: 'upstream-claims', status: 403, ...sent.challenge };
    const fault = kind === 'azure-services' && sent?.claims !== undefined ? findTokenFault(sent.claims, answer) : undefined;
    return { ...about, ...SIGN_IN, what: `The upstream did not accept the credential (401)`, ...fault };
  }
  if (isSignInPage(answer))
    return {
      ...about,
      upstreamText: undefined,
      ...SIGN_IN,
      what: `The upstream answered with its sign-in page instead of ${answer.wanted ?? 'git data'}`,
    };
  const known = kind === 'generic' || answer.status < 300 ? undefined : findAzureText(upstreamText);
  if (known !== undefined) return { ...about, ...known, retryAfterSeconds };
  return { ...about, ...byStatus(answer), retryAfterSeconds };
}

/** The id under which the service's support finds a request, fit to be printed. */
export function readActivityId(header: FailedAnswer['header']): string | undefined {
  return cleanLine(header('activityid') ?? header('x-vss-e2eid') ?? '') || undefined;
}

/** What is wrong with a refused token as far as its own claims tell: Azure DevOps answers 401 alike for all of these. */
function findTokenFault(claims: TokenClaims, answer: FailedAnswer): Pick<Failure, 'what' | 'todo'> | undefined {
  const now = Date.now();
  if (claims.audience !== undefined && !isAzureDevOps(claims.audience)) {
    return {
      what: `The upstream did not accept the credential (401): the token is for another service (${cleanLine(claims.audience)}), not for Azure DevOps`,
      todo: 'leave `resource` of the identity out: its default is Azure DevOps',
    };
  }
  const tenant = cleanLine(answer.header('x-vss-resourcetenant') ?? '').toLowerCase();
  if (claims.tenant !== undefined && /[1-9a-f]/.test(tenant) && claims.tenant.toLowerCase() !== tenant) {
    return {
      what: `The upstream did not accept the credential (401): the token is of tenant ${cleanLine(claims.tenant)}, the organisation belongs to tenant ${tenant}`,
      todo: `set \`tenant\` of the identity to ${tenant} (for the Azure CLI also \`az login --tenant ${tenant}\`)`,
    };
  }
  if ((claims.expiresAt ?? Infinity) <= now || (claims.notBefore ?? 0) > now) {
    return {
      what: 'The upstream did not accept the credential (401): the token is outside its time',
      todo: 'check the clock of this machine',
    };
  }
  return undefined;
}

function byStatus(answer: FailedAnswer): Pick<Failure, 'code' | 'status' | 'what' | 'todo'> {
  const { status } = answer;
  if (status >= 200 && status < 300) {
    const type = cleanLine(answer.header('content-type') ?? '') || 'no content type';
    return {
      code: 'upstream-not-git',
      status: 502,
      what: `The upstream answered ${status} with ${type}, which is not ${answer.wanted ?? 'git data'}`,
      todo: 'check that the address is a git repository and that nothing between here and the upstream (a proxy, a portal) answers in its place',
    };
  }
  if (status === 403) {
    return {
      code: 'upstream-forbidden',
      status: 403,
      what: 'The upstream does not allow this (403)',
      todo: 'check the rights of the identity on the repository',
    };
  }
  if (status === 404 || status === 410) {
    return {
      code: 'upstream-not-found',
      status: 404,
      what: `The upstream has ${answer.wanted === undefined ? 'no such repository' : 'nothing at this address'}, or this identity may not see it (${status})`,
      todo: 'check the spelling of the address, and that the identity may read it',
    };
  }
  if (status === 429) {
    return { code: 'upstream-throttled', status: 429, what: 'The upstream is throttling this identity (429)', todo: 'wait and try again' };
  }
  if (status === 503) {
    return {
      code: 'upstream-unavailable',
      status: 503,
      what: 'The upstream is not available at the moment (503)',
      todo: 'wait and try again; see the status page of the service',
    };
  }
  if (status === 413) {
    return {
      code: 'upstream-error',
      status: 502,
      what: 'The upstream refused the request as too large (413)',
      todo: 'push in smaller steps, or raise the limit of the server',
    };
  }
  return {
    code: 'upstream-error',
    status: 502,
    what: `The upstream answered with status ${status}`,
    todo: 'try again; if it stays, ask the administrator of the upstream, naming the ActivityId if there is one',
  };
}

/** Whether an answer sends the caller to a sign-in page: what Azure gives a browser, and git must never take for data. */
export function isSignInPage(answer: FailedAnswer): boolean {
  if (answer.status === 203) return true;
  if (answer.status >= 300 && answer.status < 400) return /\/_signin\b|\/oauth2\/|\/login\b/i.test(answer.header('location') ?? '');
  return answer.status === 200 && /html/i.test(answer.header('content-type') ?? '') && /_signin|sign in|signin/i.test(answer.text);
}

/** The upstream's own words, line by line, whatever they came in. */
function upstreamWords(answer: FailedAnswer): string {
  const type = (answer.header('content-type') ?? '').toLowerCase();
  const error = answer.header('x-tfs-serviceerror');
  const lines: string[] = [];
  if (error !== undefined) lines.push(percentDecode(error));
  if (type.startsWith('text/plain') || type.includes('x-git-')) lines.push(...answer.text.split('\n').map(stripFraming));
  else if (type.includes('json')) lines.push(jsonMessage(answer.text));
  else if (type.includes('html')) lines.push(htmlTitle(answer.text));
  const seen = new Set<string>();
  for (const line of lines.map(cleanLine)) if (line !== '') seen.add(line);
  return [...seen].slice(0, MOST_LINES).join('\n');
}

/** Takes a packet's length (and a flush before it) from the front of a line, and git's service line out. */
function stripFraming(line: string): string {
  const bare = line.replace(/^(?:0000)*(?:[0-9a-f]{4}(?=# service=|ERR |[A-Z]{2}[0-9]))?/, '');
  return bare.startsWith('# service=') ? '' : bare.replace(/^ERR /, '');
}

function jsonMessage(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && 'message' in value && typeof value.message === 'string') return value.message;
  } catch {
    // Cut or no JSON after all: there is nothing readable in it.
  }
  return '';
}

function htmlTitle(text: string): string {
  return /<title[^<>]*>([^<]*)<\/title>/i.exec(text)?.[1] ?? '';
}

function percentDecode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}

/** One printable line of bounded length. */
function cleanLine(line: string): string {
  return printableLine(line, LONGEST_LINE);
}
