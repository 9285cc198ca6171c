/**
 * Tokens for a person who has signed in with `postern login`. What the sign-in left is read from its store for each token, so that a
 * new one counts at once, and what a token request leaves is put in its place.
 */
import { ProxyError } from '../model/errors.js';
import type { LoginStore, SendSignIn, StoredLogin } from '../model/sign-in.js';
import { authorityOf } from './authority.js';
import { notSignedIn } from './login-failure.js';
import { ANY_TENANT, type Login, type LoginRecord, misfit, type PersonIdentity, readRecord, writeRecord } from './login-record.js';
import { PersonClient } from './person-client.js';
import { type FetchedToken, TokenFailure, type TokenOrder, type TokenSource } from './token-source.js';

export interface LoginSurroundings {
  readonly send: SendSignIn;
  /** Wall-clock time, ms since the epoch. */
  readonly now: () => number;
  /** The daemon's. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Undefined without a state directory. */
  readonly logins: LoginStore | undefined;
  /** Told when what a token request left could not be kept; the token is good all the same. */
  readonly onFault: (fault: ProxyError) => void;
}

export function createLoginSource(identity: PersonIdentity, { send, now, environment, logins, onFault }: LoginSurroundings): TokenSource {
  const { name } = identity;

  async function renew(kept: StoredLogin, { tenant, claims }: TokenOrder): Promise<FetchedToken> {
    const record = readRecord(name, kept.text);
    const authority = authorityOf(identity, environment);
    const why = misfit(identity, authority, record);
    if (why !== undefined) throw notSignedIn(identity, why);
    const way = { identity, authority, tenant: identity.tenant ?? tenant ?? ANY_TENANT, send, now, claims };
    const { token, login } = await (await PersonClient.open(way, record)).renew(record, kept.label);
    await keep(kept, record, login);
    return token;
  }

  /** When another process was first, or somebody signed in or out meanwhile, that counts and this is dropped. */
  async function keep(kept: StoredLogin, before: LoginRecord, { record, label }: Login): Promise<void> {
    if (record.cache === before.cache) return;
    try {
      await logins?.write(name, { text: writeRecord(record), label }, kept.version);
    } catch (thrown) {
      if (!(thrown instanceof ProxyError)) throw thrown;
      onFault(thrown);
    }
  }

  return {
    wantsTenant: identity.tenant === undefined,
    async fetch(order) {
      if (logins === undefined) throw notSignedIn(identity, 'There is no state directory, so no sign-in can be kept');
      const kept = await logins.read(name);
      if (kept === undefined) throw notSignedIn(identity);
      try {
        return await renew(kept, order);
      } catch (thrown) {
        if (!(thrown instanceof TokenFailure) || !thrown.isDefinite) throw thrown;
        // A refresh token may be good for one use; another process that had it first has left its successor.
        const newer = await logins.read(name);
        if (newer === undefined || newer.version === kept.version) throw thrown;
        return renew(newer, order);
      }
    },
  };
}
