/**
 * What the REST API knows of organisations: projects, repositories and pull requests, with the names as they were written and the
 * GUIDs that are made of them. What is in a repository is on disk (repositories.ts) and not here.
 */
import { createHash } from 'node:crypto';
import { type Address, hostKind, repositoryName } from './addresses.js';

export interface Project {
  readonly id: string;
  readonly name: string;
  description: string;
  visibility: 'private' | 'public';
  state: 'wellFormed' | 'deleting';
}

export interface Repository {
  readonly id: string;
  readonly name: string;
  readonly project: Project;
  isDisabled: boolean;
  /** Canonical; see repositoryName(). */
  readonly canonical: string;
}

export interface PullRequest {
  readonly id: number;
  readonly repository: Repository;
  readonly createdAt: Date;
  title: string;
  description: string;
  status: 'active' | 'abandoned' | 'completed';
  readonly source: string;
  readonly target: string;
  readonly isDraft: boolean;
  readonly threads: { id: number; comments: string[] }[];
}

export interface Collection {
  readonly name: string;
  readonly projects: Project[];
  readonly repositories: Repository[];
  readonly pulls: PullRequest[];
}

/** A GUID that is always the same for the same words. */
export function guidOf(...words: readonly string[]): string {
  const hex = createHash('sha256').update(words.join('\n').toLowerCase()).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join('-');
}

export class RestCatalog {
  readonly #collections = new Map<string, Collection>();
  readonly #guids: Map<string, string>;

  /** @param guids told the names behind the GUIDs, for the addresses of git */
  constructor(guids: Map<string, string>) {
    this.#guids = guids;
  }

  /** The organisation or collection that an address is in; made at the first look. */
  of(address: Pick<Address, 'kind' | 'host' | 'organization'>): Collection {
    return this.#collection(address.kind === 'server' ? address.host : '', address.organization);
  }

  /** Notes a repository under any of the names that repositoryName() takes; nothing for one of a generic host. */
  add(name: string): Repository | undefined {
    const [first = '', ...more] = name.split('/').filter((part) => part !== '');
    switch (hostKind(first)) {
      case 'generic':
      case 'ntlm':
      case 'family':
        return undefined;
      case 'server':
        return this.#add(first, more.slice(1), name);
      case 'visualstudio':
        return this.#add('', [first.replace(/\.visualstudio\.com$/i, ''), ...more], name);
      case 'azure':
        return this.#add('', more, name);
      case undefined:
        return this.#add('', [first, ...more], name);
    }
  }

  /** Notes a project without a repository. */
  addProject(organization: string, name: string, host = ''): Project {
    const collection = this.#collection(host, organization);
    const known = find(collection.projects, name);
    if (known !== undefined) return known;
    const id = guidOf(host, organization, name);
    const project: Project = { id, name, description: '', visibility: 'private', state: 'wellFormed' };
    collection.projects.push(project);
    this.#guids.set(project.id, name);
    return project;
  }

  #add(host: string, [organization = '', project = '', leaf = project]: readonly string[], name: string): Repository {
    const collection = this.#collection(host, organization);
    const canonical = repositoryName(name);
    const known = collection.repositories.find((each) => each.canonical === canonical);
    if (known !== undefined) return known;
    const id = guidOf(host, organization, project, leaf);
    const repository: Repository = { id, name: leaf, project: this.addProject(organization, project, host), isDisabled: false, canonical };
    collection.repositories.push(repository);
    this.#guids.set(repository.id, leaf);
    return repository;
  }

  #collection(host: string, organization: string): Collection {
    const key = `${host}/${organization}`.toLowerCase();
    let collection = this.#collections.get(key);
    if (collection === undefined) {
      collection = { name: organization, projects: [], repositories: [], pulls: [] };
      this.#collections.set(key, collection);
    }
    return collection;
  }
}

/** The one with this name or GUID; letters count alike. */
export function find<Kind extends { readonly id: string; readonly name: string }>(all: readonly Kind[], wanted: string): Kind | undefined {
  const key = wanted.toLowerCase();
  return all.find(({ id, name }) => id === key || name.toLowerCase() === key);
}
