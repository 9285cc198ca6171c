/**
 * The API that lists projects and repositories of an organisation or a collection, asked by the road of a route.
 *
 * Source: Azure DevOps REST API 7.1, "Core - Projects - List", "Git - Repositories - List"; the same in 5.0, which Azure DevOps
 * Server 2019 and later have. What is left out of a page is named by the header `x-ms-continuationtoken`; servers without it count
 * (`$skip`).
 */
import type { AccountAddress } from '../hosts/account-address.js';
import { isSignInPage } from '../hosts/failure.js';
import { ProxyError } from '../model/errors.js';
import { printableLine } from '../model/printable.js';
import type { Clock } from '../model/ports.js';
import type { Route } from '../model/settings.js';
import { asMap, type Json, type OwnAnswer, type OwnRequests } from './own-requests.js';

const API_VERSIONS = { 'azure-services': '7.1', 'azure-server': '5.0' } as const;
/** Projects of one page: as many as are given to who does not ask, so that a server that does not listen is not taken for done. */
const PAGE = 100;
/** Pages of one list: ten times the projects that an organisation can have, and the end of an upstream that never comes to one. */
const MOST_PAGES = 100;
/** Longest page that is read: a repository takes about a kilobyte, and all of an organisation's come at once. */
const LONGEST_PAGE_BYTES = 32 * 1024 * 1024;
/** Longest time for a whole list; below that for which the command line waits. */
export const LONGEST_MS = 120_000;
/** Longest host that is quoted. */
const LONGEST_HOST = 200;

/** Who asks, of what, and by which road. */
export interface ReposAsk {
  readonly identity: string;
  readonly account: AccountAddress;
  readonly route: Route;
  /** Name or GUID of the one that is wanted; undefined for all. */
  readonly project: string | undefined;
}

export interface ProjectFacts {
  readonly id: string;
  readonly name: string;
}

export interface RepositoryFacts {
  readonly id: string;
  readonly name: string;
  readonly project: ProjectFacts;
  /** Without `refs/heads/`; undefined when it has no branch yet. */
  readonly defaultBranch: string | undefined;
  readonly sizeBytes: number | undefined;
  /** It is there, and nobody can fetch it. */
  readonly isDisabled: boolean;
  readonly isFork: boolean;
  /** As the upstream tells it, unchecked. */
  readonly sshUrl: string | undefined;
}

export interface Listing {
  readonly repositories: readonly RepositoryFacts[];
  /** Those without repositories too; undefined when one project was asked for, or they were not told. */
  readonly projects: readonly ProjectFacts[] | undefined;
  /** Why projects were not told. */
  readonly projectsUntold: string | undefined;
}

export class ReposApi {
  readonly #requests: OwnRequests;
  readonly #clock: Clock;

  constructor(requests: OwnRequests, clock: Clock) {
    this.#requests = requests;
    this.#clock = clock;
  }

  /**
   * Everything that the identity may see. Projects may be forbidden to a token that may see repositories (a scope of their own): they
   * are then left out, which is told.
   * @throws ProxyError what OwnRequests throws, `upstream-timeout` when it all takes too long, `redirect-elsewhere`, and `upstream-*`
   *   for what the upstream says no with
   */
  async list(ask: ReposAsk): Promise<Listing> {
    const over = new AbortController();
    const cancel = this.#clock.after(LONGEST_MS, () => over.abort(tooSlow(ask)));
    try {
      const repositories = await this.#all(ask, 'git/repositories', over.signal, readRepository);
      if (ask.project !== undefined) return { repositories, projects: undefined, projectsUntold: undefined };
      try {
        return { repositories, projects: await this.#all(ask, 'projects', over.signal, readProject), projectsUntold: undefined };
      } catch (thrown) {
        const isForbidden = thrown instanceof ProxyError && /^upstream-(?:unauthenticated|forbidden)$/.test(thrown.code);
        if (!isForbidden) throw thrown;
        return { repositories, projects: undefined, projectsUntold: thrown.message };
      }
    } finally {
      cancel();
    }
  }

  /** A whole list, page by page. An entry that comes twice, because the list changed meanwhile, is one. */
  async #all<Entry extends { readonly id: string }>(
    ask: ReposAsk,
    list: 'projects' | 'git/repositories',
    over: AbortSignal,
    read: (raw: Json) => Entry | undefined,
  ): Promise<Entry[]> {
    const found = new Map<string, Entry>();
    const { identity, route, account } = ask;
    const place = { identity, route, hostKind: account.kind, organisation: account.organisation };
    let from: Readonly<Record<string, string>> = {};
    for (let page = 0; page < MOST_PAGES; page++) {
      const url = urlOf(ask, list, from);
      const answer = await this.#requests.ask(place, { method: 'GET', url, longestBytes: LONGEST_PAGE_BYTES, over });
      const entries = entriesOf(ask, list, answer);
      const before = found.size;
      for (const each of entries) {
        const entry = read(each);
        if (entry === undefined) throw notTheApi(ask, list, answer);
        found.set(entry.id, entry);
      }
      const next = answer.header('x-ms-continuationtoken') ?? '';
      if (next !== '') {
        if (next === from['continuationToken']) throw endless(ask, list);
        from = { continuationToken: next };
      } else if (list === 'projects' && entries.length >= PAGE && found.size > before) from = { $skip: String((page + 1) * PAGE) };
      else return [...found.values()];
    }
    throw endless(ask, list);
  }
}

function urlOf({ account, route, project }: ReposAsk, list: string, from: Readonly<Record<string, string>>): URL {
  const base = (route.upstream?.href ?? `https://${account.host}`).replace(/\/$/, '');
  const below = project === undefined ? '' : `/${encodeURIComponent(project)}`;
  const url = new URL(`${base}${account.path}${below}/_apis/${list}`);
  const size = list === 'projects' ? { $top: String(PAGE) } : {};
  for (const [name, value] of Object.entries({ ...size, ...from, 'api-version': API_VERSIONS[account.kind] }))
    url.searchParams.set(name, value);
  return url;
}

/** @throws ProxyError for every answer that is no list */
function entriesOf(ask: ReposAsk, list: string, answer: OwnAnswer): readonly Json[] {
  const value = answer.status === 200 ? asMap(answer.json)?.['value'] : undefined;
  if (Array.isArray(value)) {
    const entries = value.map(asMap);
    if (entries.every((each) => each !== undefined)) return entries;
  }
  throw refused(ask, list, answer);
}

function refused(ask: ReposAsk, list: string, answer: OwnAnswer): ProxyError {
  const { account, route, identity } = ask;
  const { status } = answer;
  const host = hostOf(ask);
  const isSignIn = isSignInPage(answer);
  if (!isSignIn && status >= 300 && status < 400) {
    const to = printableLine(targetOf(answer.header('location'), urlOf(ask, list, {})), LONGEST_HOST);
    return new ProxyError('redirect-elsewhere', `${host} redirects the question to ${to}, which is not followed`, {
      todo: `check the name ${account.display}; if it has moved, ask for it by its new name`,
    });
  }
  if (!isSignIn && status >= 200 && status < 300) return notTheApi(ask, list, answer);
  const failure = answer.failure();
  const isMissing = failure.code === 'upstream-not-found' && !/\b(?:TF|VS)[0-9]{5,7}\b/.test(failure.upstreamText ?? '');
  const { what, todo } = isMissing ? missing(ask, status) : failure;
  const wait = failure.retryAfterSeconds;
  return new ProxyError(
    failure.code,
    isSignIn ? `${host} answered with its sign-in page instead of a list` : `${what}, asked for the ${nameOf(list)} of ${account.display}`,
    {
      todo: failure.code === 'upstream-throttled' && wait !== undefined ? `try again in ${Math.ceil(wait)} s` : todo,
      details: [
        ...(failure.upstreamText ?? '').split('\n').flatMap((line) => (line === '' ? [] : [`upstream said: ${line}`])),
        [
          `route ${route.match}, identity ${identity}, upstream status ${status}`,
          ...(failure.activityId === undefined ? [] : [`ActivityId ${failure.activityId}`]),
        ].join(', '),
      ],
    },
  );
}

function missing({ account, route, project }: ReposAsk, status: number): { readonly what: string; readonly todo: string } {
  const thing = account.kind === 'azure-services' ? 'organisation' : 'collection';
  const which = project === undefined ? thing : `${thing} or project`;
  return {
    what: `There is no such ${which}, or this identity may not see it (${status})`,
    todo:
      route.upstream === undefined || account.kind === 'azure-server'
        ? `check the name of the ${which}, and that the identity has been added to it`
        : `check the name of the ${which}; the \`upstream\` of its route has to pass ${account.path}/_apis on to https://${account.host}`,
  };
}

function notTheApi(ask: ReposAsk, list: string, { status, header }: OwnAnswer): ProxyError {
  const type = printableLine(header('content-type') ?? '', LONGEST_HOST) || 'no content type';
  return new ProxyError('upstream-error', `${hostOf(ask)} answered with no list of ${nameOf(list)} (status ${status}, ${type})`, {
    todo: 'check the address, `upstream` of the route, and whether something between here and it (a proxy, a portal) answers in its place',
    details: [`route ${ask.route.match}, identity ${ask.identity}`],
  });
}

function endless(ask: ReposAsk, list: string): ProxyError {
  return new ProxyError('upstream-error', `${hostOf(ask)} gives the list of ${nameOf(list)} page by page and comes to no end`, {
    todo: 'ask for one project (`--project`); if it stays, see what answers there in the place of Azure DevOps',
  });
}

function tooSlow(ask: ReposAsk): ProxyError {
  return new ProxyError('upstream-timeout', `${hostOf(ask)} did not give the whole list within ${LONGEST_MS / 1000} s`, {
    todo: 'ask for one project (`--project`), or try again later',
  });
}

function hostOf({ account, route }: ReposAsk): string {
  return route.upstream?.host ?? account.host;
}

function nameOf(list: string): string {
  return list === 'projects' ? 'projects' : 'repositories';
}

/** Where a redirect leads, as far as a person wants to know. */
function targetOf(location: string | undefined, from: URL): string {
  const url = location !== undefined && URL.canParse(location, from.href) ? new URL(location, from.href) : undefined;
  if (url === undefined) return 'nowhere that can be read';
  return url.origin === from.origin ? url.pathname : url.origin;
}

function readProject(raw: Json): ProjectFacts | undefined {
  const { id, name } = raw;
  return typeof id === 'string' && typeof name === 'string' && name !== '' ? { id, name } : undefined;
}

function readRepository(raw: Json): RepositoryFacts | undefined {
  const { id, name, defaultBranch, size, isDisabled, isFork, sshUrl } = raw;
  const project = readProject(asMap(raw['project']) ?? {});
  if (typeof id !== 'string' || typeof name !== 'string' || name === '' || project === undefined) return undefined;
  return {
    id,
    name,
    project,
    defaultBranch: typeof defaultBranch === 'string' ? defaultBranch.replace(/^refs\/heads\//, '') : undefined,
    sizeBytes: typeof size === 'number' ? size : undefined,
    isDisabled: isDisabled === true,
    isFork: isFork === true,
    sshUrl: typeof sshUrl === 'string' ? sshUrl : undefined,
  };
}
