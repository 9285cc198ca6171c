/**
 * Tells the service manager what happens here, by datagrams on the socket that it names in NOTIFY_SOCKET. Node cannot send one to
 * a unix socket, so `systemd-notify` does it. One shell stays for the life of the daemon and runs it for each message: messages
 * keep their order, and one can be sent when this process has no file descriptor left, which is when a watchdog must not bark.
 * Why so: docs/decisions/0016-service-manager.md.
 *
 * Source: sd_notify(3), systemd-notify(1).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Logger } from '../model/ports.js';

/**
 * A message is a line, its fields have tabs between. TERM, INT and HUP are for the daemon, which still has something to tell when
 * they come. `systemd-notify` waits until its message was taken: the manager could not tell whose a dead sender was.
 */
const SCRIPT = `trap '' TERM INT HUP
command -v systemd-notify >/dev/null || exit 127
tab=$(printf '\\t')
set -f
while IFS= read -r line; do
  IFS=$tab
  systemd-notify $line >/dev/null || exit 1
done`;
const NOT_FOUND = 127;
/** The usual message takes milliseconds; a manager that takes none does not hold up the end of the process. */
const CLOSE_MS = 2_000;
/** What is kept of what `systemd-notify` says. */
const LONGEST_COMPLAINT = 300;

export class Notifier {
  readonly #socket: string;
  readonly #path: string;
  readonly #logger: Logger;
  #helper: ChildProcess | undefined;
  #state: 'working' | 'missing' | 'closing' = 'working';
  #hasComplained = false;

  /** Starts nothing before the first message. `socket`: NOTIFY_SOCKET; `path`: PATH, where `systemd-notify` is looked for. */
  constructor({ socket, path, logger }: { socket: string; path: string | undefined; logger: Logger }) {
    this.#socket = socket;
    this.#path = path ?? '/usr/bin:/bin';
    this.#logger = logger;
  }

  /** Sends one message of `NAME=value` fields; never throws, never waits. What stands for a break in a value becomes a blank. */
  send(...fields: readonly string[]): void {
    if (this.#state !== 'working') return;
    this.#helper ??= this.#start();
    this.#helper.stdin?.write(`${fields.map((field) => field.replace(/[\u0000-\u001f\u007f]/g, ' ')).join('\t')}\n`);
  }

  /** Resolves when what was sent has gone out, or could not. */
  async close(): Promise<void> {
    this.#state = 'closing';
    const helper = this.#helper;
    if (helper === undefined || helper.exitCode !== null) return;
    await new Promise<void>((resolve) => {
      const late = setTimeout(() => {
        helper.kill('SIGKILL');
        resolve();
      }, CLOSE_MS);
      helper.once('close', () => {
        clearTimeout(late);
        resolve();
      });
      helper.stdin?.end();
    });
  }

  #start(): ChildProcess {
    const helper = spawn('/bin/sh', ['-c', SCRIPT], {
      // Nothing of our environment: it needs none, and some of it is secret.
      env: { NOTIFY_SOCKET: this.#socket, PATH: this.#path },
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    let complaint = '';
    helper.stderr.on('data', (chunk: Buffer) => {
      complaint = (complaint + chunk.toString('utf8')).slice(0, LONGEST_COMPLAINT);
    });
    // It may have ended before it is written to; its end tells why.
    helper.stdin.on('error', () => undefined);
    const ended = (what: string): void => {
      if (this.#helper === helper) this.#helper = undefined;
      if (this.#state !== 'closing' || complaint !== '') this.#complain(what);
    };
    helper.once('error', (fault) => ended(`/bin/sh cannot be run: ${fault.message}`));
    helper.once('close', (code) => {
      if (code === NOT_FOUND) this.#state = 'missing';
      ended(code === NOT_FOUND ? 'systemd-notify was not found' : complaint.trim() || `systemd-notify ended with ${String(code)}`);
    });
    // It must not keep a process alive that is over.
    helper.unref();
    for (const pipe of [helper.stdin, helper.stderr] as Partial<Pick<Socket, 'unref'>>[]) pipe.unref?.(); // because a pipe has it
    return helper;
  }

  /** Once: it is tried again with the next message, and nobody reads the same line every few seconds. */
  #complain(what: string): void {
    if (this.#hasComplained) return;
    this.#hasComplained = true;
    this.#logger.log('error', 'notify-failed', {
      what,
      todo: 'install systemd (it has systemd-notify) and set NotifyAccess=all in the unit, or set Type=exec and WatchdogSec=0 there',
    });
  }
}
