/**
 * A real Chromium without a window, with a profile of its own, driven over a pipe. It reaches no host but those it is told of.
 *
 * Source: Chrome DevTools Protocol (Target, Browser); --remote-debugging-pipe: messages end in a NUL byte, in on 3, out on 4.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

/** What Debian calls it, without windows and with. */
const PROGRAMS = ['chromium-headless-shell', 'chromium'];

/** Longest that a busy machine may need to start or end it. */
const PATIENCE_MS = 60_000;

/** @throws Error that names the package when there is none */
function findProgram(): string {
  for (const program of PROGRAMS) {
    for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
      try {
        accessSync(join(directory, program), constants.X_OK);
        return join(directory, program);
      } catch {
        // Not there.
      }
    }
  }
  throw new Error('There is no Chromium: install the package chromium-headless-shell (or chromium)');
}

export class Chromium {
  readonly #child: ChildProcess;
  readonly #profile: string;
  readonly #ended: Promise<void>;
  readonly #answers = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  #stderr = '';
  #last = 0;

  /** `hosts`: pairs of `host:port`, what a page asks for and what it gets. Every other name is unknown. */
  static async start(hosts: Readonly<Record<string, string>>): Promise<Chromium> {
    const profile = await mkdtemp(join(tmpdir(), 'postern-chromium-'));
    return new Chromium(findProgram(), profile, hosts);
  }

  private constructor(program: string, profile: string, hosts: Readonly<Record<string, string>>) {
    this.#profile = profile;
    const rules = [...Object.entries(hosts).map(([from, to]) => `MAP ${from} ${to}`), 'MAP * ~NOTFOUND'].join(', ');
    this.#child = spawn(
      program,
      [
        '--headless',
        // Its sandbox wants an ordinary user.
        ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
        '--disable-gpu',
        '--disable-quic',
        '--disable-dev-shm-usage',
        '--no-first-run',
        '--no-proxy-server',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        // The browser's own guards of loopback and against popups are not what is tried here.
        '--disable-popup-blocking',
        '--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests,HttpsUpgrades,HttpsFirstBalancedModeAutoEnable',
        `--user-data-dir=${profile}`,
        `--host-resolver-rules=${rules}`,
        '--remote-debugging-pipe',
        'about:blank',
      ],
      {
        stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
        env: { PATH: process.env['PATH'], HOME: profile, LANG: 'C.UTF-8', XDG_CONFIG_HOME: profile, XDG_CACHE_HOME: profile },
      },
    );
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.#stderr += chunk.toString()));
    this.#ended = new Promise((resolve) => this.#child.once('close', () => resolve()));
    void this.#ended.then(() => {
      for (const { reject } of this.#answers.values()) reject(new Error(`Chromium ended:\n${this.#stderr}`));
    });
    let held = '';
    this.#output.on('data', (chunk: Buffer) => {
      held += chunk.toString();
      const messages = held.split('\0');
      held = messages.pop() ?? '';
      for (const message of messages) this.#take(message);
    });
    for (const stream of [this.#input, this.#output]) stream.on('error', () => undefined);
  }

  /** Opens a page in a tab of its own; resolves when the navigation has begun. */
  open(url: string): Promise<void> {
    return this.#send('Target.createTarget', { url });
  }

  async close(): Promise<void> {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), PATIENCE_MS);
    await this.#send('Browser.close', {}).catch(() => undefined);
    await this.#ended;
    clearTimeout(timer);
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }

  get #input(): Writable {
    return this.#child.stdio[3] as Writable; // because it was asked for as a pipe
  }

  get #output(): Readable {
    return this.#child.stdio[4] as Readable; // because it was asked for as a pipe
  }

  #send(method: string, params: object): Promise<void> {
    this.#last += 1;
    const id = this.#last;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`Chromium did not answer ${method}:\n${this.#stderr}`)), PATIENCE_MS);
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        this.#answers.delete(id);
        act();
      };
      this.#answers.set(id, { resolve: () => settle(resolve), reject: (error) => settle(() => reject(error)) });
      if (this.#child.exitCode !== null) this.#answers.get(id)?.reject(new Error(`Chromium ended:\n${this.#stderr}`));
      else this.#input.write(`${JSON.stringify({ id, method, params })}\0`);
    });
  }

  #take(message: string): void {
    const { id, error } = JSON.parse(message) as { id?: number; error?: { message: string } };
    const waiting = id === undefined ? undefined : this.#answers.get(id);
    if (error === undefined) waiting?.resolve();
    else waiting?.reject(new Error(error.message));
  }
}
