/** The road of one address, from git to the upstream's answer. */
import { askCheck } from '../../daemon/doctor/doctor-actions.js';
import type { AddressCheck } from './check.js';
import { GIT_ADDRESS_CHECK } from './git-remotes.js';

/** In the order of the road. */
export const ADDRESS_CHECKS: readonly AddressCheck[] = [
  GIT_ADDRESS_CHECK,
  {
    id: 'route',
    name: 'route',
    class: 'identity',
    needs: ['daemon'],
    run: ({ context: { places }, address }) => askCheck(places.adminSocket, 'route', { address }),
  },
];
