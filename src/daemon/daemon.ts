/**
 * The life of the process: open everything or nothing, run, drain, end with the exit code that was meant.
 */
import { messageOf, ProxyError } from '../model/errors.js';
import type { Clock, LogLevel } from '../model/ports.js';
import type { Settings } from '../model/settings.js';
import { isLoopback } from '../upstream/outgoing-proxy.js';
import { type AdminSocket, openAdmin } from './admin.js';
import { assemble, type AuditHome, type House } from './assemble.js';
import { changeOver, retire } from './change-over.js';
import { watchFile } from './file-watch.js';
import type { JsonAction } from './admin-json.js';
import { leaseActions } from './lease-actions.js';
import { lifeActions } from './life-actions.js';
import { openListeners, refuseLoops } from './listeners.js';
import type { DaemonLog } from './log.js';
import type { Places } from './places.js';
import { portHolder } from './port-holder.js';
import { type ReloadCause, Reloads, type ReloadState } from './reloads.js';
import { checkCallers } from './self-check.js';
import { addressesOf, type DaemonStatus, runningOperation, type RunningOperation, statusOf } from './status.js';

/** How often a stopping daemon looks whether the last transfer has ended. */
const DRAIN_LOOK_MS = 50;

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
}

export class Daemon {
  readonly #options: DaemonOptions;
  #settings: Settings;
  #house: House;
  readonly #reloads: Reloads;
  /** Ends what former houses still hold. */
  readonly #retiring = new Set<() => void>();
  readonly #startedAt = new Date();
  #admin: AdminSocket | undefined;
  #unwatch: (() => void) | undefined;
  #state: DaemonStatus['state'] = 'starting';
  #starting: Promise<void> | undefined;
  #stopping: Promise<number> | undefined;
  #ended: ((code: number) => void) | undefined;
  #isCut = false;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.#settings = options.settings;
    this.#house = this.#assemble(options.settings);
    const { clock, log: logger } = options;
    this.#reloads = new Reloads({ apply: () => this.#apply(), clock, logger, onEnd: () => undefined });
  }

  #assemble(settings: Settings, previous?: House): House {
    const { environment, clock, log: logger, places } = this.#options;
    const { stateDirectory } = places;
    const audit = this.#options.audit ?? { stateDirectory, chain: AUDIT_CHAIN };
    return assemble(settings, { environment, clock, logger, stateDirectory, audit, previous });
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
    const { places, log, clock, watched, load } = this.#options;
    const house = this.#house;
    const settings = this.#settings;
    try {
      // First, because a second daemon should hear of the first one, not of its port.
      this.#admin = await openAdmin(places.adminSocket, {
        status: () => this.status(),
        stop: () => void this.stop('admin'),
        kill: (id) => this.kill(id),
        json: (url) => this.#actions().get(url),
      });
      // Before a listener opens: what is revoked must be known by then.
      await house.leases?.load();
      // Before anyone can come in: what they do has to have a place.
      await house.audit.start();
      await openListeners(house, settings.listen, log);
      refuseLoops(house, settings);
      if (settings.access.local === 'uid') await checkCallers(house.peers, house.door.bound.map(({ host }) => host).filter(isLoopback));
    } catch (thrown) {
      await Promise.all([house.door.close(), house.sshDoor.close()]);
      house.certificates?.close();
      await house.audit.close();
      await this.#admin?.close();
      house.vault.close();
      throw await withHolder(thrown);
    }
    this.#tellAddresses();
    if (load !== undefined && watched !== undefined) this.#unwatch = watchFile(watched, clock, () => void this.reload('file'));
    if (this.#state === 'starting') this.#state = 'ready';
    log.log('info', 'ready', { pid: process.pid, version: this.#options.version, configuration: settings.file ?? 'defaults' });
  }

  #tellAddresses(): void {
    const { log } = this.#options;
    const { http, ssh } = addressesOf(this.#house);
    for (const address of http) log.log('info', 'listening', { door: 'http', address });
    for (const address of ssh) log.log('info', 'listening', { door: 'ssh', address });
    const { local, remote } = this.#settings.access;
    if (local === 'anyone' || remote === 'anyone') log.log('warn', 'access-open', { local, remote });
  }

  /** What the admin socket does with JSON: it is always the house of the moment that is asked. */
  #actions(): ReadonlyMap<string, JsonAction> {
    const { leases } = this.#house;
    return new Map([...(leases === undefined ? [] : leaseActions(leases)), ...lifeActions(this)]);
  }

  /** Reads the configuration again and goes over to it, or stays with the one in force. Never rejects. */
  reload(cause: ReloadCause): Promise<ReloadState> {
    return this.#reloads.reload(cause);
  }

  async #apply(): Promise<readonly string[]> {
    const { load, clock, log: logger } = this.#options;
    if (load === undefined) throw new ProxyError('usage', 'This daemon keeps its configuration', { todo: 'start another one' });
    const former = { house: this.#house, settings: this.#settings };
    const { settings, warnings } = await load([...former.house.held.keys()]);
    if (this.#stopping !== undefined) throw new ProxyError('usage', 'The daemon is stopping', { todo: 'start it again' });
    const house = this.#assemble(settings, former.house);
    await changeOver(former, { house, settings }, { logger }).catch(async (thrown: unknown) => {
      throw await withHolder(thrown);
    });
    this.#house = house;
    this.#settings = settings;
    this.#retiring.add(retire(former.house, house, { clock, onClosed: (close) => this.#retiring.delete(close) }));
    if (JSON.stringify(settings.log) !== JSON.stringify(former.settings.log)) logger.adjust(settings.log);
    if (JSON.stringify([settings.listen, settings.access]) !== JSON.stringify([former.settings.listen, former.settings.access]))
      this.#tellAddresses();
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
      if (cause !== 'admin') this.#isCut = true;
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
    });
  }

  async #end(cause: StopCause): Promise<number> {
    const { log } = this.#options;
    this.#state = 'draining';
    this.#unwatch?.();
    // A signal may come while listeners are being opened: one that opened after the end would keep the process alive.
    await this.#starting?.catch(() => undefined);
    await this.#reloads.settled();
    const house = this.#house;
    const settings = this.#settings;
    log.log('info', 'stopping', { cause, running: house.ledger.running().length });
    // Not the wall clock, which may be set while we wait.
    const startedAt = performance.now();
    if (settings.drain.min > 0) await this.#pause(settings.drain.min);
    house.door.drain();
    house.sshDoor.drain();
    while (house.ledger.running().length > 0 && performance.now() - startedAt < settings.drain.max && !this.#isCut)
      await this.#pause(DRAIN_LOOK_MS);
    const cut = house.ledger.running();
    for (const record of cut)
      log.log('warn', 'transfer-cut', {
        id: record.id,
        operation: record.kind,
        repository: record.repository,
        bytesDown: record.bytesDown,
      });
    await Promise.all([house.door.close(), house.sshDoor.close()]);
    house.certificates?.close();
    house.connections.close();
    house.sshUpstreams.close();
    house.vault.close();
    for (const close of this.#retiring) close();
    const closedAt = performance.now();
    while (house.ledger.running().length > 0 && performance.now() - closedAt < CUT_MS) await this.#pause(DRAIN_LOOK_MS);
    await house.audit.close();
    await this.#admin?.close();
    const code = exitCode(cause, cut.length > 0);
    log.log('info', 'stopped', { code });
    this.#ended?.(code);
    return code;
  }

  #pause(ms: number): Promise<void> {
    // A timer of its own: the process must stay alive for it.
    return new Promise((resolve) => setTimeout(resolve, ms));
  }
}

function exitCode(cause: StopCause, wasCut: boolean): number {
  if (cause === 'SIGINT') return EXIT.interrupted;
  return wasCut && cause === 'SIGTERM' ? EXIT.terminated : EXIT.ok;
}

/** Says more of a port that cannot be had: which process holds it, where the kernel tells, or whose right is missing. */
async function withHolder(thrown: unknown): Promise<unknown> {
  if (!(thrown instanceof ProxyError) || thrown.code !== 'listen-failed') return thrown;
  if (/:[0-9]{1,3} \(EACCES\)|:10[0-2][0-9] \(EACCES\)/.test(thrown.message)) {
    return new ProxyError('listen-failed', thrown.message, {
      todo: `set \`${thrown.message.includes('SSH door') ? 'listen.ssh' : 'listen.http'}\` to a port from 1024 on: those below need rights that Postern should not have`,
      cause: thrown,
    });
  }
  if (!thrown.message.includes('EADDRINUSE')) return thrown;
  const port = /:([0-9]+) \(EADDRINUSE\)/.exec(thrown.message)?.[1];
  const holder = port === undefined ? undefined : await portHolder(Number(port)).catch(() => undefined);
  if (holder === undefined) return thrown;
  return new ProxyError('listen-failed', thrown.message.replace('EADDRINUSE', `in use by ${holder}`), {
    todo: thrown.todo,
    cause: thrown,
  });
}

/**
 * The last resort. A promise that nobody waited for concerns one request, so the daemon goes on; an exception that
 * nobody caught may have left anything behind, so it ends, and whoever supervises it starts a clean one.
 */
export function guardProcess(log: DaemonLog): void {
  process.on('unhandledRejection', (thrown) => log.log('error', 'unexpected', { what: messageOf(thrown) }));
  process.on('uncaughtException', (thrown) => {
    log.log('error', 'unexpected', { what: messageOf(thrown), stack: thrown.stack ?? '' });
    void log.close().finally(() => process.exit(EXIT.failure));
  });
}
