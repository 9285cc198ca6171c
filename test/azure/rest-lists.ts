/**
 * The lists of projects and repositories: `_apis/projects` (paged) and `_apis/git/repositories`, of an organisation or a collection,
 * in Azure's shapes. What is listed is what a test has put there; what is on disk is another matter.
 *
 * Source: Azure DevOps REST API 7.1, "Core - Projects - List" and "Git - Repositories - List".
 */
import { createHash } from 'node:crypto';
import type { Address } from './addresses.js';
import { answerHtml, azureHeaders, NOT_FOUND_PAGE, SIGN_IN_PAGE } from './azure-answers.js';
import type { Exchange } from './journal.js';

export interface ListedRepository {
  readonly project: string;
  readonly name: string;
  readonly isDisabled?: boolean;
  readonly defaultBranch?: string;
  readonly size?: number;
  /** As an on-premises server tells it; left out where SSH is off. */
  readonly sshUrl?: string;
}

/** What becomes of a request for a list instead of the list. */
export type ListFault =
  | { readonly kind: 'status'; readonly status: number; readonly message?: string; readonly headers?: Readonly<Record<string, string>> }
  /** A page, and what it is called. */
  | { readonly kind: 'page'; readonly title: string }
  | { readonly kind: 'sign-in-page' }
  | { readonly kind: 'redirect'; readonly location: string }
  | { readonly kind: 'body'; readonly body: string }
  /** Every page says that there is another one: a new one each time, or for ever the same. */
  | { readonly kind: 'endless'; readonly isSame: boolean }
  /** Nothing comes. */
  | { readonly kind: 'stall' };

const PATH = /^\/(?:([^/]+)\/)?_apis\/(projects|git\/repositories)$/i;

interface Collection {
  readonly projects: Set<string>;
  readonly repositories: ListedRepository[];
}

export class RestLists {
  /** Of requests whose path ends so: `projects`, `repositories`; met as often as it says. */
  readonly faults = new Map<'projects' | 'repositories', { readonly fault: ListFault; times: number }>();
  /** Entries of one page where a request does not say. */
  pageSize = 100;
  readonly #collections = new Map<string, Collection>();

  /** `account`: `contoso`, or `tfs.example.com/tfs/DefaultCollection`. */
  addProject(account: string, name: string): void {
    this.#collection(account).projects.add(name);
  }

  add(account: string, repository: ListedRepository): void {
    this.addProject(account, repository.project);
    this.#collection(account).repositories.push(repository);
  }

  clear(): void {
    this.#collections.clear();
    this.faults.clear();
    this.pageSize = 100;
  }

  /** Whether something was put here of what an address is in; everything else is the whole API's (rest-api.ts). */
  knows(address: Address): boolean {
    const account = accountOf(address);
    return account !== undefined && (this.#collections.has(account.name.toLowerCase()) || this.faults.size > 0);
  }

  /** Answers a request for a list; false when it is for something else. */
  answer(exchange: Exchange, address: Address): boolean {
    const account = accountOf(address);
    const { pathname, searchParams } = new URL(exchange.request.url ?? '/', 'https://localhost');
    const match = account === undefined ? null : PATH.exec(account.rest(pathname));
    const [, project, list = ''] = match ?? [];
    if (account === undefined || match === null || exchange.request.method !== 'GET') return false;
    const kind = list.toLowerCase() === 'projects' ? 'projects' : 'repositories';
    const fault = this.faults.get(kind);
    if (fault !== undefined && fault.times > 0) {
      fault.times -= 1;
      this.#spoil(exchange, fault.fault, searchParams);
      return true;
    }
    const { projects, repositories } = this.#collection(account.name);
    if (kind === 'projects') {
      this.#page(
        exchange,
        [...projects].map((name) => ({ id: guidOf(account.name, name), name, state: 'wellFormed', visibility: 'private' })),
        searchParams,
      );
      return true;
    }
    const wanted = project === undefined ? undefined : decodeURIComponent(project).toLowerCase();
    const isWanted = (name: string): boolean =>
      wanted === undefined || name.toLowerCase() === wanted || guidOf(account.name, name) === wanted;
    if (wanted !== undefined && ![...projects].some(isWanted)) {
      sendError(exchange, 404, `TF200016: The following project does not exist: ${decodeURIComponent(project ?? '')}.`);
      return true;
    }
    send(
      exchange,
      repositories.filter(({ project: name }) => isWanted(name)).map((each) => told(account, each)),
    );
    return true;
  }

  #page(exchange: Exchange, values: readonly object[], query: URLSearchParams): void {
    const top = Number(query.get('$top') ?? this.pageSize);
    const size = Math.min(top, this.pageSize);
    const from = Number(query.get('continuationToken') ?? query.get('$skip') ?? 0);
    const end = from + size;
    send(exchange, values.slice(from, end), end < values.length ? { 'x-ms-continuationtoken': String(end) } : {});
  }

  #spoil(exchange: Exchange, fault: ListFault, query: URLSearchParams): void {
    switch (fault.kind) {
      case 'status':
        if (fault.message === undefined) answerHtml(exchange, fault.status, NOT_FOUND_PAGE, fault.headers);
        else sendError(exchange, fault.status, fault.message, fault.headers);
        return;
      case 'page':
        answerHtml(exchange, 200, `<html><head><title>${fault.title}</title></head></html>`);
        return;
      case 'sign-in-page':
        answerHtml(exchange, 203, SIGN_IN_PAGE);
        return;
      case 'redirect':
        answerHtml(exchange, 302, '', { Location: fault.location });
        return;
      case 'body':
        exchange.answer(200, { ...azureHeaders(), 'Content-Type': 'application/json; charset=utf-8' }, fault.body);
        return;
      case 'endless': {
        const number = Number(query.get('continuationToken') ?? 0) + 1;
        const name = `p${fault.isSame ? 1 : number}`;
        send(exchange, [{ id: guidOf(name), name }], { 'x-ms-continuationtoken': String(fault.isSame ? 1 : number) });
        return;
      }
      case 'stall':
    }
  }

  #collection(account: string): Collection {
    const key = account.toLowerCase();
    const known = this.#collections.get(key) ?? { projects: new Set(), repositories: [] };
    this.#collections.set(key, known);
    return known;
  }
}

interface Account {
  readonly name: string;
  /** Its own address. */
  readonly base: string;
  readonly isServer: boolean;
  /** What of a path comes after it. */
  readonly rest: (path: string) => string;
}

function accountOf({ kind, host, organization }: Address): Account | undefined {
  const named = (path: string): string => (path.toLowerCase().startsWith(`/${host}/`) ? path.slice(host.length + 1) : path);
  const after = (path: string, parts: number): string => `/${named(path).split('/').slice(parts).join('/')}`;
  switch (kind) {
    case 'azure':
      return { name: organization, base: `https://dev.azure.com/${organization}`, isServer: false, rest: (path) => after(path, 2) };
    case 'visualstudio':
      return { name: organization, base: `https://${host}`, isServer: false, rest: named };
    case 'server':
      return {
        name: `${host}/tfs/${organization}`,
        base: `https://${host}/tfs/${organization}`,
        isServer: true,
        rest: (path) => after(path, 3),
      };
    case 'family':
    case 'generic':
    case 'ntlm':
      return undefined;
  }
}

function told({ name: account, base, isServer }: Account, repository: ListedRepository): object {
  const { project, name, isDisabled = false, defaultBranch, size = 0, sshUrl } = repository;
  const address = `${base}/${encodeURIComponent(project)}/_git/${encodeURIComponent(name)}`;
  const ssh = `git@ssh.dev.azure.com:v3/${[account, project, name].map(encodeURIComponent).join('/')}`;
  return {
    id: guidOf(account, project, name),
    name,
    url: `${base}/_apis/git/repositories/${guidOf(account, project, name)}`,
    project: { id: guidOf(account, project), name: project, state: 'wellFormed', visibility: 'private' },
    ...(defaultBranch === undefined ? {} : { defaultBranch }),
    size,
    remoteUrl: isServer ? address : address.replace('://', `://${account}@`),
    ...(isServer ? (sshUrl === undefined ? {} : { sshUrl }) : { sshUrl: ssh }),
    webUrl: address,
    isDisabled,
    isInMaintenance: false,
  };
}

/** A GUID that is always the same for the same words. */
export function guidOf(...words: readonly string[]): string {
  const hex = createHash('sha256').update(words.join('\n').toLowerCase()).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join('-');
}

function send(exchange: Exchange, value: readonly object[], headers: Readonly<Record<string, string>> = {}): void {
  exchange.answer(
    200,
    { ...azureHeaders(), 'Content-Type': 'application/json; charset=utf-8; api-version=7.1', ...headers },
    JSON.stringify({ count: value.length, value }),
  );
}

function sendError(exchange: Exchange, status: number, message: string, headers: Readonly<Record<string, string>> = {}): void {
  const typeKey = 'ProjectDoesNotExistWithNameException';
  const body = {
    $id: '1',
    innerException: null,
    message,
    typeName: `Microsoft.TeamFoundation.${typeKey}`,
    typeKey,
    errorCode: 0,
    eventId: 3000,
  };
  exchange.answer(status, { ...azureHeaders(), 'Content-Type': 'application/json; charset=utf-8', ...headers }, JSON.stringify(body));
}
