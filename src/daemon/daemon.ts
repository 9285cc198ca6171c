/**
 * The life of the process: open everything or nothing, run, drain, end with the exit code that was meant.
 */
import { ProxyError } from '../model/errors.js';
import type { Clock, LogLevel } from '../model/ports.js';
import type { Settings } from '../model/settings.js';
import { type LogTally, logTally } from '../telemetry/log-tally.js';
import { isLoopback } from '../upstream/outgoing-proxy.js';
import { type AdminSocket, openAdmin } from './admin.js';
import { adminActions } from './admin-actions.js';
import { assemble, type House } from './assemble.js';
import type { AuditHome } from './assemble-audit.js';
import { changeOver, closeParts, letGo, retire } from './change-over.js';
import { type FileWatch, watchFile } from './file-watch.js';
import type { InheritedSockets } from './inherited-sockets.js';
import { DRAIN_LOOK_MS, drainDoors, pause } from './drain.js';
import { warnOfFiles } from './file-limit.js';
import { openListeners, refuseLoops } from './listeners.js';
import type { DaemonLog } from './log.js';
import { LoopLag } from './loop-lag.js';
import { pageViewOf } from './page-view.js';
import type { Places } from './places.js';
import { withHolder } from './port-holder.js';
import { type ReloadCause, Reloads, type ReloadState } from './reloads.js';
import { callDoor } from './self-call.js';
import { checkCallers, warnOfUids } from './self-check.js';
import type { Glance, ServiceManager } from './service-manager.js';
import { takeState } from './take-state.js';
import { addressesOf, type DaemonStatus, runningOperation, type RunningOperation, statusOf } from './status.js';
import { DaemonTelemetry } from './telemetry.js';

export const EXIT = { ok: 0, failure: 1, usage: 2, interrupted: 130, terminated: 143 } as const;

/** The chain of the audit that a service writes. */
const AUDIT_CHAIN = 'daemon';
/** Transfers that were cut close their records as their sockets close: at once, and if not, the audit does not wait. */
const CUT_MS = 1_000;

/** Who wants it to end. */
type StopCause = 'admin' | 'SIGTERM' | 'SIGINT';

export interface DaemonOptions {
  readonly settings: Settings;
  readonly environment: Record<string, string | undefined>;
  readonly places: Places;
  readonly log: DaemonLog;
  readonly clock: Clock;
  readonly version: string;
  /** Where its audit is; by default the chain `daemon` in the state directory. */
  readonly audit?: AuditHome | undefined;
  /**
   * Reads the configuration again. `held`: variables with secrets that were there at the start and are taken out of the environment.
   * Undefined for a daemon whose configuration does not change.
   */
  readonly load?: ((held: readonly string[]) => Promise<{ readonly settings: Settings; readonly warnings: readonly string[] }>) | undefined;
  /** Whether it runs on a terminal, whose end (SIGHUP) is to be its own; it asks a service to read its configuration again. */
  readonly isOnTerminal?: boolean;
  /** The file to watch; undefined when there is none that could come. */
  readonly watched?: string | undefined;
  /** Who started it, where that wants to be told. */
  readonly manager?: ServiceManager | undefined;
  /** Sockets that are open already. */
  readonly inherited?: InheritedSockets | undefined;
}

export class Daemon {
  readonly #options: DaemonOptions;
  #settings: Settings;
  #house: House;
  readonly #reloads: Reloads;
  /** Ends what former houses still hold. */
  readonly #retiring = new Set<() => void>();
  readonly #startedAt = new Date();
  readonly #tally: LogTally;
  readonly #loopLag: LoopLag;
  #admin: AdminSocket | undefined;
  /** Gives the state directory back. */
  #release: (() => Promise<void>) | undefined;
  #watch: FileWatch | undefined;
  readonly #telemetry: DaemonTelemetry;
  #state: DaemonStatus['state'] = 'starting';
  #starting: Promise<void> | undefined;
  #stopping: Promise<number> | undefined;
  #ended: ((code: number) => void) | undefined;
  #isCut = false;
  /** Of a later signal, which then says how the process ends. */
  #cause: StopCause | undefined;

  constructor(options: DaemonOptions) {
    this.#tally = logTally(options.clock);
    this.#options = { ...options, log: this.#tally.watch(options.log) };
    this.#settings = options.settings;
    this.#house = this.#assemble(options.settings);
    const { clock, log: logger, manager } = this.#options;
    this.#loopLag = new LoopLag({ clock, logger });
    const life = { house: () => this.#house, limits: () => this.#settings.limits, state: () => this.#state };
    this.#telemetry = new DaemonTelemetry({ ...life, tally: this.#tally, logger, clock, version: options.version });
    this.#reloads = new Reloads({
      apply: () => {
        manager?.reloading();
        return this.#apply();
      },
      clock,
      logger,
      onEnd: () => manager?.reloaded(this.#reloads.latest?.kind === 'failed' ? this.#reloads.latest.what : undefined),
    });
  }

  #assemble(settings: Settings, previous?: House): House {
    const { environment, clock, log: logger, places } = this.#options;
    const { stateDirectory } = places;
    const audit = this.#options.audit ?? { stateDirectory, chain: AUDIT_CHAIN };
    const pageView = () => pageViewOf(this.status(), this.#house.pace, clock.now());
    return assemble(settings, { environment, clock, logger, stateDirectory, audit, previous, pageView });
  }

  /**
   * Opens the admin socket, then all listeners. When one fails, what was opened is closed again.
   * @throws ProxyError `listen-failed`, `caller-unknown`, `already-running`, `secret-unreadable`, `state-unusable`
   */
  start(): Promise<void> {
    this.#starting ??= this.#open();
    return this.#starting;
  }

  async #open(): Promise<void> {
    const { places, log, clock, watched, load, inherited, manager } = this.#options;
    const house = this.#house;
    const settings = this.#settings;
    try {
      // First, because a second daemon should hear of the first one, not of its port.
      const actions = {
        status: () => this.status(),
        stop: () => void this.stop('admin'),
        kill: (id: number) => this.kill(id),
        // Always of the house of the moment that is asked.
        json: (url: string) => adminActions(this.#house, this, { isShared: places.adminGroup !== undefined }).get(url),
      };
      this.#admin = await openAdmin(places.adminSocket, actions, { group: places.adminGroup });
      this.#release = await takeState(places.stateDirectory);
      // Before the doors: whether it has started can be asked while it starts.
      await this.#telemetry.move(settings);
      // Before a listener opens: what is revoked must be known by then.
      await house.leases?.load();
      // Before anyone can come in: what they do has to have a place.
      await house.audit.start();
      await openListeners(house, settings.listen, { logger: log, inherited });
      refuseLoops(house, settings);
      if (settings.access.local === 'uid') await checkCallers(house.peers, house.door.bound.map(({ host }) => host).filter(isLoopback));
    } catch (thrown) {
      await Promise.all([house.door.close(), house.sshDoor.close()]);
      await letGo(house);
      await this.#telemetry.close();
      await this.#admin?.close();
      await this.#release?.();
      await manager?.close();
      throw await withHolder(thrown);
    }
    this.#loopLag.start();
    this.#tellAddresses();
    await warnOfUids(settings.access, log);
    warnOfFiles(settings.limits, log);
    if (load !== undefined && watched !== undefined) this.#watch = watchFile(watched, clock, () => void this.reload('file'));
    house.pats.start();
    // Whoever was told to stop meanwhile is not ready any more.
    if (this.#state === 'starting') this.#state = 'ready';
    log.log('info', 'ready', { pid: process.pid, version: this.#options.version, configuration: settings.file ?? 'defaults' });
    manager?.ready({ look: () => this.#glance(), callSelf: (withinMs) => this.#callSelf(withinMs) });
  }

  #glance(): Glance {
    const { http, ssh } = addressesOf(this.#house);
    return { doors: [...http, ...ssh], running: this.#house.ledger.running().length };
  }

  async #callSelf(withinMs: number): Promise<void> {
    const { door } = this.#house;
    const [first] = door.bound;
    if (first !== undefined) await callDoor(first, door.selfCalls.headers, withinMs);
  }

  #tellAddresses(): void {
    const { log } = this.#options;
    const { http, ssh } = addressesOf(this.#house);
    for (const address of http) log.log('info', 'listening', { door: 'http', address });
    for (const address of ssh) log.log('info', 'listening', { door: 'ssh', address });
    const { local, remote } = this.#settings.access;
    if (local === 'anyone' || remote === 'anyone') log.log('warn', 'access-open', { local, remote });
  }

  /** Reads the configuration again and goes over to it, or stays with the one in force. Never rejects. */
  reload(cause: ReloadCause): Promise<ReloadState> {
    return this.#reloads.reload(cause);
  }

  async #apply(): Promise<readonly string[]> {
    const { load, clock, log: logger } = this.#options;
    if (load === undefined) throw new ProxyError('usage', 'This daemon keeps its configuration', { todo: 'start another one' });
    const former = { house: this.#house, settings: this.#settings };
    // Before it is read, so that nothing that comes later goes unnoticed.
    await this.#watch?.note();
    const { settings, warnings } = await load([...former.house.held.keys()]);
    if (this.#stopping !== undefined) throw new ProxyError('usage', 'The daemon is stopping', { todo: 'start it again' });
    let house: House;
    try {
      await this.#telemetry.move(settings);
      house = this.#assemble(settings, former.house);
      await changeOver(former, { house, settings }, { logger });
    } catch (thrown) {
      await this.#telemetry.move(former.settings);
      throw await withHolder(thrown);
    }
    this.#house = house;
    this.#settings = settings;
    house.pats.start();
    this.#retiring.add(retire(former.house, house, { clock, onClosed: (close) => this.#retiring.delete(close) }));
    if (JSON.stringify(settings.log) !== JSON.stringify(former.settings.log)) logger.adjust(settings.log);
    house.ledger.operationLevel = settings.log.operations;
    if (JSON.stringify([settings.listen, settings.access]) !== JSON.stringify([former.settings.listen, former.settings.access]))
      this.#tellAddresses();
    await warnOfUids(settings.access, logger);
    return warnings;
  }

  /** Logs at another level until the configuration says otherwise, or the end. */
  setLogLevel(level: LogLevel): void {
    const { log } = this.#options;
    log.adjust({ level });
    log.log('info', 'log-level', { to: level });
  }

  /** Runs until it is stopped; resolves with the exit code. */
  run(): Promise<number> {
    return new Promise((resolve) => {
      this.#ended = resolve;
      process.on('SIGTERM', () => void this.stop('SIGTERM'));
      process.on('SIGINT', () => void this.stop('SIGINT'));
      process.on('SIGHUP', () => void (this.#options.isOnTerminal === true ? this.stop('SIGTERM') : this.reload('SIGHUP')));
    });
  }

  /** Stops: no new operations, running ones may finish within drain.max. A second signal cuts them at once. */
  stop(cause: StopCause): Promise<number> {
    if (this.#stopping !== undefined) {
      if (cause !== 'admin') {
        this.#isCut = true;
        this.#cause = cause;
      }
      return this.#stopping;
    }
    this.#stopping = this.#end(cause);
    return this.#stopping;
  }

  /** Ends one running operation; undefined when none has that id. */
  kill(id: number): RunningOperation | undefined {
    const { ledger } = this.#house;
    const record = ledger.kill(id);
    return record === undefined ? undefined : runningOperation(record, this.#options.clock.now());
  }

  status(): DaemonStatus {
    const { version } = this.#options;
    return statusOf(this.#house, {
      settings: this.#settings,
      state: this.#state,
      startedAt: this.#startedAt,
      version,
      now: this.#options.clock.now(),
      reload: this.#reloads.latest,
      logLevel: this.#options.log.level,
      telemetry: this.#telemetry.addresses,
      eventLoop: this.#loopLag.read(),
    });
  }

  async #end(cause: StopCause): Promise<number> {
    const { log } = this.#options;
    this.#state = 'draining';
    this.#watch?.end();
    // A signal may come while listeners are being opened: one that opened after the end would keep the process alive.
    await this.#starting?.catch(() => undefined);
    await this.#reloads.settled();
    const house = this.#house;
    this.#options.manager?.stopping();
    const { ledger } = house;
    log.log('info', 'stopping', { cause, running: ledger.running().length, begun: ledger.conversations.open.length });
    const { drain } = this.#settings;
    const cut = await drainDoors({ doors: [house.door, house.sshDoor], ledger, drain, log, isCut: () => this.#isCut });
    await Promise.all([house.door.close(), house.sshDoor.close()]);
    closeParts(house);
    for (const close of this.#retiring) close();
    const closedAt = performance.now();
    while (ledger.running().length > 0 && performance.now() - closedAt < CUT_MS) await pause(DRAIN_LOOK_MS);
    await house.audit.close();
    await this.#telemetry.close();
    await this.#admin?.close();
    await this.#release?.();
    this.#loopLag.stop();
    const code = exitCode(this.#cause ?? cause, cut > 0);
    log.log('info', 'stopped', { code });
    await this.#options.manager?.close();
    this.#ended?.(code);
    return code;
  }
}

function exitCode(cause: StopCause, wasCut: boolean): number {
  if (cause === 'SIGINT') return EXIT.interrupted;
  return wasCut && cause === 'SIGTERM' ? EXIT.terminated : EXIT.ok;
}
