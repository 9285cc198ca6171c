/** The road of one address, from git to the upstream's answer. */
import type { AddressCheck } from './check.js';
import { GIT_ADDRESS_CHECK } from './git-remotes.js';
import { LFS_CHECKS } from './lfs-checks.js';
import { REST_CHECKS } from './rest-checks.js';
import { SSH_CHECKS } from './ssh-checks.js';
import { REPOSITORY_CHECKS, UPSTREAM_CHECKS } from './upstream-checks.js';

/** In the order of the road. */
export const ADDRESS_CHECKS: readonly AddressCheck[] = [
  GIT_ADDRESS_CHECK,
  ...UPSTREAM_CHECKS,
  ...SSH_CHECKS,
  ...REPOSITORY_CHECKS,
  ...LFS_CHECKS,
  ...REST_CHECKS,
];
