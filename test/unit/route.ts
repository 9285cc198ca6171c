/** Routes and addresses for tests of whatever decides by them, made the way the daemon makes them. */
import { RouteTable } from '../../src/gate/route-table.js';
import { inferHostKind, parseHost } from '../../src/model/host-name.js';
import { parseRepoAddress } from '../../src/hosts/repo-address.js';
import type { RepoAddress } from '../../src/model/address.js';
import type { Route } from '../../src/model/settings.js';

/** A route with nothing but a pattern, of the kind that its host has by itself. */
export function route(match: string, also: Partial<Route> = {}): Route {
  return {
    match,
    identity: 'me',
    allow: ['fetch', 'push', 'lfs'],
    hostKind: 'azure-services',
    upstream: undefined,
    ca: undefined,
    proxy: undefined,
    refs: undefined,
    ssh: { kind: 'bridge' },
    ...also,
  };
}

/** `host/path` read as the HTTP door reads it: the kind from the routes, else from the name. Undefined when it is no address. */
export function addressOf(text: string, routes: RouteTable = new RouteTable([])): RepoAddress | undefined {
  const slash = text.indexOf('/');
  const host = parseHost(text.slice(0, slash));
  if (host === undefined) return undefined;
  const path = Buffer.from(text.slice(slash), 'utf8').toString('latin1');
  const parsed = parseRepoAddress(routes.kindOf(host) ?? inferHostKind(host), host, path);
  return parsed.kind === 'address' ? parsed.address : undefined;
}
