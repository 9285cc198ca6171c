/** What the admin socket does with JSON: all actions of one house. */
import type { JsonAction } from './admin-json.js';
import type { House } from './assemble.js';
import { doctorActions } from './doctor/doctor-actions.js';
import { identityActions } from './identity-actions.js';
import { leaseActions } from './lease-actions.js';
import { lifeActions } from './life-actions.js';
import { pageActions } from './page-actions.js';
import { patActions } from './pat-actions.js';
import { reposActions } from './repos-actions.js';

/** By the path of the request. `isShared`: whether others than the daemon's own user may open the socket. */
export function adminActions(
  house: House,
  life: Parameters<typeof lifeActions>[0],
  { isShared }: { isShared: boolean },
): ReadonlyMap<string, JsonAction> {
  const { leases, patDesk, reposDesk } = house;
  return new Map([
    ...(leases === undefined ? [] : leaseActions(leases)),
    ...identityActions(house),
    ...pageActions(house),
    ...patActions(patDesk, { isShared }),
    ...reposActions(reposDesk, { isShared }),
    ...doctorActions(house.doctor),
    ...lifeActions(life),
  ]);
}
