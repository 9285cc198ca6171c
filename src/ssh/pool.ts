/**
 * Connections to SSH hosts that are kept for the next command, so that it needs no handshake and no signature. A pool belongs to one
 * (host, port, user, key, agent, known_hosts, legacy): what one route may use another does not get, unless it could have had it itself.
 */
import { HostKeys } from './host-keys.js';
import { HostPool, type SshTarget, type SshUpstreamState, type Started } from './host-pool.js';
import { Abandoned } from './tcp.js';

/** Pools from which on the unused are looked for: a route with a wildcard makes one for each name that a caller thinks up. */
const MANY_POOLS = 64;
/** All pools of the daemon. */
export class SshUpstreams {
  readonly #pools = new Map<string, HostPool>();
  readonly #connectMs: number;
  readonly #home: string | undefined;
  #isClosed = false;

  /** `home`: whose .ssh/known_hosts is read; default that of the process. */
  constructor(options: { readonly connectMs: number; readonly home?: string | undefined }) {
    this.#connectMs = options.connectMs;
    this.#home = options.home;
  }

  /**
   * Starts a command on a connection that is there, or on a new one. One that turns out to be dead is replaced once.
   * @throws ProxyError as SshConnection.open, and `upstream-unavailable` when too many commands wait; Abandoned when `over` was aborted
   * or all was closed
   */
  start(target: SshTarget, command: string, environment: Readonly<Record<string, string>>, over: AbortSignal): Promise<Started> {
    if (this.#isClosed) return Promise.reject(new Abandoned());
    return this.#poolOf(target).start(command, environment, over);
  }

  /** Connections by pool. */
  states(): SshUpstreamState[] {
    return [...this.#pools.values()].map((pool) => pool.state).filter(({ busy, idle }) => busy + idle > 0);
  }

  /** Closes every connection, busy ones too. */
  close(): void {
    this.#isClosed = true;
    for (const pool of this.#pools.values()) pool.close();
    this.#pools.clear();
  }

  #poolOf(target: SshTarget): HostPool {
    const { host, port, user, key, knownHosts, isLegacyAllowed } = target;
    const name = JSON.stringify([host, port, user, key.fingerprint, key.socket, knownHosts ?? null, isLegacyAllowed]);
    const known = this.#pools.get(name);
    if (known !== undefined) return known;
    if (this.#pools.size >= MANY_POOLS) for (const [other, pool] of this.#pools) if (pool.isUnused) this.#pools.delete(other);
    const pool = new HostPool(target, async () => ({
      ...target,
      hostKeys: await HostKeys.read(knownHosts, this.#home),
      connectMs: this.#connectMs,
    }));
    this.#pools.set(name, pool);
    return pool;
  }
}
