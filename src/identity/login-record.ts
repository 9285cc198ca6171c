/**
 * What is kept of a person's sign-in: the account and the token library's own cache, without the tokens that the vault has or nobody
 * needs. It is bound to the sign-in service and the client that it was made with: a refresh token never goes elsewhere.
 */
import { ProxyError } from '../model/errors.js';
import { Secret } from '../model/secret.js';
import type { IdentitySettings } from '../model/settings.js';
import type { LoginLabel } from '../model/sign-in.js';

/** Identities that a person signs in for with `postern login`. */
export type PersonIdentity = Extract<IdentitySettings, { kind: 'browser' | 'device-code' }>;

/**
 * The client that signs in when the identity names none: that of Visual Studio, which every tenant knows, which may be sent back to
 * `http://localhost`, and which, unlike an app of one's own, personal accounts can sign in to for Azure DevOps.
 */
export const DEFAULT_CLIENT = '872cd9fa-d31f-45e0-9eab-6e460a02d1f1';
/** The tenant to ask when nobody names one: that of whoever signs in. */
export const ANY_TENANT = 'organizations';

export interface LoginRecord {
  readonly authority: string;
  readonly clientId: string;
  readonly account: string;
  /** How the library finds the account again. */
  readonly homeAccountId: string;
  /** The library's cache, JSON. */
  readonly cache: string;
}

/** A sign-in and whose it is. */
export interface Login {
  readonly record: LoginRecord;
  readonly label: LoginLabel;
}

/** Members of the library's cache that are kept: access tokens are the vault's, and ID tokens nobody needs. */
const KEPT_PARTS = ['Account', 'RefreshToken', 'AppMetadata'];

/** @param cache as the library writes it */
export function keptCache(cache: string): string {
  const whole = JSON.parse(cache) as Readonly<Record<string, unknown>>; // the library wrote it
  return JSON.stringify(Object.fromEntries(KEPT_PARTS.map((part) => [part, whole[part] ?? {}])));
}

export function writeRecord({ authority, clientId, account, homeAccountId, cache }: LoginRecord): Secret {
  return new Secret(JSON.stringify({ authority, clientId, account, homeAccountId, cache }));
}

/** The twin of `writeRecord`. @throws ProxyError `login-unreadable` for what it did not write */
export function readRecord(identity: string, text: Secret): LoginRecord {
  let map: Readonly<Record<string, unknown>> = {};
  try {
    map = { ...(JSON.parse(text.reveal()) as object) };
  } catch {
    // An empty map lacks everything.
  }
  const { authority, clientId, account, homeAccountId, cache } = map;
  if ([authority, clientId, account, homeAccountId, cache].some((part) => typeof part !== 'string')) {
    throw new ProxyError('login-unreadable', `The sign-in that is kept for identity ${identity} is not in a form that this version knows`, {
      todo: `sign in again with \`postern login ${identity}\``,
    });
  }
  return map as unknown as LoginRecord; // each part was looked at
}

/** Whether two ways of writing an account mean the same one. */
export function isAccount(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

/** Why a sign-in that is kept is of no use to an identity as it is configured now; undefined when it is. */
export function misfit({ name, clientId, user }: PersonIdentity, authority: string, record: LoginRecord): string | undefined {
  const kept = `The sign-in that is kept for identity ${name}`;
  if (record.authority !== authority) return `${kept} is one at ${record.authority}, not at ${authority}`;
  if (record.clientId !== (clientId ?? DEFAULT_CLIENT)) return `${kept} was made with another clientId`;
  if (user !== undefined && !isAccount(user, record.account)) return `${kept} is that of ${record.account}, not of ${user}`;
  return undefined;
}
