/**
 * What the end-to-end tests of failures share: one daemon with short limits, one working copy whose history every sample
 * repository has, and the reading of what git printed.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Fault } from '../azure/faults.js';
import { type Ran, type RunningDaemon, Scene } from './scene.js';

/** A repository of its own for one case: another organisation, so that no throttle or refusal of an earlier case is remembered. */
export interface Place {
  /** As the emulator names it. */
  readonly name: string;
  /** At the door. */
  readonly url: string;
  /** Of the bare repository. */
  readonly path: string;
}

export interface FailureStage {
  readonly scene: Scene;
  readonly daemon: RunningDaemon;
  /** A clone with branches `small` (a push in one piece) and `large` (3 MiB: a probe, then chunked). */
  readonly work: string;
  /** `fresh`: with a commit that the working copy has not, so that a fetch has something to fetch (and a push of `small` is none). */
  place(kind?: 'fresh'): Promise<Place>;
  /** Runs git in the working copy; a fault, if given, is set before and taken away after. */
  git(args: readonly string[], place?: Place, fault?: Fault): Promise<Ran>;
  /** Clones into a directory that is not there yet; says whether anything of it was left. */
  clone(place: Place, fault?: Fault): Promise<Ran & { readonly left: boolean }>;
  /** The remote-tracking branches of the working copy. */
  tracked(): Promise<string>;
}

/** Opens the stage. `routes` are further lines of the configuration, before the route of everything. */
export async function openFailureStage(options: { protocol?: 'v0' | 'v2'; routes?: (scene: Scene) => string } = {}): Promise<FailureStage> {
  const scene = await Scene.open({ protocol: options.protocol ?? 'v2' });
  await scene.emulator.createRepository('contoso/Payments/web', { commits: 3 });
  const daemon = await scene.daemon(
    scene.plainConfiguration
      .replace('log:', 'timeouts: { stall: 2s, connect: 5s }\nlog:')
      .replace('routes:\n', `routes:\n${options.routes?.(scene) ?? ''}`),
  );
  const work = join(scene.directory, 'work');
  await succeed(scene.git(['clone', '-q', daemon.url('dev.azure.com/contoso/Payments/_git/web'), work]));
  for (const [branch, sizeBytes] of [
    ['small', 10],
    ['large', 3 << 20],
  ] as const) {
    await succeed(scene.git(['checkout', '-qb', branch, 'origin/main'], { cwd: work }));
    await writeFile(join(work, `${branch}.bin`), randomBytes(sizeBytes));
    await succeed(scene.git(['add', '.'], { cwd: work }));
    await succeed(scene.git(['commit', '-qm', branch], { cwd: work }));
  }
  await succeed(scene.git(['update-ref', 'refs/remotes/origin/topic', 'origin/main'], { cwd: work }));
  let places = 0;
  let clones = 0;
  const within = async (place: Place | undefined, fault: Fault | undefined, act: () => Promise<Ran>): Promise<Ran> => {
    if (place !== undefined && fault !== undefined) scene.emulator.git.faults.set(place.name, fault);
    try {
      return await act();
    } finally {
      if (place !== undefined) scene.emulator.git.faults.clear(place.name);
    }
  };
  return {
    scene,
    daemon,
    work,
    async place(kind) {
      places += 1;
      const organisation = `o${places}`;
      const name = `${organisation}/Payments/web`;
      const path = await scene.emulator.createRepository(name, { commits: 3, ...(kind === 'fresh' ? { largeFileBytes: 1000 } : {}) });
      // Two branches, as the working copy has: a fetch that prunes has nothing to take away.
      await succeed(scene.git(['--git-dir', path, 'update-ref', 'refs/heads/topic', 'main']));
      return { name, path, url: daemon.url(`dev.azure.com/${organisation}/Payments/_git/web`) };
    },
    git: (args, place, fault) => within(place, fault, () => scene.git(args, { cwd: work })),
    async clone(place, fault) {
      clones += 1;
      const directory = join(scene.directory, `clone-${clones}`);
      const ran = await within(place, fault, () => scene.git(['clone', '-q', place.url, directory]));
      return { ...ran, left: existsSync(directory) };
    },
    tracked: async () => (await succeed(scene.git(['for-each-ref', 'refs/remotes'], { cwd: work }))).stdout,
  };
}

/** What the daemon said through git, line by line: git's own prefixes and padding taken off, ids that change made constant. */
export function told(stderr: string): string[] {
  return stderr.split('\n').map((line) => plain(line.replace(/^(?:remote: |fatal: remote error: )/, '')));
}

/** The reason that stands with a rejected branch, as it would be told in lines. */
export function rejected(stderr: string): string[] {
  const reason = /^ ! \[remote rejected\] \S+ -> main \((postern: .*)\)$/m.exec(stderr)?.[1] ?? '';
  return reason.split(' | ').map((line, index) => plain(index === 0 ? line : `  ${line}`));
}

function plain(line: string): string {
  return line.trimEnd().replace(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'ID');
}

/** Fails with git's own words when a command did not succeed. */
export async function succeed(running: Promise<Ran>): Promise<Ran> {
  const ran = await running;
  if (ran.code !== 0) throw new Error(`exit ${ran.code}: ${ran.stderr}`);
  return ran;
}
