/**
 * What the command line has to know of the road of an address to go it by itself: over which door, and what its route lets it do there.
 */
import type { HostKind, RepoAddress } from '../../model/address.js';
import { DEV_AZURE_HOST } from '../../model/host-name.js';
import type { Permission } from '../../model/operation.js';
import type { Route } from '../../model/settings.js';
import type { PublicHostKey } from '../../store/ssh-host-key.js';
import { type DoctorParts, type DoctorQuestion, roadOf } from './doctor-parts.js';

export interface RoadFacts {
  readonly hostKind: HostKind;
  /** As a person reads it. */
  readonly display: string;
  /** Behind the base of the HTTP door, with a slash in front: `/dev.azure.com/contoso/Payments/_git/web`. */
  readonly path: string;
  /** The same for the entry of the repository in the REST API, with its query; undefined for hosts without it. */
  readonly apiPath: string | undefined;
  /** `match` of the route. */
  readonly route: string;
  readonly identity: string;
  readonly allow: readonly Permission[];
  /** What carries an SSH remote of the route. */
  readonly ssh: Route['ssh']['kind'];
  /** The key of the SSH door; undefined while there is none. */
  readonly doorKey: PublicHostKey | undefined;
}

/** Version of the REST API that is asked: the oldest that servers in support have, and a current one of the service. */
const API_VERSIONS = { 'azure-services': '7.1', 'azure-server': '5.0' } as const;

/** @throws ProxyError `request-malformed`, `no-route`, `state-unusable` */
export async function roadFacts(question: DoctorQuestion, parts: DoctorParts): Promise<RoadFacts> {
  const { address, route } = roadOf(question, parts);
  return {
    hostKind: address.kind,
    display: address.display,
    path: `/${address.upstreamHost}${address.path}`,
    apiPath: apiPathOf(address),
    route: route.match,
    identity: route.identity,
    allow: route.allow,
    ssh: route.ssh.kind,
    doorKey: await parts.ssh.doorKey(),
  };
}

/**
 * Source: Azure DevOps REST API, "Git - Repositories - Get Repository". A name is as good as an id there.
 */
export function apiPathOf({ kind, display }: Pick<RepoAddress, 'kind' | 'display'>): string | undefined {
  if (kind === 'generic') return undefined;
  const [host = '', ...names] = display.split('/');
  const [repository, ...above] = names.reverse().map(encodeURIComponent);
  const base = `/${kind === 'azure-services' ? DEV_AZURE_HOST : host}/${above.reverse().join('/')}`;
  return `${base}/_apis/git/repositories/${repository ?? ''}?api-version=${API_VERSIONS[kind]}`;
}
