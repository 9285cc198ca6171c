/** What `status` says of a personal access token, below its identity. */
import type { PatLifeState, PatState } from '../../daemon/pat-care.js';
import { GLOBAL_PATS_END } from '../../model/pat.js';

const HOUR_MS = 60 * 60 * 1000;
const DAY_MS = 24 * HOUR_MS;

/** Lines for a person; its texts are printed as they are. `now` in ms since the epoch. */
export function patLines({ oddity, life }: PatState, now: number): string[] {
  const lines: string[] = [];
  if (oddity !== undefined) {
    lines.push(`    LOOKS LIKE NO TOKEN: what was read for it ${oddity.what}`, `    what to do: ${oddity.todo}`);
  }
  if (life === undefined) return lines;
  const { organization, isGlobal, failure, todo } = life;
  lines.push(...lifeLines(life, now));
  if (isGlobal === true) {
    lines.push(
      `    GOOD FOR EVERY ORGANISATION of its owner: Azure DevOps stops such tokens on ${GLOBAL_PATS_END}`,
      `    what to do: make one for ${organization} alone: \`postern pat create ${organization}\``,
    );
  }
  if (failure !== undefined) {
    const since = life.checkedAt === undefined ? '' : `; last known at ${life.checkedAt}`;
    lines.push(`    could not be asked about${since}: ${failure}`);
    if (todo !== undefined) lines.push(`    what to do: ${todo}`);
  }
  return lines;
}

function lifeLines(life: PatLifeState, now: number): string[] {
  const { organization, id, expiresAt, state } = life;
  const leftMs = expiresAt === undefined ? 0 : new Date(expiresAt).getTime() - now;
  const another = `    what to do: make another one (\`postern pat create ${organization}\`), put it in its place, and its id into \`lifecycle\``;
  switch (state) {
    case 'good':
      return [`    ${tokenText(life)}: ${leftText(leftMs)} left (ends ${expiresAt ?? ''})`];
    case 'ends-soon':
      return [`    ENDS IN ${leftText(leftMs).toUpperCase()}: ${tokenText(life)} (${expiresAt ?? ''})`, another];
    case 'ended':
      return [`    HAS ENDED: ${tokenText(life)} (${expiresAt ?? ''})`, another];
    case 'missing':
      return [`    IS NOT THERE: its owner has no token ${id} in ${organization}; it was revoked, or its id is another one`, another];
    case 'unknown':
      return life.failure === undefined ? [`    ${tokenText(life)}: not asked about yet`] : [];
  }
}

function tokenText({ name, organization, scopes }: PatLifeState): string {
  const named = name === undefined || name === '' ? 'token' : `token "${name}"`;
  return `${named} for ${organization}${scopes.length === 0 ? '' : `, ${scopes.join(' ')}`}`;
}

/** Whole days, to the nearest; below two days whole hours that are left for certain. */
function leftText(ms: number): string {
  if (ms >= 2 * DAY_MS) return `${Math.round(ms / DAY_MS)} days`;
  const hours = Math.max(0, Math.floor(ms / HOUR_MS));
  return `${hours} ${hours === 1 ? 'hour' : 'hours'}`;
}
