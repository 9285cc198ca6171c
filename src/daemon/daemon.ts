/**
 * The life of the process: open everything or nothing, run, drain, end with the exit code that was meant.
 */
import { displayHost } from '../gate/listening.js';
import { messageOf, ProxyError } from '../model/errors.js';
import type { Clock } from '../model/ports.js';
import type { Settings } from '../model/settings.js';
import { type LogTally, logTally } from '../telemetry/log-tally.js';
import type { Telemetry } from '../telemetry/telemetry-listener.js';
import { isLoopback } from '../upstream/outgoing-proxy.js';
import { type AdminSocket, openAdmin } from './admin.js';
import { assemble, type AuditHome, type House } from './assemble.js';
import { leaseActions } from './lease-actions.js';
import type { DaemonLog } from './log.js';
import type { Places } from './places.js';
import { portHolder } from './port-holder.js';
import { checkCallers } from './self-check.js';
import { type DaemonStatus, failedOperation, routeState, type RunningOperation, runningOperation } from './status.js';
import { startTelemetry } from './telemetry.js';

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
}

export class Daemon {
  readonly #options: DaemonOptions;
  readonly #house: House;
  readonly #startedAt = new Date();
  readonly #tally: LogTally;
  #admin: AdminSocket | undefined;
  #telemetry: Telemetry | undefined;
  #state: DaemonStatus['state'] = 'starting';
  #starting: Promise<void> | undefined;
  #stopping: Promise<number> | undefined;
  #ended: ((code: number) => void) | undefined;
  #isCut = false;

  constructor(options: DaemonOptions) {
    const { settings, environment, clock, places } = options;
    this.#tally = logTally(clock);
    const log = this.#tally.watch(options.log);
    this.#options = { ...options, log };
    const { stateDirectory } = places;
    const audit = options.audit ?? { stateDirectory, chain: AUDIT_CHAIN };
    this.#house = assemble(settings, { environment, clock, logger: log, stateDirectory, audit });
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
    const { settings, places, log } = this.#options;
    try {
      // First, because a second daemon should hear of the first one, not of its port.
      this.#admin = await openAdmin(places.adminSocket, {
        status: () => this.status(),
        stop: () => void this.stop('admin'),
        kill: (id) => this.kill(id),
        ...(this.#house.leases === undefined ? {} : { json: leaseActions(this.#house.leases) }),
      });
      // Before the doors: whether it has started can be asked while it starts.
      this.#telemetry = await startTelemetry({
        house: this.#house,
        settings: () => this.#options.settings,
        state: () => this.#state,
        tally: this.#tally,
        logger: log,
        clock: this.#options.clock,
        version: this.#options.version,
      });
      // Before a listener opens: what is revoked must be known by then.
      await this.#house.leases?.load();
      // Before anyone can come in: what they do has to have a place.
      await this.#house.audit.start();
      for (const address of settings.listen.http) {
        const isOpen = await this.#house.door.listen(address);
        if (!isOpen)
          log.log('info', 'listener-skipped', { address: `${address.host}:${address.port}`, why: 'this system has no such address' });
      }
      for (const address of settings.listen.ssh) {
        const isOpen = await this.#house.sshDoor.listen(address);
        if (!isOpen)
          log.log('info', 'listener-skipped', { address: `${address.host}:${address.port}`, why: 'this system has no such address' });
      }
      this.#refuseLoops();
      if (settings.access.local === 'uid') await checkCallers(this.#house.doorParts.peers, this.#boundHosts().filter(isLoopback));
    } catch (thrown) {
      await Promise.all([this.#house.door.close(), this.#house.sshDoor.close()]);
      this.#house.certificates?.close();
      await this.#house.audit.close();
      await this.#telemetry?.close();
      await this.#admin?.close();
      this.#house.vault.close();
      throw await withHolder(thrown);
    }
    for (const address of this.#addresses()) log.log('info', 'listening', { door: 'http', address });
    for (const address of this.#sshAddresses()) log.log('info', 'listening', { door: 'ssh', address });
    if (settings.access.local === 'anyone' || settings.access.remote === 'anyone')
      log.log('warn', 'access-open', { local: settings.access.local, remote: settings.access.remote });
    // Whoever was told to stop meanwhile is not ready any more.
    if (this.#state === 'starting') this.#state = 'ready';
    log.log('info', 'ready', { pid: process.pid, version: this.#options.version, configuration: settings.file ?? 'defaults' });
  }

  /** A route whose upstream is this very door would ask itself until all connections are used up. */
  #refuseLoops(): void {
    const { routes, listen } = this.#options.settings;
    const { door, sshDoor } = this.#house;
    const ports = new Set(door.bound.map(({ port }) => String(port)));
    const sshPorts = new Set(sshDoor.bound.map(({ port }) => port));
    const own = new Set([...this.#boundHosts(), ...listen.names]);
    const isOwn = (hostname: string): boolean => isLoopback(hostname) || own.has(hostname.replace(/^\[|\]$/g, ''));
    const loop = routes.find(({ upstream, ssh }) => {
      if (upstream !== undefined && isOwn(upstream.hostname) && ports.has(upstream.port)) return true;
      return ssh.kind === 'agent' && ssh.upstream !== undefined && isOwn(ssh.upstream.host) && sshPorts.has(ssh.upstream.port);
    });
    if (loop === undefined) return;
    throw new ProxyError('config-invalid', `The route ${loop.match} leads back to this daemon: its upstream is the door itself`, {
      todo: 'write the address of the real server as `upstream` or `sshUpstream` of the route',
    });
  }

  /** Runs until it is stopped; resolves with the exit code. */
  run(): Promise<number> {
    return new Promise((resolve) => {
      this.#ended = resolve;
      process.on('SIGTERM', () => void this.stop('SIGTERM'));
      process.on('SIGINT', () => void this.stop('SIGINT'));
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
    const house = this.#house;
    const options = this.#options;
    const { settings, clock } = options;
    const callers = house.ledger.callers();
    return {
      pid: process.pid,
      version: options.version,
      startedAt: this.#startedAt.toISOString(),
      configuration: options.settings.file,
      state: this.#state,
      listen: {
        http: this.#addresses(),
        ssh: this.#sshAddresses(),
        telemetry: this.#telemetry?.addresses ?? [],
        certificate: house.certificates?.state,
      },
      access: settings.access,
      identities: house.vault.states(),
      routes: house.routes.routes.map(routeState),
      operations: house.ledger.counts(),
      running: house.ledger.running().map((record) => runningOperation(record, clock.now())),
      failures: house.ledger.failures().map(failedOperation),
      callers: callers.seen,
      callersForgotten: callers.forgotten,
      upstreams: house.connections.states(),
      sshUpstreams: house.sshUpstreams.states(),
      throttled: house.throttle.states(),
      audit: house.audit.state(),
      memory: process.memoryUsage.rss(),
    };
  }

  async #end(cause: StopCause): Promise<number> {
    const { log, settings } = this.#options;
    const house = this.#house;
    this.#state = 'draining';
    // A signal may come while listeners are being opened: one that opened after the end would keep the process alive.
    await this.#starting?.catch(() => undefined);
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
    const closedAt = performance.now();
    while (house.ledger.running().length > 0 && performance.now() - closedAt < CUT_MS) await this.#pause(DRAIN_LOOK_MS);
    await house.audit.close();
    await this.#telemetry?.close();
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

  #boundHosts(): string[] {
    return [...this.#house.door.bound, ...this.#house.sshDoor.bound].map(({ host }) => host);
  }

  #sshAddresses(): string[] {
    return this.#house.sshDoor.bound.map(({ host, port }) => `ssh://${displayHost(host)}:${port}`);
  }

  #addresses(): string[] {
    return this.#house.door.bound.map(({ scheme, host, port }) => `${scheme}://${displayHost(host)}:${port}`);
  }
}

function exitCode(cause: StopCause, wasCut: boolean): number {
  if (cause === 'SIGINT') return EXIT.interrupted;
  return wasCut && cause === 'SIGTERM' ? EXIT.terminated : EXIT.ok;
}

/** The key of the configuration that a listener's text of failure is about. */
function keyOf(text: string): string {
  if (text.includes('telemetry listener')) return 'telemetry.listen';
  return text.includes('SSH door') ? 'listen.ssh' : 'listen.http';
}

/** Says more of a port that cannot be had: which process holds it, where the kernel tells, or whose right is missing. */
async function withHolder(thrown: unknown): Promise<unknown> {
  if (!(thrown instanceof ProxyError) || thrown.code !== 'listen-failed') return thrown;
  if (/:[0-9]{1,3} \(EACCES\)|:10[0-2][0-9] \(EACCES\)/.test(thrown.message)) {
    return new ProxyError('listen-failed', thrown.message, {
      todo: `set \`${keyOf(thrown.message)}\` to a port from 1024 on: those below need rights that Postern should not have`,
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
