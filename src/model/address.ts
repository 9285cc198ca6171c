/**
 * The address of a repository as policy sees it: parsed by its host's own grammar, names decoded once and compared without
 * regard to case, so that the spellings of one repository are one value. The bytes that go upstream are kept apart.
 */

/** Which grammar and which failure texts a host has. */
export type HostKind = 'azure-services' | 'azure-server' | 'generic';

export const HOST_KINDS: readonly HostKind[] = ['azure-services', 'azure-server', 'generic'];

export interface RepoAddress {
  readonly kind: HostKind;
  /** Host as the client named it, lower case, with `:port` if one was named. */
  readonly host: string;
  /**
   * The whole repository as parts to compare, decoded, in the narrow form of model/fold.ts (canonicalNames). For azure-services it begins with
   * `dev.azure.com` and the organisation whatever host was named: [dev.azure.com, org, project, repository].
   * For azure-server: [host, ...virtual directory and collection, project, repository]. For generic: [host, ...path], the
   * last part without `.git`, and names in the caller's own case unless the host is known to ignore it.
   */
  readonly canonical: readonly string[];
  /** What a person reads: the canonical parts with a slash between, names in the caller's own case. */
  readonly display: string;
  /** Organisation (azure-services), in the caller's own case. */
  readonly organisation: string | undefined;
  /** Host to dial when the route maps nothing: `host`, but the HTTPS host for an SSH host's name. */
  readonly upstreamHost: string;
  /** Path upstream, percent-encoded as the client sent it, up to but not including git's own suffix; begins with `/`. */
  readonly path: string;
  /**
   * The same repository in its host's main form: differs from `path` for azure-services, where it is
   * `/{org}/{project}/_git/{repo}` on dev.azure.com. Used when a route maps the host to another upstream.
   */
  readonly mainPath: string;
  /** Set where a name in the address may be a GUID: then `canonical` does not tell which repository it is. */
  readonly guids?: GuidPlace | undefined;
  /** `canonical` as it was spelled with GUIDs, where their names have been put into it. */
  readonly byGuid?: readonly string[] | undefined;
}

/** Where a project or a repository is named by what may be a GUID, and how its names are found. */
export interface GuidPlace {
  /** How many parts of `canonical` are certain all the same, the host first. */
  readonly certain: number;
  /** Parts that the address can have in all when its names are known, the host among them. */
  readonly lengths: readonly number[];
  readonly of: 'project' | 'repository';
  /** Path of the call of the REST API that tells the names, percent-encoded, in the main form of the host. */
  readonly ask: string;
}
