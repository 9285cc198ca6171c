/**
 * The one admission function, for every door. It knows operations, callers and routes; it knows neither HTTP, SSH nor
 * tokens, and does no I/O.
 */
import type { Caller } from '../model/caller.js';
import type { Decision } from '../model/decision.js';
import type { GitOperation } from '../model/operation.js';
import type { RouteTable } from './route-table.js';

/**
 * Decides whether `caller` may do `operation`. Refusals: `no-route` when no route matches the address, `not-allowed`
 * when the route's `allow` does not name the operation's direction.
 */
export function admit(operation: GitOperation, _caller: Caller, routes: RouteTable): Decision {
  const { address } = operation;
  const route = routes.find(address);
  if (route === undefined) {
    return {
      kind: 'refusal',
      code: 'no-route',
      status: 403,
      what: `No route matches ${address.display}`,
      todo: `add a route whose match covers ${address.display} to the configuration; \`postern route explain\` shows how an address is read`,
    };
  }
  if (!route.allow.includes(operation.kind)) {
    return {
      kind: 'refusal',
      code: 'not-allowed',
      status: 403,
      what: `The route allows ${route.allow.join(', ')}, not ${operation.kind}`,
      todo: `add ${operation.kind} to \`allow\` of this route if it should be possible`,
      route: route.match,
      identity: route.identity,
    };
  }
  return { kind: 'pass', route };
}
