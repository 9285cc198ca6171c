/** What is known of the personal access token behind an identity, as a row. */
import type { CheckOutcome } from '../../model/check.js';
import { GLOBAL_PATS_END } from '../../model/pat.js';
import type { PatLifeState, PatState } from '../pat-care.js';
import { leftText } from './times.js';

/** Undefined when nothing is known. None of it is a failure: only the upstream can tell what it takes. `now` in ms since the epoch. */
export function patOutcome({ oddity, life }: PatState, now: number): CheckOutcome | undefined {
  if (oddity !== undefined) return { verdict: 'warning', text: `What was read for it ${oddity.what}`, todo: oddity.todo };
  return life && lifeOutcome(life, now);
}

function lifeOutcome(life: PatLifeState, now: number): CheckOutcome {
  const { organization, id, state, expiresAt = '', isGlobal, failure, todo } = life;
  const another = `make another one (\`postern pat create ${organization}\`), put it in its place, and its id into \`lifecycle\``;
  const left = leftText(Date.parse(expiresAt) - now);
  switch (state) {
    case 'ended':
      return { verdict: 'warning', text: `The personal access token ended on ${expiresAt}`, todo: another };
    case 'missing':
      return { verdict: 'warning', text: `Its owner has no personal access token ${id} in ${organization}`, todo: another };
    case 'ends-soon':
      return { verdict: 'warning', text: `The personal access token ends in ${left} (${expiresAt})`, todo: another };
    case 'good':
      return isGlobal === true
        ? {
            verdict: 'warning',
            text: `The personal access token is good for every organisation of its owner: Azure DevOps stops such tokens on ${GLOBAL_PATS_END}`,
            todo: `make one for ${organization} alone: \`postern pat create ${organization}\``,
          }
        : { verdict: 'ok', text: `a personal access token for ${organization} was read, good for ${left} (until ${expiresAt})` };
    case 'unknown':
      return failure === undefined
        ? { verdict: 'ok', text: 'a personal access token was read; when it ends was not told yet' }
        : {
            verdict: 'warning',
            text: `When the personal access token ends could not be asked: ${failure}`,
            todo: todo ?? 'see `postern status`',
          };
  }
}
