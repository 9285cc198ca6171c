/**
 * Package feeds of Azure Artifacts on pkgs.dev.azure.com: npm, NuGet (version 3), Python and Maven. Metadata names every package by an
 * absolute address on the real host, and the package itself is a redirect to storage.
 */
import type { Address } from './addresses.js';
import { azureHeaders } from './azure-answers.js';
import type { BlobStorage } from './blob-storage.js';
import { answerMaven } from './feed-maven.js';
import { answerNpm } from './feed-npm.js';
import { answerNuget } from './feed-nuget.js';
import { answerPypi } from './feed-pypi.js';
import type { Exchange } from './journal.js';
import { admitted, type Admission, type HostApi } from './rest-api.js';
import { areaOf, RestCall } from './rest-call.js';
import { find, guidOf, type RestCatalog } from './rest-catalog.js';

export type Protocol = 'npm' | 'nuget' | 'pypi' | 'maven';

/** One file that somebody can ask for. */
export interface FeedFile {
  readonly protocol: Protocol;
  /** Of the package; a path of directories for Maven. */
  readonly name: string;
  readonly version: string;
  readonly file: string;
  readonly bytes: Buffer;
}

export interface Feed {
  readonly id: string;
  readonly name: string;
  /** Name of the project; undefined for one of the organisation. */
  readonly project: string | undefined;
  readonly files: FeedFile[];
}

/** A request for a feed, the path behind the protocol's own beginning. */
export interface FeedCall {
  readonly call: RestCall;
  readonly feed: Feed;
  readonly rest: readonly string[];
  /** Address of the feed up to and including the protocol, no slash at the end; by names, or by GUIDs. */
  readonly base: string;
  readonly guidBase: string;
  /** Answers with the file itself or, as the service does, with where it is. */
  readonly give: (file: FeedFile | undefined) => Promise<void>;
}

export class Feeds implements HostApi {
  /** Status of the redirect to storage; undefined gives the bytes at once. */
  redirects: 302 | 303 | 307 | undefined = 303;
  /** Where storage says it is, when it is not where it says. */
  location: ((url: string) => string) | undefined;
  readonly #storage: BlobStorage;
  readonly #catalog: RestCatalog;
  readonly #feeds = new Map<string, Feed[]>();

  constructor(storage: BlobStorage, catalog: RestCatalog) {
    this.#storage = storage;
    this.#catalog = catalog;
  }

  /** Makes a feed, or gives the one that is there. */
  add(organization: string, name: string, project?: string): Feed {
    const all = this.of(organization);
    const known = all.find((feed) => feed.name.toLowerCase() === name.toLowerCase() && feed.project === project);
    if (known !== undefined) return known;
    if (project !== undefined) this.#catalog.addProject(organization, project);
    const feed: Feed = { id: guidOf(organization, project ?? '', name), name, project, files: [] };
    all.push(feed);
    return feed;
  }

  of(organization: string): Feed[] {
    const key = organization.toLowerCase();
    const all = this.#feeds.get(key) ?? [];
    this.#feeds.set(key, all);
    return all;
  }

  takes(address: Address): boolean {
    const area = areaOf(address);
    return address.kind === 'family' && (area === '_packaging' || (area === '_apis' && /\/_apis\/packaging\/feeds/i.test(address.base)));
  }

  async answer(exchange: Exchange, address: Address, admission: Admission): Promise<void> {
    const call = new RestCall(exchange, address, this.#catalog.of(address));
    if (admitted(call, admission) === undefined) return;
    if (call.path[0]?.toLowerCase() === '_apis') {
      this.#list(call);
      return;
    }
    const [, name = '', protocol = '', ...rest] = call.path;
    const feed = this.#feedOf(call, name);
    const answer = PROTOCOLS[protocol.toLowerCase()];
    if (feed === undefined) {
      call.error(404, `The feed with ID '${name}' doesn't exist.`, 'FeedIdNotFoundException');
    } else if (answer === undefined) {
      call.error(404, 'The resource cannot be found.', 'HttpException');
    } else {
      const base = (project: string | undefined, label: string): string =>
        `${call.base('pkgs')}${project === undefined ? '' : `${encodeURIComponent(project)}/`}_packaging/${label}/${protocol}`;
      const projectId = call.collection.projects.find((each) => each.name === feed.project)?.id;
      await answer({
        call,
        feed,
        rest,
        base: base(feed.project, encodeURIComponent(feed.name)),
        guidBase: base(projectId, feed.id),
        give: (file) => this.#give(call, feed, file),
      });
    }
  }

  /** `_apis/packaging/feeds[/{feed}]`. */
  #list(call: RestCall): void {
    const shape = (feed: Feed): object => {
      const project = call.collection.projects.find((each) => each.name === feed.project);
      const url = `${call.base('feeds')}${project === undefined ? '' : `${project.id}/`}_apis/Packaging/Feeds/${feed.id}`;
      const web = { href: `${call.base()}_packaging?feed=${feed.name}` };
      return {
        id: feed.id,
        name: feed.name,
        url,
        isEnabled: true,
        capabilities: 'defaultCapabilities',
        _links: { self: { href: url }, web },
      };
    };
    const name = call.path[3];
    const feed = name === undefined ? undefined : this.#feedOf(call, name);
    if (name === undefined) call.list(this.of(call.address.organization).map(shape));
    else if (feed !== undefined) call.json(shape(feed));
    else call.error(404, `The feed with ID '${name}' doesn't exist.`, 'FeedIdNotFoundException');
  }

  #feedOf(call: RestCall, name: string): Feed | undefined {
    const project = call.project === undefined ? undefined : find(call.collection.projects, call.project)?.name;
    if (call.project !== undefined && project === undefined) return undefined;
    return find(
      this.of(call.address.organization).filter((feed) => feed.project === project),
      name,
    );
  }

  async #give(call: RestCall, feed: Feed, file: FeedFile | undefined): Promise<void> {
    if (file === undefined) {
      call.error(404, `The package cannot be found in feed '${feed.name}'.`, 'PackageNotFoundException');
    } else if (this.redirects === undefined) {
      call.exchange.answer(200, { ...azureHeaders(), 'Content-Type': 'application/octet-stream' }, file.bytes);
    } else {
      const path = `${feed.id}/${file.protocol}/${file.name}/${file.file}`;
      await this.#storage.put(path, file.bytes);
      const url = this.#storage.href(path, 'r');
      call.exchange.answer(this.redirects, { ...azureHeaders(), Location: this.location?.(url) ?? url });
    }
  }
}

const PROTOCOLS: Readonly<Record<string, (call: FeedCall) => void | Promise<void>>> = {
  npm: answerNpm,
  nuget: answerNuget,
  pypi: answerPypi,
  maven: answerMaven,
};
