/** What of a status needs somebody: gathered in one place, so that the command line and the status page say the same first. */
import type { Attention } from '../model/page-view.js';
import type { DaemonStatus } from './status.js';

/** An event loop that late is worth a line, ms. */
export const LATE_MS = 500;
/** For so long a failure is news, ms. */
const NEWS_MS = 15 * 60_000;

/** The gravest first; empty when all is well. `now` in ms since the epoch. Dates may be texts, as JSON has them. */
export function attentionOf(status: DaemonStatus, now: number): Attention[] {
  const { reload, audit, identities, pats, throttled, eventLoop, failures, traffic } = status;
  const found: Attention[] = [];
  const add = (what: string, todo?: string): void => void found.push({ what, todo });
  if (status.state === 'draining') add('It is stopping: what runs may finish, and nothing new begins');
  if (reload?.kind === 'failed') add(`The configuration that was read at ${reload.at} is not in force: ${reload.what}`, reload.todo);
  if (audit.kind === 'on') {
    if (audit.failure !== undefined)
      add(
        `The audit cannot be written since ${audit.failure.since}: ${audit.failure.what}`,
        audit.onFailure === 'refuse'
          ? 'make room or mend the directory: operations are refused meanwhile'
          : 'make room or mend the directory',
      );
    if (audit.findings.length > 0) add('The audit is not as it was left', '`postern audit verify` tells more');
  }
  for (const { name, failure, todo } of identities) if (failure !== undefined) add(`Identity ${name}: ${failure}`, todo ?? 'see the log');
  for (const { identity, life } of pats) {
    if (life?.state === 'ended') add(`The personal access token of identity ${identity} has ended`, another(life.organization));
    if (life?.state === 'missing')
      add(`The personal access token of identity ${identity} is not there any more`, another(life.organization));
    if (life?.state === 'ends-soon')
      add(`The personal access token of identity ${identity} ends at ${life.expiresAt ?? 'an unknown time'}`, another(life.organization));
  }
  const longest = Math.max(0, ...throttled.map(({ waitMs }) => waitMs));
  if (throttled.length > 0)
    add(`An upstream asks to be left alone for ${Math.ceil(longest / 1000)} s`, 'nothing: operations wait, or are told to come later');
  const shortages = Object.entries(traffic.refused).filter(([, count]) => count > 0);
  if (shortages.length > 0)
    add(
      `Refused since the start because there was no room: ${shortages.map(([of, count]) => `${of} ${count}`).join(', ')}`,
      'raise `limits`',
    );
  if (eventLoop.max >= LATE_MS)
    add(`The event loop was late by ${eventLoop.max} ms lately`, 'give the machine less to do, or Postern more of it');
  const latest = failures.filter(({ startedAt, ms }) => now - new Date(startedAt).getTime() - ms < NEWS_MS);
  if (latest.length > 0)
    add(
      `${latest.length} ${latest.length === 1 ? 'operation was' : 'operations were'} refused or failed in the last ${NEWS_MS / 60_000} minutes`,
      'see the latest failures below',
    );
  return found;
}

function another(organization: string): string {
  return `make another one (\`postern pat create ${organization}\`), put it in its place, and its id into \`lifecycle\``;
}
