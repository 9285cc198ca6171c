/** Times in rows: what is left of something, and clocks that differ. */
import type { CheckOutcome } from '../../model/check.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** From then on somebody should know: half of what assertions are allowed at some services. */
const NOTED_SKEW_MS = MINUTE_MS;
/** Tokens of a clock that is further off are refused: the tolerance that Entra documents. */
const MOST_SKEW_MS = 5 * MINUTE_MS;

/** `3 days`, `5 hours`, `12 min`, `40 s`; whole, rounded down. */
export function leftText(ms: number): string {
  if (ms >= 2 * DAY_MS) return `${Math.floor(ms / DAY_MS)} days`;
  if (ms >= 2 * HOUR_MS) return `${Math.floor(ms / HOUR_MS)} hours`;
  if (ms >= 2 * MINUTE_MS) return `${Math.floor(ms / MINUTE_MS)} min`;
  return `${Math.max(0, Math.floor(ms / 1000))} s`;
}

/**
 * How the clock of this machine stands to that of whoever answered.
 * @param date its Date header (RFC 9110, section 6.6.1: whole seconds)
 * @param at when the answer came, ms since the epoch
 */
export function skewOutcome(date: string | undefined, at: number, whose: string): CheckOutcome {
  const told = Date.parse(date ?? '');
  if (Number.isNaN(told)) return { verdict: 'ok', text: `nothing to compare with: ${whose} does not tell its time` };
  const ahead = at - told;
  const off = Math.abs(ahead);
  const text = `The clock of this machine is ${leftText(off)} ${ahead > 0 ? 'ahead of' : 'behind'} that of ${whose}`;
  const todo = 'set the clock of this machine, and have it kept right (`timedatectl set-ntp true`)';
  if (off > MOST_SKEW_MS) return { verdict: 'failed', text: `${text}: tokens are refused from 5 min on`, todo };
  if (off > NOTED_SKEW_MS) return { verdict: 'warning', text, todo };
  return { verdict: 'ok', text: `within ${Math.ceil(off / 1000)} s of that of ${whose}` };
}
