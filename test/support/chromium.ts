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
/** How often a page is looked at that is waited for. */
const LOOK_MS = 50;

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
  readonly #answers = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  readonly #tabs = new Map<string, Tab>();
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
  async open(url: string): Promise<void> {
    await this.#send('Target.createTarget', { url });
  }

  /** Opens an empty tab that can be driven, in a browser of its own as far as cookies go where `isApart`. */
  async tab({ isApart = false } = {}): Promise<Tab> {
    const { browserContextId } = isApart ? ((await this.#send('Target.createBrowserContext', {})) as { browserContextId: string }) : {};
    const { targetId } = (await this.#send('Target.createTarget', { url: 'about:blank', browserContextId })) as { targetId: string };
    const { sessionId } = (await this.#send('Target.attachToTarget', { targetId, flatten: true })) as { sessionId: string };
    const tab = new Tab((method, params) => this.#send(method, params, sessionId));
    this.#tabs.set(sessionId, tab);
    for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await tab.send(`${domain}.enable`);
    return tab;
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

  #send(method: string, params: object, sessionId?: string): Promise<unknown> {
    this.#last += 1;
    const id = this.#last;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`Chromium did not answer ${method}:\n${this.#stderr}`)), PATIENCE_MS);
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        this.#answers.delete(id);
        act();
      };
      this.#answers.set(id, { resolve: (result) => settle(() => resolve(result)), reject: (error) => settle(() => reject(error)) });
      if (this.#child.exitCode !== null) this.#answers.get(id)?.reject(new Error(`Chromium ended:\n${this.#stderr}`));
      else this.#input.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  #take(message: string): void {
    const { id, error, result, method, params, sessionId } = JSON.parse(message) as {
      id?: number;
      error?: { message: string };
      result?: unknown;
      method?: string;
      params?: unknown;
      sessionId?: string;
    };
    if (id === undefined) {
      if (method !== undefined) this.#tabs.get(sessionId ?? '')?.take(method, params as TabEvent);
      return;
    }
    const waiting = this.#answers.get(id);
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(new Error(error.message));
  }
}

/** What of events is looked at. */
interface TabEvent {
  readonly type?: string;
  readonly args?: readonly { readonly value?: unknown; readonly description?: string }[];
  readonly entry?: { readonly level: string; readonly text: string; readonly url?: string };
  readonly exceptionDetails?: { readonly text: string; readonly exception?: { readonly description?: string } };
  readonly request?: { readonly url: string };
  readonly response?: { readonly url: string; readonly status: number };
}

/** A tab that is driven: what it shows, what it complains of, and what it asked for. */
export class Tab {
  readonly send: (method: string, params?: object) => Promise<unknown>;
  /** Errors and warnings of its console, and faults of its scripts. */
  readonly complaints: string[] = [];
  /** Addresses that it asked for. */
  readonly requests: string[] = [];
  /** What was answered, in the order in which it came. */
  readonly answers: { readonly url: string; readonly status: number }[] = [];

  constructor(send: (method: string, params: object) => Promise<unknown>) {
    this.send = (method, params = {}) => send(method, params);
  }

  take(method: string, { type, args, entry, exceptionDetails, request, response }: TabEvent): void {
    if (method === 'Runtime.consoleAPICalled' && (type === 'error' || type === 'warning' || type === 'assert'))
      this.complaints.push((args ?? []).map(({ value, description }) => (typeof value === 'string' ? value : description)).join(' '));
    if (method === 'Runtime.exceptionThrown')
      this.complaints.push(exceptionDetails?.exception?.description ?? exceptionDetails?.text ?? '');
    if (method === 'Log.entryAdded' && entry !== undefined && (entry.level === 'error' || entry.level === 'warning'))
      this.complaints.push(`${entry.text} ${entry.url ?? ''}`.trim());
    if (method === 'Network.requestWillBeSent' && request !== undefined) this.requests.push(request.url);
    if (method === 'Network.responseReceived' && response !== undefined) this.answers.push({ url: response.url, status: response.status });
  }

  /** Goes to an address; resolves when it has been taken or refused. */
  async go(url: string): Promise<void> {
    await this.send('Page.navigate', { url });
  }

  /** What an expression comes to in the page, of what JSON can say; a promise is waited for. @throws Error what it throws */
  async evaluate(expression: string): Promise<unknown> {
    const { result, exceptionDetails } = (await this.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })) as {
      result: { value?: unknown };
      exceptionDetails?: { text: string; exception?: { description?: string } };
    };
    if (exceptionDetails !== undefined) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  /** Waits until an expression comes to something true, and gives it. While the tab is on its way elsewhere it is asked again. */
  async until(expression: string, timeoutMs = PATIENCE_MS): Promise<unknown> {
    const endsAt = performance.now() + timeoutMs;
    for (;;) {
      const found = await this.evaluate(expression).catch(() => undefined);
      if (found !== undefined && found !== null && found !== false && found !== '' && found !== 0) return found;
      if (performance.now() > endsAt) {
        const shown = await this.evaluate('`${location.href}\n${document.body?.innerText}`').catch(String);
        throw new Error(`not within ${timeoutMs} ms: ${expression}\n${String(shown)}\n${this.complaints.join('\n')}`);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  /** How large the window is, and what its user likes. */
  async look({ width = 1280, height = 900, isDark = false }: { width?: number; height?: number; isDark?: boolean } = {}): Promise<void> {
    await this.send('Emulation.setScrollbarsHidden', { hidden: true });
    await this.send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false });
    await this.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: isDark ? 'dark' : 'light' }] });
  }

  /** Presses a key, such as `Tab`. */
  async press(key: string): Promise<void> {
    const codes: Readonly<Record<string, number>> = { Tab: 9, Enter: 13, ' ': 32 };
    const named = { key, code: key === ' ' ? 'Space' : key, windowsVirtualKeyCode: codes[key] };
    const text = key === 'Enter' ? '\r' : key === ' ' ? ' ' : undefined;
    await this.send('Input.dispatchKeyEvent', { type: 'keyDown', ...named, ...(text === undefined ? {} : { text }) });
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', ...named });
  }

  /** The whole page as a PNG. */
  async screenshot(): Promise<Buffer> {
    const { data } = (await this.send('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true })) as { data: string };
    return Buffer.from(data, 'base64');
  }
}
