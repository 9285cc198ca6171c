/**
 * The arithmetic of a token's life: when it counts as ended, when to renew it, how long to pause after a failure. Times are
 * ms since the epoch unless they are Dates; nothing here has a clock.
 */
import type { Credential } from '../model/credential.js';
import type { FetchedToken } from './token-source.js';

type Bearer = Extract<Credential, { kind: 'bearer' }>;

/** Below this a token counts as ended: it must outlive its own way to the upstream. */
const EXPIRY_MARGIN_MS = 1_000;
/** Share of a token's life after which it is renewed, when its issuer gives no advice. */
const RENEW_AT_LIFE = 0.7;
/** Renewal comes earlier by up to this share of the life, so that many daemons do not renew in step. */
const RENEW_JITTER = 0.05;
/** Waits between renewals that failed. */
const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_MOST_MS = 60_000;
/** After a failure the same answer is given for this long, so that a loop of clients does not become a loop of sign-ins. */
const FAILURE_HOLD_MS = 3_000;
/** So many definite failures in a row are held no longer than the first: a person who is mending it tries again and again. */
const PATIENT_FAILURES = 3;
/** The longest hold of definite failures: what was mended is seen within seconds, also after a night of refusals. */
const MOST_FAILURE_HOLD_MS = 15_000;
/** A Retry-After is obeyed up to this; a service that asks for hours would outlast what was wrong with it. */
const MOST_RETRY_AFTER_MS = 60_000;
/** A wish for a longer life is met once in this time; an issuer that keeps giving the same token is not asked for every push. */
const LIFE_WISH_HOLD_MS = 60_000;

/** Whether a credential can still be used. What has no end lives for ever. */
export function isAliveAt(credential: Credential, now: number): boolean {
  const ends = credential.kind === 'bearer' || credential.kind === 'basic' ? credential.expiresAt : undefined;
  return ends === undefined || ends.getTime() - now > EXPIRY_MARGIN_MS;
}

/** When to renew a token: as its issuer advises, else at a share of its life, a little early, and never at once. */
export function renewalTime(fetched: FetchedToken, obtainedAt: Date): number {
  const life = fetched.expiresAt.getTime() - obtainedAt.getTime();
  const advised = fetched.refreshAfter?.getTime() ?? obtainedAt.getTime() + RENEW_AT_LIFE * life;
  const earliest = obtainedAt.getTime() + life / 10;
  return Math.max(earliest, advised - Math.random() * RENEW_JITTER * life);
}

/** ms until the next try after so many failures in a row (1 or more): doubling to a bound, spread by a quarter either way. */
export function pauseAfter(failures: number): number {
  return Math.min(BACKOFF_MOST_MS, BACKOFF_FIRST_MS * 2 ** (failures - 1)) * (0.75 + Math.random() / 2);
}

/**
 * ms for which an answer that no token comes is given without asking anew. `failures` in a row (1 or more); `isDefinite`: it will
 * stay so until a person acts; `retryAfterMs`: what whoever was asked wants.
 */
export function holdAfter(failures: number, isDefinite: boolean, retryAfterMs: number | undefined): number {
  const own = isDefinite
    ? Math.min(MOST_FAILURE_HOLD_MS, FAILURE_HOLD_MS * 2 ** Math.max(0, failures - PATIENT_FAILURES))
    : FAILURE_HOLD_MS;
  return Math.max(own, Math.min(retryAfterMs ?? 0, MOST_RETRY_AFTER_MS));
}

/**
 * Whether a token should be renewed first because it is wanted to live for `lifeMs` more. A token that was short from the
 * start cannot meet the wish; half of its life is what can be had. `sinceLastWish` is how long ago that was last tried.
 */
export function isWorthRenewing(held: Bearer, lifeMs: number, now: number, sinceLastWish: number): boolean {
  const whole = held.expiresAt.getTime() - held.obtainedAt.getTime();
  const wish = Math.min(lifeMs, whole / 2);
  return held.expiresAt.getTime() - now < wish && sinceLastWish >= Math.min(LIFE_WISH_HOLD_MS, whole / 4);
}
