/**
 * The lease of a command, for a configuration in which the door takes nothing else on loopback: other programs of the same user are
 * then kept out as well, as far as they do not look into the command's environment.
 */
import { askCreate } from '../../daemon/lease-actions.js';
import { LONGEST_LEASE_MS } from '../../daemon/lease-desk.js';
import { PERMISSIONS } from '../../model/operation.js';
import { REF_CHANGES } from '../../model/refs.js';
import type { Settings } from '../../model/settings.js';

/** What it is called in the log and the audit. */
const LABEL = 'exec';

/**
 * A lease for everything that the routes allow, from this machine; undefined when the configuration asks for none. Its key is in
 * the private directory of the run and goes with it, so it needs no end of its own.
 * @throws ProxyError as LeaseDesk.create
 */
export async function commandLease({ access, routes }: Settings, adminSocket: string): Promise<string | undefined> {
  if (access.local !== 'lease') return undefined;
  // Whole hosts: the routes decide, and a hundred of them would not fit into one lease.
  const hosts = new Set(routes.map(({ match }) => `${match.split('/')[0] ?? ''}/**`));
  const made = await askCreate(adminSocket, {
    label: LABEL,
    repos: [...hosts],
    allow: PERMISSIONS,
    refs: ['refs/**'],
    changes: REF_CHANGES,
    forMs: LONGEST_LEASE_MS,
    from: ['127.0.0.0/8', '::1'],
  });
  return made?.lease;
}
