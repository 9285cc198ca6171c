/**
 * What the door costs Git LFS, beside git-lfs that talks to the host itself with a ready bearer header: one large object up and down,
 * and many small ones, each of which is a request and, where the client comes directly, up to eight TLS connections at once.
 */
import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Ran, type RunningDaemon, Scene } from '../test/support/scene.js';
import { writeMany, writeNoise } from '../test/support/noise.js';
import { type Spread, spread } from './spread.js';

const MIB = 1024 * 1024;
/** An operation that takes longer hangs. */
const LIMIT = { timeoutMs: 120_000 };
const REPOSITORY = 'contoso/Bench/lfs';
const PATH = 'contoso/Bench/_git/lfs';

export interface LfsOptions {
  readonly runs: number;
  readonly bigMib: number;
  /** How many small objects. */
  readonly many: number;
}

export interface LfsRow {
  readonly operation: string;
  readonly direct: Spread | undefined;
  readonly door: Spread | undefined;
  /** Door over direct, by medians; below 1 the door is faster. */
  readonly ratio: number | undefined;
  readonly failures: readonly string[];
}

export interface LfsResult {
  readonly rows: readonly LfsRow[];
  /** Highest resident memory of the daemon over that after one small operation, MiB. */
  readonly growthMib: number;
}

type Name = 'direct' | 'door';

/** One of the two ways, with a clone for each branch. */
interface Way {
  readonly options: readonly string[];
  readonly clones: ReadonlyMap<string, string>;
}

type Operation = (way: Way) => Promise<Ran>;

export async function measureLfs({ runs, bigMib, many }: LfsOptions): Promise<LfsResult> {
  const scene = await Scene.open();
  try {
    const { emulator } = scene;
    await emulator.createRepository(REPOSITORY);
    // The real names lead nowhere on this machine; both go to the emulator's own address.
    emulator.lfs.tamper = (action) => ({ ...action, href: action.href.replace('https://dev.azure.com', emulator.git.origin) });
    const daemon = await scene.daemon();
    await ready(scene.git(['lfs', 'install', '--skip-repo']));
    await ready(scene.git(['config', '--global', 'core.compression', '0']));
    const token = emulator.sts.issue({ lifeSeconds: 24 * 3600 });
    const bearer = ['-c', `http.extraHeader=Authorization: Bearer ${token}`, '-c', `http.sslCAInfo=${emulator.caFile}`];
    const doorUrl = daemon.url(`dev.azure.com/${PATH}`);
    await seed(scene, doorUrl, { bigMib, many });
    const ways: Readonly<Record<Name, Way>> = {
      direct: { options: bearer, clones: await clonesOf(scene, 'direct', bearer, `${emulator.git.origin}/${PATH}`) },
      door: { options: [], clones: await clonesOf(scene, 'door', [], doorUrl) },
    };
    const idle = (await daemon.memory()).resident;
    await daemon.forgetPeak();
    const operations: readonly (readonly [string, Operation])[] = [
      [`LFS fetch ${bigMib} MB`, (way) => fetchAnew(scene, way, 'large')],
      [`LFS push ${bigMib} MB`, (way) => pushAnew(scene, way, (clone) => writeNoise(join(clone, 'load.bin'), bigMib * MIB))],
      [`LFS fetch ${many} objects`, (way) => fetchAnew(scene, way, 'many')],
      [`LFS push ${many} objects`, (way) => pushAnew(scene, way, (clone) => writeMany(clone, many))],
    ];
    const rows: LfsRow[] = [];
    for (const [operation, work] of operations) rows.push(await compare(operation, work, ways, runs));
    return { rows, growthMib: await growth(daemon, idle) };
  } finally {
    await scene.close();
  }
}

/** The rows as lines of text. */
export function lfsLines({ rows, growthMib }: LfsResult): string[] {
  const lines = [`${'operation'.padEnd(26)}${'direct, ms'.padStart(24)}${'door, ms'.padStart(24)}${'door/direct'.padStart(14)}`];
  for (const { operation, direct, door, ratio, failures } of rows) {
    lines.push(
      `${operation.padEnd(26)}${write(direct).padStart(24)}${write(door).padStart(24)}${(ratio?.toFixed(2) ?? '-').padStart(14)}`,
      ...failures.map((failure) => `  FAILED: ${failure}`),
    );
  }
  return [...lines, `growth under LFS      ${growthMib.toFixed(0)} MiB`];
}

async function compare(operation: string, work: Operation, ways: Readonly<Record<Name, Way>>, runs: number): Promise<LfsRow> {
  const times: Record<Name, number[]> = { direct: [], door: [] };
  const failures: string[] = [];
  for (let index = 0; index < runs; index++) {
    // Whoever comes second finds warmer caches, so they take turns at that too.
    for (const name of index % 2 === 0 ? (['direct', 'door'] as const) : (['door', 'direct'] as const)) {
      const ran = await work(ways[name]);
      if (ran.code === 0) times[name].push(ran.ms);
      else failures.push(`${name}, run ${index + 1}: exit ${ran.code}: ${ran.stderr.trim().split('\n').at(-1) ?? ''}`);
    }
  }
  const [direct, door] = [times.direct, times.door].map((figures) => (figures.length === 0 ? undefined : spread(figures)));
  return { operation, direct, door, ratio: direct === undefined || door === undefined ? undefined : door.median / direct.median, failures };
}

/** Puts a branch with one large object there, and one with many. */
async function seed(scene: Scene, url: string, { bigMib, many }: Omit<LfsOptions, 'runs'>): Promise<void> {
  const clone = join(scene.directory, 'seed');
  await ready(scene.git(['clone', '-q', url, clone]));
  for (const [branch, fill] of [
    ['large', () => writeNoise(join(clone, 'large.bin'), bigMib * MIB)],
    ['many', () => writeMany(clone, many)],
  ] as const) {
    await ready(scene.git(['checkout', '-q', '-b', branch, 'origin/main'], { cwd: clone }));
    await commit(scene, clone, fill);
    await ready(scene.git(['push', '-q', 'origin', branch], { ...LIMIT, cwd: clone }));
  }
}

/** A clone of pointers alone for each branch, and one to push from. */
async function clonesOf(scene: Scene, name: Name, options: readonly string[], url: string): Promise<Map<string, string>> {
  const clones = new Map<string, string>();
  for (const branch of ['large', 'many', 'main']) {
    const path = join(scene.directory, `${name}-${branch}`);
    await ready(scene.git([...options, 'clone', '-q', '-b', branch, url, path], { env: { GIT_LFS_SKIP_SMUDGE: '1' } }));
    clones.set(branch, path);
  }
  return clones;
}

async function fetchAnew(scene: Scene, { options, clones }: Way, branch: string): Promise<Ran> {
  const cwd = clones.get(branch) ?? '';
  await rm(join(cwd, '.git', 'lfs', 'objects'), { recursive: true, force: true });
  return scene.git([...options, 'lfs', 'fetch'], { ...LIMIT, cwd });
}

/** Commits new objects on a branch of their own; only their upload is timed. */
async function pushAnew(scene: Scene, { options, clones }: Way, fill: (clone: string) => Promise<unknown>): Promise<Ran> {
  const cwd = clones.get('main') ?? '';
  const branch = randomBytes(6).toString('hex');
  await ready(scene.git(['checkout', '-q', '-b', branch, 'origin/main'], { cwd }));
  await commit(scene, cwd, () => fill(cwd));
  return scene.git([...options, 'lfs', 'push', 'origin', branch], { ...LIMIT, cwd });
}

async function commit(scene: Scene, cwd: string, fill: () => Promise<unknown>): Promise<void> {
  await writeFile(join(cwd, '.gitattributes'), '*.bin filter=lfs diff=lfs merge=lfs -text\n');
  await fill();
  await ready(scene.git(['add', '.'], { ...LIMIT, cwd }));
  await ready(scene.git(['commit', '-qm', 'Add objects'], { cwd }));
}

async function growth(daemon: RunningDaemon, idleBytes: number): Promise<number> {
  return ((await daemon.memory()).peak - idleBytes) / MIB;
}

/** What has to work before anything can be measured. */
async function ready(running: Promise<Ran>): Promise<void> {
  const ran = await running;
  if (ran.code !== 0) throw new Error(`The bench cannot be prepared: git ended with ${ran.code}: ${ran.stderr.trim()}`);
}

function write(figures: Spread | undefined): string {
  if (figures === undefined) return 'failed';
  return `${figures.median.toFixed(0)} (${figures.least.toFixed(0)} - ${figures.most.toFixed(0)})`;
}
