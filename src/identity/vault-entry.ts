/** What the vault knows of one identity, and what of that outlasts a change of the configuration. */
import type { Credential } from '../model/credential.js';
import type { ProxyError } from '../model/errors.js';
import type { Secret } from '../model/secret.js';
import type { IdentitySettings } from '../model/settings.js';
import type { TokenSource } from './token-source.js';

/** Where each identity's credential comes from. */
export type CredentialSource =
  | { readonly kind: 'token'; readonly source: TokenSource }
  | { readonly kind: 'basic'; readonly user: string; readonly read: () => Promise<Secret> }
  | { readonly kind: 'none' }
  | { readonly kind: 'passthrough' };

export interface VaultIdentity {
  readonly settings: IdentitySettings;
  readonly source: CredentialSource;
}

export interface Entry {
  readonly identity: VaultIdentity;
  held: Credential | undefined;
  renewAt: number;
  flight: Promise<Credential> | undefined;
  failure: { readonly error: ProxyError; readonly at: number } | undefined;
  failures: number;
  nextTryAt: number;
  lifeWishAt: number;
  lastUsed: number;
  requests: number;
  obtained: number;
  failed: number;
  cancelTimer: (() => void) | undefined;
}

/** Of an identity that nobody has asked for yet. */
export function newEntry(identity: VaultIdentity): Entry {
  return {
    identity,
    held: undefined,
    renewAt: 0,
    flight: undefined,
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
 * Takes what is held over from the entry that had the name before, if that identity was written the same; true when it is a
 * token, which is to be kept fresh. A token is good whoever asked for it. A secret is not taken over: it may be what was changed.
 */
export function takeOver(entry: Entry, before: Entry): boolean {
  if (JSON.stringify(before.identity.settings) !== JSON.stringify(entry.identity.settings)) return false;
  entry.requests = before.requests;
  entry.lastUsed = before.lastUsed;
  if (before.held?.kind !== 'bearer') return false;
  entry.held = before.held;
  entry.renewAt = before.renewAt;
  entry.nextTryAt = before.renewAt;
  return true;
}
