/** A desktop's session bus with GNOME's keyring on it, unlocked: real programs, without a desktop. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Prints the address of the bus once the keyring is there, and ends when its input does. */
const SCRIPT = 'printf pw | gnome-keyring-daemon --unlock --components=secrets >/dev/null && echo "$DBUS_SESSION_BUS_ADDRESS" && exec cat';

export class DesktopSession {
  /** For a program of this session. */
  readonly environment: Readonly<Record<string, string>>;
  readonly #child: ChildProcess;

  /** @param directory a scratch directory; the keyring is kept below it */
  static async open(directory: string): Promise<DesktopSession> {
    const runtime = join(directory, 'session');
    await mkdir(runtime, { mode: 0o700 });
    const env = { PATH: process.env['PATH'] ?? '', HOME: directory, XDG_RUNTIME_DIR: runtime, LANG: 'C.UTF-8' };
    const child = spawn('dbus-run-session', ['--', 'sh', '-c', SCRIPT], { env, stdio: ['pipe', 'pipe', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
    const address = await new Promise<string>((resolve, reject) => {
      child.once('error', () => reject(new Error('There is no dbus-run-session: install the packages dbus and gnome-keyring')));
      child.once('exit', () => reject(new Error(`The session ended: install the packages dbus and gnome-keyring\n${said}`)));
      child.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString('utf8').trim()));
    });
    return new DesktopSession(child, address);
  }

  private constructor(child: ChildProcess, address: string) {
    this.#child = child;
    this.environment = { DBUS_SESSION_BUS_ADDRESS: address };
  }

  /** Ends the bus, and with it the keyring. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    this.#child.stdin?.end();
    await once(this.#child, 'exit');
  }
}
