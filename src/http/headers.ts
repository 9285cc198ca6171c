/**
 * Header hygiene, both ways, by lists of what may pass. Up go the headers that the protocol needs (git, LFS, REST); Authorization,
 * Cookie, leases, forwarding and impersonation headers never do. Down come those that clients read, and the ids that
 * Azure's support asks for; cookies and challenges never do.
 *
 * Source: gitprotocol-http; RFC 9110 section 7.6 (what an intermediary must not pass on); model/trace-context.ts.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { readTraceContext, type TraceContext, traceHeaders } from '../model/trace-context.js';

const UP_GIT: readonly string[] = [
  'accept',
  'accept-encoding',
  'accept-language',
  'cache-control',
  'content-encoding',
  'content-type',
  'git-protocol',
  'pragma',
  'user-agent',
];

const DOWN_GIT: ReadonlySet<string> = new Set([
  'activityid',
  'cache-control',
  'content-encoding',
  'content-length',
  'content-type',
  'date',
  'expires',
  'pragma',
  'retry-after',
  'vary',
  'x-ratelimit-delay',
  'x-ratelimit-limit',
  'x-ratelimit-remaining',
  'x-ratelimit-reset',
  'x-ratelimit-resource',
  'x-vss-e2eid',
]);

const UP_LFS: readonly string[] = [
  'accept',
  'accept-encoding',
  'accept-language',
  'content-encoding',
  'content-type',
  'if-match',
  'if-none-match',
  'range',
  'if-range',
  'user-agent',
];

/** What the REST API's clients send besides: which client and session it is, for the service's own log. */
const UP_API: readonly string[] = [
  ...UP_LFS,
  'if-modified-since',
  'if-unmodified-since',
  'content-range',
  'x-tfs-session',
  'x-vss-clientauthprovider',
];

/** Response headers of LFS and of the REST API, besides those that git's answers have. */
export const PLAIN_HEADERS: ReadonlySet<string> = new Set([
  'accept-ranges',
  'allow',
  'content-disposition',
  'content-language',
  'content-range',
  'etag',
  'last-modified',
  'x-ms-continuationtoken',
  'x-vss-resourcetenant',
]);

const NONE: ReadonlySet<string> = new Set();

/** Headers of a 401 that a passthrough caller needs besides. */
export const CHALLENGE_HEADERS: ReadonlySet<string> = new Set(['www-authenticate']);

/** Request headers that go upstream for a git operation. Framing and Authorization are set by whoever sends. */
export function upstreamHeaders(incoming: IncomingHttpHeaders): Record<string, string> {
  return passing(incoming, UP_GIT);
}

/** Request headers that go upstream for git-lfs. */
export function lfsHeaders(incoming: IncomingHttpHeaders): Record<string, string> {
  return passing(incoming, UP_LFS);
}

/** Request headers that go upstream for a call of the REST API. */
export function apiHeaders(incoming: IncomingHttpHeaders): Record<string, string> {
  return passing(incoming, UP_API);
}

function passing(incoming: IncomingHttpHeaders, names: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {
    // Asks Azure DevOps for a 401 where it would redirect to its sign-in page.
    'x-tfs-fedauthredirect': 'Suppress',
  };
  for (const name of names) {
    const value = incoming[name];
    if (typeof value === 'string') headers[name] = value;
  }
  return { ...headers, ...traceHeaders(traceOf(incoming)) };
}

/** The trace that a request belongs to, as far as its headers tell in good form. */
export function traceOf({ traceparent, tracestate }: IncomingHttpHeaders): TraceContext | undefined {
  // Node has a list for Set-Cookie alone, and joins everything else that comes twice.
  return typeof traceparent === 'string' ? readTraceContext(traceparent, asText(tracestate)) : undefined;
}

function asText(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Response headers for the caller, as name and value in turn, in the upstream's order and spelling: git's, those of `also`, none of `without`. */
export function callerHeaders(answer: IncomingMessage, also: ReadonlySet<string> = NONE, without: ReadonlySet<string> = NONE): string[] {
  const headers: string[] = [];
  for (let at = 0; at + 1 < answer.rawHeaders.length; at += 2) {
    const name = answer.rawHeaders[at] ?? '';
    const lower = name.toLowerCase();
    if ((DOWN_GIT.has(lower) || also.has(lower)) && !without.has(lower)) headers.push(name, answer.rawHeaders[at + 1] ?? '');
  }
  return headers;
}
