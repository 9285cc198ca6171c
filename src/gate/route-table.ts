/**
 * Which route an address belongs to. The first route that matches wins; what matching means is in model/route-pattern.ts.
 */
import type { HostKind, RepoAddress } from '../model/address.js';
import { DEV_AZURE_HOST, inferHostKind } from '../model/host-name.js';
import type { Permission } from '../model/operation.js';
import {
  canonicalPattern,
  coversBelow,
  lookOf,
  matchesByGuid,
  matchesHost,
  matchesPattern,
  overlaps,
  patternHost,
} from '../model/route-pattern.js';
import type { Route } from '../model/settings.js';
import { type Mismatch, mismatchOf } from './route-mismatch.js';

interface CompiledRoute {
  readonly route: Route;
  readonly host: string;
  readonly pattern: readonly string[];
  /** The pattern in the form of lookOf (model/route-pattern.ts). */
  readonly look: readonly string[];
}

/** An ordered, immutable list of routes. */
export class RouteTable {
  readonly #routes: readonly CompiledRoute[];

  /** @throws SyntaxError for a pattern that the configuration should not have let through */
  constructor(routes: readonly Route[]) {
    this.#routes = routes.map((route) => {
      const pattern = canonicalPattern(route.match, route.hostKind);
      return { route, host: patternHost(route.match), pattern, look: lookOf(route.hostKind, pattern) };
    });
  }

  get routes(): readonly Route[] {
    return this.#routes.map(({ route }) => route);
  }

  /**
   * The route of an address; undefined when none matches. An address that only looks like what a route names gets neither that
   * route nor a later one: what may be the same repository must not be had by a wider rule.
   */
  find(address: RepoAddress): Route | undefined {
    const nearest = this.#nearest(address);
    return nearest !== undefined && isFor(nearest, address) ? nearest.route : undefined;
  }

  /** The first route for something below an address that allows this. */
  somewhereIn({ kind, canonical }: RepoAddress, permission: Permission): Route | undefined {
    return this.below(kind, canonical, canonical.length).find(({ route }) => route.allow.includes(permission))?.route;
  }

  /** The route that the address only looks like, which keeps it from every later one; undefined when that is not why none is found. */
  lookAlike(address: RepoAddress): Route | undefined {
    const nearest = this.#nearest(address);
    return nearest === undefined || isFor(nearest, address) ? undefined : nearest.route;
  }

  /** The routes that serve something of an organisation of Azure DevOps Services, in their order. */
  ofOrganisation(name: string): readonly Route[] {
    const whole = lookOf('azure-services', [DEV_AZURE_HOST, name, '**']);
    return this.#routes.filter(({ route, look }) => route.hostKind === 'azure-services' && overlaps(look, whole)).map(({ route }) => route);
  }

  /**
   * The routes that serve something below a canonical beginning of addresses, in their order. Names have to be the same in the narrow
   * form: who may ask for one does not ask for what looks like it.
   * @param length parts of a whole address there; see coversBelow
   */
  below(kind: HostKind, beginning: readonly string[], length: number): readonly { readonly route: Route; readonly isWhole: boolean }[] {
    return this.#routes
      .filter(({ route, pattern }) => route.hostKind === kind && overlaps(pattern, [...beginning, '**']))
      .map(({ route, pattern }) => ({ route, isWhole: coversBelow(pattern, beginning, length) }));
  }

  /**
   * The routes that an address may get of whose parts only the first ones are known, in their order; `isOne` when it gets the first
   * whatever the others are. `lengths`: how many parts it can have.
   */
  candidates(
    kind: HostKind,
    beginning: readonly string[],
    lengths: readonly number[],
  ): { readonly routes: readonly Route[]; readonly isOne: boolean } {
    const look = [...lookOf(kind, beginning), '**'];
    const able = this.#routes.filter((each) => each.route.hostKind === kind && overlaps(each.look, look));
    const last = able.findIndex(({ pattern }) => lengths.every((length) => coversBelow(pattern, beginning, length)));
    return { routes: (last < 0 ? able : able.slice(0, last + 1)).map(({ route }) => route), isOne: last === 0 };
  }

  /** Of each route that the address passes by, before the one that takes it or keeps it from later ones, in which part it differs. */
  passedBy(address: RepoAddress): Mismatch[] {
    const look = lookOf(address.kind, address.canonical);
    const nearest = this.#nearest(address);
    const earlier = nearest === undefined ? this.#routes : this.#routes.slice(0, this.#routes.indexOf(nearest));
    return earlier.flatMap(({ route: { match, hostKind }, pattern, look: wanted }) => {
      const mismatch = mismatchOf({ match, hostKind, pattern, look: wanted }, address, look);
      return mismatch === undefined ? [] : [mismatch];
    });
  }

  #nearest(address: RepoAddress): CompiledRoute | undefined {
    const look = lookOf(address.kind, address.canonical);
    return this.#routes.find(
      (each) => each.route.hostKind === address.kind && (matchesPattern(each.look, look) || isByGuid(each, address)),
    );
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

function isFor(each: CompiledRoute, address: RepoAddress): boolean {
  return matchesPattern(each.pattern, address.canonical) || isByGuid(each, address);
}

/** Whether a route names the very GUID by which an address was spelled. */
function isByGuid({ pattern }: CompiledRoute, { byGuid }: RepoAddress): boolean {
  return byGuid !== undefined && matchesByGuid(pattern, byGuid);
}
