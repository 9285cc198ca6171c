/** What the house lets telemetry see (telemetry/house-view.ts), and the opening of its listener. */
import type { Clock, Logger } from '../model/ports.js';
import type { Settings } from '../model/settings.js';
import type { HouseView, Life, PoolCount } from '../telemetry/house-view.js';
import type { LogTally } from '../telemetry/log-tally.js';
import { openTelemetry, type Telemetry } from '../telemetry/telemetry-listener.js';
import type { House } from './assemble.js';
import type { DaemonStatus } from './status.js';

export interface TelemetryParts {
  /** As they are now: a reload may change them. */
  readonly house: () => House;
  readonly limits: () => Settings['limits'];
  readonly state: () => DaemonStatus['state'];
  readonly tally: LogTally;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly version: string;
}

/** The telemetry of a daemon: there, or not, as the configuration of the moment says. */
export class DaemonTelemetry {
  readonly #parts: TelemetryParts;
  #opened: Telemetry | undefined;
  #names: readonly string[] = [];

  constructor(parts: TelemetryParts) {
    this.#parts = parts;
  }

  /** Where it listens, `http://127.0.0.1:9417`. */
  get addresses(): readonly string[] {
    return this.#opened?.addresses ?? [];
  }

  /**
   * Listens where these settings say, and nowhere else; from the first time on operations are counted. When an address cannot be had,
   * everything is as it was.
   * @throws ProxyError `listen-failed`
   */
  async move({ telemetry, listen }: Pick<Settings, 'telemetry' | 'listen'>): Promise<void> {
    if (this.#opened !== undefined) await this.#opened.move(telemetry.listen);
    else if (telemetry.listen.length > 0) {
      const { logger, house } = this.#parts;
      this.#opened = await openTelemetry({ addresses: telemetry.listen, view: viewOf(this.#parts), logger, names: () => this.#names });
      house().ledger.observers.add(this.#opened.observer);
    }
    this.#names = listen.names;
  }

  async close(): Promise<void> {
    await this.#opened?.close();
  }
}

function viewOf({ house, limits, state, tally, clock, version }: TelemetryParts): HouseView {
  return {
    version,
    startedAt: clock.now(),
    now: () => clock.now(),
    life: () => lifeOf(house(), state()),
    running: () => house().ledger.running(),
    identities: () => house().vault.states(),
    patEnds: () =>
      house()
        .pats.states()
        .flatMap(({ identity, life }) =>
          life?.expiresAt === undefined ? [] : [{ identity, expiresAt: new Date(life.expiresAt).getTime() }],
        ),
    pools: () => poolsOf(house()),
    throttled: () => house().throttle.states().length,
    audit: () => house().audit.state(),
    limits,
    doorConnections: async () => {
      const { door, sshDoor } = house();
      const http = { door: 'http', count: await door.connections() } as const;
      return sshDoor.bound.length === 0 ? [http] : [http, { door: 'ssh', count: await sshDoor.connections() }];
    },
    certificateEndsAt: () => {
      const ends = house().certificates?.state?.expiresAt;
      return ends === undefined ? undefined : new Date(ends).getTime();
    },
    logged: () => tally.logged(),
  };
}

function lifeOf({ door, sshDoor, audit }: House, state: DaemonStatus['state']): Life {
  // While it starts and stops, listeners are closed on purpose.
  const isDeaf = state === 'ready' && !(door.isListening && sshDoor.isListening);
  return { state, unready: audit.refusal()?.what, fault: isDeaf ? 'a listener has closed' : undefined };
}

/** By identity alone: a route with a wildcard has as many upstreams as names are thought up. */
function poolsOf({ connections, sshUpstreams }: House): PoolCount[] {
  const counts = new Map<string | undefined, { busy: number; idle: number }>();
  const pools: PoolCount[] = [];
  for (const { identity, busy, idle } of connections.states()) {
    const known = counts.get(identity);
    if (known === undefined) {
      const count = { protocol: 'https', identity, busy, idle } as const;
      counts.set(identity, count);
      pools.push(count);
    } else {
      known.busy += busy;
      known.idle += idle;
    }
  }
  const ssh = sshUpstreams.states();
  const sum = (of: 'busy' | 'idle'): number => ssh.reduce((all, each) => all + each[of], 0);
  return ssh.length === 0 ? pools : [...pools, { protocol: 'ssh', identity: undefined, busy: sum('busy'), idle: sum('idle') }];
}
