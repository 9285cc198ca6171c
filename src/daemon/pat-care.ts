/**
 * Keeps an eye on the personal access tokens behind identities: whether what was read looks like one, and, where `lifecycle` says whom
 * to ask, how long it lives. Asked when the daemon starts, once a day, and after a token was refused. Nothing of git waits for an
 * answer, and none that fails keeps anyone from using the token.
 */
import { messageOf, ProxyError } from '../model/errors.js';
import { GLOBAL_PATS_END, type PatFacts, type PatKnowledge, type PatOddity, type PatWitness } from '../model/pat.js';
import type { Clock, LogEvent, LogFields, Logger, LogLevel } from '../model/ports.js';
import type { PatLifecycle } from '../model/settings.js';
import type { PatApi } from '../upstream/pat-api.js';
import { askFor, type PatRoads } from './pat-roads.js';

const DAY_MS = 86_400_000;
/** From then on a token's end is a warning: time to make another one over a weekend and a holiday. */
export const ENDS_SOON_MS = 7 * DAY_MS;
/** How often it is looked whether anything is due; a machine that slept finds out within that time. */
const TICK_MS = 60 * 60 * 1000;
/** Refusals do not have the organisation asked more often than that: callers can cause any number of them. */
const AFTER_REFUSAL_MS = 10 * 60 * 1000;

/** How a token stands, as its organisation told. Dates are ISO texts. */
export interface PatLifeState {
  readonly organization: string;
  /** authorizationId */
  readonly id: string;
  /** `missing`: its owner has no such token in the organisation, or no longer. */
  readonly state: 'unknown' | 'good' | 'ends-soon' | 'ended' | 'missing';
  readonly name: string | undefined;
  readonly scopes: readonly string[];
  readonly expiresAt: string | undefined;
  readonly isGlobal: boolean | undefined;
  /** When the organisation last gave an answer. */
  readonly checkedAt: string | undefined;
  /** Why it gave none the last time that it was asked. */
  readonly failure: string | undefined;
  readonly todo: string | undefined;
}

/** What `status` tells of the token behind an identity. */
export interface PatState {
  readonly identity: string;
  /** What was read for it and is most likely no token. */
  readonly oddity: PatOddity | undefined;
  readonly life: PatLifeState | undefined;
}

/** One identity that holds a token. */
interface Watched {
  readonly identity: string;
  readonly isPat: boolean;
  readonly lifecycle: PatLifecycle | undefined;
  /** Whether a route to Azure DevOps Services has it, which takes nothing but tokens. */
  readonly isForServices: boolean;
  oddity: PatOddity | undefined;
  facts: PatFacts | undefined;
  isMissing: boolean;
  checkedAt: number | undefined;
  askedAt: number;
  refusedAt: number;
  isAsking: boolean;
  failure: { readonly what: string; readonly todo: string | undefined } | undefined;
  /** When each event was last logged. */
  readonly toldAt: Map<LogEvent, number>;
}

export interface PatCareParts extends PatRoads {
  readonly api: PatApi;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What another one knew, whose place this one takes. */
  readonly previous?: PatCare | undefined;
}

export class PatCare implements PatWitness {
  readonly #parts: PatCareParts;
  readonly #watched: ReadonlyMap<string, Watched>;
  #cancelTick: (() => void) | undefined;
  #isClosed = false;

  constructor(parts: PatCareParts) {
    this.#parts = parts;
    const { previous } = parts;
    this.#watched = new Map(
      parts.identities.flatMap((identity): [string, Watched][] => {
        if (identity.kind !== 'pat' && identity.kind !== 'basic') return [];
        const { name } = identity;
        const lifecycle = identity.kind === 'pat' ? identity.lifecycle : undefined;
        const isForServices = parts.routes.routes.some((route) => route.identity === name && route.hostKind === 'azure-services');
        const written = { identity: name, isPat: identity.kind === 'pat', lifecycle, isForServices };
        return [[name, watch(written, previous === undefined ? undefined : previous.#watched.get(name))]];
      }),
    );
  }

  /** Begins to ask; once. */
  start(): void {
    if (this.#isClosed || this.#cancelTick !== undefined) return;
    this.#tick();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelTick?.();
  }

  /** Says what the text that was read for an identity looks like. */
  read(identity: string, oddity: PatOddity | undefined): void {
    const watched = this.#watched.get(identity);
    if (watched === undefined) return;
    const isNew = oddity !== undefined && watched.oddity?.what !== oddity.what;
    watched.oddity = oddity;
    if (isNew && watched.isForServices) {
      this.#parts.logger.log('warn', 'pat-doubtful', { identity, what: `what was read for it ${oddity.what}`, todo: oddity.todo });
    }
  }

  knownOf(identity: string): PatKnowledge | undefined {
    const watched = this.#watched.get(identity);
    return watched && { isPat: watched.isPat, oddity: watched.oddity, fate: this.#fateOf(watched) };
  }

  refused(identity: string): void {
    const watched = this.#watched.get(identity);
    if (watched?.lifecycle === undefined || !isDue(watched.refusedAt, AFTER_REFUSAL_MS, this.#parts.clock.now())) return;
    watched.refusedAt = this.#parts.clock.now();
    void this.#ask(watched);
  }

  /** Asks at once about a token that was just revoked. */
  revoked(id: string): void {
    for (const watched of this.#watched.values()) if (watched.lifecycle?.id.toLowerCase() === id.toLowerCase()) void this.#ask(watched);
  }

  /** Identities of whose tokens there is something to tell, in the order of the configuration. */
  states(): PatState[] {
    return [...this.#watched.values()].flatMap((watched) => {
      const { identity, lifecycle, isForServices } = watched;
      const oddity = isForServices ? watched.oddity : undefined;
      return lifecycle === undefined && oddity === undefined
        ? []
        : [{ identity, oddity, life: lifecycle && this.#lifeOf(watched, lifecycle) }];
    });
  }

  #tick(): void {
    const now = this.#parts.clock.now();
    for (const watched of this.#watched.values()) {
      if (watched.lifecycle === undefined) continue;
      if (watched.failure !== undefined || isDue(watched.askedAt, DAY_MS, now)) void this.#ask(watched);
      else this.#tell(watched);
    }
    this.#cancelTick = this.#parts.clock.after(TICK_MS, () => this.#tick());
  }

  /** Never rejects. */
  async #ask(watched: Watched): Promise<void> {
    const { lifecycle } = watched;
    if (lifecycle === undefined || watched.isAsking || this.#isClosed) return;
    const { api, clock } = this.#parts;
    watched.isAsking = true;
    watched.askedAt = clock.now();
    try {
      const facts = await api.find(askFor(this.#parts, lifecycle.organization, lifecycle.identity), lifecycle.id);
      watched.isMissing = facts === undefined;
      if (facts !== undefined) watched.facts = facts;
      watched.checkedAt = clock.now();
      watched.failure = undefined;
    } catch (thrown) {
      watched.failure = { what: messageOf(thrown), todo: thrown instanceof ProxyError ? thrown.todo : undefined };
    } finally {
      watched.isAsking = false;
    }
    this.#tell(watched);
  }

  /** Logs what a person should know, each thing once a day. */
  #tell(watched: Watched): void {
    const { identity, lifecycle, failure, facts } = watched;
    if (lifecycle === undefined || this.#isClosed) return;
    const { state, expiresAt, isGlobal } = this.#lifeOf(watched, lifecycle);
    const about = { identity, organization: lifecycle.organization, pat: lifecycle.id };
    if (failure !== undefined) this.#log('warn', 'pat-lookup-failed', watched, { ...about, what: failure.what, todo: failure.todo });
    else watched.toldAt.delete('pat-lookup-failed');
    if (state === 'ends-soon') {
      const daysLeft = Math.round(((facts?.expiresAt.getTime() ?? 0) - this.#parts.clock.now()) / DAY_MS);
      this.#log('warn', 'pat-ends-soon', watched, { ...about, expiresAt, daysLeft });
    } else if (state === 'ended') this.#log('error', 'pat-ended', watched, { ...about, expiresAt });
    else if (state === 'missing') this.#log('error', 'pat-missing', watched, about);
    if (isGlobal === true) this.#log('warn', 'pat-global', watched, { ...about, endsAt: GLOBAL_PATS_END });
  }

  #log(level: LogLevel, event: LogEvent, { toldAt }: Watched, fields: LogFields): void {
    const now = this.#parts.clock.now();
    if (!isDue(toldAt.get(event) ?? -Infinity, DAY_MS, now)) return;
    toldAt.set(event, now);
    this.#parts.logger.log(level, event, fields);
  }

  #lifeOf(watched: Watched, { organization, id }: PatLifecycle): PatLifeState {
    const { facts, checkedAt, failure } = watched;
    return {
      organization,
      id,
      state: this.#stateOf(watched),
      name: facts?.name,
      scopes: facts?.scopes ?? [],
      expiresAt: facts?.expiresAt.toISOString(),
      isGlobal: facts?.isGlobal,
      checkedAt: checkedAt === undefined ? undefined : new Date(checkedAt).toISOString(),
      failure: failure?.what,
      todo: failure?.todo,
    };
  }

  #stateOf({ facts, isMissing }: Watched): PatLifeState['state'] {
    const leftMs = facts === undefined ? undefined : facts.expiresAt.getTime() - this.#parts.clock.now();
    // What has ended is not told of any more by every organisation.
    if (leftMs !== undefined && leftMs <= 0) return 'ended';
    if (isMissing) return 'missing';
    if (leftMs === undefined) return 'unknown';
    return leftMs <= ENDS_SOON_MS ? 'ends-soon' : 'good';
  }

  #fateOf(watched: Watched): string | undefined {
    const { lifecycle, facts } = watched;
    const state = this.#stateOf(watched);
    if (state === 'ended') return `ended on ${facts?.expiresAt.toISOString() ?? ''}`;
    if (state === 'missing')
      return `was revoked, or is not the one that \`lifecycle\` names: ${lifecycle?.organization ?? ''} has none of that id`;
    return undefined;
  }
}

function watch(
  { identity, isPat, lifecycle, isForServices }: Pick<Watched, 'identity' | 'isPat' | 'lifecycle' | 'isForServices'>,
  before: Watched | undefined,
): Watched {
  // Of a token that is written as before, what is known stays; one that is asked about just now is asked about anew.
  if (before !== undefined && JSON.stringify(before.lifecycle) === JSON.stringify(lifecycle)) {
    return { ...before, isPat, isForServices, isAsking: false, askedAt: before.isAsking ? -Infinity : before.askedAt };
  }
  return {
    identity,
    isPat,
    lifecycle,
    isForServices,
    oddity: undefined,
    facts: undefined,
    isMissing: false,
    checkedAt: undefined,
    askedAt: -Infinity,
    refusedAt: -Infinity,
    isAsking: false,
    failure: undefined,
    toldAt: new Map(),
  };
}

/** Whether so much time has passed; also when the wall clock was set back. */
function isDue(since: number, ms: number, now: number): boolean {
  return now < since || now - since >= ms;
}
