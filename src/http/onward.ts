/**
 * Addresses that an upstream names, as addresses of this door: `{path of the request in which it was named}?postern-to={sealed}`. What
 * comes back with such an address has been admitted like any other request to that path; here it is looked whether the seal is for it.
 */
import type { OnwardSeal, OnwardTarget } from '../gate/onward-seal.js';
import type { RepoAddress } from '../model/address.js';
import type { Clock } from '../model/ports.js';
import type { Refusal } from '../model/refusal.js';
import type { Route } from '../model/settings.js';
import { judgeTarget, type OnwardVerdict } from '../upstream/onward-rule.js';
import { planJourney, type Journey } from '../upstream/journey.js';
import type { DoorOperation } from '../model/operation.js';
import type { OperationRecord } from '../model/record.js';

/** The one parameter of such an address. */
const PARAMETER = 'postern-to';
/** How long an address is good, where the upstream does not say less: as long as an Entra token usually is, and many objects take. */
export const LONGEST_LIFE_MS = 60 * 60 * 1000;

/** Headers that are the connection's or ours to set, whatever an upstream wants (RFC 9110 section 7.6.1). */
const OURS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'cookie',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'x-postern-lease',
]);

/** What an upstream names. */
export type Named = Pick<OnwardTarget, 'method' | 'action' | 'oid'> & {
  readonly url: string;
  /** Headers that it wants to see there, names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  /** When that ends; undefined when it does not say. */
  readonly expiresAt?: Date | undefined;
};

/** In what it is named. */
export interface NamedIn {
  readonly route: Route;
  readonly address: RepoAddress;
  /** Address of the door and path, to which the client is to come back. */
  readonly local: string;
  /** Whether it is a storage that names it, and not the upstream: nobody's word but the upstream's has our credential go along. */
  readonly isByStorage: boolean;
}

export type Onwards =
  { readonly kind: 'address'; readonly href: string; readonly expiresAt: Date } | Extract<OnwardVerdict, { kind: 'no' }>;

/** A way to a target: its journey, and the headers that go with it. */
export interface OnwardWay {
  readonly kind: 'way';
  readonly journey: Journey;
  readonly headers: Readonly<Record<string, string>>;
}

export class Onward {
  readonly #seal: OnwardSeal;
  readonly #hosts: readonly string[];
  readonly #clock: Clock;

  constructor({ seal, hosts, clock }: { seal: OnwardSeal; hosts: readonly string[]; clock: Clock }) {
    this.#seal = seal;
    this.#hosts = hosts;
    this.#clock = clock;
  }

  /** The address of the door for what an upstream names; or why there is none. */
  addressFor({ url, method, action, oid, headers = {}, expiresAt }: Named, { route, address, local, isByStorage }: NamedIn): Onwards {
    if (!URL.canParse(url))
      return { kind: 'no', what: 'The upstream names an address that is none', todo: 'ask the administrator of the upstream' };
    const verdict = judgeTarget(new URL(url), { route, address, hosts: this.#hosts, isObject: action !== 'get' });
    if (verdict.kind === 'no') return verdict;
    if (isByStorage && verdict.kind === 'own')
      return {
        kind: 'no',
        what: 'The storage leads back to the upstream, which is not followed',
        todo: 'ask the administrator of the storage',
      };
    // A seal is judged by where it was named. Of the upstream itself that would be another call than the gate has seen.
    if (action === 'get' && verdict.kind === 'own')
      return {
        kind: 'no',
        what: 'The upstream redirects to an address of its own that is not one of this door',
        todo: 'check the address',
      };
    const kept = Object.entries(headers).filter(
      // Where our own credential goes, no other one does.
      ([name, value]) => !OURS.has(name) && !(name === 'authorization' && (verdict.kind === 'own' || value.includes('[credential]'))),
    );
    const latest = this.#clock.now() + LONGEST_LIFE_MS;
    const end = new Date(Math.min(expiresAt?.getTime() ?? latest, latest));
    const target = { url, method, action, route: route.match, canonical: address.canonical, oid, expiresAt: end };
    const sealed = this.#seal.seal({ ...target, headers: Object.fromEntries(kept) });
    if (sealed === undefined)
      return { kind: 'no', what: 'The upstream names an address that is too long', todo: 'ask the administrator of the upstream' };
    return { kind: 'address', href: `${local}?${PARAMETER}=${sealed}`, expiresAt: end };
  }

  /** The seal in a query (with its `?`); undefined where there is none. */
  static sealIn(query: string): string | undefined {
    return query.startsWith(`?${PARAMETER}=`) ? query.slice(PARAMETER.length + 2) : undefined;
  }

  /** The way to what was sealed, if the seal is for this very request; or why not. */
  wayTo(
    sealed: string,
    { operation, route, record, method }: { operation: DoorOperation; route: Route; record: OperationRecord; method: string | undefined },
  ): OnwardWay | Refusal {
    const target = this.#seal.open(sealed);
    if (target === undefined) return refused(route, 'The address was not made by this door, or has been changed');
    const { address } = operation;
    if (target.expiresAt.getTime() <= this.#clock.now()) return refused(route, `The address ended at ${target.expiresAt.toISOString()}`);
    const isFor =
      target.method === method &&
      target.route === route.match &&
      JSON.stringify(target.canonical) === JSON.stringify(address.canonical) &&
      (operation.kind === 'lfs' ? target.action === operation.step && target.oid === operation.oid : target.action === 'get');
    if (!isFor) return refused(route, 'The address was made for something else than this');
    const verdict = judgeTarget(new URL(target.url), { route, address, hosts: this.#hosts, isObject: operation.kind === 'lfs' });
    if (verdict.kind === 'no') return { ...refused(route, verdict.what), todo: verdict.todo };
    const planned = planJourney(operation, route, record);
    const { origin, path } = verdict;
    if (verdict.kind === 'own') return { kind: 'way', headers: target.headers, journey: { ...planned, origin, path, suffix: '' } };
    const { mayBePrivate } = verdict;
    return {
      kind: 'way',
      headers: target.headers,
      journey: { ...planned, origin, basePath: '', path, suffix: '', foreign: { mayBePrivate }, throttleKey: `${origin.host} storage` },
    };
  }
}

function refused({ match, identity }: Route, what: string): Refusal {
  return {
    kind: 'refusal',
    code: 'target-refused',
    status: 403,
    what,
    todo: 'run the command again: each time it is given new addresses',
    route: match,
    identity,
  };
}
