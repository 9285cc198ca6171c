/**
 * Which tenant an organisation of Azure DevOps Services belongs to, for identities that name none: asked of the upstream once, without
 * any credential, and remembered. Only the id of a tenant is taken from the answer; where tokens come from is never the upstream's say.
 *
 * Source: Azure DevOps answers every request with `X-VSS-ResourceTenant`, and one without a credential also with
 * `WWW-Authenticate: Bearer authorization_uri=https://{authority}/{tenant}`. The empty id is an organisation of personal accounts.
 */
import type { IncomingMessage } from 'node:http';
import type { Credential } from '../model/credential.js';
import { messageOf } from '../model/errors.js';
import { legacyOrganisation } from '../model/host-name.js';
import type { Clock, Logger } from '../model/ports.js';
import { CallerGone } from '../model/send-faults.js';
import type { Route } from '../model/settings.js';
import { ANY_TENANT, readTenantId } from '../model/tenant.js';
import { claimsOf } from './authorization.js';
import { bearerChallenges } from './challenges.js';
import type { UpstreamConnections } from './connections.js';
import { discard, headerOf } from './git-answer.js';
import { sendGitRequest } from './git-request.js';
import type { Journey } from './journey.js';

/** An organisation changes its tenant once in years, and then a refused token has it asked for anew. */
const KEEP_MS = 24 * 60 * 60 * 1000;
/** What did not tell is asked again after this: long enough for a burst of requests, short enough for someone who mends it. */
const MISS_MS = 10_000;
/** Whoever waits for it sees nothing of git yet; an upstream that takes longer will say so in its answer to git. */
const WAIT_MS = 10_000;
/** Organisations that are remembered: a caller may think up any name. */
const MOST_ORGANISATIONS = 1_000;
/** Name of the connection that carries no identity. */
const NOBODY = 'none';

/** An organisation at an upstream. */
export interface OrganisationPlace {
  /** Scheme, host and port of the upstream. */
  readonly origin: URL;
  /** Path of the organisation there, percent-encoded. */
  readonly path: string;
  /** Its name as it is compared. */
  readonly organisation: string;
  /** Trust and outgoing proxy on the way. */
  readonly route: Route;
}

/** What is known of the tenant of an organisation. */
export interface TenantState {
  /** Host of the upstream. */
  readonly upstream: string;
  readonly organisation: string;
  /** An id, or `organizations` where it belongs to none. */
  readonly tenant: string;
  readonly foundAt: Date;
}

/** A token of another tenant than the organisation it was sent to: right for a guest, and else the cause of what fails. */
export interface TenantDifference {
  readonly identity: string;
  readonly organisation: string;
  /** Tenant of the token, and of the organisation: ids. */
  readonly tokenTenant: string;
  readonly organisationTenant: string;
}

interface Finding extends Omit<TenantState, 'tenant'> {
  /** Undefined when it was not told. */
  readonly tenant: string | undefined;
}

/** What outlasts a change of the configuration. */
interface Book {
  readonly findings: Map<string, Finding>;
  readonly differences: Map<string, TenantDifference>;
}

export class Tenants {
  readonly #connections: UpstreamConnections;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #book: Book;
  readonly #flights = new Map<string, Promise<string | undefined>>();

  /** `previous`: one that this one takes the place of; what it found stays known, what it did not find is asked for anew. */
  constructor(options: { connections: UpstreamConnections; clock: Clock; logger: Logger; previous?: Tenants | undefined }) {
    this.#connections = options.connections;
    this.#clock = options.clock;
    this.#logger = options.logger;
    const { previous } = options;
    this.#book = previous === undefined ? { findings: new Map(), differences: new Map() } : previous.#book;
    for (const [key, { tenant }] of this.#book.findings) if (tenant === undefined) this.#book.findings.delete(key);
  }

  /**
   * Tenant of an organisation: an id, or `organizations`; undefined when the upstream does not tell, which is logged. Callers that come
   * while it is being asked share that one request. Never rejects.
   */
  async tenantOf(place: OrganisationPlace): Promise<string | undefined> {
    const key = keyOf(place);
    const known = this.#book.findings.get(key);
    if (known !== undefined && this.#isFresh(known)) return known.tenant;
    const flight = this.#flights.get(key) ?? this.#ask(key, place).finally(() => this.#flights.delete(key));
    this.#flights.set(key, flight);
    return flight;
  }

  /** Says that what is known of an organisation did not help: it is asked for anew when it is next needed. */
  forget(place: OrganisationPlace): void {
    this.#book.findings.delete(keyOf(place));
  }

  /** Compares the tenant that an answer names with that of the token that was sent, and warns once of each difference. */
  compare({ route, operation }: Pick<Journey, 'route' | 'operation'>, credential: Credential, answer: IncomingMessage): void {
    const { address } = operation;
    if (address.kind !== 'azure-services' || credential.kind !== 'bearer') return;
    const organisationTenant = tenantInHeader(headerOf(answer)('x-vss-resourcetenant'));
    // An organisation of personal accounts takes tokens of any tenant.
    if (organisationTenant === undefined || organisationTenant === ANY_TENANT) return;
    const tokenTenant = readTenantId(claimsOf(credential)?.tenant ?? '');
    if (tokenTenant === undefined) return;
    const { differences } = this.#book;
    const organisation = address.canonical[1] ?? '';
    const key = `${route.identity} ${organisation}`;
    if (tokenTenant === organisationTenant) {
      differences.delete(key);
      return;
    }
    const known = differences.get(key);
    if (known?.tokenTenant === tokenTenant && known.organisationTenant === organisationTenant) return;
    makeRoom(differences);
    const difference = { identity: route.identity, organisation, tokenTenant, organisationTenant };
    differences.set(key, difference);
    this.#logger.log('warn', 'tenant-differs', difference);
  }

  /** Organisations whose tenant is known, the earliest first. */
  states(): TenantState[] {
    return [...this.#book.findings.values()].flatMap(({ tenant, ...finding }) =>
      tenant === undefined || !this.#isFresh({ tenant, ...finding }) ? [] : [{ ...finding, tenant }],
    );
  }

  differences(): TenantDifference[] {
    return [...this.#book.differences.values()];
  }

  #isFresh({ tenant, foundAt }: Finding): boolean {
    const age = this.#clock.now() - foundAt.getTime();
    return age >= 0 && age < (tenant === undefined ? MISS_MS : KEEP_MS);
  }

  async #ask(key: string, place: OrganisationPlace): Promise<string | undefined> {
    const { origin, organisation } = place;
    const about = { organisation, upstream: origin.host };
    let tenant: string | undefined;
    try {
      tenant = await this.#request(place);
      if (tenant === undefined) this.#logger.log('info', 'tenant-unknown', { ...about, what: 'the upstream names none' });
      else this.#logger.log('info', 'tenant-discovered', { ...about, tenant });
    } catch (thrown) {
      this.#logger.log('warn', 'tenant-unknown', {
        ...about,
        what: thrown instanceof CallerGone ? `no answer within ${WAIT_MS / 1000} s` : messageOf(thrown),
      });
    }
    const { findings } = this.#book;
    const before = findings.get(key)?.tenant;
    // What was known goes on until the upstream tells again, or refuses what comes of it.
    const foundAt = this.#clock.now() - (tenant === undefined && before !== undefined ? KEEP_MS - MISS_MS : 0);
    findings.delete(key);
    makeRoom(findings);
    findings.set(key, { ...about, tenant: tenant ?? before, foundAt: new Date(foundAt) });
    return tenant ?? before;
  }

  /** Asks the upstream. @throws ProxyError, CallerGone when it took too long */
  async #request({ origin, path, route }: OrganisationPlace): Promise<string | undefined> {
    const { agent, release } = this.#connections.privateAgent({ origin, route, identity: NOBODY });
    const over = new AbortController();
    const cancel = this.#clock.after(WAIT_MS, () => over.abort());
    try {
      const answer = await sendGitRequest({
        method: 'HEAD',
        origin,
        path,
        // Asks for the challenge where a browser would be sent to a sign-in page.
        headers: { 'user-agent': 'git/postern', accept: '*/*', 'x-tfs-fedauthredirect': 'Suppress' },
        agent,
        body: undefined,
        stallMs: WAIT_MS,
        over: over.signal,
        enter: () => undefined,
      });
      discard(answer);
      return tenantIn(answer);
    } finally {
      cancel();
      release();
    }
  }
}

/** Where the organisation of a request is. */
export function placeOf({
  operation: { address },
  origin,
  basePath,
  route,
}: Pick<Journey, 'origin' | 'basePath' | 'route'> & { readonly operation: Pick<Journey['operation'], 'address'> }): OrganisationPlace {
  const isOwnHost = route.upstream === undefined && legacyOrganisation(address.upstreamHost) !== undefined;
  const path = isOwnHost ? '/' : `${basePath}/${address.mainPath.split('/')[1] ?? ''}`;
  return { origin, path, organisation: address.canonical[1] ?? '', route };
}

/** The tenant that an answer names: in its challenge if there is one, else in its header. */
function tenantIn(answer: IncomingMessage): string | undefined {
  const header = headerOf(answer);
  for (const parameters of bearerChallenges(header('www-authenticate') ?? '')) {
    const tenant = tenantOfAuthority(parameters.get('authorization_uri') ?? '');
    if (tenant !== undefined) return tenant;
  }
  return tenantInHeader(header('x-vss-resourcetenant'));
}

/** The id that an authority's address begins its path with; whose address that is makes no difference to it. */
function tenantOfAuthority(address: string): string | undefined {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  return url?.protocol === 'https:' ? readTenantId(url.pathname.split('/')[1] ?? '') : undefined;
}

/** The first that is not empty; several lines come joined. */
function tenantInHeader(header: string | undefined): string | undefined {
  return readTenantId(
    (header ?? '')
      .split(',')
      .map((each) => each.trim())
      .find((each) => each !== '') ?? '',
  );
}

function keyOf({ origin, path, organisation }: OrganisationPlace): string {
  // The name at the end of the path is as the caller spelled it.
  return `${origin.origin}${path.slice(0, path.lastIndexOf('/'))} ${organisation}`;
}

function makeRoom(map: Map<string, unknown>): void {
  const [oldest] = map.keys();
  if (map.size >= MOST_ORGANISATIONS && oldest !== undefined) map.delete(oldest);
}
