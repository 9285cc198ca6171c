/**
 * The names behind the GUIDs of projects and repositories, asked of the upstream with the identity of a route that may lead there, and
 * remembered for a while. Routes and leases are judged by names: a GUID must open nothing that the name does not.
 *
 * Source: Azure DevOps REST API 7.1, "Git - Repositories - Get Repository", "Core - Projects - Get".
 */
import { routesToName } from '../gate/guid-rules.js';
import type { RouteTable } from '../gate/route-table.js';
import { type FoundNames, withNames } from '../hosts/guid-address.js';
import type { GuidPlace, RepoAddress } from '../model/address.js';
import type { Caller } from '../model/caller.js';
import { messageOf } from '../model/errors.js';
import { DEV_AZURE_HOST } from '../model/host-name.js';
import type { GitOperation } from '../model/operation.js';
import type { Clock } from '../model/ports.js';
import type { OperationRecord } from '../model/record.js';
import type { Refusal } from '../model/refusal.js';
import type { Route } from '../model/settings.js';
import { asMap, type OwnRequests } from './own-requests.js';

/** How long names are believed: what is renamed is under its old name for the rules for so long at most. */
const KEEP_MS = 5 * 60 * 1000;
/** What was not told is asked again after this: long enough for a burst, short enough for someone who has just made it. */
const MISS_MS = 15_000;
/** GUIDs that are remembered: a caller may think up any. */
const MOST_REMEMBERED = 1_000;
/** Asked for at once, for the same reason. */
const MOST_FLIGHTS = 16;
/** Identities that are asked for one GUID. */
const MOST_ASKED = 3;
/** Longest time for one question. */
const WAIT_MS = 15_000;
/** A repository is told in a kilobyte or two. */
const LONGEST_ANSWER_BYTES = 256 * 1024;
/** Longest name that is believed: Azure DevOps has up to 64 letters. */
const LONGEST_NAME = 256;
const API_VERSIONS = { 'azure-services': '7.1', 'azure-server': '5.0' } as const;

type Answer = { readonly kind: 'names'; readonly names: FoundNames } | { readonly kind: 'untold'; readonly why: string };
interface Remembered {
  readonly answer: Answer;
  /** ms since the epoch. */
  readonly until: number;
}

export class GuidNames {
  readonly #requests: Pick<OwnRequests, 'ask'>;
  readonly #clock: Clock;
  readonly #remembered = new Map<string, Remembered>();
  readonly #flights = new Map<string, Promise<Answer>>();

  constructor({ requests, clock }: { requests: Pick<OwnRequests, 'ask'>; clock: Clock }) {
    this.#requests = requests;
    this.#clock = clock;
  }

  /**
   * The operation with the names that the gate has to judge by, which are noted in its record; as it is where they make no difference.
   * Refusals: `name-unknown` when they do and cannot be had. Never rejects.
   */
  async name<Operation extends GitOperation>(
    operation: Operation,
    { caller, routes, record }: { caller: Caller; routes: RouteTable; record: OperationRecord },
  ): Promise<Operation | Refusal> {
    const { address } = operation;
    const asked = routesToName(address, caller, routes);
    if (asked === undefined || address.guids === undefined) return operation;
    const answer = await record.spent.during('upstream', this.#find(address, address.guids, asked));
    if (answer.kind === 'untold') {
      return {
        kind: 'refusal',
        code: 'name-unknown',
        status: 403,
        what: `Which project and repository ${address.display} is cannot be told: ${answer.why}`,
        todo: 'use the names of the project and the repository in the address, as the rules for them do, instead of GUIDs',
      };
    }
    const named = withNames(address, answer.names);
    record.address = named;
    record.repository = named.display;
    return { ...operation, address: named };
  }

  /** The first answer that tells names, of the routes in their order. */
  async #find(address: RepoAddress, guids: GuidPlace, routes: readonly Route[]): Promise<Answer> {
    const roads = new Map(routes.map((route) => [`${route.identity} ${urlOf(address, guids, route).href}`, route]));
    let untold: Answer = { kind: 'untold', why: 'no identity could ask' };
    for (const [key, route] of [...roads].slice(0, MOST_ASKED)) {
      const answer = await this.#ask(key, address, guids, route);
      if (answer.kind === 'names') return answer;
      untold = answer;
    }
    return untold;
  }

  async #ask(key: string, address: RepoAddress, guids: GuidPlace, route: Route): Promise<Answer> {
    const known = this.#remembered.get(key);
    if (known !== undefined && known.until > this.#clock.now()) return known.answer;
    const flying = this.#flights.get(key);
    if (flying !== undefined) return flying;
    if (this.#flights.size >= MOST_FLIGHTS) return { kind: 'untold', why: 'too many others are being looked up at the moment; try again' };
    const flight = this.#request(address, guids, route)
      .then((answer) => {
        this.#remember(key, answer);
        return answer;
      })
      .finally(() => this.#flights.delete(key));
    this.#flights.set(key, flight);
    return flight;
  }

  #remember(key: string, answer: Answer): void {
    this.#remembered.delete(key);
    const [oldest] = this.#remembered.keys();
    if (this.#remembered.size >= MOST_REMEMBERED && oldest !== undefined) this.#remembered.delete(oldest);
    this.#remembered.set(key, { answer, until: this.#clock.now() + (answer.kind === 'names' ? KEEP_MS : MISS_MS) });
  }

  async #request(address: RepoAddress, guids: GuidPlace, route: Route): Promise<Answer> {
    const { kind, organisation } = address;
    if (kind === 'generic') return { kind: 'untold', why: 'the host knows no GUIDs' };
    const over = new AbortController();
    const cancel = this.#clock.after(WAIT_MS, () => over.abort(new Error('the upstream took too long')));
    try {
      const answer = await this.#requests.ask(
        { identity: route.identity, route, hostKind: kind, organisation },
        { method: 'GET', url: urlOf(address, guids, route), longestBytes: LONGEST_ANSWER_BYTES, over: over.signal },
      );
      const names = answer.status === 200 ? namesIn(answer.json, guids) : undefined;
      if (names !== undefined) return { kind: 'names', names };
      return { kind: 'untold', why: `the upstream tells identity ${route.identity} no names for it (status ${answer.status})` };
    } catch (thrown) {
      return { kind: 'untold', why: messageOf(thrown) };
    } finally {
      cancel();
    }
  }
}

function urlOf({ kind, host }: RepoAddress, { ask }: GuidPlace, { upstream }: Route): URL {
  const base = upstream ?? new URL(`https://${kind === 'azure-services' ? DEV_AZURE_HOST : host}`);
  const url = new URL(`${base.href.replace(/\/$/, '')}${ask}`);
  url.searchParams.set('api-version', API_VERSIONS[kind === 'azure-services' ? kind : 'azure-server']);
  return url;
}

/** The names in an answer; undefined unless both that are needed are there, and can stand in an address. */
function namesIn(json: unknown, { of }: GuidPlace): FoundNames | undefined {
  const told = asMap(json);
  const name = nameIn(told?.['name']);
  if (of === 'project') return name === undefined ? undefined : { project: name, repository: undefined };
  const project = nameIn(asMap(told?.['project'])?.['name']);
  return name === undefined || project === undefined ? undefined : { project, repository: name };
}

function nameIn(raw: unknown): string | undefined {
  return typeof raw === 'string' && raw !== '' && raw.length <= LONGEST_NAME && !/[/\\\p{Cc}]/u.test(raw) ? raw : undefined;
}
