/**
 * Addresses in which a project or a repository is named by its GUID: how its names are asked for, and what the address is when they are
 * known.
 *
 * Source: Azure DevOps REST API 7.1, "Git - Repositories - Get Repository", "Core - Projects - Get".
 */
import type { GuidPlace, RepoAddress } from '../model/address.js';
import { caselessName } from '../model/fold.js';
import { isGuidLike } from '../model/guid.js';
import { canonicalNames } from '../model/route-pattern.js';

/** The names of an address, decoded, as far as they are known. */
export interface NamedPlace {
  /** Organisation or collection, with the virtual directory before it that every server calls the same. */
  readonly certain: readonly string[];
  /** False where the first of them may be a virtual directory, and what comes next the collection. */
  readonly isCertain: boolean;
  /** A collection below such a directory. */
  readonly above?: readonly string[];
  readonly project: string | undefined;
  readonly repository: string | undefined;
}

export interface FoundNames {
  readonly project: string;
  /** Undefined where a project was asked for. */
  readonly repository: string | undefined;
}

/** Where the GUIDs of an address are; undefined when none of its names can be one. */
export function guidPlace({ certain, isCertain, above = [], project, repository }: NamedPlace): GuidPlace | undefined {
  if (![project, repository].some((name) => name !== undefined && isGuidLike(name))) return undefined;
  const before = [...certain, ...above];
  const pathOf = (names: readonly string[]): string => names.map((name) => `/${encodeURIComponent(name)}`).join('');
  const ask =
    repository === undefined
      ? `${pathOf(before)}/_apis/projects${pathOf([project ?? ''])}`
      : `${pathOf(project === undefined ? before : [...before, project])}/_apis/git/repositories${pathOf([repository])}`;
  const shortest = 1 + certain.length + (repository === undefined ? 1 : 2);
  return {
    certain: 1 + certain.length,
    lengths: isCertain ? [shortest] : [shortest, shortest + 1],
    of: repository === undefined ? 'project' : 'repository',
    ask,
  };
}

/** The address with the names that its GUIDs stand for. */
export function withNames(address: RepoAddress, { project, repository }: FoundNames): RepoAddress {
  const { guids, kind, display } = address;
  if (guids === undefined) return address;
  // No name has a slash in it.
  const names = display.split('/');
  const middle = names.slice(guids.certain, repository === undefined ? undefined : -1);
  const last = middle.at(-1);
  const isProject =
    guids.lengths.length === 1 ||
    last === undefined ||
    middle.length > 1 ||
    isGuidLike(last) ||
    last === '*' ||
    caselessName(last) === caselessName(project);
  // What was taken for a project is a collection below a virtual directory, when the repository is in another project.
  const above = isProject ? middle.slice(0, -1) : middle;
  const isLong = guids.lengths.length > 1;
  const found = [...names.slice(0, guids.certain), ...(isLong ? above : []), project, ...(repository === undefined ? [] : [repository])];
  const [host = '', ...below] = found;
  return {
    ...address,
    canonical: [host, ...canonicalNames(kind, host, below)],
    display: found.join('/'),
    guids: undefined,
    byGuid: address.canonical,
  };
}
