/**
 * An error that an upstream tells in the protocol's own JSON, passed on in its words: read first, because an upstream that says back what it
 * was sent must not show the caller the credential (upstream/echo.ts).
 */
import type { IncomingMessage } from 'node:http';
import type { Refusal } from '../model/refusal.js';
import { failureText } from '../upstream/git-answer.js';
import type { Courier } from './courier.js';
import { callerHeaders, PLAIN_HEADERS } from './headers.js';
import type { Trip } from './trip.js';

/** Of the body as it came, which may have been compressed or of another length. */
const OF_THE_BODY: ReadonlySet<string> = new Set(['content-length', 'content-encoding']);

/** Whether an answer is such an error, with a body to read. */
export function isErrorAnswer(trip: Trip, answer: IncomingMessage): boolean {
  return (answer.statusCode ?? 0) >= 400 && trip.request.method !== 'HEAD' && /json/i.test(answer.headers['content-type'] ?? '');
}

/** Passes it on and closes the record; one that is cut, or longer than any error is, is told as a failure. @throws CallerGone */
export async function passOnError(courier: Courier, trip: Trip, answer: IncomingMessage): Promise<void> {
  const { record, response } = trip;
  const text = await record.spent.during('upstream', failureText(answer));
  if (!isJson(text)) {
    await courier.fail(trip, unreadable(trip, answer));
    return;
  }
  const body = Buffer.from(text, 'utf8');
  const headers = [...callerHeaders(answer, PLAIN_HEADERS, OF_THE_BODY), 'content-length', String(body.length)];
  response.writeHead(answer.statusCode ?? 502, headers);
  response.end(body);
  record.bytesDown += body.length;
  courier.parts.ledger.finish(record, { verdict: 'passed' });
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    // Cut, or no JSON after all.
    return false;
  }
}

function unreadable({ route, record }: Trip, answer: IncomingMessage): Refusal {
  return {
    kind: 'refusal',
    code: 'upstream-error',
    status: 502,
    what: `The upstream answered with status ${String(answer.statusCode)} and an error that cannot be read`,
    todo: 'try again; if it stays, ask the administrator of the upstream, naming the ActivityId if there is one',
    route: route.match,
    identity: route.identity,
    upstreamStatus: record.upstreamStatus,
    activityId: record.activityId,
  };
}
