/** What `status` and the measurements are told of an identity. */
import type { IdentitySettings } from '../model/settings.js';
import { isAliveAt } from './token-life.js';
import type { Entry, VaultIdentity } from './vault-entry.js';

/** How one credential of an identity stands. */
export interface VariantState {
  /** The tenant or host that it is for; empty when the identity has only one credential. */
  readonly variant: string;
  readonly state: 'unused' | 'ready' | 'failing';
  /** Of the token that is held. */
  readonly obtainedAt: Date | undefined;
  readonly expiresAt: Date | undefined;
  /** When it is renewed in the background, if it is. */
  readonly renewsAt?: Date | undefined;
  readonly failure: string | undefined;
  readonly todo: string | undefined;
  /** Who the token that is held says is signed in: an account, else the client id of an application. */
  readonly account: string | undefined;
  /** Tenant that it is of, an id. */
  readonly tenant: string | undefined;
  /** Claims that an upstream asked for and that no token has yet, JSON. */
  readonly claims: string | undefined;
}

/** What `status` shows of an identity. Of several variants: failing when one is, and the times of the token that ends first. */
export interface IdentityState extends Omit<VariantState, 'variant' | 'claims' | 'account' | 'tenant'> {
  readonly name: string;
  readonly kind: IdentitySettings['kind'];
  /** What there is to say of its tokens besides their end. */
  readonly note?: string | undefined;
  /** Requests since the start, each try by itself; and how often all tries together gave a credential, or none. */
  readonly requests: number;
  readonly obtained: number;
  readonly failures: number;
  /** Each credential by itself, latest use first. */
  readonly variants: readonly VariantState[];
}

/** `entries`: all of the identity; `forgotten`: the counts of those that gave way to others. `now` in ms since the epoch. */
export function stateOf({ settings, source }: VaultIdentity, entries: readonly Entry[], forgotten: Counts, now: number): IdentityState {
  const variants = [...entries].sort((a, b) => b.lastUsed - a.lastUsed).map((entry) => variantState(entry, now));
  const failing = variants.find(({ state }) => state === 'failing');
  const first = variants
    .filter(({ expiresAt }) => expiresAt !== undefined)
    .sort((a, b) => (a.expiresAt?.getTime() ?? 0) - (b.expiresAt?.getTime() ?? 0))[0];
  const sum = (count: keyof Counts): number => entries.reduce((total, entry) => total + entry[count], forgotten[count]);
  return {
    name: settings.name,
    kind: settings.kind,
    ...(source.kind === 'token' && source.source.note !== undefined ? { note: source.source.note } : {}),
    state: failing !== undefined ? 'failing' : variants.some(({ state }) => state === 'ready') ? 'ready' : 'unused',
    obtainedAt: first?.obtainedAt,
    expiresAt: first?.expiresAt,
    renewsAt: first?.renewsAt,
    requests: sum('requests'),
    obtained: sum('obtained'),
    failures: sum('failed'),
    failure: failing?.failure,
    todo: failing?.todo,
    variants,
  };
}

export type Counts = Pick<Entry, 'requests' | 'obtained' | 'failed'>;

function variantState(entry: Entry, now: number): VariantState {
  const { held, failure } = entry;
  const token = held?.kind === 'bearer' ? held : undefined;
  return {
    variant: entry.variant,
    state: failure !== undefined ? 'failing' : held !== undefined && isAliveAt(held, now) ? 'ready' : 'unused',
    obtainedAt: token?.obtainedAt,
    expiresAt: token?.expiresAt,
    renewsAt: token === undefined || !Number.isFinite(entry.renewAt) ? undefined : new Date(entry.renewAt),
    failure: failure?.error.message,
    todo: failure?.error.todo,
    account: token && (entry.about?.account ?? entry.about?.application),
    tenant: token && entry.about?.tenant,
    claims: entry.claims,
  };
}
