/**
 * Where an address that an upstream names (an action of LFS, a redirect) may lead: to the route's own upstream, where the route's
 * credential goes with it; or over https to storage that its kind of host is known to have, or that the configuration lists, where none
 * does. What the name of such a host leads to is judged when it is dialed (public-address.ts).
 */
import { isLfsPath } from '../git/lfs-request.js';
import { decodePath } from '../hosts/segments.js';
import { isStorageHost } from '../hosts/storage-hosts.js';
import type { RepoAddress } from '../model/address.js';
import { caselessName } from '../model/fold.js';
import { DEV_AZURE_HOST, familyHost, legacyOrganisation } from '../model/host-name.js';
import { printableLine } from '../model/printable.js';
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
  /** Whether it is for an object of LFS. */
  readonly isObject: boolean;
}

const DEFAULT_COLLECTION = 'defaultcollection';
const LONGEST_SHOWN = 100;
const ASK = 'ask the administrator of the upstream';

/** Judges an address. Texts hold its host alone: what follows may be a signature. */
export function judgeTarget(url: URL, from: OnwardFrom): OnwardVerdict {
  const { route, address, hosts } = from;
  const host = printableLine(url.host, LONGEST_SHOWN);
  if (url.username !== '' || url.password !== '') return no(`The upstream names an address on ${host} with a user name in it`, ASK);
  if (url.hash !== '') return no(`The upstream names an address on ${host} with a fragment, which no server is sent`, ASK);
  const upstream = route.upstream ?? new URL(`https://${address.upstreamHost}`);
  const base = upstream.pathname.replace(/\/$/, '');
  if (route.upstream !== undefined && url.origin === upstream.origin)
    return url.pathname.startsWith(`${base}/`)
      ? ownVerdict(url, from, upstream, url.pathname)
      : no(`The upstream names an address on ${host} that is outside of the upstream of the route`, 'check `upstream` of the route');
  if (isRealHost(url, address)) {
    const path = route.upstream === undefined ? url.pathname : `${base}${mainPathOf(url)}`;
    return ownVerdict(url, from, route.upstream ?? new URL(url.origin), path);
  }
  if (url.protocol !== 'https:')
    return no(`The upstream names an address for this that begins with ${url.protocol}, and only https is followed`, ASK);
  const isListed = hosts.includes(url.host);
  if (!isListed && !isStorageHost(address.kind, address.upstreamHost, url.host))
    return no(
      `The upstream names ${host} for this, which is neither one of its own hosts nor storage that it is known to have`,
      `if it should be used, list ${host} under \`lfs: { hosts: [...] }\` in the configuration`,
    );
  // Two slashes at the beginning would be read as another host.
  if (url.pathname.startsWith('//')) return no(`The upstream names an address on ${host} that cannot be read in one way`, ASK);
  return { kind: 'foreign', origin: new URL(url.origin), path: `${url.pathname}${url.search}`, mayBePrivate: isListed };
}

/** The credential goes along, so it must be an address of what the route is for, as far as that can be seen. `path` is the one upstream. */
function ownVerdict(url: URL, { address, isObject }: OnwardFrom, origin: URL, path: string): OnwardVerdict {
  const decoded = decodePath(url.pathname);
  if (decoded.kind === 'fault') return no(`The upstream names an address of its own that cannot be read in one way: ${decoded.what}`, ASK);
  const isAzure = address.kind !== 'generic';
  if (isObject && isAzure && !isLfsPath(url.pathname))
    return no(`The upstream names an address of its own for an object that is none of LFS`, ASK);
  if (address.kind === 'azure-services' && isRealHost(url, address)) {
    const organisation = organisationIn(url, decoded.names);
    if (caselessName(organisation) !== caselessName(address.organisation ?? ''))
      return no(`The upstream names an address of another organisation, ${printableLine(organisation, LONGEST_SHOWN)}`, ASK);
  }
  return { kind: 'own', origin, path: `${path}${url.search}` };
}

/** Whether a URL is on a real host of an address: for Azure DevOps Services both hosts of an organisation are. */
function isRealHost(url: URL, { kind, upstreamHost, organisation }: RepoAddress): boolean {
  if (url.origin === `https://${upstreamHost}`) return true;
  if (kind !== 'azure-services' || organisation === undefined || url.protocol !== 'https:' || familyHost(upstreamHost) !== undefined)
    return false;
  return url.host === DEV_AZURE_HOST || legacyOrganisation(url.host) === organisation.toLowerCase();
}

function organisationIn({ host }: URL, [first = '']: readonly string[]): string {
  return legacyOrganisation(host) ?? familyHost(host)?.organisation ?? first;
}

/** The path on the main host, which is what a route's `upstream` stands for. */
function mainPathOf({ host, pathname }: URL): string {
  const organisation = legacyOrganisation(host);
  if (organisation === undefined) return pathname;
  const [, first = '', ...rest] = pathname.split('/');
  return `/${[organisation, ...(caselessName(first) === DEFAULT_COLLECTION ? rest : [first, ...rest])].join('/')}`;
}

function no(what: string, todo: string): OnwardVerdict {
  return { kind: 'no', what, todo };
}
