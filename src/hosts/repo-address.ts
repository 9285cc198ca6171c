/**
 * Addresses of repositories by the grammar of each kind of host. The result names a repository in one way however it
 * was spelled; the bytes that go upstream stay as they came.
 *
 *   azure-services  dev.azure.com/{org}/{project}/_git/{repo}       {org}.visualstudio.com/[DefaultCollection/]{project}/_git/{repo}
 *                   the project left out where it has the repository's name; `_git/_optimized/`, `_git/_full/` and
 *                   `optimized/_git/` choose which refs are listed and name the same repository
 *                   ssh.dev.azure.com/v3/{org}/{project}/{repo}     the SSH form, served over HTTPS
 *   azure-server    {host}[:port]/[virtual directory/]{collection}/{project}/_git/{repo}
 *   generic         {host}[:port]/{any path}                       with or without `.git` at its end
 */
import type { HostKind, RepoAddress } from '../model/address.js';
import { caselessName, foldName } from '../model/fold.js';
import { DEV_AZURE_HOST, legacyOrganisation, SSH_AZURE_HOSTS } from '../model/host-name.js';
import { canonicalNames } from '../model/route-pattern.js';
import { guidPlace } from './guid-address.js';
import { decodePath } from './segments.js';

export type ParsedAddress = { readonly kind: 'address'; readonly address: RepoAddress } | { readonly kind: 'fault'; readonly what: string };

const GIT_MARK = '_git';
const REF_CHOICES = ['_optimized', '_full'];
const OLD_REF_CHOICES = ['optimized', 'full'];
/** Words of Azure's own addresses, which no organisation, project or repository can be called. */
const RESERVED = [GIT_MARK, '_apis', ...REF_CHOICES];
const DEFAULT_COLLECTION = 'defaultcollection';
/** The usual virtual directory of older servers, before which no collection can stand. */
const VIRTUAL_DIRECTORY = 'tfs';
/** Virtual directory, collection, project. */
const MOST_BEFORE_MARK = 3;

/**
 * Parses `path` (percent-encoded bytes as latin1, without git's suffix) on `host` (lower case, see parseHost).
 * A fault's text says what is wrong with the address.
 */
export function parseRepoAddress(kind: HostKind, host: string, path: string): ParsedAddress {
  const decoded = decodePath(path);
  if (decoded.kind === 'fault') return decoded;
  switch (kind) {
    case 'azure-services':
      return azureServices(host, path, decoded.names);
    case 'azure-server':
      return azureServer(host, path, decoded.names);
    case 'generic':
      return ok({ kind, host, names: [host, ...decoded.names], organisation: undefined, upstreamHost: host, path, mainPath: path });
  }
}

function azureServices(host: string, path: string, names: readonly string[]): ParsedAddress {
  const raw = path.slice(1).split('/');
  if (SSH_AZURE_HOSTS.includes(host)) return azureSsh(host, raw, names);
  const legacy = legacyOrganisation(host);
  if (legacy === undefined && host !== DEV_AZURE_HOST) return fault(`${host} is not a host of Azure DevOps Services`);
  let skip = 0;
  if (legacy === undefined) skip = 1;
  else if (caselessName(names[0] ?? '') === DEFAULT_COLLECTION) skip = 1;
  const organisation = legacy ?? names[0];
  const tail = gitTail(names.slice(skip), 1);
  if (organisation === undefined || tail === undefined || tail.before.length > 1) {
    return fault(`${names.join('/')} is not {organisation}/{project}/_git/{repository}`);
  }
  const repository = tail.repository;
  const project = tail.before[0] ?? repository;
  const odd = [organisation, project, repository].find(isOddAzureName);
  if (odd !== undefined) return fault(`${odd} is not a name that Azure DevOps allows`);
  const encodedOrganisation = legacy ?? raw[0] ?? '';
  const mainPath = `/${[encodedOrganisation, ...raw.slice(skip)].join('/')}`;
  return ok({
    kind: 'azure-services',
    host,
    names: [DEV_AZURE_HOST, organisation, project, repository],
    organisation,
    upstreamHost: host,
    path,
    mainPath,
    guids: guidPlace({ certain: [organisation], isCertain: true, project: tail.before[0], repository }),
  });
}

function azureSsh(host: string, raw: readonly string[], names: readonly string[]): ParsedAddress {
  const [version, organisation, project, repository] = names;
  if (
    caselessName(version ?? '') !== 'v3' ||
    organisation === undefined ||
    project === undefined ||
    repository === undefined ||
    names.length !== 4
  ) {
    return fault(`${names.join('/')} is not v3/{organisation}/{project}/{repository}`);
  }
  const odd = [organisation, project, repository].find(isOddAzureName);
  if (odd !== undefined) return fault(`${odd} is not a name that Azure DevOps allows`);
  const path = `/${raw[1] ?? ''}/${raw[2] ?? ''}/_git/${raw[3] ?? ''}`;
  return ok({
    kind: 'azure-services',
    host,
    names: [DEV_AZURE_HOST, organisation, project, repository],
    organisation,
    upstreamHost: DEV_AZURE_HOST,
    path,
    mainPath: path,
    guids: guidPlace({ certain: [organisation], isCertain: true, project, repository }),
  });
}

function azureServer(host: string, path: string, names: readonly string[]): ParsedAddress {
  const collectionDepth = caselessName(names[0] ?? '') === VIRTUAL_DIRECTORY ? 2 : 1;
  const tail = gitTail(names, collectionDepth + 1);
  if (tail === undefined || tail.before.length < collectionDepth || tail.before.length > MOST_BEFORE_MARK)
    return fault(`${names.join('/')} is not {collection}/{project}/_git/{repository}`);
  const odd = [...tail.before, tail.repository].find(isOddAzureName);
  if (odd !== undefined) return fault(`${odd} is not a name that Azure DevOps Server allows`);
  const project = tail.before.length <= collectionDepth ? [tail.repository] : [];
  const all = [host, ...tail.before, ...project, tail.repository];
  const guids = guidPlace({
    certain: tail.before.slice(0, collectionDepth),
    isCertain: collectionDepth > 1,
    above: tail.before.slice(collectionDepth, -1),
    project: tail.before.length > collectionDepth ? tail.before.at(-1) : undefined,
    repository: tail.repository,
  });
  return ok({ kind: 'azure-server', host, names: all, organisation: undefined, upstreamHost: host, path, mainPath: path, guids });
}

/**
 * What stands before `_git` and the one name after it, with the choice of refs taken out; undefined if not of that
 * form. `most` names can stand before `_git` in a plain address: one more is a choice of refs.
 */
function gitTail(names: readonly string[], most: number): { readonly before: readonly string[]; readonly repository: string } | undefined {
  const mark = names.findIndex((name) => caselessName(name) === GIT_MARK);
  if (mark < 0) return undefined;
  let after = names.slice(mark + 1);
  if (after.length === 2 && REF_CHOICES.includes(caselessName(after[0] ?? ''))) after = after.slice(1);
  let before = names.slice(0, mark);
  const last = before.at(-1);
  if (last !== undefined && before.length > most && OLD_REF_CHOICES.includes(caselessName(last))) before = before.slice(0, -1);
  const [repository] = after;
  if (after.length !== 1 || repository === undefined) return undefined;
  return { before, repository };
}

/** Names that a Windows server may read as another name (with a space at an end, or a dot at the last), and words that are none. */
export function isOddAzureName(name: string): boolean {
  return /^\s|[\s.]$/u.test(name.normalize('NFKC')) || RESERVED.includes(foldName(name));
}

function ok(parts: Omit<RepoAddress, 'canonical' | 'display'> & { readonly names: readonly string[] }): ParsedAddress {
  const { names, ...rest } = parts;
  const [host = '', ...below] = names;
  const canonical = [host, ...canonicalNames(parts.kind, host, below)];
  return { kind: 'address', address: { ...rest, canonical, display: names.join('/') } };
}

function fault(what: string): ParsedAddress {
  return { kind: 'fault', what };
}
