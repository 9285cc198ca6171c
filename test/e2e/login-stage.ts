/** What the tests of sign-ins share: daemons with identities of people, and the command line as a person uses it. */
import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BrowserScript, browserScript, visit } from '../support/browser.js';
import { type Ran, type RunningDaemon, type RunOptions, Scene } from '../support/scene.js';

export const WEB = 'dev.azure.com/contoso/Payments/_git/web';

export class LoginStage {
  readonly scene: Scene;
  readonly browser: BrowserScript;
  readonly ca: string;
  #daemons: RunningDaemon[] = [];

  static async open(): Promise<LoginStage> {
    const scene = await Scene.open();
    await scene.emulator.createRepository('contoso/Payments/web', { commits: 3 });
    const { caFile } = scene.emulator;
    return new LoginStage(scene, await browserScript(scene.directory, caFile), await readFile(caFile, 'utf8'));
  }

  private constructor(scene: Scene, browser: BrowserScript, ca: string) {
    this.scene = scene;
    this.browser = browser;
    this.ca = ca;
  }

  /** Between two tests: people do as they are told again. */
  async reset(): Promise<void> {
    for (const daemon of this.#daemons) await daemon.kill();
    this.#daemons = [];
    const { users } = this.scene.emulator.sts;
    Object.assign(users, {
      inBrowser: undefined,
      refuseWith: undefined,
      refreshFailure: undefined,
      claimsNeedSignIn: false,
      isRefreshOnce: false,
    });
    Object.assign(users, { device: 'approved', deviceInterval: 1, deviceLifeSeconds: 900, hasty: 0 });
    users.asked.length = 0;
    const { sts } = this.scene.emulator;
    Object.assign(sts, { failWith: undefined, delayMs: 0, down: false, tokenLifeSeconds: 3600, requireClaims: false });
    sts.tokenRequests.length = 0;
    this.scene.emulator.git.seen.length = 0;
  }

  /** An identity as a line of the file. */
  identity(more = '', kind = 'browser'): string {
    const { sts, caFile } = this.scene.emulator;
    return `{ kind: ${kind}, tenant: ${sts.samples.tenant}, authority: '${sts.origin}', ca: ${caFile}${more} }`;
  }

  configuration(identities: Readonly<Record<string, string>> = { me: this.identity() }, first = Object.keys(identities)[0] ?? ''): string {
    const { git, caFile } = this.scene.emulator;
    return [
      'listen: { http: 127.0.0.1:0 }',
      'log: { level: debug, format: json }',
      'identities:',
      ...Object.entries(identities).map(([name, line]) => `  ${name}: ${line}`),
      'routes:',
      `  - { match: dev.azure.com/**, identity: ${first}, upstream: '${git.origin}', ca: ${caFile} }`,
      '',
    ].join('\n');
  }

  /** Starts a daemon with it; `login` and `logout` read the same configuration. */
  async daemon(text = this.configuration(), env: Readonly<Record<string, string>> = {}): Promise<Signable> {
    const file = await this.scene.writeConfiguration(text);
    const daemon = await this.scene.daemon(text, { env });
    this.#daemons.push(daemon);
    return new Signable(this, daemon, file);
  }

  /** The command line where no daemon runs. */
  async postern(words: readonly string[], text = this.configuration(), options: RunOptions = {}): Promise<Ran> {
    const file = await this.scene.writeConfiguration(text);
    const [command = '', ...rest] = words;
    return this.scene.postern([command, '--config', file, ...rest], { ...options, env: { BROWSER: this.browser.program, ...options.env } });
  }

  lsRemote(daemon: RunningDaemon): Promise<Ran> {
    return this.scene.git(['ls-remote', daemon.url(WEB)]);
  }

  close(): Promise<void> {
    return this.scene.close();
  }
}

/** A daemon, and the command line that goes with it. */
export class Signable {
  readonly daemon: RunningDaemon;
  readonly #stage: LoginStage;
  readonly #file: string;

  constructor(stage: LoginStage, daemon: RunningDaemon, file: string) {
    this.#stage = stage;
    this.daemon = daemon;
    this.#file = file;
  }

  /** `postern login ...` with the script for a browser, unless `env` says otherwise. */
  run(words: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return this.daemon.postern([...words, '--config', this.#file], {
      ...options,
      env: { BROWSER: this.#stage.browser.program, ...options.env },
    });
  }

  lsRemote(): Promise<Ran> {
    return this.#stage.lsRemote(this.daemon);
  }

  /** `login` without a browser on this machine: whoever runs it opens the address and types what comes of it. */
  async loginElsewhere(words: readonly string[], type: (address: string) => Promise<readonly string[]>): Promise<Ran> {
    let child: ChildProcess | undefined;
    let said = '';
    // The input stays open while somebody is at it.
    const ran = this.run(['login', ...words, '--no-browser'], {
      env: { BROWSER: undefined },
      isInputOpen: true,
      onChild: (started) => {
        child = started;
        started.stderr?.on('data', (chunk: Buffer | string) => (said += chunk.toString()));
      },
    });
    await eventually(() => /^ {2}https:\S+$/m.test(said));
    for (const line of await type(/^ {2}(https:\S+)$/m.exec(said)?.[1] ?? '')) child?.stdin?.write(`${line}\n`);
    return ran;
  }

  visit(address: string): Promise<{ readonly address: string; readonly page: string }> {
    return visit(address, this.#stage.ca, { isStopping: true });
  }
}

/** Repeats until it holds; fails after ten seconds. */
export async function eventually(holds: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  const until = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > until) throw new Error('it did not come about');
    await sleep(50);
  }
}
