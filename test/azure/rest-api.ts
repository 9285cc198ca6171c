/**
 * The REST API of Azure DevOps as far as the tests need it, on every host that has one: location service, projects, repositories and
 * what is in them, pull requests. Who may come in is asked of the git hosts' rules; who may not is told as the service tells it.
 */
import type { OrganisationRules, Verdict } from './access.js';
import type { Address } from './addresses.js';
import { answerHtml, answerUnauthorized, claimsChallenge, resourceTenant, SIGN_IN_PAGE, signInLocation } from './azure-answers.js';
import type { Exchange } from './journal.js';
import type { Repositories } from './repositories.js';
import { areaOf, RestCall } from './rest-call.js';
import { find, RestCatalog, type Repository } from './rest-catalog.js';
import { answerCommits, answerItems, answerPush, answerRefs } from './rest-git.js';
import { answerRestFault, isBeforeAccess, type RestFault } from './rest-faults.js';
import { answerAreas, answerConnection, answerDefinitions, answerLocations } from './rest-locations.js';
import { answerPulls } from './rest-pulls.js';
import { projectShape, pullShape, repositoryShape } from './rest-shapes.js';

/** What a host tells of a request before its API sees it. */
export interface Admission {
  readonly verdict: Verdict;
  readonly tenant: string;
  readonly rules: OrganisationRules;
}

/** What answers for some of the addresses of the hosts. */
export interface HostApi {
  takes(address: Address): boolean;
  answer(exchange: Exchange, address: Address, admission: Admission): Promise<void>;
}

/** Calls that are of no repository, by method and area. */
type Call = (call: RestCall, user: string) => void | Promise<void>;

export class RestApi implements HostApi {
  readonly catalog: RestCatalog;
  /** Projects of one page where the client does not say; the service has 100. */
  pageSize = 100;
  readonly #repositories: Repositories;
  readonly #faults = new Map<string, { fault: RestFault; left: number }>();

  /** @param guids told the names behind GUIDs */
  constructor(repositories: Repositories, guids: Map<string, string>) {
    this.#repositories = repositories;
    this.catalog = new RestCatalog(guids);
  }

  /** Sets the fault of every call whose path from `_apis` on begins so, such as `git/repositories`; `*` is all. */
  setFault(area: string, fault: RestFault): void {
    this.#faults.set(area.toLowerCase(), { fault, left: fault.times ?? Infinity });
  }

  clearFaults(): void {
    this.#faults.clear();
  }

  takes(address: Address): boolean {
    return areaOf(address) === '_apis';
  }

  async answer(exchange: Exchange, address: Address, admission: Admission): Promise<void> {
    const call = new RestCall(exchange, address, this.catalog.of(address));
    const fault = this.#takeFault(call);
    if (fault !== undefined && isBeforeAccess(fault)) {
      answerRestFault(fault, call, admission.tenant);
      return;
    }
    const user = admitted(call, admission);
    if (user === undefined) return;
    if (fault !== undefined) {
      answerRestFault(fault, call, admission.tenant);
      return;
    }
    try {
      await this.#route(call, user);
    } catch (thrown) {
      if (!(thrown instanceof SyntaxError)) throw thrown;
      call.error(400, 'TF400898: The request body is not what this call takes.', 'VssRequestContentException');
    }
  }

  #takeFault(call: RestCall): RestFault | undefined {
    const area = call.path.slice(1).join('/').toLowerCase();
    for (const [prefix, entry] of this.#faults) {
      if ((prefix !== '*' && !area.startsWith(prefix)) || entry.left <= 0) continue;
      entry.left -= 1;
      return entry.fault;
    }
    return undefined;
  }

  async #route(call: RestCall, user: string): Promise<void> {
    const area = call.path[1]?.toLowerCase() ?? '';
    if (call.method === 'OPTIONS') answerLocations(call);
    else if (area === 'git' && call.path[2]?.toLowerCase() === 'repositories') await this.#repository(call);
    else if (area === 'git' && call.path[2]?.toLowerCase() === 'pullrequests') await this.#pull(call);
    else await (this.#calls[area] ?? notFound)(call, user);
  }

  readonly #calls: Readonly<Record<string, Call>> = {
    resourceareas: answerAreas,
    connectiondata: answerConnection,
    servicedefinitions: answerDefinitions,
    projects: (call) => this.#projects(call),
  };

  #projects(call: RestCall): void {
    const { projects } = call.collection;
    const wanted = call.path[2];
    if (wanted !== undefined) {
      const project = find(projects, wanted);
      if (project === undefined) noProject(call, wanted);
      else call.json(projectShape(call, project));
      return;
    }
    const { query } = call;
    const start = Number(query.get('continuationToken') ?? query.get('$skip') ?? 0);
    const end = start + Number(query.get('$top') ?? this.pageSize);
    const page = projects.slice(start, end).map((project) => projectShape(call, project));
    call.list(page, end < projects.length ? { 'x-ms-continuationtoken': String(end) } : {});
  }

  async #repository(call: RestCall): Promise<void> {
    const { repositories, projects } = call.collection;
    if (call.project !== undefined && find(projects, call.project) === undefined) {
      noProject(call, call.project);
      return;
    }
    const id = call.project === undefined ? undefined : find(projects, call.project)?.id;
    const mine = id === undefined ? repositories : repositories.filter(({ project }) => project.id === id);
    const name = call.path[3];
    if (name === undefined) {
      call.list(mine.map((repository) => repositoryShape(call, repository)));
      return;
    }
    const repository = find(mine, name);
    if (repository === undefined) {
      const text = `TF401019: The Git repository with name or identifier ${name} does not exist or you do not have permissions for the operation you are attempting.`;
      call.error(404, text, 'GitRepositoryNotFoundException');
      return;
    }
    await this.#part(call, repository, (call.path[4] ?? '').toLowerCase());
  }

  async #part(call: RestCall, repository: Repository, part: string): Promise<void> {
    const path = this.#repositories.path(repository.canonical);
    switch (part) {
      case '':
        call.json(repositoryShape(call, repository, true));
        return;
      case 'refs':
        await answerRefs(call, path, repository);
        return;
      case 'items':
        await answerItems(call, path, repository);
        return;
      case 'commits':
        await answerCommits(call, path, repository);
        return;
      case 'pushes':
        if (call.method === 'POST') await answerPush(call, path, repository);
        else call.list([]);
        return;
      case 'pullrequests':
        await answerPulls(call, path, repository, call.path.slice(5));
        return;
      default:
        notFound(call);
    }
  }

  /** A pull request by its number alone, or all of the organisation. */
  async #pull(call: RestCall): Promise<void> {
    const number = call.path[3];
    const pull = call.collection.pulls.find(({ id }) => id === Number(number));
    if (pull !== undefined)
      await answerPulls(call, this.#repositories.path(pull.repository.canonical), pull.repository, call.path.slice(3));
    else if (number === undefined) call.list(call.collection.pulls.map((each) => pullShape(call, each, {})));
    else call.error(404, 'TF401180: The requested pull request was not found.', 'GitPullRequestNotFoundException');
  }
}

/** Who was let in; a request of nobody has been answered, by a redirect to the sign-in page unless the client asks for none. */
export function admitted(call: RestCall, { verdict, tenant, rules }: Admission): string | undefined {
  const { exchange, address } = call;
  if (verdict.kind === 'passed') {
    exchange.entry.user = verdict.user;
    return verdict.user;
  }
  exchange.entry.refusedFor = verdict.reason;
  if (verdict.reason === 'not-a-member') {
    call.error(403, "TF400813: The user 'aaaa' is not authorized to access this resource.", 'UnauthorizedRequestException');
  } else if (verdict.reason === 'expired-pat') {
    call.error(401, 'Access Denied: The Personal Access Token used has expired.', 'AccessCheckException');
  } else if (call.exchange.request.headers['x-tfs-fedauthredirect']?.toString().toLowerCase() === 'suppress' || address.kind === 'server') {
    answerUnauthorized(
      exchange,
      address,
      tenant,
      verdict.reason === 'claims-required' ? claimsChallenge(tenant, rules.demand) : undefined,
      rules,
    );
  } else {
    answerHtml(exchange, 302, SIGN_IN_PAGE, { Location: signInLocation(exchange, address), ...resourceTenant(tenant, rules) });
  }
  return undefined;
}

function noProject(call: RestCall, name: string): void {
  const text = `TF200016: The following project does not exist: ${name}. Verify that the name of the project is correct and that the project exists on the specified Azure DevOps Server.`;
  call.error(404, text, 'ProjectDoesNotExistWithNameException');
}

function notFound(call: RestCall): void {
  call.error(
    404,
    `The controller for path '${call.exchange.request.url ?? ''}' was not found or does not implement IController.`,
    'HttpException',
  );
}
