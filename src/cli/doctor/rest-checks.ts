/** The REST API on the road of an address: one read of the repository's own entry, through the door. */
import { askRoadFacts } from '../../daemon/doctor/doctor-actions.js';
import type { CheckOutcome } from '../../model/check.js';
import type { AddressCheck, AddressWalk } from './check.js';
import { askDoor, refusedBy } from './door-request.js';

export const REST_CHECKS: readonly AddressCheck[] = [
  { id: 'rest', name: 'REST API', class: 'rest', needs: ['daemon', 'fetch-refs'], run: entryOfRepository },
];

async function entryOfRepository({ context, found, git, address }: AddressWalk): Promise<CheckOutcome> {
  const { apiPath, allow, route } = await askRoadFacts(context.places.adminSocket, address);
  if (apiPath === undefined) return { verdict: 'ok', text: 'this kind of host has none that is served' };
  if (!allow.includes('api'))
    return { verdict: 'ok', text: `not allowed by the route ${route}; add \`api\` to its \`allow\` if programs are to use it` };
  const { status } = found;
  if (status === undefined) throw new Error('The row of the daemon comes first');
  const answer = await askDoor(status, { method: 'GET', path: apiPath, headers: { accept: 'application/json' } }, git);
  if (answer.status === 200 && typeof answer.json?.['id'] === 'string')
    return { verdict: 'ok', text: 'the repository has its entry there' };
  return refusedBy(answer, 'check the rights of the identity (a token needs the scope Code: Read), and that the upstream serves `/_apis`');
}
