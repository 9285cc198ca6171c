/**
 * A booted systemd with real user managers: systemd-nspawn on a throw-away layer over a small Debian, in a network namespace of
 * its own that has nothing but loopback. The emulator of Azure runs in that namespace beside it.
 *
 * Needs root: only root boots a container with service managers in it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Ran, run, type RunOptions } from './scene.js';
import { DEV, OTHER, type Suite, systemdRoot } from './systemd-root.js';
import { Terminal, type TerminalOptions } from './terminal.js';

export type Person = 'root' | 'dev' | 'other' | 'postern';

/** It takes less than a second. */
const BOOT_MS = 30_000;
const LOOK_MS = 50;

/** Becomes systemd-nspawn, in its own mounts; the directory is $1, the root $2, what to show follows. */
const BOOT = `set -e
ip link set lo up
mount -t tmpfs tmpfs "$1/layer"
mkdir "$1/layer/upper" "$1/layer/work" "$1/layer/root"
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/layer/upper,workdir=$1/layer/work" "$1/layer/root"
d=$1
shift 2
exec systemd-nspawn --quiet --directory="$d/layer/root" --boot --register=no --keep-unit --machine=postern-stage --console=pipe \\
  --bind="$d/azure:/azure" "$@" </dev/null`;

/** Why no stage can be had, in one line; undefined when one can. */
export async function stageFault(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'needs root: only root boots a systemd';
  const programs = { 'systemd-nspawn': 'systemd-container', mmdebstrap: 'mmdebstrap', unshare: 'util-linux', ip: 'iproute2' };
  for (const [program, pack] of Object.entries(programs)) {
    const found = await run('sh', ['-c', `command -v ${program}`], { env: { PATH: process.env['PATH'] } });
    if (found.code !== 0) return `${program} is missing: apt-get install ${pack}`;
  }
  return undefined;
}

export class SystemdStage {
  /** The emulator's files; the container has them in /azure. */
  readonly azure: string;
  readonly #holder: ChildProcess;
  readonly #directory: string;
  readonly #leader: number;
  #emulator: ChildProcess | undefined;

  /** Boots, and waits until all three service managers run. @throws Error saying in one line what is missing */
  static async boot(suite: Suite): Promise<SystemdStage> {
    const fault = await stageFault();
    if (fault !== undefined) throw new Error(fault);
    const root = await systemdRoot(suite);
    const directory = await mkdtemp(join(tmpdir(), 'postern-systemd-'));
    for (const part of ['layer', 'azure']) await mkdir(join(directory, part));
    const shown = [`--bind-ro=${process.execPath}:/usr/bin/node`, `--bind-ro=${process.cwd()}:/opt/postern`];
    const holder = spawn('unshare', ['--net', '--mount', 'sh', '-c', BOOT, 'sh', directory, root, ...shown], {
      env: { PATH: process.env['PATH'], SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [holder.stdout, holder.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
    const until = Date.now() + BOOT_MS;
    for (;;) {
      if (holder.exitCode !== null || Date.now() > until) {
        holder.kill('SIGKILL');
        await rm(directory, { recursive: true, force: true });
        throw new Error(`The stage with systemd does not boot: ${said.trim().split('\n').at(-1) ?? ''}`);
      }
      const leader = await firstChild(holder.pid ?? 0);
      if (leader !== undefined) {
        const stage = new SystemdStage(holder, directory, leader);
        if (await stage.#isUp()) return stage;
      }
      await sleep(LOOK_MS);
    }
  }

  private constructor(holder: ChildProcess, directory: string, leader: number) {
    this.#holder = holder;
    this.#directory = directory;
    this.#leader = leader;
    this.azure = join(directory, 'azure');
  }

  /** A path of the container as this process reaches it. */
  path(inside: string): string {
    return join('/proc', String(this.#leader), 'root', inside);
  }

  /** Runs a program in the container, as someone who has logged in. */
  run(person: Person, program: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return run('nsenter', [...this.#enter(person), program, ...args], { ...options, env: { ...shellOf(person), ...options.env } });
  }

  /** The same on a terminal, in the person's home. */
  terminal(person: Person, program: string, args: readonly string[], options: Partial<TerminalOptions> = {}): Terminal {
    const env = { ...shellOf(person), ...options.env };
    return new Terminal('nsenter', [...this.#enter(person), 'env', `--chdir=${env['HOME'] ?? '/'}`, program, ...args], { ...options, env });
  }

  /** The same, and it has to succeed. Gives what it printed. @throws Error with what it said */
  async must(person: Person, program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
    const ran = await this.run(person, program, args, options);
    if (ran.code === 0) return ran.stdout;
    throw new Error(`${program} ${args.join(' ')} ended with ${ran.code}: ${ran.stderr.trim()} ${ran.stdout.trim()}`);
  }

  /** `systemctl` of a user's service manager, or of the system's for root. It has to succeed; if not, the journal tells why. */
  async systemctl(person: Person, ...args: readonly string[]): Promise<string> {
    const ran = await this.run(person, 'systemctl', [...(person === 'root' ? [] : ['--user']), '--no-pager', ...args]);
    if (ran.code === 0) return ran.stdout;
    const journal = await this.run('root', 'journalctl', ['--no-pager', '--output=cat', '--lines=12']);
    throw new Error(`systemctl ${args.join(' ')} ended with ${ran.code}: ${ran.stderr.trim()}\n${journal.stdout}`);
  }

  /** One property of a unit. */
  async property(person: Person, unit: string, name: string): Promise<string> {
    return (await this.systemctl(person, 'show', '--value', '-p', name, unit)).trim();
  }

  /** What the journal has of a unit since the start of the stage, one object for each entry. */
  async journal(person: Person, unit: string, ...filter: readonly string[]): Promise<readonly Readonly<Record<string, string>>[]> {
    const which = person === 'root' ? `_SYSTEMD_UNIT=${unit}` : `_SYSTEMD_USER_UNIT=${unit}`;
    await this.must('root', 'journalctl', ['--sync']);
    const text = await this.must('root', 'journalctl', ['--output=json', '--all', '--no-pager', ...filter, which]);
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, string>);
  }

  /** Starts the emulator of Azure beside the container; gives what it prints. */
  async startEmulator(...args: readonly string[]): Promise<string> {
    const emulator = spawn(
      'nsenter',
      ['--target', String(this.#leader), '--net', process.execPath, join(process.cwd(), 'build', 'emulator.mjs'), ...args],
      { env: { PATH: process.env['PATH'], TMPDIR: tmpdir() }, stdio: ['ignore', 'pipe', 'inherit'] },
    );
    this.#emulator = emulator;
    let said = '';
    emulator.stdout.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
    const until = Date.now() + BOOT_MS;
    while (!/^routes:[\s\S]*\n {4}ca: .*\n/m.test(said)) {
      if (emulator.exitCode !== null || Date.now() > until) throw new Error(`the emulator does not start: ${said}`);
      await sleep(LOOK_MS);
    }
    return said;
  }

  async close(): Promise<void> {
    this.#emulator?.kill('SIGKILL');
    const ended = new Promise((resolve) => this.#holder.once('close', resolve));
    // The first process of a container takes all others with it.
    process.kill(this.#leader, 'SIGKILL');
    if (this.#holder.exitCode === null && this.#holder.signalCode === null) await ended;
    await rm(this.#directory, { recursive: true, force: true });
  }

  #enter(person: Person): readonly string[] {
    const enter = ['--target', String(this.#leader), '--all'];
    if (person === 'root') return enter;
    return [...enter, 'setpriv', `--reuid=${person}`, `--regid=${person}`, '--init-groups', '--inh-caps=-all'];
  }

  async #isUp(): Promise<boolean> {
    const system = await this.run('root', 'systemctl', ['is-system-running']);
    if (!/^(running|degraded)$/m.test(system.stdout)) return false;
    for (const person of ['dev', 'other'] as const) {
      const own = await this.run(person, 'systemctl', ['--user', 'is-system-running']);
      if (own.stdout.trim() !== 'running') return false;
    }
    return true;
  }
}

/** The environment of who has logged in. */
function shellOf(person: Person): Record<string, string> {
  return { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8', ...homeOf(person) };
}

function homeOf(person: Person): Record<string, string> {
  if (person === 'root') return { HOME: '/root' };
  if (person === 'postern') return { HOME: '/nonexistent' };
  const uid = person === 'dev' ? DEV.uid : OTHER.uid;
  const runtime = `/run/user/${uid}`;
  return { HOME: `/home/${person}`, USER: person, XDG_RUNTIME_DIR: runtime, DBUS_SESSION_BUS_ADDRESS: `unix:path=${runtime}/bus` };
}

async function firstChild(pid: number): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  const first = text.split(' ')[0] ?? '';
  return first === '' ? undefined : Number(first);
}
