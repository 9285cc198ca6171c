/** The road of one address, from git to the upstream's answer. */
import type { AddressCheck } from './check.js';
import { UPSTREAM_CHECKS } from './upstream-checks.js';

/** In the order of the road. */
export const ADDRESS_CHECKS: readonly AddressCheck[] = [...UPSTREAM_CHECKS];
