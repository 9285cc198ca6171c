/**
 * A stage for Git LFS: a daemon that reaches the emulator by its real names, and a user whose git and git-lfs can reach nothing but
 * this machine's loopback: every other host is behind a proxy that lets nobody through and writes down who asked. The emulator takes
 * connections of the daemon alone.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { expect } from 'vitest';
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

const MIB = 1 << 20;

export interface LfsStageOptions {
  /** How the daemon reaches its upstream. Default `proxy`: by the real names, through the emulator's proxy. */
  readonly road?: 'proxy' | 'upstream';
  /** Further lines of the configuration, at its top level. */
  readonly settings?: readonly string[];
  readonly daemonEnv?: Readonly<Record<string, string>>;
}

export class LfsStage {
  readonly scene: Scene;
  readonly daemon: RunningDaemon;
  readonly #trap: ConnectProxy;
  readonly #printed: string[] = [];
  #clones = 0;

  static async open({ road = 'proxy', settings = [], daemonEnv = {} }: LfsStageOptions = {}): Promise<LfsStage> {
    const scene = await Scene.open();
    const trap = new ConnectProxy({ gitPort: () => 0, stsPort: () => 0, storagePort: () => 0, noteProxied: () => undefined });
    try {
      trap.mode = 'forbid';
      await trap.listen(0);
      const { git, proxy, caFile } = scene.emulator;
      await scene.emulator.createRepository(REPOSITORY);
      const reached = road === 'proxy' ? `proxy: '${proxy.origin}'` : `upstream: '${git.origin}'`;
      const daemon = await scene.daemon(
        [
          'listen: { http: 127.0.0.1:0 }',
          'log: { level: debug, format: json }',
          'identities:',
          `  sp: ${scene.servicePrincipal}`,
          'routes:',
          `  - { match: dev.azure.com/**, identity: sp, ${reached}, ca: ${caFile} }`,
          ...settings,
          '',
        ].join('\n'),
        { env: daemonEnv },
      );
      const stage = new LfsStage(scene, daemon, trap);
      await stage.#settle();
      return stage;
    } catch (error) {
      await trap.close();
      await scene.close();
      throw error;
    }
  }

  private constructor(scene: Scene, daemon: RunningDaemon, trap: ConnectProxy) {
    this.scene = scene;
    this.daemon = daemon;
    this.#trap = trap;
    // The emulator's own process stands for its proxy's far ends, and for what a test asks by itself.
    scene.emulator.doorkeeper.admits = (port) => [daemon.pid, process.pid].some((pid) => ownsConnectionFrom(pid, port));
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
    options: { readonly branch?: string; readonly pointersOnly?: boolean; readonly env?: Record<string, string> } = {},
  ): Promise<string> {
    this.#clones += 1;
    const path = join(this.scene.home, `clone-${this.#clones}`);
    const branch = options.branch === undefined ? [] : ['-b', options.branch];
    await this.told(['clone', '-q', ...branch, REMOTE, path], {
      env: { ...(options.pointersOnly === true ? { GIT_LFS_SKIP_SMUDGE: '1' } : {}), ...options.env },
    });
    return path;
  }

  /** A clone with a new branch in which `*.bin` is LFS's, committed. */
  async topic(branch: string): Promise<string> {
    const clone = await this.clone();
    await this.told(['checkout', '-q', '-b', branch], { cwd: clone });
    await this.told(['lfs', 'track', '*.bin'], { cwd: clone });
    await this.commit(clone, `Track large files on ${branch}`);
    return clone;
  }

  async commit(clone: string, message: string): Promise<void> {
    await this.told(['add', '.'], { cwd: clone });
    await this.told(['commit', '-qm', message], { cwd: clone });
  }

  /** Hosts that clients asked for past the daemon, since the last look. */
  takeTrapped(): string[] {
    return this.#trap.targets.splice(0).map(({ target }) => target);
  }

  /** Fails when a client tried to reach anybody but the daemon, or the emulator saw anything but the daemon's tokens. */
  expectNoWayPast(): void {
    const { doorkeeper, git, storage } = this.scene.emulator;
    expect(this.takeTrapped()).toEqual([]);
    expect(doorkeeper.refused).toEqual([]);
    expect(git.seen.filter(({ authorization }) => authorization !== 'bearer').map(({ method, url }) => `${method} ${url}`)).toEqual([]);
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
  async #settle(): Promise<void> {
    expect((await this.git(['lfs', 'version'])).code, 'git-lfs is needed: install the package git-lfs').toBe(0);
    await this.told(['lfs', 'install', '--skip-repo']);
    await this.told(['config', '--global', `url.${this.daemon.base}/dev.azure.com/.insteadOf`, 'https://dev.azure.com/']);
    // A refused object is tried again, with pauses that double.
    await this.told(['config', '--global', 'lfs.transfer.maxretries', String(TRIES - 1)]);
  }
}

/** Writes a file that does not compress, piece by piece, and gives its SHA-256. */
export async function writeNoise(file: string, sizeBytes: number): Promise<string> {
  await mkdir(dirname(file), { recursive: true });
  const handle = await open(file, 'w');
  const hash = createHash('sha256');
  try {
    for (let left = sizeBytes; left > 0; left -= MIB) {
      const piece = randomBytes(Math.min(left, MIB));
      hash.update(piece);
      await handle.write(piece);
    }
  } finally {
    await handle.close();
  }
  return hash.digest('hex');
}

/** Writes many small files, each unlike the others, and gives their SHA-256 by name. */
export async function writeMany(directory: string, count: number): Promise<Map<string, string>> {
  const sums = new Map<string, string>();
  for (let index = 0; index < count; index += 1) {
    const name = `part-${index}.bin`;
    const content = randomBytes(500 + index);
    sums.set(name, createHash('sha256').update(content).digest('hex'));
    await writeFile(join(directory, name), content);
  }
  return sums;
}

/** SHA-256 of a file's bytes, in hexadecimal. */
export async function sumOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
