/**
 * Lists projects and repositories for whoever may use the admin socket, with the addresses to clone them by. Each call leaves an event
 * in the log, not in the audit: that has one record for each operation on a repository, and this is none.
 */
import type { RouteTable } from '../gate/route-table.js';
import { type AccountAddress, repositoryIn } from '../hosts/account-address.js';
import { messageOf, ProxyError } from '../model/errors.js';
import type { Logger } from '../model/ports.js';
import type { Listing, ProjectFacts, ReposApi, RepositoryFacts } from '../upstream/repos-api.js';
import { reposAsk, type ReposRoads, type ReposWish } from './repos-roads.js';

export interface ListedRepository {
  readonly name: string;
  readonly id: string;
  /** Addresses as git clone takes them; undefined when the name can be in none, or its host tells no SSH address. */
  readonly https: string | undefined;
  readonly ssh: string | undefined;
  readonly defaultBranch: string | undefined;
  readonly sizeBytes: number | undefined;
  readonly isDisabled: boolean;
  readonly isFork: boolean;
  /** `match` of the route by which it can be fetched; undefined when there is none. */
  readonly route: string | undefined;
}

export interface ListedProject {
  readonly name: string;
  readonly id: string;
  readonly repositories: readonly ListedRepository[];
}

export interface RepositoryList {
  /** As a person reads it: `contoso`, `tfs.example.com/tfs/DefaultCollection`. */
  readonly organization: string;
  /** Who asked. */
  readonly identity: string;
  /** By name. */
  readonly projects: readonly ListedProject[];
  /** How many repositories no route leads to, and are not told of to who shares the daemon with others. */
  readonly leftOut: number;
  /** Why projects without repositories are not among them; undefined when they are. */
  readonly projectsUntold: string | undefined;
}

export interface ReposDeskParts extends ReposRoads {
  readonly api: Pick<ReposApi, 'list'>;
  readonly logger: Logger;
}

export class ReposDesk {
  readonly #parts: ReposDeskParts;

  constructor(parts: ReposDeskParts) {
    this.#parts = parts;
  }

  /**
   * @param isShared others than the owner of the daemon may ask: what no route lets them fetch is left out, projects without
   *   repositories too
   * @throws ProxyError `usage`, and what ReposApi throws
   */
  async list(wish: ReposWish, { isShared }: { readonly isShared: boolean }): Promise<RepositoryList> {
    const { api, routes, logger } = this.#parts;
    try {
      const ask = reposAsk(this.#parts, wish);
      const { account, identity } = ask;
      const listing = await api.list(ask);
      const projects = projectsOf(account, listing, routes).map((project) =>
        isShared ? { ...project, repositories: project.repositories.filter(({ route }) => route !== undefined) } : project,
      );
      const told = isShared ? projects.filter(({ repositories }) => repositories.length > 0) : projects;
      const count = told.reduce((sum, { repositories }) => sum + repositories.length, 0);
      logger.log('info', 'repos-listed', { organization: account.display, identity, projects: told.length, count });
      return {
        organization: account.display,
        identity,
        projects: told,
        leftOut: listing.repositories.length - count,
        projectsUntold: isShared ? undefined : listing.projectsUntold,
      };
    } catch (thrown) {
      const code = thrown instanceof ProxyError ? thrown.code : 'internal';
      logger.log('warn', 'repos-refused', { code, what: messageOf(thrown) });
      throw thrown;
    }
  }
}

/** By name, those without a repository too. */
function projectsOf(account: AccountAddress, { repositories, projects = [] }: Listing, routes: RouteTable): ListedProject[] {
  const all = new Map<string, { readonly facts: ProjectFacts; readonly repositories: ListedRepository[] }>();
  for (const facts of projects) all.set(facts.id, { facts, repositories: [] });
  for (const each of repositories) {
    const known = all.get(each.project.id) ?? { facts: each.project, repositories: [] };
    all.set(each.project.id, known);
    known.repositories.push(listed(account, each, routes));
  }
  return [...all.values()].map(({ facts: { id, name }, repositories: own }) => ({ name, id, repositories: own.sort(byName) })).sort(byName);
}

function listed(account: AccountAddress, facts: RepositoryFacts, routes: RouteTable): ListedRepository {
  const { id, name, project, defaultBranch, sizeBytes, isDisabled, isFork } = facts;
  const parsed = repositoryIn(account, project.name, name);
  const address = parsed.kind === 'address' ? parsed.address : undefined;
  const route = address === undefined ? undefined : routes.find(address);
  return {
    name,
    id,
    https: address && `https://${address.host}${address.path}`,
    ssh: address && sshAddress(account, facts),
    defaultBranch,
    sizeBytes,
    isDisabled,
    isFork,
    route: route?.allow.includes('fetch') === true ? route.match : undefined,
  };
}

/**
 * Azure's own form is made here; a server's port and path are its own affair, so what it tells is taken if it leads to that server.
 */
function sshAddress({ kind, host, names }: AccountAddress, { name, project, sshUrl }: RepositoryFacts): string | undefined {
  if (kind === 'azure-services') return `git@ssh.dev.azure.com:v3/${[...names, project.name, name].map(encodeURIComponent).join('/')}`;
  const url = sshUrl !== undefined && URL.canParse(sshUrl) ? new URL(sshUrl) : undefined;
  const isThere = url?.protocol === 'ssh:' && url.hostname.toLowerCase() === host.replace(/:[0-9]+$/, '');
  return isThere && url.password === '' && SSH_USER.test(url.username) ? url.href : undefined;
}

/** Nothing that ssh could take for an option. */
const SSH_USER = /^(?:[\w.][\w.-]*)?$/;

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name.localeCompare(b.name, 'en') || (a.name < b.name ? -1 : 1);
}
