/**
 * The three questions that a supervisor asks, each with a meaning of its own. Has it started: everything was opened once. Is it ready:
 * it takes on new operations; no upstream is asked, whose trouble is no reason to send callers elsewhere. Is it alive: its loop turns,
 * which that it answers shows, and its listeners are open; if not, only a new process helps.
 *
 * Source: Kubernetes "Liveness, Readiness, and Startup Probes".
 */
import type { Life } from './house-view.js';

export interface ProbeAnswer {
  readonly isYes: boolean;
  /** One line for a person. */
  readonly text: string;
}

export const PROBES: Readonly<Record<string, (life: Life) => ProbeAnswer>> = {
  '/startup': startup,
  '/readiness': readiness,
  '/liveness': liveness,
};

/** Stays yes once it was, also while it drains. */
export function startup({ state }: Life): ProbeAnswer {
  return state === 'starting' ? no('not started: the listeners are being opened') : yes('started');
}

/** No from the first moment of a stop on, before anything is closed. */
export function readiness({ state, unready }: Life): ProbeAnswer {
  if (state === 'starting') return no('not ready: the listeners are being opened');
  if (state === 'draining') return no('not ready: stopping, running operations may finish');
  return unready === undefined ? yes('ready') : no(`not ready: ${unready}`);
}

/** Yes while it starts and while it drains: both end by themselves. */
export function liveness({ fault }: Life): ProbeAnswer {
  return fault === undefined ? yes('alive') : no(`not alive: ${fault}`);
}

function yes(text: string): ProbeAnswer {
  return { isYes: true, text };
}

function no(text: string): ProbeAnswer {
  return { isYes: false, text };
}
