/**
 * What a service manager is told of the daemon, and when. Made only where one asks for it (NOTIFY_SOCKET): everywhere else
 * nothing of this happens and no process is started.
 *
 * Source: sd_notify(3), sd_watchdog_enabled(3).
 */
import type { Logger } from '../model/ports.js';
import { Notifier } from './notify.js';
import { Watchdog } from './watchdog.js';

/** How often the status line may change; each change runs a process. */
const STATUS_MS = 2_000;
/** While the last operations finish: how often the manager is asked for more time, and for how much. */
const EXTEND_EVERY_MS = 5_000;
const EXTEND_MS = 20_000;

/** What the daemon looks like at a moment. */
export interface Glance {
  /** Addresses that are open. */
  readonly doors: readonly string[];
  /** Operations that run. */
  readonly running: number;
}

/** What the manager is told of: asked again and again. */
export interface Watched {
  readonly look: () => Glance;
  /** A request to ourselves; rejects when nobody answers within that time. */
  readonly callSelf: (withinMs: number) => Promise<void>;
}

export class ServiceManager {
  readonly #notifier: Notifier;
  readonly #logger: Logger;
  /** ms; undefined when the manager has no watchdog for us. */
  readonly #patienceMs: number | undefined;
  #watched: Watched | undefined;
  #watchdog: Watchdog | undefined;
  #beats: NodeJS.Timeout[] = [];
  #phase: 'running' | 'reloading' | 'stopping' = 'running';
  #lastReload = '';
  #shown = '';

  /**
   * Takes what the manager says to this process, and the variables that say it out of `environment`: they are not for children.
   * Undefined where nobody wants to be told.
   */
  static take(environment: Record<string, string | undefined>, logger: Logger, pid: number = process.pid): ServiceManager | undefined {
    const { NOTIFY_SOCKET: socket = '', WATCHDOG_USEC: microseconds = '', WATCHDOG_PID: forPid = '' } = environment;
    delete environment['NOTIFY_SOCKET'];
    delete environment['WATCHDOG_USEC'];
    delete environment['WATCHDOG_PID'];
    if (socket === '') return undefined;
    const isForUs = /^[1-9][0-9]{0,15}$/.test(microseconds) && (forPid === '' || forPid === String(pid));
    const patienceMs = isForUs ? Number(microseconds) / 1_000 : undefined;
    return new ServiceManager(new Notifier({ socket, path: environment['PATH'], logger }), logger, patienceMs);
  }

  private constructor(notifier: Notifier, logger: Logger, patienceMs: number | undefined) {
    this.#notifier = notifier;
    this.#logger = logger;
    this.#patienceMs = patienceMs;
  }

  /** All listeners are open. From now on the status line follows, and the watchdog is fed. */
  ready(watched: Watched): void {
    this.#watched = watched;
    this.#shown = this.#status();
    this.#notifier.send('READY=1', `STATUS=${this.#shown}`);
    this.#every(STATUS_MS, () => this.#show());
    if (this.#patienceMs === undefined) return;
    this.#watchdog = new Watchdog({
      patienceMs: this.#patienceMs,
      callSelf: watched.callSelf,
      ping: () => this.#notifier.send('WATCHDOG=1'),
      logger: this.#logger,
    });
    this.#watchdog.start();
  }

  /** The configuration is being read again. `reloaded` has to follow, however it ends. */
  reloading(): void {
    if (this.#phase !== 'running') return;
    this.#phase = 'reloading';
    // The manager tells by the time that this is of now, and not of before it asked (CLOCK_MONOTONIC, which hrtime is).
    this.#notifier.send('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1_000n}`, 'STATUS=Reloading the configuration');
  }

  /** The reload is over. `fault`: why the old configuration stays. */
  reloaded(fault?: string): void {
    if (this.#phase !== 'reloading') return;
    this.#phase = 'running';
    const time = new Date().toISOString().slice(0, 19).replace('T', ' ');
    this.#lastReload = fault === undefined ? `reloaded ${time} UTC` : `reload failed ${time} UTC: ${fault}`;
    this.#shown = this.#status();
    this.#notifier.send('READY=1', `STATUS=${this.#shown}`);
  }

  /** It ends; what runs may finish, for as long as it takes. */
  stopping(): void {
    if (this.#phase === 'stopping') return;
    this.#phase = 'stopping';
    // Its listeners are about to close, and the manager does not watch what it stops.
    this.#watchdog?.stop();
    const more = `EXTEND_TIMEOUT_USEC=${EXTEND_MS * 1_000}`;
    this.#notifier.send('STOPPING=1', more, `STATUS=${this.#status()}`);
    this.#every(EXTEND_EVERY_MS, () => this.#notifier.send(more));
  }

  /** Resolves when everything has been told. */
  async close(): Promise<void> {
    this.#watchdog?.stop();
    for (const beat of this.#beats) clearInterval(beat);
    this.#beats = [];
    await this.#notifier.close();
  }

  #show(): void {
    if (this.#phase === 'reloading') return;
    const text = this.#status();
    if (text === this.#shown) return;
    this.#shown = text;
    this.#notifier.send(`STATUS=${text}`);
  }

  #status(): string {
    const glance = this.#watched?.look();
    if (this.#phase === 'stopping') return `Stopping; ${operations(glance?.running ?? 0)} may finish`;
    if (glance === undefined) return 'Starting';
    return [glance.doors.join(', '), `${operations(glance.running)} running`, this.#lastReload].filter((part) => part !== '').join('; ');
  }

  #every(ms: number, run: () => void): void {
    const beat = setInterval(run, ms);
    beat.unref();
    this.#beats.push(beat);
  }
}

function operations(count: number): string {
  return count === 1 ? '1 operation' : `${count === 0 ? 'no' : count} operations`;
}
