/** The credentials that the vault holds, by identity and variant; node-cache keeps them. Knows names, not tokens. */
import NodeCache from 'node-cache';
import type { CredentialTarget } from '../model/credential.js';
import { ProxyError } from '../model/errors.js';
import { type Entry, newEntry, variantOf, type VaultIdentity } from './vault-entry.js';
import { type Counts, type IdentityState, stateOf } from './vault-state.js';

/** Credentials that one identity holds at once, one for each tenant, host or repository: more than a person uses in a day, and a bound for names that callers think up. */
export const MOST_VARIANTS = 256;

/** One identity and its entries by variant. */
export class Holder {
  readonly identity: VaultIdentity;
  readonly #entries = new NodeCache({ useClones: false, stdTTL: 0, checkperiod: 0 });
  /** Counts of entries that gave way to others. */
  readonly #forgotten: Counts = { requests: 0, obtained: 0, failed: 0 };

  constructor(identity: VaultIdentity) {
    this.identity = identity;
  }

  all(): Entry[] {
    return this.#entries.keys().flatMap((key) => this.#entries.get<Entry>(key) ?? []);
  }

  /** The entry for a target; made when there is none. */
  entry(target: CredentialTarget): Entry {
    const variant = variantOf(this.identity, target);
    const known = this.#entries.get<Entry>(keyOf(variant));
    if (known !== undefined) return known;
    if (this.#entries.keys().length >= MOST_VARIANTS) this.#makeRoom();
    const entry = newEntry(this.identity, variant, target);
    this.#entries.set(keyOf(variant), entry);
    return entry;
  }

  /** `now` in ms since the epoch. */
  state(now: number): IdentityState {
    return stateOf(this.identity, this.all(), this.#forgotten, now);
  }

  /** The variant that was not used for longest gives way. */
  #makeRoom(): void {
    const idle = this.all()
      .filter(({ flight }) => flight === undefined)
      .sort((a, b) => a.lastUsed - b.lastUsed)[0];
    if (idle === undefined) return;
    idle.cancelTimer?.();
    for (const count of ['requests', 'obtained', 'failed'] as const) this.#forgotten[count] += idle[count];
    this.#entries.del(keyOf(idle.variant));
  }
}

/** Every identity of a configuration, in its order. */
export class Holders {
  readonly #byName: ReadonlyMap<string, Holder>;

  constructor(identities: readonly VaultIdentity[]) {
    this.#byName = new Map(identities.map((identity) => [identity.settings.name, new Holder(identity)]));
  }

  find(name: string): Holder | undefined {
    return this.#byName.get(name);
  }

  /** @throws ProxyError `internal`: names were checked when the configuration was read */
  get(name: string): Holder {
    const holder = this.#byName.get(name);
    if (holder === undefined) throw new ProxyError('internal', `There is no identity ${name}`);
    return holder;
  }

  all(): Holder[] {
    return [...this.#byName.values()];
  }
}

/** A variant may be empty, and a key may not. */
function keyOf(variant: string): string {
  return `of ${variant}`;
}
