/**
 * What the vault knows of one credential, and what of that outlasts a change of the configuration. An identity has one of
 * them, or one for each variant: a tenant, a host.
 */
import type { Credential, CredentialTarget } from '../model/credential.js';
import type { ProxyError } from '../model/errors.js';
import type { Secret } from '../model/secret.js';
import type { IdentitySettings } from '../model/settings.js';
import type { TokenClaims } from '../model/token-claims.js';
import type { TokenSource } from './token-source.js';

/** Where each identity's credential comes from. */
export type CredentialSource =
  | { readonly kind: 'token'; readonly source: TokenSource }
  | { readonly kind: 'basic'; readonly user: string; readonly read: () => Promise<Secret> }
  | { readonly kind: 'asked'; readonly source: AskedSource }
  | { readonly kind: 'none' }
  | { readonly kind: 'passthrough' };

/** A keeper of credentials beside us that is asked for one, and wants to hear whether it was good. */
export interface AskedSource {
  /** The name of what one credential is good for: targets with the same variant share it. */
  variantOf(target: CredentialTarget): string;
  /** @throws TokenFailure, ProxyError */
  ask(target: CredentialTarget): Promise<Credential>;
  /** Told once of each credential that the upstream took or refused. Never rejects. */
  settle(target: CredentialTarget, credential: Credential, isGood: boolean): Promise<void>;
}

export interface VaultIdentity {
  readonly settings: IdentitySettings;
  readonly source: CredentialSource;
}

/** A request for a credential that is on its way. */
export interface Flight {
  /** Claims that it carries, JSON. */
  readonly claims: string | undefined;
  readonly result: Promise<Credential>;
}

export interface Entry {
  readonly identity: VaultIdentity;
  /** Empty for an identity that has only one. */
  readonly variant: string;
  readonly target: CredentialTarget;
  held: Credential | undefined;
  /** What the token that is held says of itself; undefined for what says nothing. */
  about: TokenClaims | undefined;
  /** Whether the source was told that what is held is good. */
  isSettled: boolean;
  renewAt: number;
  flight: Flight | undefined;
  /** Claims that an upstream wants to see in the next token; kept until there is one. */
  claims: string | undefined;
  /** `holdMs`: for how long nobody is asked anew. */
  failure: { readonly error: ProxyError; readonly at: number; readonly holdMs: number } | undefined;
  failures: number;
  nextTryAt: number;
  lifeWishAt: number;
  lastUsed: number;
  requests: number;
  obtained: number;
  failed: number;
  cancelTimer: (() => void) | undefined;
}

/** What makes a difference to this identity among targets; see Entry. */
export function variantOf({ source }: VaultIdentity, target: CredentialTarget): string {
  if (source.kind === 'asked') return source.source.variantOf(target);
  return source.kind === 'token' && source.source.wantsTenant === true ? (target.tenant ?? '') : '';
}

/** Of an identity that nobody has asked for yet. */
export function newEntry(identity: VaultIdentity, variant = '', target: CredentialTarget = {}): Entry {
  return {
    identity,
    variant,
    target,
    held: undefined,
    about: undefined,
    isSettled: false,
    renewAt: 0,
    flight: undefined,
    claims: undefined,
    failure: undefined,
    failures: 0,
    nextTryAt: 0,
    lifeWishAt: -Infinity,
    lastUsed: 0,
    requests: 0,
    obtained: 0,
    failed: 0,
    cancelTimer: undefined,
  };
}

/**
 * Takes what is held over from the entry that had the name before; true when it is a token, which is to be kept fresh. A token is
 * good whoever asked for it. A secret is not taken over: it may be what was changed.
 */
export function takeOver(entry: Entry, before: Entry): boolean {
  entry.requests = before.requests;
  entry.lastUsed = before.lastUsed;
  entry.claims = before.claims;
  if (before.held?.kind !== 'bearer' || entry.identity.source.kind !== 'token') return false;
  entry.held = before.held;
  entry.about = before.about;
  entry.renewAt = before.renewAt;
  entry.nextTryAt = before.renewAt;
  return true;
}

/** Whether two identities are written the same. */
export function isWrittenAlike(a: VaultIdentity, b: VaultIdentity): boolean {
  return JSON.stringify(a.settings) === JSON.stringify(b.settings);
}
