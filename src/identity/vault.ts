/**
 * The vault: what stands between the request path and the token library. Whoever asks gets the token that is held, at
 * once, as long as it lives; renewal is one flight per identity, in the background; only a definite answer from the
 * upstream takes a token away.
 *
 * Times are wall-clock and compared on each request, so a machine that slept finds out on its next request.
 */
import type { Credential, CredentialTarget } from '../model/credential.js';
import type { Clock, Logger } from '../model/ports.js';
import type { IdentitySettings } from '../model/settings.js';
import type { TokenClaims } from '../model/token-claims.js';
import { nameFailure, obtainCredential } from './obtain.js';
import { findMisuse } from './purpose.js';
import { holdAfter, isAliveAt, isWorthRenewing, pauseAfter } from './token-life.js';
import { TokenFailure } from './token-source.js';
import { Holders } from './vault-entries.js';
import { type Entry, type Flight, isWrittenAlike, takeOver, type VaultIdentity } from './vault-entry.js';
import type { IdentityState } from './vault-state.js';

export interface CredentialNeed {
  /**
   * ms that the token should live on, for a body that cannot be sent twice. A token with less is renewed first; if the
   * renewal fails or gives no longer one, what is held is used all the same.
   */
  readonly lifeMs?: number;
  /** What it is wanted for. */
  readonly target?: CredentialTarget;
}

/** An identity that nobody used for this long is no longer renewed ahead of need. */
const KEEP_WARM_MS = 2 * 60 * 60 * 1000;
/** Holds the credentials of every identity: one, or one for each variant. */
export class Vault {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #timeoutMs: number;
  readonly #holders: Holders;
  #isClosed = false;

  /** `previous`: one that this one takes the place of; tokens of identities that are written the same are taken over from it. */
  constructor(options: {
    identities: readonly VaultIdentity[];
    clock: Clock;
    logger: Logger;
    timeoutMs: number;
    previous?: Vault | undefined;
  }) {
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#timeoutMs = options.timeoutMs;
    this.#holders = new Holders(options.identities);
    const { previous } = options;
    if (previous === undefined) return;
    for (const holder of this.#holders.all()) {
      const before = previous.#holders.find(holder.identity.settings.name);
      if (before === undefined || !isWrittenAlike(before.identity, holder.identity)) continue;
      for (const old of before.all()) {
        const entry = holder.entry(old.target);
        if (takeOver(entry, old)) this.#schedule(entry);
      }
    }
  }

  /** Whether the tenant of an organisation makes a difference to this identity, and is worth being looked up. */
  wantsTenant(name: string): boolean {
    const { source } = this.#holders.get(name).identity;
    return source.kind === 'token' && source.source.wantsTenant === true;
  }

  /** What a user is told when the upstream does not take a token of this identity; undefined where the token's own claims tell best. */
  refusedWords(name: string): { readonly what: string; readonly todo: string } | undefined {
    const { source } = this.#holders.get(name).identity;
    return source.kind === 'token' ? source.source.refused : undefined;
  }

  kindOf(name: string): IdentitySettings['kind'] {
    return this.#holders.get(name).identity.settings.kind;
  }

  /**
   * The credential of an identity. Callers that come while a token is being fetched share that one request. None of
   * them waits for a renewal while the token held is still alive.
   * @throws ProxyError `identity-unavailable`, `identity-rejected`, `identity-timeout`, `secret-unreadable`
   */
  async credentialFor(name: string, need: CredentialNeed = {}): Promise<Credential> {
    const { target = {} } = need;
    const holder = this.#holders.get(name);
    const misuse = findMisuse(holder.identity, target);
    if (misuse !== undefined) throw misuse;
    const entry = holder.entry(target);
    const now = this.#clock.now();
    entry.lastUsed = now;
    const { held } = entry;
    if (held === undefined || !this.#isAlive(held)) return this.#fetchNow(entry);
    if (held.kind !== 'bearer') return held;
    if (need.lifeMs !== undefined && isWorthRenewing(held, need.lifeMs, now, now - entry.lifeWishAt)) {
      entry.lifeWishAt = now;
      try {
        return await this.#fly(entry);
      } catch {
        // The flight keeps and logs the failure; what is held now, if it was not refused meanwhile, its upstream may be content with.
        return entry.held !== undefined && this.#isAlive(entry.held) ? entry.held : this.#fetchNow(entry);
      }
    }
    if (now >= entry.renewAt && now >= entry.nextTryAt) this.#renewInBackground(entry);
    return held;
  }

  /**
   * Asks where the credentials of an identity come from, whatever is held, for somebody who wants to know whether one comes. A request that
   * is on its way is joined; when none comes, what is held stays.
   * @throws ProxyError as `credentialFor`
   */
  async askAnew(
    name: string,
    target: CredentialTarget,
  ): Promise<{ readonly credential: Credential; readonly claims: TokenClaims | undefined }> {
    const holder = this.#holders.get(name);
    const misuse = findMisuse(holder.identity, target);
    if (misuse !== undefined) throw misuse;
    const entry = holder.entry(target);
    const credential = await this.#fly(entry);
    return { credential, claims: entry.held === credential ? entry.about : undefined };
  }

  /**
   * Says that the upstream refused this very credential. Its successor, if there is one already, is left alone. The
   * next `credentialFor` fetches anew (or reads the secret again), with the `claims` that the upstream asked for, JSON.
   */
  invalidate(name: string, refused: Credential, claims?: string): void {
    const entry = this.#holding(name, refused);
    if (entry === undefined) return;
    entry.held = undefined;
    entry.failure = undefined;
    if (claims !== undefined) entry.claims = claims;
    this.#settle(entry, refused, false);
    this.#logger.log('info', 'token-invalidated', { identity: name, ...(claims === undefined ? {} : { claims: true }) });
  }

  /** Says that the upstream took this credential, for those who keep it and want to know. */
  accepted(name: string, credential: Credential): void {
    const entry = this.#holding(name, credential);
    if (entry === undefined || entry.isSettled) return;
    entry.isSettled = true;
    this.#settle(entry, credential, true);
  }

  /** Drops what is held for an identity, because it was changed or taken away outside; how many credentials that were. */
  forget(name: string): number {
    let count = 0;
    for (const entry of this.#holders.get(name).all()) {
      if (entry.held !== undefined) count += 1;
      entry.cancelTimer?.();
      // A flight on its way asked with what is no longer so; that it is none of the entry's any more keeps its answer out.
      Object.assign(entry, { held: undefined, flight: undefined, claims: undefined, failure: undefined, failures: 0, nextTryAt: 0 });
    }
    this.#logger.log('info', 'token-invalidated', { identity: name, count });
    return count;
  }

  /** Whether two credentials would look the same on the wire: a renewal that changed nothing. */
  static isSame(a: Credential, b: Credential): boolean {
    if (a.kind === 'bearer' && b.kind === 'bearer') return a.token.equals(b.token);
    if (a.kind === 'basic' && b.kind === 'basic') return a.user === b.user && a.password.equals(b.password);
    return a.kind === b.kind;
  }

  /** The state of every identity, in the order of the configuration. */
  states(): IdentityState[] {
    const now = this.#clock.now();
    return this.#holders.all().map((holder) => holder.state(now));
  }

  /** Stops renewing. Flights under way end unheard. */
  close(): void {
    this.#isClosed = true;
    for (const holder of this.#holders.all()) for (const entry of holder.all()) entry.cancelTimer?.();
  }

  #holding(name: string, credential: Credential): Entry | undefined {
    return this.#holders
      .get(name)
      .all()
      .find(({ held }) => held === credential);
  }

  #settle({ identity: { source }, target }: Entry, credential: Credential, isGood: boolean): void {
    if (source.kind === 'asked') void source.source.settle(target, credential, isGood);
  }

  #isAlive(credential: Credential): boolean {
    return isAliveAt(credential, this.#clock.now());
  }

  /** Nothing usable is held: wait for a flight, unless one has just failed. */
  #fetchNow(entry: Entry): Promise<Credential> {
    const { failure } = entry;
    if (
      entry.flight === undefined &&
      failure !== undefined &&
      this.#clock.now() - failure.at < failure.holdMs &&
      this.#clock.now() >= failure.at
    ) {
      return Promise.reject(failure.error);
    }
    return this.#fly(entry);
  }

  #renewInBackground(entry: Entry): void {
    // A failed renewal is told by the log and by `status`; the token held goes on.
    this.#fly(entry).catch(() => undefined);
  }

  /**
   * The one flight of an entry: joined if it is on its way, else begun. One that left without the claims that are asked for by
   * now is waited for, and another one follows it.
   */
  #fly(entry: Entry): Promise<Credential> {
    const before = entry.flight;
    if (before !== undefined && before.claims === entry.claims) return before.result;
    const { claims } = entry;
    const isCurrent = (): boolean => entry.flight === flight;
    const flight: Flight = {
      claims,
      result: (before?.result.then(nothing, nothing) ?? Promise.resolve())
        .then(() => this.#fetch(entry, claims, isCurrent))
        .finally(() => {
          if (isCurrent()) entry.flight = undefined;
        }),
    };
    entry.flight = flight;
    return flight.result;
  }

  async #fetch(entry: Entry, claims: string | undefined, isCurrent: () => boolean): Promise<Credential> {
    const { name } = entry.identity.settings;
    const { source } = entry.identity;
    const startedAt = this.#clock.now();
    try {
      const { credential, renewAt, about } = await obtainCredential(entry, claims, {
        clock: this.#clock,
        timeoutMs: this.#timeoutMs,
        isUnwanted: () => this.#isClosed,
      });
      // One that was asked for before the upstream wanted more is for those who waited for it, and not kept.
      if (!isCurrent() || entry.claims !== claims) return credential;
      entry.held = credential;
      entry.about = about;
      entry.isSettled = false;
      entry.claims = undefined;
      entry.failure = undefined;
      entry.failures = 0;
      entry.obtained += 1;
      entry.renewAt = renewAt ?? Infinity;
      entry.nextTryAt = entry.renewAt;
      if (credential.kind === 'bearer') {
        this.#logger.log('info', 'token-obtained', {
          identity: name,
          expiresAt: credential.expiresAt.toISOString(),
          ms: this.#clock.now() - startedAt,
        });
        if (renewAt !== undefined) this.#schedule(entry);
      } else if (credential.kind === 'basic') this.#logger.log('debug', 'secret-read', { identity: name });
      return credential;
    } catch (thrown) {
      const error = nameFailure(name, thrown);
      if (!isCurrent()) throw error;
      const now = this.#clock.now();
      entry.failures += 1;
      entry.failed += 1;
      const retryAfterMs = thrown instanceof TokenFailure ? thrown.retryAfterMs : undefined;
      const holdMs = holdAfter(entry.failures, error.code === 'identity-rejected', retryAfterMs);
      entry.failure = { error, at: now, holdMs };
      entry.nextTryAt = now + Math.max(pauseAfter(entry.failures), retryAfterMs === undefined ? 0 : holdMs);
      const held = entry.held !== undefined && this.#isAlive(entry.held);
      this.#logger.log(held ? 'warn' : 'error', 'token-failed', {
        identity: name,
        code: error.code,
        what: error.message,
        todo: error.todo,
        stillHeld: held,
      });
      if (held && source.kind === 'token') this.#wakeAt(entry, entry.nextTryAt);
      throw error;
    }
  }

  #schedule(entry: Entry): void {
    this.#wakeAt(entry, entry.renewAt);
  }

  #wakeAt(entry: Entry, at: number): void {
    entry.cancelTimer?.();
    if (this.#isClosed) return;
    entry.cancelTimer = this.#clock.after(Math.max(0, at - this.#clock.now()), () => {
      if (this.#clock.now() - entry.lastUsed < KEEP_WARM_MS) this.#renewInBackground(entry);
    });
  }
}

function nothing(): void {
  // How an earlier flight ended was told to those who waited for it.
}
