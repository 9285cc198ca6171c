/** What a source of Entra tokens needs of the outside, as the daemon gives it. */
import type { EntraSurroundings } from '../../src/identity/entra-source.js';
import { signInHttp } from '../../src/upstream/sign-in-http.js';

/** The real way to a sign-in service, by the environment that is handed in. */
export function entraAround(changes: Partial<EntraSurroundings> = {}): EntraSurroundings {
  const environment = changes.environment ?? {};
  return {
    readSecret: () => Promise.reject(new Error('this test has no secret')),
    send: signInHttp({ environment, connectMs: 10_000, timeoutMs: 10_000 }),
    environment,
    now: () => Date.now(),
    ...changes,
  };
}
