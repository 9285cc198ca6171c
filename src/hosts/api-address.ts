/**
 * Addresses of the REST API and of package feeds: which organisation, project or repository a call is about, in the form in
 * which addresses of repositories are compared.
 *
 *   azure-services  dev.azure.com/{org}[/{project}[/{team}]]/_apis/...      {family}.dev.azure.com/{org}/...
 *                   {org}.visualstudio.com/[DefaultCollection/][{project}/]_apis/...      {org}.{family}.visualstudio.com/...
 *                   pkgs.dev.azure.com/{org}/[{project}/]_packaging/{feed}/...
 *                   app.vssps.visualstudio.com/_apis/profile/profiles/{id}, .../_apis/accounts      (of no organisation)
 *   azure-server    {host}[:port]/[virtual directory/]{collection}[/{project}[/{team}]]/_apis/...
 *   below _apis     git/repositories/{repository}[/...] names a repository, and in an older form
 *                   git/{project}/repositories/{repository}[/...] a project too
 *
 * A repository is named by its name within a project; by its GUID also without one.
 *
 * Source: learn.microsoft.com/rest/api/azure/devops ("URL components"), learn.microsoft.com/azure/devops/organizations/security/allow-list-ip-url.
 */
import type { HostKind, RepoAddress } from '../model/address.js';
import { caselessName, foldName } from '../model/fold.js';
import { isGuidLike } from '../model/guid.js';
import { DEV_AZURE_HOST, familyHost, legacyOrganisation, PROFILE_HOST } from '../model/host-name.js';
import { canonicalNames } from '../model/route-pattern.js';
import { type ApiCall, isCall, wideWord } from './api-call.js';
import { guidPlace } from './guid-address.js';
import { isOddAzureName } from './repo-address.js';
import { decodePath, type Segments } from './segments.js';

export type ParsedApiAddress =
  | {
      readonly kind: 'address';
      readonly address: RepoAddress;
      readonly call: ApiCall;
      /** No project is named. */ readonly isOfAccount: boolean;
    }
  | { readonly kind: 'fault'; readonly what: string };

/** What a path of the API has and no address of a repository can have, as it is compared. */
const MARK = '_apis';
const PACKAGES_MARK = '_packaging';
const MARKS: readonly string[] = [MARK, PACKAGES_MARK];
const RECYCLE_BIN = 'recyclebin';
const DEFAULT_COLLECTION = 'defaultcollection';
const VIRTUAL_DIRECTORY = 'tfs';
/** Project and team. */
const MOST_NAMES = 2;
/** Virtual directory, collection, project, team. */
const MOST_SERVER_NAMES = 4;
/** Hosts of Azure DevOps Services that are not in the table of those that are served (model/host-name.ts), and are no servers. */
const AZURES_OWN = /(?:^|\.)(?:dev\.azure|visualstudio)\.com(?::[0-9]+)?$/;
/** Stands for a project that is not named: a name that none can have. */
const ANY_PROJECT = '*';

/** What is asked where no organisation is named: who the caller is, and which organisations there are for them. */
const WITHOUT_ORGANISATION: readonly string[] = ['_apis/accounts', '_apis/profile/profiles/*'];

/** Whether a path (percent-encoded bytes as latin1) is one of the API, however it is spelled; also where it cannot be read. */
export function isApiPath(path: string): boolean {
  const decoded = decodeApiPath(path);
  if (decoded.kind === 'fault') return path.split('/').some((part) => MARKS.includes(part.toLowerCase()));
  return markOf(decoded.names) >= 0;
}

/**
 * Parses the path of a call on `host` (lower case, see parseHost). Its `canonical` has the organisation (or collection), and the
 * project and the repository as far as the path names them.
 */
export function parseApiAddress(kind: HostKind, host: string, path: string): ParsedApiAddress {
  const decoded = decodeApiPath(path);
  if (decoded.kind === 'fault') return decoded;
  const { names } = decoded;
  const mark = markOf(names);
  if (mark < 0) return fault(`${names.join('/')} has no _apis in it`);
  // Where a second one is, another program may begin to read there.
  if (names.some((name, at) => at !== mark && wideWord(name) === MARK)) return fault('the address has _apis in it more than once');
  const before = names.slice(0, mark);
  const call = names.slice(mark);
  if (before.some((name) => foldName(name) === ANY_PROJECT)) return fault('* is not a name that Azure DevOps allows');
  switch (kind) {
    case 'azure-services':
      return host === PROFILE_HOST ? profile(path, before, call) : services(host, path, before, call);
    case 'azure-server':
      return server(host, path, before, call);
    case 'generic':
      return fault(`${host} is no host of Azure DevOps, and no other REST API is served`);
  }
}

/** The call that a path is, from its mark on; empty for a path that is none. */
export function apiCallOf(path: string): ApiCall {
  const decoded = decodeApiPath(path);
  const mark = decoded.kind === 'fault' ? -1 : markOf(decoded.names);
  return decoded.kind === 'fault' || mark < 0 ? [] : decoded.names.slice(mark);
}

/** A name with a scope in the address of a npm registry: npm sends its slash encoded, and means the same as with a plain one. */
const SCOPED = /^((?:\/[^/]+)*\/_packaging\/[^/]+\/npm\/registry\/@[a-z0-9._~-]+)%2f([a-z0-9._~-]+(?:\/.*)?)$/i;

/** As decodePath(), for what the addresses of the API have besides: a slash at the end, and npm's names with a scope. */
function decodeApiPath(path: string): Segments {
  return decodePath(bare(path).replace(SCOPED, '$1/$2'));
}

function profile(path: string, before: readonly string[], call: ApiCall): ParsedApiAddress {
  if (before.length > 0 || !WITHOUT_ORGANISATION.some((pattern) => isCall(call, pattern)))
    return fault(`${PROFILE_HOST} is served for profiles and accounts alone`);
  return ok(
    { kind: 'azure-services', host: PROFILE_HOST, names: [DEV_AZURE_HOST], organisation: undefined, path, mainPath: path },
    call,
    false,
  );
}

function services(host: string, path: string, before: readonly string[], call: ApiCall): ParsedApiAddress {
  const family = familyHost(host);
  const inHost = family?.organisation ?? legacyOrganisation(host);
  if (family === undefined && inHost === undefined && host !== DEV_AZURE_HOST)
    return fault(`${host} is not a host of Azure DevOps Services`);
  const organisation = inHost ?? before[0];
  if (organisation === undefined) return fault('the address names no organisation');
  let below = inHost === undefined ? before.slice(1) : before;
  const hasCollection = caselessName(below[0] ?? '') === DEFAULT_COLLECTION;
  if (hasCollection) below = below.slice(1);
  if (below.length > MOST_NAMES) return fault('more than a project and a team stand before _apis');
  const place = placeOf(below, call);
  if (place.kind === 'fault') return place;
  const names = [organisation, ...place.names];
  const odd = names.find(isOddName);
  if (odd !== undefined) return fault(`${odd} is not a name that Azure DevOps allows`);
  const raw = path.slice(1).split('/');
  const mainPath = inHost === undefined ? path : `/${[inHost, ...raw.slice(hasCollection ? 1 : 0)].join('/')}`;
  const guids = guidPlace({ certain: [organisation], isCertain: true, ...named(place.names) });
  return ok(
    { kind: 'azure-services', host, names: [DEV_AZURE_HOST, ...names], organisation, path, mainPath, guids },
    call,
    place.names.length === 0,
  );
}

function server(host: string, path: string, before: readonly string[], call: ApiCall): ParsedApiAddress {
  if (AZURES_OWN.test(host)) return fault(`${host} is not a host of Azure DevOps whose API is served`);
  const depth = caselessName(before[0] ?? '') === VIRTUAL_DIRECTORY ? 2 : 1;
  if (before.length < depth) return fault('the address names no collection');
  if (before.length > MOST_SERVER_NAMES) return fault('more than a collection, a project and a team stand before _apis');
  // A directory of another name cannot be told from a collection. What is about a repository has no team, so there it is one.
  const isRepositorys = before.length === depth + MOST_NAMES && depth === 1 && repositoryOf(call) !== undefined;
  const above = before.slice(0, isRepositorys ? depth + 1 : depth);
  const place = placeOf(before.slice(above.length), call);
  if (place.kind === 'fault') return place;
  const names = [...above, ...place.names];
  const odd = names.find(isOddName);
  if (odd !== undefined) return fault(`${odd} is not a name that Azure DevOps Server allows`);
  const guids = guidPlace({
    certain: above.slice(0, depth),
    isCertain: depth > 1,
    above: above.slice(depth),
    ...named(place.names),
  });
  return ok(
    { kind: 'azure-server', host, names: [host, ...names], organisation: undefined, path, mainPath: path, guids },
    call,
    place.names.length === 0,
  );
}

/** What a place names. */
function named([project, repository]: readonly string[]): {
  readonly project: string | undefined;
  readonly repository: string | undefined;
} {
  return { project: project === ANY_PROJECT ? undefined : project, repository };
}

/** The project, and the repository that the call names; a team behind the project is left out. */
function placeOf(
  below: readonly string[],
  call: ApiCall,
): { readonly kind: 'place'; readonly names: readonly string[] } | { readonly kind: 'fault'; readonly what: string } {
  const named = repositoryOf(call);
  const [project = named?.project, team] = below;
  if (named?.repository === undefined) {
    const names = project === undefined ? [] : [project];
    return { kind: 'place', names };
  }
  if (named.project !== undefined && below.length > 0) return fault('the address names two projects');
  if (team !== undefined) return fault('what is about a repository is asked of its project, not of a team');
  if (project !== undefined) return { kind: 'place', names: [project, named.repository] };
  if (!isGuidLike(named.repository)) return fault(`which project ${named.repository} is in has to be said: .../{project}/_apis/git/...`);
  return { kind: 'place', names: [ANY_PROJECT, named.repository] };
}

/** What a call below `git` names by itself; undefined for one that is about no repository. */
function repositoryOf(call: ApiCall): { readonly project: string | undefined; readonly repository: string | undefined } | undefined {
  const [, area = '', first = '', second, third] = call;
  if (wideWord(area) !== 'git') return undefined;
  if (wideWord(first) === 'repositories') return second === undefined ? undefined : { project: undefined, repository: second };
  // What is in it has no name any more, and no repository of that name is meant.
  if (wideWord(first) === RECYCLE_BIN) return undefined;
  if (second === undefined || !['repositories', 'repositoriespaged'].includes(wideWord(second))) return undefined;
  return { project: first, repository: third };
}

function isOddName(name: string): boolean {
  return isOddAzureName(name) || (foldName(name).startsWith('_') && name !== ANY_PROJECT);
}

function markOf(names: readonly string[]): number {
  return names.findIndex((name) => MARKS.includes(caselessName(name)));
}

/** Without the one slash that may stand at its end. */
function bare(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}

function ok(
  parts: Pick<RepoAddress, 'kind' | 'host' | 'organisation' | 'path' | 'mainPath' | 'guids'> & { names: readonly string[] },
  call: ApiCall,
  isOfAccount: boolean,
): ParsedApiAddress {
  const { names, ...rest } = parts;
  const [host = '', ...below] = names;
  const canonical = [host, ...canonicalNames(parts.kind, host, below)];
  return { kind: 'address', address: { ...rest, canonical, display: names.join('/'), upstreamHost: parts.host }, call, isOfAccount };
}

function fault(what: string): { readonly kind: 'fault'; readonly what: string } {
  return { kind: 'fault', what };
}
