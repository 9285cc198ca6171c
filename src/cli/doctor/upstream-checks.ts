/** The road of an address beyond the door, up to its first objects. The daemon looks at what it does itself; git does the rest. */
import { askCheck } from '../../daemon/doctor/doctor-actions.js';
import type { DaemonCheckId } from '../../daemon/doctor/doctor-desk.js';
import type { AddressCheck } from './check.js';
import { fetchObjects, fetchRefs, pushRefs } from './repository-checks.js';

type Row = Pick<AddressCheck, 'name' | 'class' | 'needs'> & { readonly id: DaemonCheckId };

const asked = (row: Row): AddressCheck => ({
  ...row,
  run: ({ context: { places }, address }) => askCheck(places.adminSocket, row.id, { address }),
});

/**
 * In the order of the road. The way to the upstream stands before the credential: which tenant is asked may be for the upstream to say,
 * and a clock that is wrong has good secrets refused.
 */
export const UPSTREAM_CHECKS: readonly AddressCheck[] = [
  asked({ id: 'route', name: 'route', class: 'identity', needs: ['daemon'] }),
  asked({ id: 'identity', name: 'identity', class: 'identity', needs: ['route'] }),
  asked({ id: 'proxy', name: 'outgoing proxy', class: 'network', needs: ['route'] }),
  asked({ id: 'dns', name: 'name of upstream', class: 'network', needs: ['proxy'] }),
  asked({ id: 'connection', name: 'connection', class: 'network', needs: ['dns'] }),
  asked({ id: 'tls', name: 'TLS', class: 'network', needs: ['connection'] }),
  asked({ id: 'answer', name: 'first answer', class: 'network', needs: ['tls'] }),
  asked({ id: 'clock', name: 'clock', class: 'network', needs: ['answer'] }),
  asked({ id: 'sign-in', name: 'sign-in service', class: 'network', needs: ['identity'] }),
  asked({ id: 'token', name: 'credential', class: 'identity', needs: ['sign-in'] }),
  asked({ id: 'tenant', name: 'tenant', class: 'identity', needs: ['answer', 'token'] }),
];

/** What git gets there, when the way is right: over SSH that has rows of its own (ssh-checks.ts), which come between. */
export const REPOSITORY_CHECKS: readonly AddressCheck[] = [
  {
    id: 'fetch-refs',
    name: 'fetch: branches',
    class: 'repository',
    needs: ['git', 'answer', 'token', 'tenant', 'ssh-host-key', 'ssh-upstream'],
    run: fetchRefs,
  },
  { id: 'fetch-objects', name: 'fetch: objects', class: 'repository', needs: ['fetch-refs'], run: fetchObjects },
  { id: 'push-refs', name: 'push', class: 'repository', needs: ['fetch-refs'], run: pushRefs },
];
