/**
 * Pooled keep-alive connections to upstreams. A pool belongs to one (upstream, trust, outgoing proxy, identity) and is
 * never shared between identities: some servers authenticate a connection, not a request. A host that an upstream only named has pools
 * of its own. For `passthrough` a pool
 * belongs to one client connection and holds one upstream connection, so that NTLM and Negotiate work and no caller
 * inherits another's sign-in.
 */
import { Agent, type AgentOptions } from 'node:http';
import type { LookupFunction } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SecureContext } from 'node:tls';
import { ProxyError } from '../model/errors.js';
import type { Route } from '../model/settings.js';
import { dial } from './dial.js';
import { type Environment, outgoingProxyFor } from './outgoing-proxy.js';
import { trustContext } from './trust.js';

/** Idle connections are closed after this: sooner than servers close theirs (Azure's front end after about 120 s). */
const IDLE_MS = 55_000;
/** Connections at once per pool. A fleet's parallel clones are in the tens; more would look like an attack. */
const MOST_CONNECTIONS = 128;
/** Idle connections kept per pool. */
const MOST_IDLE = 8;
/** Pools from which on the unused are looked for: a route for `*.example.com` makes one for each name that a caller thinks up. */
const MANY_POOLS = 64;

/** Where one request goes. */
export interface UpstreamTarget {
  /** Origin only: scheme, host, port. */
  readonly origin: URL;
  readonly route: Route;
  readonly identity: string;
  /** Set for a host that the route's upstream named; pools of such are apart, also by whether the host may have a private address. */
  readonly foreign?: { readonly mayBePrivate: boolean } | undefined;
}

/** The scheme default of a Node agent must be set by hand when it dials by itself. */
interface DialAgentOptions extends AgentOptions {
  readonly defaultPort: number;
  readonly protocol: string;
}

/** An agent that dials by the plan of one pool. */
class DialAgent extends Agent {
  #session: Buffer | undefined;
  #waiting = 0;
  readonly #open: (
    session: Buffer | undefined,
    keep: (session: Buffer) => void,
    done: (fault: Error | null, socket?: Duplex) => void,
  ) => void;

  constructor(
    options: DialAgentOptions,
    open: (session: Buffer | undefined, keep: (session: Buffer) => void, done: (fault: Error | null, socket?: Duplex) => void) => void,
  ) {
    super(options);
    // Node asks the agent which scheme it is for, and has no option for that.
    Object.assign(this, { protocol: options.protocol, defaultPort: options.defaultPort });
    this.#open = open;
  }

  override createConnection(_options: unknown, callback?: (fault: Error | null, stream: Duplex) => void): Duplex | null | undefined {
    this.#waiting += 1;
    this.#open(
      this.#session,
      (session) => {
        this.#session = session;
      },
      (fault, socket) => {
        this.#waiting -= 1;
        // Node's type says a stream always comes; it looks at the fault first.
        callback?.(fault, socket as Duplex);
      },
    );
    return undefined;
  }

  /** Whether nothing is open, being opened or waiting, so that nobody would miss it. */
  get isUnused(): boolean {
    return [this.sockets, this.freeSockets, this.requests].every((each) => count(each) === 0) && this.#waiting === 0;
  }

  get counts(): { readonly busy: number; readonly idle: number; readonly dialling: number } {
    return { busy: count(this.sockets), idle: count(this.freeSockets), dialling: this.#waiting };
  }
}

function count(sockets: NodeJS.ReadOnlyDict<readonly unknown[]>): number {
  return Object.values(sockets).reduce((sum, list) => sum + (list?.length ?? 0), 0);
}

export interface PoolState {
  readonly upstream: string;
  readonly identity: string;
  readonly busy: number;
  readonly idle: number;
}

/** All pools of the daemon. */
export class UpstreamConnections {
  readonly #pools = new Map<string, { readonly agent: DialAgent; readonly target: UpstreamTarget }>();
  readonly #private = new Set<DialAgent>();
  readonly #trusts = new Map<string, SecureContext | undefined>();
  readonly #environment: Environment;
  readonly #connectMs: number;
  readonly #lookup: LookupFunction | undefined;

  /** `lookup` finds the addresses of a name; undefined is the system's. */
  constructor(options: { environment: Environment; connectMs: number; lookup?: LookupFunction }) {
    this.#lookup = options.lookup;
    this.#environment = options.environment;
    this.#connectMs = options.connectMs;
  }

  /**
   * The pool of a target.
   * @throws ProxyError `upstream-tls` for a `ca` that cannot be used, `config-invalid` for an unusable proxy
   */
  agentFor(target: UpstreamTarget): Agent {
    const proxy = outgoingProxyFor(target.route, target.origin, this.#environment);
    const key = JSON.stringify([
      target.origin.origin,
      target.route.ca ?? null,
      proxy?.href ?? null,
      target.identity,
      target.foreign?.mayBePrivate ?? null,
    ]);
    const known = this.#pools.get(key);
    if (known !== undefined) return known.agent;
    if (this.#pools.size >= MANY_POOLS) for (const [other, { agent }] of this.#pools) if (agent.isUnused) this.#pools.delete(other);
    const agent = this.#build(target, proxy, { maxSockets: MOST_CONNECTIONS, maxFreeSockets: MOST_IDLE });
    this.#pools.set(key, { agent, target });
    return agent;
  }

  /** A pool of one connection, for one client connection; the caller of this closes it with `release`. */
  privateAgent(target: UpstreamTarget): { readonly agent: Agent; readonly release: () => void } {
    const proxy = outgoingProxyFor(target.route, target.origin, this.#environment);
    const agent = this.#build(target, proxy, { maxSockets: 1, maxFreeSockets: 1 });
    this.#private.add(agent);
    return {
      agent,
      release: () => {
        this.#private.delete(agent);
        agent.destroy();
      },
    };
  }

  /** Open connections by pool. */
  states(): PoolState[] {
    return [...this.#pools.values()].map(({ agent, target }) => ({
      upstream: target.origin.host,
      identity: target.identity,
      busy: agent.counts.busy,
      idle: agent.counts.idle,
    }));
  }

  /** Closes every connection, busy ones too. */
  close(): void {
    for (const { agent } of this.#pools.values()) agent.destroy();
    for (const agent of this.#private) agent.destroy();
    this.#pools.clear();
    this.#private.clear();
  }

  #build(target: UpstreamTarget, proxy: URL | undefined, limits: { maxSockets: number; maxFreeSockets: number }): DialAgent {
    const { origin, route, foreign } = target;
    if (origin.protocol !== 'https:' && origin.protocol !== 'http:') throw new ProxyError('internal', `No way to dial ${origin.protocol}`);
    const trust = this.#trust(route.ca);
    return new DialAgent(
      {
        keepAlive: true,
        scheduling: 'lifo',
        timeout: IDLE_MS,
        ...limits,
        defaultPort: origin.protocol === 'https:' ? 443 : 80,
        protocol: origin.protocol,
      },
      (session, onSession, done) => {
        const kind = { isForeign: foreign !== undefined, isPublicOnly: foreign?.mayBePrivate === false };
        dial({ origin, trust, proxy, timeoutMs: this.#connectMs, session, onSession, lookup: this.#lookup, ...kind }, done);
      },
    );
  }

  #trust(ca: string | undefined): SecureContext | undefined {
    const key = ca ?? '';
    if (!this.#trusts.has(key)) this.#trusts.set(key, trustContext(ca));
    return this.#trusts.get(key);
  }
}
