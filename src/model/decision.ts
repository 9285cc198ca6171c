/** The gate's answer: pass with the route to take, or a refusal. */
import type { RefPolicy } from './refs.js';
import type { Refusal } from './refusal.js';
import type { Route } from './settings.js';

export interface Pass {
  readonly kind: 'pass';
  readonly route: Route;
  /** What a push has to keep to, all of it; empty when nothing limits it. */
  readonly refPolicies: readonly RefPolicy[];
}

export type Decision = Pass | Refusal;
