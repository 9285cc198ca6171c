/**
 * Which answers of the REST API and of package feeds have addresses in them that a client follows by itself, and which of those
 * addresses are of the same service. Everything else is left as it is: what a person reads or git clones (`webUrl`, `remoteUrl`) has
 * to be the real address, and a file has to be the file.
 *
 *   _apis/resourceAreas[/{id}]                       locationUrl: the host that has an area
 *   _apis/connectionData                             accessPoint, location: the same, for older clients
 *   _apis/serviceDefinitions/...                     location: the same
 *   _packaging/{feed}/npm/registry/{package}         dist.tarball
 *   _packaging/{feed}/nuget/v3/...                   @id, packageContent, registration (not the content of packages, flat2/)
 *   _packaging/{feed}/nuget/v2/...                   the same in XML
 *   _packaging/{feed}/pypi/simple/{package}/         href of each file
 *   _packaging/{feed}/cargo/index/config.json        dl, api
 *
 * Source: tried with azure-devops-node-api 17 (which follows locationUrl and nothing else), npm and pip; the API of a npm registry,
 * of NuGet's server (learn.microsoft.com/nuget/api), PEP 503 and 691, the index of Cargo. Maven's files name no address of the feed.
 */
import type { RepoAddress } from '../model/address.js';
import { DEV_AZURE_HOST, familyHost, legacyOrganisation } from '../model/host-name.js';
import { apiCallOf } from './api-address.js';
import { isCall } from './api-call.js';

const JSON_ANSWER = /^application\/(?:[a-z0-9.+-]+\+)?json$/;
const XML_ANSWER = /^(?:application|text)\/(?:[a-z0-9.+-]+\+)?xml$/;
const HTML_ANSWER = /^(?:text\/html|application\/(?:[a-z0-9.+-]+\+)(?:html|json))$/;

/** Calls (api-call.ts), and the media types of the answers meant. */
const FOLLOWED: readonly (readonly [call: string, type: RegExp])[] = [
  ['_apis/resourceareas/**', JSON_ANSWER],
  ['_apis/connectiondata', JSON_ANSWER],
  ['_apis/servicedefinitions/**', JSON_ANSWER],
  ['_packaging/*/npm/registry/**', JSON_ANSWER],
  ['_packaging/*/nuget/v3/**', JSON_ANSWER],
  ['_packaging/*/nuget/v2/**', XML_ANSWER],
  ['_packaging/*/pypi/simple/**', HTML_ANSWER],
  ['_packaging/*/cargo/index/**', JSON_ANSWER],
];

/**
 * The media types (bare, lower case) in which a call's answer names addresses that are followed; undefined for a call whose answers are
 * passed on as they are.
 */
export function followedIn({ path }: Pick<RepoAddress, 'path'>): RegExp | undefined {
  const call = apiCallOf(path);
  return FOLLOWED.find(([pattern]) => isCall(call, pattern))?.[1];
}

/** Whether a host (see parseHost) is one that serves the API of the same service as `address`: one that this door serves in its place. */
export function isOfSameService(address: Pick<RepoAddress, 'kind' | 'host'>, host: string): boolean {
  if (address.kind !== 'azure-services') return host === address.host;
  return host === DEV_AZURE_HOST || familyHost(host) !== undefined || legacyOrganisation(host) !== undefined;
}
