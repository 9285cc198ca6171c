/**
 * What the command line has to know of the road of an address to go it by itself: over which door, and what its route lets it do there.
 */
import { repositoryEntry } from '../../hosts/api-read.js';
import type { HostKind } from '../../model/address.js';
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

/** @throws ProxyError `request-malformed`, `no-route`, `state-unusable` */
export async function roadFacts(question: DoctorQuestion, parts: DoctorParts): Promise<RoadFacts> {
  const { address, route } = roadOf(question, parts);
  const entry = repositoryEntry(address);
  return {
    hostKind: address.kind,
    display: address.display,
    path: `/${address.upstreamHost}${address.path}`,
    apiPath: entry === undefined ? undefined : `/${address.kind === 'azure-services' ? DEV_AZURE_HOST : address.host}${entry}`,
    route: route.match,
    identity: route.identity,
    allow: route.allow,
    ssh: route.ssh.kind,
    doorKey: await parts.ssh.doorKey(),
  };
}
