/**
 * `npm run bench`: what the door costs, as ratios against direct git in the same run. Both go to the same emulator, in
 * turn, so that a machine that is busy is busy for both. Direct git is given a ready bearer header, which is the best
 * case that git can have: no 401 first, no credential helper.
 *
 *   npm run bench -- [--runs N] [--quick] [--ssh | --lfs]
 *
 * `--ssh`: the SSH door alone. `--lfs`: Git LFS alone.
 *
 * Prints a table and writes build/bench.json. An operation that fails is told as a failure and makes the exit code 1;
 * it is never part of an average.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { FEW_REFS, MANY_REFS, measureJudging } from './judging.js';
import { type Ran, run, type RunningDaemon, Scene } from '../test/support/scene.js';
import { lookUpLines, type LookUpRow, measureLookUps } from './look-up.js';
import { type Spread, spread } from './spread.js';
import { lfsLines, measureLfs } from './lfs.js';
import { measureSsh, sshLines } from './ssh.js';

const MIB = 1024 * 1024;
/** A daemon that has just said `ready` still loads what it did not need for that; memory is read after this. */
const SETTLE_MS = 1_000;
/** USER_HZ, the unit of times in /proc/PID/stat: 100 on every Linux that Node.js runs on. */
const TICKS_PER_SECOND = 100;
/** At both ends, so that git's own work on random bytes hides as little of the road between them as possible. */
const QUICK_GIT = [
  ['core.compression', '0'],
  ['pack.compression', '0'],
  ['core.bigFileThreshold', '1m'],
  ['transfer.unpackLimit', '1'],
] as const;
const GOAL_START_MS = 250;
const GOAL_IDLE_MIB = 90;
const GOAL_GROWTH_MIB = 64;
/** A ref among many over a ref among few; linear is 1. */
const GOAL_PER_REF = 2;
/** Door over direct. What two busy cores make of a ratio is no failure of the door: a missed one is said, no more. */
const GOAL_RATIO: Readonly<Record<string, number>> = { 'ls-remote': 0.5, clone: 1.25, push: 1 };
/** A look-up takes milliseconds, so many are as quick as one of the others. */
const LOOK_UPS_PER_RUN = 10;
/** An operation that takes longer hangs. */
const LIMIT = { timeoutMs: 120_000 };

/** Resident memory of the daemon, MiB. */
interface Memory {
  readonly afterToken: number;
  readonly peak: number;
  readonly atEnd: number;
}

interface Row {
  readonly operation: string;
  readonly direct: Spread | undefined;
  readonly door: Spread | undefined;
  /** Door over direct, by medians; below 1 the door is faster. */
  readonly ratio: number | undefined;
  readonly failures: readonly string[];
}

/** One operation at one of the two targets, named by its URL. */
type Operation = (url: string, options: readonly string[], name: string) => Promise<Ran>;

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    quick: { type: 'boolean', default: false },
    ssh: { type: 'boolean', default: false },
    lfs: { type: 'boolean', default: false },
  },
});
const runs = values.quick ? 3 : Number(values.runs);
if (!Number.isInteger(runs) || runs < 1) throw new RangeError(`--runs must be a whole number above 0, not ${values.runs}`);
const bigMib = values.quick ? 20 : 200;
const pushMib = values.quick ? 10 : 50;
const manyObjects = values.quick ? 100 : 500;

const print = (text = ''): void => {
  process.stdout.write(`${text}\n`);
};

async function main(): Promise<void> {
  const git = (await run('git', ['--version'], { env: process.env })).stdout.trim();
  print(
    `Node.js ${process.versions.node}, ${git}, ${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}); ${runs} runs, median (least - most)`,
  );
  print();
  const written = values.ssh ? await measureSshDoor() : values.lfs ? await measureLargeFiles() : await measureAll();
  await writeFile(
    join('build', 'bench.json'),
    `${JSON.stringify({ node: process.versions.node, git, cores: cpus().length, runs, ...written }, null, 2)}\n`,
  );
  print();
  print('Written to build/bench.json');
}

/** Prints what the SSH door costs, and gives it as it is written down. */
async function measureSshDoor(): Promise<object> {
  const ssh = await measureSsh({ runs, bigMib });
  for (const line of sshLines(ssh)) print(line);
  if (ssh.rows.some(({ failures }) => failures.length > 0)) process.exitCode = 1;
  return { ssh };
}

/** The same of Git LFS. */
async function measureLargeFiles(): Promise<object> {
  const lfs = await measureLfs({ runs, bigMib, many: manyObjects });
  for (const line of lfsLines(lfs)) print(line);
  if (lfs.rows.some(({ failures }) => failures.length > 0)) process.exitCode = 1;
  print();
  return { lfs };
}

/** The same of everything else, and then of Git LFS and the SSH door. */
async function measureAll(): Promise<object> {
  const starts = await measureStarts();
  print(`start to ready        ${write(starts.ms)} ms      goal below ${GOAL_START_MS}: ${verdict(starts.ms.median < GOAL_START_MS)}`);
  print(`memory before a token ${write(starts.mib)} MiB    goal below ${GOAL_IDLE_MIB}: ${verdict(starts.mib.median < GOAL_IDLE_MIB)}`);
  const judging = measureJudging(Math.max(runs, 9));
  const [few, many] = [spread(judging.few), spread(judging.many)];
  const perRef = many.median / MANY_REFS / (few.median / FEW_REFS);
  print(`judging ${grouped(FEW_REFS)} refs   ${write(few, 1)} ms`);
  print(
    `judging ${grouped(MANY_REFS)} refs  ${write(many, 1)} ms    per ref ${perRef.toFixed(2)} of that, goal at most ${GOAL_PER_REF}: ${verdict(perRef <= GOAL_PER_REF)}`,
  );
  const scene = await Scene.open();
  let rows: Row[];
  let cpu: number | undefined;
  let memory: Memory;
  try {
    ({ rows, cpu, memory } = await measureGit(scene));
  } finally {
    await scene.close();
  }
  const growth = memory.peak - memory.afterToken;
  print(
    `memory after a token  ${memory.afterToken.toFixed(0)} MiB, at its highest ${memory.peak.toFixed(0)} MiB, at the end ${memory.atEnd.toFixed(0)} MiB`,
  );
  print(`growth under load     ${growth.toFixed(0)} MiB    goal at most ${GOAL_GROWTH_MIB}: ${verdict(growth <= GOAL_GROWTH_MIB)}`);
  print(`daemon's processor    ${cpu === undefined ? 'not measured' : `${cpu.toFixed(2)} s per GiB of the large clone`}`);
  print();
  print(`${'operation'.padEnd(26)}${'direct, ms'.padStart(24)}${'door, ms'.padStart(24)}${'door/direct'.padStart(14)}`);
  for (const row of rows) {
    print(
      `${row.operation.padEnd(26)}${write(row.direct).padStart(24)}${write(row.door).padStart(24)}${(row.ratio?.toFixed(2) ?? '-').padStart(14)}`,
    );
    for (const failure of row.failures) print(`  FAILED: ${failure}`);
  }
  print();
  for (const { operation, ratio } of rows) {
    const goal = GOAL_RATIO[operation] ?? GOAL_RATIO[/^(clone|push) [0-9]{2,} MB$/.exec(operation)?.[1] ?? ''];
    if (goal !== undefined && ratio !== undefined)
      print(`${operation.padEnd(20)}goal at most ${goal.toFixed(2)} of direct: ${verdict(ratio <= goal)} (${ratio.toFixed(2)})`);
  }
  const lookUps = await lookedUp();
  if (rows.some(({ failures }) => failures.length > 0)) process.exitCode = 1;
  print();
  return {
    starts,
    judging: { few, many, perRef },
    memory,
    cpuSecondsPerGib: cpu,
    rows,
    lookUps,
    ...(await measureLargeFiles()),
    ...(await measureSshDoor()),
  };
}

/** Prints the look-ups; they need Linux, and two descriptors for each connection. */
async function lookedUp(): Promise<readonly LookUpRow[]> {
  print();
  try {
    const rows = await measureLookUps(LOOK_UPS_PER_RUN * runs);
    for (const line of lookUpLines(rows)) print(line);
    return rows;
  } catch (thrown) {
    print(`who opened it: not measured (${thrown instanceof Error ? thrown.message : String(thrown)})`);
    return [];
  }
}

/** Starts the built program with its defaults, as a user would, and looks at it once it is ready. */
async function measureStarts(): Promise<{ ms: Spread; mib: Spread }> {
  const ms: number[] = [];
  const mib: number[] = [];
  for (let index = 0; index < runs; index++) {
    const scene = await Scene.open();
    try {
      const startedAt = performance.now();
      const daemon = await scene.daemon('listen: { http: 127.0.0.1:0 }\nlog: { format: json }\n');
      ms.push(performance.now() - startedAt);
      await sleep(SETTLE_MS);
      mib.push((await daemon.residentBytes()) / MIB);
    } finally {
      await scene.close();
    }
  }
  return { ms: spread(ms), mib: spread(mib) };
}

async function measureGit(scene: Scene): Promise<{ rows: Row[]; cpu: number | undefined; memory: Memory }> {
  const { emulator } = scene;
  for (const [key, value] of QUICK_GIT) await scene.git(['config', '--global', key, value]);
  for (const [name, options] of [
    ['small', { commits: 20, largeFileBytes: MIB }],
    ['large', { commits: 1, largeFileBytes: bigMib * MIB }],
    ['inbox', { commits: 1 }],
  ] as const) {
    const directory = await emulator.createRepository(`contoso/Bench/${name}`, options);
    for (const [key, value] of QUICK_GIT) await scene.git(['config', key, value], { cwd: directory });
  }
  const daemon = await scene.daemon();
  const token = emulator.sts.issue({ lifeSeconds: 24 * 3600 });
  const header = ['-c', `http.extraHeader=Authorization: Bearer ${token}`, '-c', `http.sslCAInfo=${emulator.caFile}`];
  const targets = {
    direct: { options: header, url: (name: string) => `${emulator.git.origin}/contoso/Bench/_git/${name}` },
    door: { options: [] as string[], url: (name: string) => daemon.url(`dev.azure.com/contoso/Bench/_git/${name}`) },
  };
  const scratch = join(scene.directory, 'bench');
  await mkdir(scratch);
  let count = 0;
  const fresh = (): string => join(scratch, `work-${(count += 1)}`);
  await prepared(scene.git(['ls-remote', targets.door.url('small')]));
  await sleep(SETTLE_MS);
  const afterToken = (await daemon.residentBytes()) / MIB;
  await daemon.forgetPeak();

  const clones: Record<string, string> = {};
  for (const [name, target] of Object.entries(targets)) {
    clones[name] = fresh();
    await prepared(scene.git([...target.options, 'clone', '-q', target.url('small'), clones[name]]));
  }
  const pushers: Record<string, string> = {};
  for (const [name, target] of Object.entries(targets)) {
    pushers[name] = fresh();
    await prepared(scene.git([...target.options, 'clone', '-q', target.url('inbox'), pushers[name]]));
  }
  const clone: Operation = async (url, options) => {
    const directory = fresh();
    const ran = await scene.git([...options, 'clone', '-q', url, directory], LIMIT);
    await rm(directory, { recursive: true, force: true });
    return ran;
  };
  let largeCpu = 0;
  const operations: readonly (readonly [string, string, Operation])[] = [
    ['ls-remote', 'small', (url, options) => scene.git([...options, 'ls-remote', url], LIMIT)],
    ['fetch, nothing new', 'small', (_url, options, name) => scene.git([...options, 'fetch', '-q'], { ...LIMIT, cwd: clones[name] ?? '' })],
    ['clone 1 MB', 'small', clone],
    [
      `clone ${bigMib} MB`,
      'large',
      async (url, options, name) => {
        const before = await processorSeconds(daemon);
        const ran = await clone(url, options, name);
        if (name === 'door' && ran.code === 0) largeCpu += (await processorSeconds(daemon)) - before;
        return ran;
      },
    ],
    [`push ${pushMib} MB`, 'inbox', (_url, options, name) => push(scene, pushers[name] ?? '', options)],
  ];
  const rows: Row[] = [];
  for (const [operation, repository, work] of operations) rows.push(await compare(operation, repository, work, targets));
  const large = rows.find((row) => row.operation.startsWith(`clone ${bigMib}`));
  const cpu =
    large?.door === undefined
      ? undefined
      : largeCpu / (runs - large.failures.filter((text) => text.startsWith('door')).length) / (bigMib / 1024);
  const { peak, resident } = await daemon.memory();
  return { rows, cpu, memory: { afterToken, peak: peak / MIB, atEnd: resident / MIB } };
}

async function compare(
  operation: string,
  repository: string,
  work: Operation,
  targets: Readonly<Record<'direct' | 'door', { options: readonly string[]; url: (name: string) => string }>>,
): Promise<Row> {
  const times: Record<'direct' | 'door', number[]> = { direct: [], door: [] };
  const failures: string[] = [];
  for (let index = 0; index < runs; index++) {
    // Whoever comes second finds warmer caches, so they take turns at that too.
    for (const name of index % 2 === 0 ? (['direct', 'door'] as const) : (['door', 'direct'] as const)) {
      const target = targets[name];
      const ran = await work(target.url(repository), target.options, name);
      if (ran.code === 0) times[name].push(ran.ms);
      else failures.push(`${name}, run ${index + 1}: exit ${ran.code}: ${ran.stderr.trim().split('\n').at(-1) ?? ''}`);
    }
  }
  const direct = times.direct.length === 0 ? undefined : spread(times.direct);
  const door = times.door.length === 0 ? undefined : spread(times.door);
  return { operation, direct, door, ratio: direct === undefined || door === undefined ? undefined : door.median / direct.median, failures };
}

/** Commits a file that does not compress and pushes it to a branch of its own; only the push is timed. */
async function push(scene: Scene, directory: string, options: readonly string[]): Promise<Ran> {
  const name = randomBytes(6).toString('hex');
  const at = { cwd: directory };
  await writeFile(join(directory, 'load.bin'), randomBytes(pushMib * MIB));
  for (const args of [
    ['checkout', '-q', '-b', name],
    ['add', 'load.bin'],
    ['commit', '-qm', name],
  ])
    await prepared(scene.git(['-c', 'core.compression=0', ...args], at));
  return scene.git([...options, '-c', 'pack.compression=0', 'push', '-q', 'origin', name], { ...LIMIT, ...at });
}

/** What has to work before anything can be measured. */
async function prepared(running: Promise<Ran>): Promise<void> {
  const ran = await running;
  if (ran.code !== 0) throw new Error(`The bench cannot be prepared: git ended with ${ran.code}: ${ran.stderr.trim()}`);
}

/** Processor time of the daemon so far, user and system, in seconds. */
async function processorSeconds(daemon: RunningDaemon): Promise<number> {
  const stat = await readFile(`/proc/${daemon.pid}/stat`, 'utf8');
  // Fields are counted after the name in brackets, which may hold spaces: utime is the 14th of all, stime the 15th.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function write(figures: Spread | undefined, digits = 0): string {
  if (figures === undefined) return 'failed';
  return `${figures.median.toFixed(digits)} (${figures.least.toFixed(digits)} - ${figures.most.toFixed(digits)})`;
}

function grouped(count: number): string {
  return count.toLocaleString('en');
}

function verdict(isMet: boolean): string {
  return isMet ? 'met' : 'MISSED';
}

try {
  await main();
} catch (thrown) {
  process.stderr.write(`${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
  process.exitCode = 1;
}
