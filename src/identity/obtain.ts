/** One credential from an identity's source, for the vault to keep: nothing here is kept or shared. */
import type { Credential } from '../model/credential.js';
import { messageOf, ProxyError } from '../model/errors.js';
import type { Clock } from '../model/ports.js';
import type { TokenClaims } from '../model/token-claims.js';
import { inspectToken, orderOf } from './purpose.js';
import { fetchWithin } from './token-fetch.js';
import { isAliveAt, renewalTime } from './token-life.js';
import { TokenFailure } from './token-source.js';
import type { Entry } from './vault-entry.js';

export interface Obtained {
  readonly credential: Credential;
  /** When to renew it, ms since the epoch; undefined for what has no time of its own. */
  readonly renewAt?: number;
  /** What a token says of itself; undefined for an opaque one, and for what is none. */
  readonly about?: TokenClaims | undefined;
}

export interface ObtainLimits {
  readonly clock: Clock;
  /** ms for all tries together. */
  readonly timeoutMs: number;
  /** Whether nobody wants it any more. */
  readonly isUnwanted: () => boolean;
}

/**
 * Asks the source of an entry; each try is counted there. `claims`: what an upstream wants to see satisfied, JSON.
 * @throws TokenFailure, ProxyError
 */
export async function obtainCredential(entry: Entry, claims: string | undefined, limits: ObtainLimits): Promise<Obtained> {
  const { source, settings } = entry.identity;
  switch (source.kind) {
    case 'none':
    case 'passthrough':
      return { credential: { kind: source.kind } };
    case 'basic':
      entry.requests += 1;
      return { credential: { kind: 'basic', user: source.user, password: await source.read() } };
    case 'asked':
      entry.requests += 1;
      return { credential: await source.source.ask(entry.target) };
    case 'token': {
      const { clock } = limits;
      const order = orderOf(settings, entry.target, claims);
      const fetched = await fetchWithin(source.source, order, { ...limits, onTry: () => (entry.requests += 1) });
      const about = inspectToken(settings, fetched.token);
      const obtainedAt = new Date(clock.now());
      const credential: Credential = { kind: 'bearer', token: fetched.token, expiresAt: fetched.expiresAt, obtainedAt };
      if (!isAliveAt(credential, clock.now())) {
        throw new TokenFailure(`The token has already ended (at ${fetched.expiresAt.toISOString()})`, {
          isDefinite: false,
          todo: `check the clock of this machine (it says ${obtainedAt.toISOString()}): it is most likely ahead`,
        });
      }
      return { credential, renewAt: renewalTime(fetched, obtainedAt), about };
    }
  }
}

/** Anything that was thrown on the way, as what callers are told. */
export function nameFailure(name: string, thrown: unknown): ProxyError {
  if (thrown instanceof TokenFailure) {
    const code = thrown.isDefinite ? 'identity-rejected' : 'identity-unavailable';
    return new ProxyError(code, thrown.message, { todo: thrown.todo, cause: thrown });
  }
  if (thrown instanceof ProxyError) return thrown;
  return new ProxyError('internal', `Identity ${name} failed: ${messageOf(thrown)}`, { todo: 'report this with the log', cause: thrown });
}
