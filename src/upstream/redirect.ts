/**
 * A redirect never leaves the door. One to another path of the same upstream is rewritten to this door, so that the
 * gate judges the new address like any other; one to another host is an error that names it.
 *
 * Source: RFC 9110 section 15.4 and 10.2.2 (Location).
 */
import type { RepoAddress } from '../model/address.js';

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

export function isRedirect(status: number | undefined): boolean {
  return status !== undefined && REDIRECTS.has(status);
}

export type Redirect =
  | { readonly kind: 'here'; readonly location: string }
  | { readonly kind: 'elsewhere'; readonly host: string }
  | { readonly kind: 'unusable'; readonly what: string };

export interface RedirectedRequest {
  /** Base of the upstream in the request that was answered: origin, and a path if the route maps to one (no slash at its end). */
  readonly origin: URL;
  readonly basePath: string;
  /** Path and query that were asked for upstream. */
  readonly path: string;
  /** git's suffix with query, which the new address must end in too. */
  readonly suffix: string;
  readonly address: RepoAddress;
  /** Host under which the route's upstream is addressed at this door. */
  readonly localHost: string;
  /** Address of this door as the caller used it: `http://127.0.0.1:8417`. */
  readonly doorBase: string;
}

/** Reads a Location header against the request it answers. */
export function readRedirect(location: string | undefined, request: RedirectedRequest): Redirect {
  if (location === undefined || !URL.canParse(location, `${request.origin.origin}${request.path}`)) {
    return { kind: 'unusable', what: 'a redirect without a usable Location' };
  }
  const to = new URL(location, `${request.origin.origin}${request.path}`);
  // URL leaves a scheme's own port out, so another port is another host.
  const isSameHost = to.host === request.origin.host || to.host === request.address.upstreamHost;
  if (!isSameHost || (to.protocol !== 'https:' && to.protocol !== request.origin.protocol && to.protocol !== 'http:')) {
    return { kind: 'elsewhere', host: to.host === '' ? to.protocol : to.host };
  }
  const asked = new URL(`${request.origin.origin}${request.path}`);
  if (to.pathname === asked.pathname && to.search === asked.search)
    return { kind: 'unusable', what: 'a redirect to the very address that was asked' };
  const [suffixPath, suffixQuery] = request.suffix.split('?');
  const isGit = to.pathname.endsWith(suffixPath ?? '') && to.search === (suffixQuery === undefined ? '' : `?${suffixQuery}`);
  if (!isGit) return { kind: 'unusable', what: `a redirect to ${to.host}${to.pathname}, which is no git address` };
  if (!to.pathname.startsWith(`${request.basePath}/`)) {
    return { kind: 'unusable', what: `a redirect to ${to.host}${to.pathname}, which is outside of the upstream of the route` };
  }
  const path = `${to.pathname.slice(request.basePath.length)}${to.search}`;
  return { kind: 'here', location: `${request.doorBase}/${request.localHost}${path}` };
}
