/**
 * Where an address that an upstream names (an action of LFS, a redirect) may lead: to the route's own upstream, or over https to a
 * host that the configuration lists.
 */
import type { RepoAddress } from '../model/address.js';
import type { Route } from '../model/settings.js';

export type OnwardVerdict =
  /** The route's upstream; `path` with the query, as it is asked for there. */
  | { readonly kind: 'own'; readonly origin: URL; readonly path: string }
  | { readonly kind: 'foreign'; readonly origin: URL; readonly path: string; readonly mayBePrivate: boolean }
  /** Nowhere; both texts as in a Refusal. */
  | { readonly kind: 'no'; readonly what: string; readonly todo: string };

export interface OnwardFrom {
  readonly route: Route;
  /** Of the operation in which it was named. */
  readonly address: RepoAddress;
  /** `host` or `host:port`, as `lfs.hosts` has them. */
  readonly hosts: readonly string[];
}

/** Judges an address. */
export function judgeTarget(url: URL, { route, address, hosts }: OnwardFrom): OnwardVerdict {
  const path = `${url.pathname}${url.search}`;
  const upstream = route.upstream ?? new URL(`https://${address.upstreamHost}`);
  const base = upstream.pathname.replace(/\/$/, '');
  if (url.origin === upstream.origin && url.pathname.startsWith(`${base}/`)) return { kind: 'own', origin: upstream, path };
  if (url.origin === `https://${address.upstreamHost}`) return { kind: 'own', origin: upstream, path: `${base}${path}` };
  if (url.protocol === 'https:' && hosts.includes(url.host))
    return { kind: 'foreign', origin: new URL(url.origin), path, mayBePrivate: true };
  return {
    kind: 'no',
    what: `The upstream names ${url.host} for this, which is not one of its own hosts`,
    todo: `if it should be used, list ${url.host} under \`lfs: { hosts: [...] }\` in the configuration`,
  };
}
