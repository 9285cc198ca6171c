/** The gate's answer: pass with the route to take, or a refusal. */
import type { Refusal } from './refusal.js';
import type { Route } from './settings.js';

export interface Pass {
  readonly kind: 'pass';
  readonly route: Route;
}

export type Decision = Pass | Refusal;
