/**
 * What the SSH door costs, beside OpenSSH going to the same sshd by itself: near, and with the host 20 ms away each way. Raw
 * throughput is that of git's own two commands whose far end writes or reads zeros, so that git's work on a pack hides nothing.
 */
import { cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Ran, run, type RunningDaemon } from '../test/support/scene.js';
import { openSshStage, type SshStage } from '../test/support/ssh-stage.js';
import { DelayRelay } from './delay.js';
import { buildNative } from './native-ssh.js';
import { type Spread, spread } from './spread.js';

const MIB = 1024 * 1024;
/** Each way. */
const DELAY_MS = 20;
/** An operation that takes longer hangs. */
const LIMIT = { timeoutMs: 120_000 };
const FAR = `host ${DELAY_MS} ms away`;
/** As in the other part: git's own work on random bytes hides as little of the road as possible. */
const QUICK_GIT = [
  ['core.compression', '0'],
  ['pack.compression', '0'],
  ['core.bigFileThreshold', '1m'],
  ['transfer.unpackLimit', '1'],
] as const;

const GOAL_FETCH = 0.4;
const GOAL_CLONE = 1.4;
/** Raw bytes, as times the large clone: git does nothing with them. */
const RAW_TIMES = 2;
const RAW_LINE = `${'0'.repeat(40)} ${'1'.repeat(40)} refs/heads/raw\0agent=bench`;
/** The start of a push, whose pack is zeros (gitprotocol-pack, "Reference Update Request"). */
const RAW_COMMANDS = `${(RAW_LINE.length + 4).toString(16).padStart(4, '0')}${RAW_LINE}0000PACK`;

export interface SshOptions {
  readonly runs: number;
  /** Of the large clone, and of what raw bytes are sent. */
  readonly bigMib: number;
}

export interface SshRow {
  readonly operation: string;
  /** What is moved, for a throughput. */
  readonly mib: number | undefined;
  readonly direct: Spread | undefined;
  readonly others: readonly SshFigure[];
  /** Door over direct, at most. */
  readonly goal: number | undefined;
  readonly failures: readonly string[];
}

/** One of those that are compared with going directly. */
export interface SshFigure {
  readonly name: string;
  readonly ms: Spread | undefined;
  /** Over direct, by medians; below 1 it is faster. */
  readonly ratio: number | undefined;
}

/** By whose work it is; `direct` among them. */
type Works = ReadonlyMap<string, () => Promise<Ran>>;

interface Operation {
  readonly name: string;
  readonly mib?: number;
  readonly goal?: number;
  readonly works: Works;
}

/** How git comes to a repository. */
interface Way {
  readonly name: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly url: (repository: string) => string;
}

export interface SshResult {
  readonly rows: readonly SshRow[];
  /** Why there are no figures with ssh2's native part. */
  readonly withoutNative: string | undefined;
}

export async function measureSsh(options: SshOptions): Promise<SshResult> {
  const distant = await far(options);
  const { rows, withoutNative } = await near(options);
  return { rows: [...distant, ...rows], withoutNative };
}

/** The rows as lines of text, with ratios to going directly, and then what became of the goals. */
export function sshLines({ rows, withoutNative }: SshResult): string[] {
  const lines = [`${'over SSH'.padEnd(38)}${'by way of'.padEnd(16)}${'ms'.padStart(24)}${'MiB/s'.padStart(8)}${'to direct'.padStart(12)}`];
  for (const { operation, mib, direct, others, failures } of rows) {
    for (const { name, ms, ratio } of [{ name: 'direct', ms: direct, ratio: undefined }, ...others]) {
      const first = name === 'direct' ? operation : '';
      lines.push(
        `${first.padEnd(38)}${name.padEnd(16)}${write(ms).padStart(24)}${speed(mib, ms).padStart(8)}${(ratio?.toFixed(2) ?? '').padStart(12)}`,
      );
    }
    for (const failure of failures) lines.push(`  FAILED: ${failure}`);
  }
  if (withoutNative !== undefined) lines.push(`ssh2's native part: not measured (${withoutNative})`);
  for (const { operation, goal, others } of rows) {
    const ratio = others.find(({ name }) => name === 'agent')?.ratio;
    if (goal === undefined || ratio === undefined) continue;
    lines.push(
      `${operation.padEnd(38)}goal at most ${goal.toFixed(2)} of direct: ${ratio <= goal ? 'met' : 'MISSED'} (${ratio.toFixed(2)})`,
    );
  }
  return lines;
}

async function far({ runs }: SshOptions): Promise<SshRow[]> {
  let relay: DelayRelay | undefined;
  const stage = await openSshStage({
    logLevel: 'info',
    sshdPort: async (port) => {
      relay = await DelayRelay.start(port, DELAY_MS);
      return relay.port;
    },
  });
  try {
    await stage.scene.emulator.createRepository('git.example.com/direct/small', { commits: 20, largeFileBytes: MIB });
    const roads = [directRoad(stage), doorRoad(stage, 'agent', stage.daemon)];
    return await measure(runs, [
      { name: `ls-remote, ${FAR}`, works: listing(stage, roads) },
      { name: `fetch, nothing new, ${FAR}`, goal: GOAL_FETCH, works: await fetching(stage, roads) },
    ]);
  } finally {
    await stage.close();
    await relay?.close();
  }
}

async function near({ runs, bigMib }: SshOptions): Promise<SshResult> {
  const stage = await openSshStage({ logLevel: 'info', sshd: { command: `sh -c '${rawCommand(bigMib * RAW_TIMES)}' sh` } });
  const { scene } = stage;
  try {
    for (const [key, value] of QUICK_GIT) await scene.git(['config', '--global', key, value]);
    // The bridge goes to the same bytes on the emulator's HTTPS side.
    for (const [name, options] of [
      ['small', { commits: 20, largeFileBytes: MIB }],
      ['large', { commits: 1, largeFileBytes: bigMib * MIB }],
    ] as const) {
      const directory = await scene.emulator.createRepository(`git.example.com/direct/${name}`, options);
      for (const [key, value] of QUICK_GIT) await scene.git(['config', key, value], { cwd: directory });
      await cp(directory, await scene.emulator.createRepository(`contoso/Payments/${name}`, { commits: 0 }), { recursive: true });
    }
    const native = await buildNative(join(scene.directory, 'native'));
    const roads = [directRoad(stage), doorRoad(stage, 'agent', stage.daemon)];
    if (native.kind === 'built')
      roads.push(doorRoad(stage, 'agent, native', await scene.daemon(stage.configuration, { program: native.program })));
    const bridge: Way = { ...doorRoad(stage, 'bridge', stage.daemon), url: (name) => stage.roads.bridge.url(name) };
    const commands = await scene.writeFile('raw-commands', RAW_COMMANDS);
    const mib = bigMib * RAW_TIMES;
    const rows = await measure(runs, [
      { name: 'ls-remote, near', works: listing(stage, [...roads, bridge]) },
      { name: 'fetch, nothing new, near', works: await fetching(stage, [...roads, bridge]) },
      { name: `clone ${bigMib} MB, near`, goal: GOAL_CLONE, works: cloning(stage, [...roads, bridge]) },
      {
        name: `raw down, ${mib} MB`,
        mib,
        works: raw(stage, roads, (ssh) => `${ssh('git-upload-pack', 'raw-down')} </dev/null >/dev/null`),
      },
      {
        name: `raw up, ${mib} MB`,
        mib,
        works: raw(
          stage,
          roads,
          (ssh) => `{ cat ${commands}; head -c ${mib * MIB} /dev/zero; } | ${ssh('git-receive-pack', 'raw-up')} >/dev/null`,
        ),
      },
    ]);
    return { rows, withoutNative: native.kind === 'none' ? native.why : undefined };
  } finally {
    await stage.close();
  }
}

/** What sshd runs for a command: for two names no git, but a source and a sink of zeros. Holds no single quote. */
function rawCommand(mib: number): string {
  // One line of an empty repository's advertisement (gitprotocol-pack, "Reference Discovery").
  const empty = 'printf "0049%040d capabilities^{}\\000agent=bench\\n0000" 0';
  return `case "$1" in *raw-down*) exec head -c ${mib * MIB} /dev/zero;; *raw-up*) ${empty}; exec cat >/dev/null;; *) exec git-shell -c "$1";; esac`;
}

function directRoad(stage: SshStage): Way {
  const { direct } = stage.roads;
  return { name: 'direct', environment: direct.environment, url: (name) => direct.url(name) };
}

/** To the same repositories as the direct road. */
function doorRoad(stage: SshStage, name: string, daemon: RunningDaemon): Way {
  const { environment } = stage.roads.agent;
  return { name, environment, url: (repository) => daemon.sshUrl(`git.example.com/direct/${repository}.git`) };
}

function listing({ scene }: SshStage, ways: readonly Way[]): Works {
  return each(
    ways,
    ({ url, environment }) =>
      () =>
        scene.git(['ls-remote', url('small')], { ...LIMIT, env: environment }),
  );
}

async function fetching(stage: SshStage, ways: readonly Way[]): Promise<Works> {
  const { scene } = stage;
  const clones = new Map<string, string>();
  for (const { name, url, environment } of ways) {
    const clone = await fresh(stage);
    clones.set(name, clone);
    const ran = await scene.git(['clone', '-q', url('small'), clone], { ...LIMIT, env: environment });
    if (ran.code !== 0) throw new Error(`The bench cannot be prepared: git ended with ${ran.code}: ${ran.stderr.trim()}`);
  }
  return each(
    ways,
    ({ name, environment }) =>
      () =>
        scene.git(['fetch', '-q'], { ...LIMIT, env: environment, cwd: clones.get(name) ?? '' }),
  );
}

function cloning(stage: SshStage, ways: readonly Way[]): Works {
  return each(ways, ({ url, environment }) => async () => {
    const clone = await fresh(stage);
    const ran = await stage.scene.git(['clone', '-q', url('large'), clone], { ...LIMIT, env: environment });
    await rm(clone, { recursive: true, force: true });
    return ran;
  });
}

/** `line` makes a line of shell from what writes a command of ssh. */
function raw(stage: SshStage, ways: readonly Way[], line: (ssh: (service: string, name: string) => string) => string): Works {
  return each(ways, ({ url, environment }) => () => {
    const ssh = (service: string, name: string): string => {
      const { port, username, hostname, pathname } = new URL(url(name));
      return `${environment['GIT_SSH_COMMAND'] ?? ''} -p ${port} ${username}@${hostname} "${service} '${pathname}'"`;
    };
    return run('sh', ['-c', line(ssh)], { ...LIMIT, env: { ...stage.scene.environment, ...environment } });
  });
}

let count = 0;

async function fresh({ scene }: SshStage): Promise<string> {
  const directory = join(scene.directory, 'bench');
  await mkdir(directory, { recursive: true });
  return join(directory, `work-${(count += 1)}`);
}

function each(ways: readonly Way[], work: (way: Way) => () => Promise<Ran>): Works {
  return new Map(ways.map((way) => [way.name, work(way)]));
}

/** Each in every round, in turn, so that a machine that is busy is busy for all of them. */
async function measure(runs: number, operations: readonly Operation[]): Promise<SshRow[]> {
  const rows: SshRow[] = [];
  for (const { name: operation, mib, goal, works } of operations) {
    const times = new Map<string, number[]>(Array.from(works.keys(), (name) => [name, []]));
    const failures: string[] = [];
    for (let index = -1; index < runs; index++) {
      // Whoever comes second finds warmer caches, so they take turns at that too.
      for (const [name, work] of index % 2 === 0 ? works : Array.from(works).reverse()) {
        const ran = await work();
        // The first time is the one that opens the connection that is kept.
        if (index < 0 && ran.code === 0) continue;
        if (ran.code === 0) times.get(name)?.push(ran.ms);
        else failures.push(`${name}, run ${index + 1}: exit ${ran.code}: ${ran.stderr.trim().split('\n').at(-1) ?? ''}`);
      }
    }
    const figure = (name: string): Spread | undefined => {
      const found = times.get(name) ?? [];
      return found.length === 0 ? undefined : spread(found);
    };
    const direct = figure('direct');
    const others = Array.from(works.keys())
      .filter((name) => name !== 'direct')
      .map((name) => {
        const ms = figure(name);
        return { name, ms, ratio: ms === undefined || direct === undefined ? undefined : ms.median / direct.median };
      });
    rows.push({ operation, mib, direct, others, goal, failures });
  }
  return rows;
}

function write(figures: Spread | undefined): string {
  return figures === undefined ? 'failed' : `${figures.median.toFixed(0)} (${figures.least.toFixed(0)} - ${figures.most.toFixed(0)})`;
}

function speed(mib: number | undefined, figures: Spread | undefined): string {
  return mib === undefined || figures === undefined ? '' : ((mib / figures.median) * 1000).toFixed(0);
}
