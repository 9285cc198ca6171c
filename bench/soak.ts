/**
 * Does anything grow? A daemon under everything that git does to it, for ten minutes (POSTERN_SOAK_SECONDS says otherwise): clones and
 * pushes over HTTP and SSH, refusals, clients that are killed half-way, connections that say nothing. Memory, open files and what the
 * daemon itself counts are printed as they go, and at the end whether they are flat.
 */
import { spawn } from 'node:child_process';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningDaemon, Scene } from '../test/support/scene.js';

const SECONDS = Number(process.env['POSTERN_SOAK_SECONDS'] ?? 600);
/** Jobs at once. */
const JOBS = 4;
const SAMPLE_MS = 10_000;
/** Caches, pools and the heap itself find their size in the first part. */
const WARM_UP_SHARE = 0.3;
/** What counts as flat: the medians of the two halves after the warm-up differ by less, and so do the files at rest. */
const FLAT_BYTES = 12 * 1024 * 1024;
const FLAT_FILES = 8;
/** Connections that are idle at the end are closed by then: git's at once, upstream's pool within a minute. */
const REST_MS = 75_000;
const MIB = 1024 * 1024;

interface Sample {
  readonly atMs: number;
  readonly resident: number;
  readonly files: number;
}

const startedAt = performance.now();
const samples: Sample[] = [];
let jobs = 0;
let failures = 0;

const scene = await Scene.open();
try {
  process.exitCode = await soak();
} finally {
  await scene.close();
}

async function soak(): Promise<number> {
  await scene.emulator.createRepository('contoso/Payments/web', { commits: 20 });
  await scene.emulator.createRepository('contoso/Payments/large', { commits: 1, largeFileBytes: 8 * MIB });
  for (let each = 0; each < JOBS; each += 1) await scene.emulator.createRepository(`contoso/Payments/inbox${each}`, { commits: 1 });
  // Of one operation a line would be a measure of the log.
  const configuration = scene.plainConfiguration
    .replace('level: debug', 'level: warn')
    .replace('127.0.0.1:0 }', '127.0.0.1:0, ssh: 127.0.0.1:0 }');
  const daemon = await scene.daemon(configuration, { env: { POSTERN_LOG_LEVEL: 'info' } });
  const ssh = await scene.sshEnvironment();
  await round(daemon, ssh, 0);
  const before = await filesAtRest(daemon);
  console.log(`${SECONDS} s, ${JOBS} jobs at once; at rest before: ${before} files`);
  const end = performance.now() + SECONDS * 1000;
  const sampling = sample(daemon, end);
  const working = Array.from({ length: JOBS }, async (_, worker) => {
    while (performance.now() < end) await round(daemon, ssh, worker);
  });
  await Promise.all([...working, sampling]);
  const after = await filesAtRest(daemon);
  const status = await daemon.status();
  const rest = status.running.length + status.betweenRequests.length + status.traffic.operations;
  const { connections } = status.traffic;
  return verdict(before, after, rest + connections.http + connections.ssh);
}

/** One of everything. */
async function round(daemon: RunningDaemon, ssh: Readonly<Record<string, string>>, worker: number): Promise<void> {
  const work = join(scene.directory, `soak-${worker}`);
  const url = (name: string): string => daemon.url(`dev.azure.com/contoso/Payments/_git/${name}`);
  const git = async (args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<boolean> => {
    jobs += 1;
    return (await scene.git(args, { env })).code === 0;
  };
  const must = async (args: readonly string[], env?: Readonly<Record<string, string>>): Promise<void> => {
    if (!(await git(args, env))) failures += 1;
  };
  await rm(work, { recursive: true, force: true });
  await must(['clone', '-q', url(`inbox${worker}`), work]);
  await writeFile(join(work, 'new.txt'), String(performance.now()));
  await must(['-C', work, 'add', '.']);
  await must(['-C', work, 'commit', '-q', '-m', 'soak']);
  await must(['-C', work, 'push', '-q', 'origin', 'HEAD:main']);
  await must(['-C', work, 'fetch', '-q']);
  await must(['ls-remote', '-q', daemon.sshUrl('ssh.dev.azure.com/v3/contoso/Payments/web')], ssh);
  // Refused, and that is right.
  if (await git(['ls-remote', '-q', daemon.url('git.example.com/no/route')])) failures += 1;
  await abandoned(['clone', '-q', url('large'), join(scene.directory, `dead-${worker}`)]);
  await silent(daemon);
}

/** A git that is killed while it clones. */
async function abandoned(args: readonly string[]): Promise<void> {
  jobs += 1;
  const child = spawn('git', args, { env: scene.environment, stdio: 'ignore', detached: true });
  const closed = new Promise((resolve) => child.once('close', resolve));
  await sleep(150);
  // The whole of its group, because it is a child of git's that talks.
  if (child.pid !== undefined && child.exitCode === null) {
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It was quicker.
    }
  }
  await closed;
  await rm(args.at(-1) ?? '', { recursive: true, force: true });
}

/** A connection that goes without a word. */
async function silent(daemon: RunningDaemon): Promise<void> {
  const socket = connect(Number(new URL(daemon.base).port), '127.0.0.1');
  await new Promise((resolve) => socket.once('connect', resolve).once('error', resolve));
  socket.destroy();
}

async function sample(daemon: RunningDaemon, end: number): Promise<void> {
  while (performance.now() < end) {
    await sleep(SAMPLE_MS);
    const now: Sample = { atMs: performance.now() - startedAt, resident: await daemon.residentBytes(), files: await filesOf(daemon) };
    samples.push(now);
    const seconds = String(Math.round(now.atMs / 1000)).padStart(5);
    console.log(
      `${seconds} s  ${(now.resident / MIB).toFixed(1).padStart(6)} MiB  ${String(now.files).padStart(4)} files  ${jobs} jobs, ${failures} failed`,
    );
  }
}

async function filesOf({ pid }: RunningDaemon): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length;
}

/** The fewest in the time in which what is idle is closed. */
async function filesAtRest(daemon: RunningDaemon): Promise<number> {
  let fewest = Number.POSITIVE_INFINITY;
  const end = performance.now() + REST_MS;
  while (performance.now() < end) {
    fewest = Math.min(fewest, await filesOf(daemon));
    await sleep(1_000);
  }
  return fewest;
}

function verdict(before: number, after: number, left: number): number {
  const warm = samples.slice(Math.floor(samples.length * WARM_UP_SHARE));
  const half = Math.ceil(warm.length / 2);
  const [early, late] = [median(warm.slice(0, half)), median(warm.slice(half))];
  const grown = late - early;
  const isFlat = grown < FLAT_BYTES && after - before < FLAT_FILES && left === 0 && failures === 0;
  console.log(
    `memory: ${(early / MIB).toFixed(1)} MiB, later ${(late / MIB).toFixed(1)} MiB (medians of the halves after the warm-up); ` +
      `files at rest: ${before} before, ${after} after; left over: ${left}; ${jobs} jobs, ${failures} failed`,
  );
  console.log(isFlat ? 'flat' : 'NOT FLAT');
  return isFlat ? 0 : 1;
}

function median(some: readonly Sample[]): number {
  const sorted = some.map(({ resident }) => resident).sort((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
