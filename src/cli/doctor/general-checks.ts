/** What all addresses have in common, in the order of the road. */
import type { Check } from './check.js';
import { CONFIGURATION_CHECKS } from './configuration-checks.js';
import { DAEMON_CHECKS } from './daemon-checks.js';
import { DOOR_CHECKS } from './door-checks.js';
import { GIT_CHECKS } from './git-checks.js';
import { PROGRAM_CHECKS } from './program-checks.js';
import { SERVICE_CHECKS } from './service-checks.js';

/** A later one may need earlier ones, and what they found. */
export const GENERAL_CHECKS: readonly Check[] = [
  ...PROGRAM_CHECKS,
  ...CONFIGURATION_CHECKS,
  ...GIT_CHECKS,
  ...SERVICE_CHECKS,
  ...DAEMON_CHECKS,
  ...DOOR_CHECKS,
];
