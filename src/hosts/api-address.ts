/**
 * Addresses of the REST API and of package feeds: which organisation, project or repository a call is about, in the form in
 * which addresses of repositories are compared.
 *
 *   azure-services  dev.azure.com/{org}[/{project}[/{team}]]/_apis/...      {family}.dev.azure.com/{org}/...
 *                   {org}.visualstudio.com/[DefaultCollection/][{project}/]_apis/...      {org}.{family}.visualstudio.com/...
 *                   pkgs.dev.azure.com/{org}/[{project}/]_packaging/{feed}/...
 *   azure-server    {host}[:port]/[virtual directory/]{collection}[/{project}]/_apis/...
 *   below _apis     git/repositories/{repository}[/...] names a repository
 *
 * Source: learn.microsoft.com/rest/api/azure/devops ("URL components"), learn.microsoft.com/azure/devops/organizations/security/allow-list-ip-url.
 */
import type { HostKind, RepoAddress } from '../model/address.js';
import { caselessName } from '../model/fold.js';
import { DEV_AZURE_HOST, familyHost, legacyOrganisation } from '../model/host-name.js';
import { canonicalNames } from '../model/route-pattern.js';
import type { ParsedAddress } from './repo-address.js';
import { decodePath, type Segments } from './segments.js';

/** What a path of the API has and no address of a repository can have, as it is compared. */
export const API_MARKS: readonly string[] = ['_apis', '_packaging'];
const DEFAULT_COLLECTION = 'defaultcollection';
const VIRTUAL_DIRECTORY = 'tfs';

/** Whether a path (percent-encoded bytes as latin1) is one of the API, however it is spelled. */
export function isApiPath(path: string): boolean {
  const decoded = decodeApiPath(path);
  return decoded.kind === 'segments' && markOf(decoded.names) >= 0;
}

/**
 * Parses the path of a call on `host` (lower case, see parseHost). Its `canonical` has the organisation (or collection), and the
 * project and the repository as far as the path names them.
 */
export function parseApiAddress(kind: HostKind, host: string, path: string): ParsedAddress {
  const decoded = decodeApiPath(path);
  if (decoded.kind === 'fault') return decoded;
  const { names } = decoded;
  const mark = markOf(names);
  if (mark < 0) return { kind: 'fault', what: `${names.join('/')} has no _apis in it` };
  const before = names.slice(0, mark);
  switch (kind) {
    case 'azure-services':
      return services(host, path, before, names.slice(mark));
    case 'azure-server':
      return server(host, path, before, names.slice(mark));
    case 'generic':
      return { kind: 'fault', what: `${host} is no host of Azure DevOps, and no other REST API is served` };
  }
}

/** A name with a scope in the address of a npm registry: npm sends its slash encoded, and means the same as with a plain one. */
const SCOPED = /^((?:\/[^/]+)*\/_packaging\/[^/]+\/npm\/registry\/@[a-z0-9._~-]+)%2f([a-z0-9._~-]+(?:\/.*)?)$/i;

/** As decodePath(), for what the addresses of the API have besides: a slash at the end, and npm's names with a scope. */
export function decodeApiPath(path: string): Segments {
  const bare = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
  return decodePath(bare.replace(SCOPED, '$1/$2'));
}

function services(host: string, path: string, before: readonly string[], call: readonly string[]): ParsedAddress {
  const family = familyHost(host);
  const inHost = family?.organisation ?? legacyOrganisation(host);
  if (family === undefined && inHost === undefined && host !== DEV_AZURE_HOST)
    return { kind: 'fault', what: `${host} is not a host of Azure DevOps Services` };
  let skip = 0;
  if (inHost === undefined) skip = 1;
  else if (caselessName(before[0] ?? '') === DEFAULT_COLLECTION) skip = 1;
  const organisation = inHost ?? before[0];
  if (organisation === undefined) return { kind: 'fault', what: 'the address names no organisation' };
  const names = [organisation, ...placeOf(before.slice(skip), call)];
  const raw = path.slice(1).split('/');
  const mainPath = inHost === undefined ? path : `/${[inHost, ...raw.slice(skip)].join('/')}`;
  return ok({ kind: 'azure-services', host, names: [DEV_AZURE_HOST, ...names], organisation, path, mainPath });
}

function server(host: string, path: string, before: readonly string[], call: readonly string[]): ParsedAddress {
  const depth = caselessName(before[0] ?? '') === VIRTUAL_DIRECTORY ? 2 : 1;
  if (before.length < depth) return { kind: 'fault', what: 'the address names no collection' };
  const names = [host, ...before.slice(0, depth), ...placeOf(before.slice(depth), call)];
  return ok({ kind: 'azure-server', host, names, organisation: undefined, path, mainPath: path });
}

/** The project, and the repository that the call names; a team behind the project is left out. */
function placeOf(before: readonly string[], call: readonly string[]): readonly string[] {
  const [project] = before;
  if (project === undefined) return [];
  const [, area, resource, repository] = call;
  const isOfRepository = caselessName(area ?? '') === 'git' && caselessName(resource ?? '') === 'repositories' && repository !== undefined;
  return isOfRepository ? [project, repository] : [project];
}

function markOf(names: readonly string[]): number {
  return names.findIndex((name) => API_MARKS.includes(caselessName(name)));
}

function ok(
  parts: Pick<RepoAddress, 'kind' | 'host' | 'organisation' | 'path' | 'mainPath'> & { names: readonly string[] },
): ParsedAddress {
  const { names, ...rest } = parts;
  const [host = '', ...below] = names;
  const canonical = [host, ...canonicalNames(parts.kind, host, below)];
  return { kind: 'address', address: { ...rest, canonical, display: names.join('/'), upstreamHost: parts.host } };
}
