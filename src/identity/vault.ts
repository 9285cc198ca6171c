/**
 * The vault: what stands between the request path and the token library. Whoever asks gets the token that is held, at
 * once, as long as it lives; renewal is one flight per identity, in the background; only a definite answer from the
 * upstream takes a token away.
 *
 * Times are wall-clock and compared on each request, so a machine that slept finds out on its next request.
 */
import NodeCache from 'node-cache';
import type { Credential } from '../model/credential.js';
import { messageOf, ProxyError } from '../model/errors.js';
import type { Clock, Logger } from '../model/ports.js';
import type { IdentitySettings } from '../model/settings.js';
import { fetchWithin } from './token-fetch.js';
import { isAliveAt, isWorthRenewing, pauseAfter, renewalTime } from './token-life.js';
import { TokenFailure } from './token-source.js';
import { type Entry, newEntry, takeOver, type VaultIdentity } from './vault-entry.js';

export interface CredentialNeed {
  /**
   * ms that the token should live on, for a body that cannot be sent twice. A token with less is renewed first; if the
   * renewal fails or gives no longer one, what is held is used all the same.
   */
  readonly lifeMs?: number;
}

/** What `status` shows of an identity. */
export interface IdentityState {
  readonly name: string;
  readonly kind: IdentitySettings['kind'];
  readonly state: 'unused' | 'ready' | 'failing';
  /** Of the token that is held. */
  readonly obtainedAt: Date | undefined;
  readonly expiresAt: Date | undefined;
  /** Requests since the start, each try by itself; and how often all tries together gave a credential, or none. */
  readonly requests: number;
  readonly obtained: number;
  readonly failures: number;
  readonly failure: string | undefined;
  readonly todo: string | undefined;
}

/** After a failed first request the same answer is given for this long, so that a loop of clients does not become a loop of sign-ins. */
const FAILURE_HOLD_MS = 3_000;
/** An identity that nobody used for this long is no longer renewed ahead of need. */
const KEEP_WARM_MS = 2 * 60 * 60 * 1000;

/** Holds one credential per identity. */
export class Vault {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #timeoutMs: number;
  readonly #entries = new NodeCache({ useClones: false, stdTTL: 0, checkperiod: 0 });
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
    for (const identity of options.identities) {
      const entry = newEntry(identity);
      this.#entries.set(identity.settings.name, entry);
      const { previous } = options;
      const before = previous === undefined ? undefined : previous.#entries.get<Entry>(identity.settings.name);
      if (before !== undefined && takeOver(entry, before)) this.#schedule(entry);
    }
  }

  /**
   * The credential of an identity. Callers that come while a token is being fetched share that one request. None of
   * them waits for a renewal while the token held is still alive.
   * @throws ProxyError `identity-unavailable`, `identity-rejected`, `identity-timeout`, `secret-unreadable`
   */
  async credentialFor(name: string, need: CredentialNeed = {}): Promise<Credential> {
    const entry = this.#entry(name);
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
   * Says that the upstream refused this very credential. Its successor, if there is one already, is left alone. The
   * next `credentialFor` fetches anew (or reads the secret again).
   */
  invalidate(name: string, refused: Credential): void {
    const entry = this.#entry(name);
    if (entry.held !== refused) return;
    entry.held = undefined;
    entry.failure = undefined;
    this.#logger.log('info', 'token-invalidated', { identity: name });
  }

  /** Whether two credentials would look the same on the wire: a renewal that changed nothing. */
  static isSame(a: Credential, b: Credential): boolean {
    if (a.kind === 'bearer' && b.kind === 'bearer') return a.token.equals(b.token);
    if (a.kind === 'basic' && b.kind === 'basic') return a.user === b.user && a.password.equals(b.password);
    return a.kind === b.kind;
  }

  /** The state of every identity, in the order of the configuration. */
  states(): IdentityState[] {
    return this.#entries.keys().map((name) => {
      const entry = this.#entry(name);
      const isHeld = entry.held !== undefined && this.#isAlive(entry.held);
      return {
        name,
        kind: entry.identity.settings.kind,
        state: entry.failure !== undefined ? 'failing' : isHeld ? 'ready' : 'unused',
        obtainedAt: entry.held?.kind === 'bearer' ? entry.held.obtainedAt : undefined,
        expiresAt: entry.held?.kind === 'bearer' ? entry.held.expiresAt : undefined,
        requests: entry.requests,
        obtained: entry.obtained,
        failures: entry.failed,
        failure: entry.failure?.error.message,
        todo: entry.failure?.error.todo,
      };
    });
  }

  /** Stops renewing. Flights under way end unheard. */
  close(): void {
    this.#isClosed = true;
    for (const name of this.#entries.keys()) this.#entry(name).cancelTimer?.();
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get<Entry>(name);
    if (entry === undefined) throw new ProxyError('internal', `There is no identity ${name}`);
    return entry;
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
      this.#clock.now() - failure.at < FAILURE_HOLD_MS &&
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

  /** The one flight of an identity: joined if it is on its way, else begun. */
  #fly(entry: Entry): Promise<Credential> {
    entry.flight ??= this.#fetch(entry).finally(() => {
      entry.flight = undefined;
    });
    return entry.flight;
  }

  async #fetch(entry: Entry): Promise<Credential> {
    const { name } = entry.identity.settings;
    const { source } = entry.identity;
    const startedAt = this.#clock.now();
    try {
      const credential = await this.#obtain(entry);
      entry.held = credential;
      entry.failure = undefined;
      entry.failures = 0;
      entry.obtained += 1;
      if (credential.kind === 'bearer') {
        this.#logger.log('info', 'token-obtained', {
          identity: name,
          expiresAt: credential.expiresAt.toISOString(),
          ms: this.#clock.now() - startedAt,
        });
        this.#schedule(entry);
      } else if (credential.kind === 'basic') this.#logger.log('debug', 'secret-read', { identity: name });
      return credential;
    } catch (thrown) {
      const error = nameFailure(name, thrown);
      const now = this.#clock.now();
      entry.failure = { error, at: now };
      entry.failures += 1;
      entry.failed += 1;
      entry.nextTryAt = now + pauseAfter(entry.failures);
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

  async #obtain(entry: Entry): Promise<Credential> {
    const { source } = entry.identity;
    switch (source.kind) {
      case 'none':
      case 'passthrough':
        return { kind: source.kind };
      case 'basic':
        entry.requests += 1;
        return { kind: 'basic', user: source.user, password: await source.read() };
      case 'token': {
        const fetched = await fetchWithin(source.source, {
          clock: this.#clock,
          timeoutMs: this.#timeoutMs,
          isUnwanted: () => this.#isClosed,
          onTry: () => (entry.requests += 1),
        });
        const obtainedAt = new Date(this.#clock.now());
        const credential: Credential = { kind: 'bearer', token: fetched.token, expiresAt: fetched.expiresAt, obtainedAt };
        if (!this.#isAlive(credential)) {
          throw new TokenFailure(`The token has already ended (${fetched.expiresAt.toISOString()})`, {
            isDefinite: false,
            todo: 'check the clock of this machine',
          });
        }
        entry.renewAt = renewalTime(fetched, obtainedAt);
        entry.nextTryAt = entry.renewAt;
        return credential;
      }
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

function nameFailure(name: string, thrown: unknown): ProxyError {
  if (thrown instanceof TokenFailure) {
    const code = thrown.isDefinite ? 'identity-rejected' : 'identity-unavailable';
    return new ProxyError(code, thrown.message, { todo: thrown.todo, cause: thrown });
  }
  if (thrown instanceof ProxyError) return thrown;
  return new ProxyError('internal', `Identity ${name} failed: ${messageOf(thrown)}`, { todo: 'report this with the log', cause: thrown });
}
