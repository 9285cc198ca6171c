/**
 * Which route an address belongs to. The first route that matches wins; what matching means is in model/route-pattern.ts.
 */
import type { RepoAddress } from '../model/address.js';
import { inferHostKind } from '../model/host-name.js';
import { canonicalPattern, matchesHost, matchesPattern, patternHost } from '../model/route-pattern.js';
import type { Route } from '../model/settings.js';

interface CompiledRoute {
  readonly route: Route;
  readonly host: string;
  readonly pattern: readonly string[];
}

/** An ordered, immutable list of routes. */
export class RouteTable {
  readonly #routes: readonly CompiledRoute[];

  /** @throws SyntaxError for a pattern that the configuration should not have let through */
  constructor(routes: readonly Route[]) {
    this.#routes = routes.map((route) => ({
      route,
      host: patternHost(route.match),
      pattern: canonicalPattern(route.match, route.hostKind),
    }));
  }

  get routes(): readonly Route[] {
    return this.#routes.map(({ route }) => route);
  }

  /** The route of an address; undefined when none matches. */
  find(address: RepoAddress): Route | undefined {
    return this.#routes.find(({ route, pattern }) => route.hostKind === address.kind && matchesPattern(pattern, address.canonical))?.route;
  }

  /**
   * The kind of host that a route declares for `host` (as it stands in an address), first match first. A `*.` does not
   * speak for a name of Azure DevOps Services: under another grammar its addresses would pass by the rules for it.
   */
  kindOf(host: string): Route['hostKind'] | undefined {
    const isServices = inferHostKind(host) === 'azure-services';
    return this.#routes.find((each) => each.host === host || (!isServices && matchesHost(each.host, host)))?.route.hostKind;
  }
}
