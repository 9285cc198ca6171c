/** The daemon's half of `postern doctor`: identity, network and upstream, by the roads of the house itself. */
import type { DaemonCheck } from './doctor-parts.js';
import { IDENTITY_CHECKS } from './identity-checks.js';
import { LATEST_FAILURE } from './latest-failure.js';
import { NETWORK_CHECKS } from './network-checks.js';
import { ROUTE_CHECKS } from './route-checks.js';
import { SSH_CHECKS } from './ssh-checks.js';

/** By the ids that the command line asks for. */
export const DAEMON_CHECKS = {
  ...ROUTE_CHECKS,
  ...NETWORK_CHECKS,
  ...IDENTITY_CHECKS,
  ...SSH_CHECKS,
  ...LATEST_FAILURE,
} as const satisfies Readonly<Record<string, DaemonCheck>>;

export type DaemonCheckId = keyof typeof DAEMON_CHECKS;
