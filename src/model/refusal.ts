/**
 * A decision is a value: pass, or a refusal. A refusal has this one shape, and the doors have several ways of
 * saying it (text/plain, an ERR packet, a report-status, ...). It is also the shape in which a failure of the
 * upstream is told, so that a user meets one kind of text whatever went wrong.
 */
import type { ErrorCode } from './errors.js';

export interface Refusal {
  readonly kind: 'refusal';
  readonly code: ErrorCode;
  /** HTTP status with which it is told where a status can be told (RFC 9110); never 401. */
  readonly status: number;
  /** What happened: a sentence in plain words, no full stop, no secret. */
  readonly what: string;
  /** What the reader can do about it; a command where one exists. */
  readonly todo: string;
  /** Name of the route (its `match` text), when one was found. */
  readonly route?: string | undefined;
  /** Name of the identity that was used or would have been used. */
  readonly identity?: string | undefined;
  /** What the upstream said, in its own words, cleaned and cut. */
  readonly upstreamText?: string | undefined;
  /** HTTP status of the upstream's answer. */
  readonly upstreamStatus?: number | undefined;
  /** Azure's ActivityId / E2EID, which its support asks for. */
  readonly activityId?: string | undefined;
  /** Seconds after which a new try makes sense; sent as Retry-After. */
  readonly retryAfterSeconds?: number | undefined;
  /**
   * Said as a 401 with a Basic challenge instead of `status`: the listener needs a lease, none came, and a client that holds
   * one as user or password sends it only when asked.
   */
  readonly asksForLease?: true | undefined;
  /** For a push of which some refs may not be touched: the reason of each ref, in the order of the command list. */
  readonly refs?: readonly { readonly ref: string; readonly reason: string }[] | undefined;
}

/** The refusal as lines of text, in reading order: what, the upstream's words, where, what to do, where to read on. */
export function refusalLines(refusal: Refusal): string[] {
  return [...briefLines(refusal), `  ${moreOf(refusal.code)}`];
}

function briefLines(refusal: Refusal): string[] {
  const lines = [`postern: ${refusal.what}`];
  if (refusal.upstreamText !== undefined && refusal.upstreamText !== '') {
    for (const line of refusal.upstreamText.split('\n')) lines.push(`  upstream said: ${line}`);
  }
  const where: string[] = [];
  if (refusal.route !== undefined) where.push(`route ${refusal.route}`);
  if (refusal.identity !== undefined) where.push(`identity ${refusal.identity}`);
  if (refusal.upstreamStatus !== undefined) where.push(`upstream status ${String(refusal.upstreamStatus)}`);
  if (refusal.activityId !== undefined) where.push(`ActivityId ${refusal.activityId}`);
  if (where.length > 0) lines.push(`  ${where.join(', ')}`);
  lines.push(`  what to do: ${refusal.todo}`);
  return lines;
}

/** Where a reader finds the page about a code; the last line of every text that has room for it. */
export function moreOf(code: ErrorCode): string {
  return `more: postern explain ${code}`;
}

/** The refusal in one line, for places that have only one (an ERR packet, a report-status, a log). */
export function refusalSentence(refusal: Refusal): string {
  return briefLines(refusal)
    .map((line) => line.trim())
    .join(' | ');
}
