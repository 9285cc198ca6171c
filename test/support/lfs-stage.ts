/**
 * A stage for Git LFS: a daemon that reaches the emulator by its real names, and a user whose git and git-lfs can reach nothing but
 * this machine's loopback: every other host is behind a proxy that lets nobody through and writes down who asked. The emulator takes
 * connections of the daemon alone.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { AuthorizationKind } from '../azure/access.js';
import { ConnectProxy } from '../azure/connect-proxy.js';
import { Canaries, filesBelow } from './canary.js';
import { type Ran, type RunningDaemon, type RunOptions, Scene } from './scene.js';
import { ownsConnectionFrom } from './socket-owner.js';

/** Canonical name of the repository of the stage. */
export const REPOSITORY = 'contoso/payments/web';

/** Its address as the portal gives it. */
export const REMOTE = 'https://dev.azure.com/contoso/Payments/_git/web';

/** How often git-lfs asks for an object that it does not get. */
export const TRIES = 2;

export interface LfsStageOptions {
  /** What the daemon listens on; default the HTTP door alone. */
  readonly listen?: string;
  /** The lines of `identities:`; default `sp`, a service principal. */
  readonly identities?: (scene: Scene) => readonly string[];
  /** The lines of `routes:`; default all of Azure DevOps Services by its real names, through the emulator's proxy. */
  readonly routes?: (scene: Scene) => readonly string[];
  /** Further lines of the configuration, at its top level. */
  readonly settings?: (scene: Scene) => readonly string[];
  readonly daemonEnv?: Readonly<Record<string, string>>;
  /** A program that becomes the daemon, as for `Scene.daemon`. */
  readonly through?: (scene: Scene) => Promise<readonly string[]>;
  /** Whether the user's git is led to the daemon by a rule. Default: it is. */
  readonly hasRule?: boolean;
}

export class LfsStage {
  readonly scene: Scene;
  readonly daemon: RunningDaemon;
  /** What the daemon runs with. */
  readonly configuration: string;
  readonly #trap: ConnectProxy;
  readonly #printed: string[] = [];
  #clones = 0;

  static async open(options: LfsStageOptions = {}): Promise<LfsStage> {
    const { listen = '{ http: 127.0.0.1:0 }', identities = onlyPrincipal, routes = onlyServices } = options;
    const { settings = () => [], daemonEnv = {}, hasRule = true, through } = options;
    const scene = await Scene.open();
    const trap = new ConnectProxy({ gitPort: () => 0, stsPort: () => 0, storagePort: () => 0, noteProxied: () => undefined });
    try {
      trap.mode = 'forbid';
      await trap.listen(0);
      await scene.emulator.createRepository(REPOSITORY);
      const configuration = [
        `listen: ${listen}`,
        'log: { level: debug, format: json }',
        'identities:',
        ...identities(scene).map((line) => `  ${line}`),
        'routes:',
        ...routes(scene).map((line) => `  ${line}`),
        ...settings(scene),
        '',
      ].join('\n');
      const daemon = await scene.daemon(configuration, {
        env: daemonEnv,
        ...(through === undefined ? {} : { through: await through(scene) }),
      });
      const stage = new LfsStage(scene, daemon, trap, configuration);
      await stage.#settle(hasRule);
      return stage;
    } catch (error) {
      await trap.close();
      await scene.close();
      throw error;
    }
  }

  private constructor(scene: Scene, daemon: RunningDaemon, trap: ConnectProxy, configuration: string) {
    this.scene = scene;
    this.daemon = daemon;
    this.#trap = trap;
    this.configuration = configuration;
    // The emulator's own process stands for its proxy's far ends, and for what a test asks by itself.
    scene.emulator.doorkeeper.admits = (port) => [daemon.pid, process.pid].some((pid) => ownsConnectionFrom(pid, port));
  }

  /** Gives the running daemon another configuration. */
  async reconfigure(text: string): Promise<void> {
    // The file that it was started with: the first of its scene.
    await writeFile(join(this.scene.directory, 'config-1.yaml'), text);
    const ran = await this.daemon.postern(['reload']);
    expect(ran.code, ran.stderr).toBe(0);
  }

  /** What clients have in their environment: no way to anywhere but here. */
  get environment(): Record<string, string> {
    const { origin } = this.#trap;
    return { HTTPS_PROXY: origin, https_proxy: origin, http_proxy: origin, NO_PROXY: '127.0.0.1', no_proxy: '127.0.0.1' };
  }

  /** Runs git as the user; everything that it prints is kept for `expectHidden`. */
  async git(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    const ran = await this.scene.git(args, { ...options, env: { ...this.environment, ...options.env } });
    this.#printed.push(ran.stdout, ran.stderr);
    return ran;
  }

  /** The same, and fails the test when git does. */
  async told(args: readonly string[], options: RunOptions = {}): Promise<string> {
    const ran = await this.git(args, options);
    expect(ran.code, `git ${args.join(' ')}: ${ran.stderr}`).toBe(0);
    return ran.stdout;
  }

  /** A new clone. `pointersOnly`: no object is fetched yet. */
  async clone(
    options: {
      readonly remote?: string;
      readonly branch?: string;
      readonly pointersOnly?: boolean;
      readonly env?: Record<string, string>;
    } = {},
  ): Promise<string> {
    this.#clones += 1;
    const path = join(this.scene.home, `clone-${this.#clones}`);
    const branch = options.branch === undefined ? [] : ['-b', options.branch];
    await this.told(['clone', '-q', ...branch, options.remote ?? REMOTE, path], {
      env: { ...(options.pointersOnly === true ? { GIT_LFS_SKIP_SMUDGE: '1' } : {}), ...options.env },
    });
    return path;
  }

  /** A clone with a new branch in which `*.bin` is LFS's, committed. */
  async topic(branch: string, remote = REMOTE): Promise<string> {
    const clone = await this.clone({ remote });
    await this.told(['checkout', '-q', '-b', branch], { cwd: clone });
    await this.told(['lfs', 'track', '*.bin'], { cwd: clone });
    await this.commit(clone, `Track large files on ${branch}`);
    return clone;
  }

  async commit(clone: string, message: string): Promise<void> {
    await this.told(['add', '.'], { cwd: clone });
    await this.told(['commit', '-qm', message], { cwd: clone });
  }

  async commitEmpty(clone: string, message: string): Promise<void> {
    await this.told(['commit', '-q', '--allow-empty', '-m', message], { cwd: clone });
  }

  /** Hosts that clients asked for past the daemon, since the last look. */
  takeTrapped(): string[] {
    return this.#trap.targets.splice(0).map(({ target }) => target);
  }

  /** Fails when a client tried to reach anybody but the daemon, or the emulator saw anything but the daemon's credentials. */
  expectNoWayPast(credential: AuthorizationKind = 'bearer'): void {
    const { doorkeeper, git, storage } = this.scene.emulator;
    expect(this.takeTrapped()).toEqual([]);
    expect(doorkeeper.refused).toEqual([]);
    expect(git.seen.filter(({ authorization }) => authorization !== credential).map(({ method, url }) => `${method} ${url}`)).toEqual([]);
    expect(storage.seen.filter(({ authorization }) => authorization !== 'none')).toEqual([]);
  }

  /** Fails when a token stands in anything that a client printed or keeps. */
  async expectHidden(): Promise<void> {
    const canaries = new Canaries();
    for (const [index, token] of this.scene.emulator.sts.tokens().entries()) canaries.add(`token ${index}`, token);
    expect(canaries.size).toBeGreaterThan(0);
    expect(canaries.in(this.#printed.join('\n'))).toEqual([]);
    expect(canaries.inAll(await filesBelow(this.scene.home))).toEqual([]);
  }

  async close(): Promise<void> {
    await this.#trap.close();
    await this.scene.close();
  }

  /** As `git lfs install` and `postern setup` leave a user's settings. */
  async #settle(hasRule: boolean): Promise<void> {
    expect((await this.git(['lfs', 'version'])).code, 'git-lfs is needed: install the package git-lfs').toBe(0);
    await this.told(['lfs', 'install', '--skip-repo']);
    if (hasRule) await this.told(['config', '--global', `url.${this.daemon.base}/dev.azure.com/.insteadOf`, 'https://dev.azure.com/']);
    // A refused object is tried again, with pauses that double.
    await this.told(['config', '--global', 'lfs.transfer.maxretries', String(TRIES - 1)]);
  }
}

function onlyPrincipal(scene: Scene): readonly string[] {
  return [`sp: ${scene.servicePrincipal}`];
}

function onlyServices({ emulator }: Scene): readonly string[] {
  return [`- { match: dev.azure.com/**, identity: sp, proxy: '${emulator.proxy.origin}', ca: ${emulator.caFile} }`];
}
