/** What the book of operations says of a repository: git itself cannot be told why an answer broke off in its middle. */
import type { CheckOutcome } from '../../model/check.js';
import { addressIn, type DaemonCheck } from './doctor-parts.js';

export const LATEST_FAILURE = {
  'latest-failure': (question, parts): CheckOutcome => {
    const wanted = addressIn(question, parts).canonical.join('/');
    const { since = 0 } = question;
    const found = parts.ledger.failures().findLast(({ address, startedAt, failure }) => {
      return failure !== undefined && startedAt.getTime() >= since && address?.canonical.join('/') === wanted;
    });
    if (found?.failure === undefined) return { verdict: 'ok', text: 'nothing failed' };
    const { failure, route, identity, upstreamStatus, activityId } = found;
    const where = [
      ...(route === undefined ? [] : [`route ${route}`]),
      ...(identity === undefined ? [] : [`identity ${identity}`]),
      ...(upstreamStatus === undefined ? [] : [`upstream status ${upstreamStatus}`]),
      ...(activityId === undefined ? [] : [`ActivityId ${activityId}`]),
    ];
    return {
      verdict: 'failed',
      text: failure.what,
      details: where.length === 0 ? [] : [where.join(', ')],
      todo: failure.todo,
      code: failure.code,
    };
  },
} as const satisfies Readonly<Record<string, DaemonCheck>>;
