/**
 * The one admission function, for every door. It knows operations, callers and routes; it knows neither HTTP, SSH nor
 * tokens, and does no I/O.
 */
import type { Caller } from '../model/caller.js';
import type { Decision } from '../model/decision.js';
import { type GitOperation, isDiscovery, permissionsOf } from '../model/operation.js';
import { REF_CHANGES, type RefPolicy } from '../model/refs.js';
import { refPoliciesOf, refuseByLease } from './lease-rules.js';
import type { RouteTable } from './route-table.js';

/** The glob that every ref matches. */
const EVERY_REF = 'refs/**';

/**
 * Decides whether `caller` may do `operation` at `now` (ms since the epoch). Refusals: `lease-insufficient` when the caller's
 * lease does not permit it (told before anything of the routes is), `no-route` when no route matches the address, or it only
 * looks like what one names,
 * `not-allowed` when the route's `allow` does not name all that the operation needs, `ref-refused` for a call of the API that may change
 * refs where the route or the lease limits them. What passes has passed all of them.
 */
export function admit(operation: GitOperation, caller: Caller, routes: RouteTable, now: number): Decision {
  const { address } = operation;
  const lease = caller.kind === 'lease' ? caller.lease : undefined;
  const refused = lease === undefined ? undefined : refuseByLease(lease, operation, caller.peer, now);
  if (refused !== undefined) return refused;
  const route = routes.find(address) ?? (isDiscovery(operation) ? routes.somewhereIn(address, 'api') : undefined);
  if (route === undefined) {
    const alike = routes.lookAlike(address);
    if (alike !== undefined) {
      return {
        kind: 'refusal',
        code: 'no-route',
        status: 403,
        what: `${address.display} only looks like what the route ${alike.match} names: to its host it may be another repository`,
        todo: 'write the names in the address letter by letter as the route does, or a route of its own before that one',
        route: alike.match,
        identity: alike.identity,
      };
    }
    return {
      kind: 'refusal',
      code: 'no-route',
      status: 403,
      what: `No route matches ${address.display}`,
      todo: `add a route whose match covers ${address.display} to the configuration; \`postern route explain\` shows how an address is read`,
    };
  }
  const missing = permissionsOf(operation).filter((permission) => !route.allow.includes(permission));
  if (missing.length > 0) {
    return {
      kind: 'refusal',
      code: 'not-allowed',
      status: 403,
      what: `The route allows ${route.allow.join(', ')}, not ${missing.join(', ')}`,
      todo: `add ${missing.join(', ')} to \`allow\` of this route if it should be possible`,
      route: route.match,
      identity: route.identity,
    };
  }
  const refPolicies: RefPolicy[] = route.refs === undefined ? [] : [{ ...route.refs, source: `the route ${route.match}` }];
  if (lease !== undefined) refPolicies.push(...refPoliciesOf(lease));
  if (operation.kind === 'api' && operation.step === 'write') {
    const limit = refPolicies.find(limitsRefs);
    if (limit !== undefined) {
      return {
        kind: 'refusal',
        code: 'ref-refused',
        status: 403,
        what: `The call may change a ref, and ${limit.source} limits which may be touched, which is judged of a push alone`,
        todo: 'use `git push` for changes of refs; with limits on refs the API is for reading, pull requests, their comments and work items',
        route: route.match,
        identity: route.identity,
      };
    }
  }
  return { kind: 'pass', route, refPolicies };
}

/** Whether there is a ref, or a change of one, that a policy does not let through. */
function limitsRefs({ allow, protect, changes }: RefPolicy): boolean {
  const isEveryRef = allow === undefined || allow.includes(EVERY_REF);
  const isEveryChange = changes === undefined || REF_CHANGES.every((change) => changes.includes(change));
  return !isEveryRef || protect.length > 0 || !isEveryChange;
}
