/**
 * The stage of an end-to-end test: a scratch directory, an emulator, daemons from the built program, and git, ssh and
 * the command line run as a user with an empty home would run them. Everything is real but Azure.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DaemonStatus } from '../../src/daemon/status.js';
import { Emulator, type EmulatorOptions } from '../azure/emulator.js';

/** The built program; every script runs at the root of the checkout. */
export const PROGRAM = join(process.cwd(), 'dist', 'postern.js');

/** How a command ended and what it printed. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly input?: string;
  /** The input stays open after it: somebody sits there. */
  readonly isInputOpen?: boolean;
  /** ms after which the command is ended; default 120 s. */
  readonly timeoutMs?: number;
  /** Called with the child once it runs. */
  readonly onChild?: (child: ChildProcess) => void;
}

export type LogLine = Readonly<Record<string, unknown>> & { readonly event: string; readonly level: string };

const READY_MS = 20_000;

export class Scene {
  readonly directory: string;
  readonly emulator: Emulator;
  /** HOME of everything that runs here. */
  readonly home: string;
  readonly #daemons: RunningDaemon[] = [];
  #configurations = 0;

  static async open(options: Omit<EmulatorOptions, 'directory'> = {}): Promise<Scene> {
    const directory = await mkdtemp(join(tmpdir(), 'postern-'));
    const home = join(directory, 'home');
    await mkdir(home);
    await mkdir(join(directory, 'run'), { mode: 0o700 });
    const emulator = await Emulator.start({ ...options, directory: join(directory, 'azure') });
    return new Scene(directory, home, emulator);
  }

  private constructor(directory: string, home: string, emulator: Emulator) {
    this.directory = directory;
    this.home = home;
    this.emulator = emulator;
  }

  /** The environment of a user of this scene: nothing of the developer's machine but PATH. */
  get environment(): Record<string, string> {
    return {
      PATH: process.env['PATH'] ?? '',
      HOME: this.home,
      XDG_RUNTIME_DIR: join(this.directory, 'run'),
      LANG: 'C.UTF-8',
      TMPDIR: tmpdir(),
      GIT_TERMINAL_PROMPT: '0',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_AUTHOR_NAME: 'Ada',
      GIT_AUTHOR_EMAIL: 'ada@example.com',
      GIT_COMMITTER_NAME: 'Ada',
      GIT_COMMITTER_EMAIL: 'ada@example.com',
    };
  }

  /** An identity with a client secret at the emulator's sign-in service, as a line of `identities:`. */
  get servicePrincipal(): string {
    const { tenant, secretClient } = this.emulator.sts.samples;
    return `{ kind: client-secret, tenant: ${tenant}, clientId: ${secretClient.clientId}, secret: { env: SP_SECRET }, authority: '${this.emulator.sts.origin}', ca: ${this.emulator.caFile} }`;
  }

  /** The configuration most tests want: everything of Azure DevOps Services through that service principal. */
  get plainConfiguration(): string {
    return [
      'listen: { http: 127.0.0.1:0 }',
      'log: { level: debug, format: json }',
      'identities:',
      `  sp: ${this.servicePrincipal}`,
      'routes:',
      `  - { match: dev.azure.com/**, identity: sp, upstream: '${this.emulator.git.origin}', ca: ${this.emulator.caFile} }`,
      '',
    ].join('\n');
  }

  /** Writes a file into the scratch directory and gives its path. */
  async writeFile(name: string, text: string): Promise<string> {
    const file = join(this.directory, name);
    await writeFile(file, text);
    return file;
  }

  /**
   * Writes an ssh_config of this scene's user and gives the environment that has git use it: no file and no agent of the
   * developer's machine is looked at. `agent`: the socket of one; `settings`: further lines, which win.
   */
  async sshEnvironment(
    options: { agent?: string; settings?: readonly string[]; knownHosts?: string } = {},
  ): Promise<Record<string, string>> {
    const directory = join(this.home, '.ssh');
    await mkdir(directory, { recursive: true, mode: 0o700 });
    this.#configurations += 1;
    const file = join(directory, `config-${this.#configurations}`);
    const knownHosts = join(directory, options.knownHosts === undefined ? 'known_hosts' : `known_hosts-${this.#configurations}`);
    if (options.knownHosts !== undefined) await writeFile(knownHosts, options.knownHosts);
    const lines = [
      'Host *',
      // The first value of a setting wins.
      ...(options.settings ?? []),
      'BatchMode yes',
      `StrictHostKeyChecking ${options.knownHosts === undefined ? 'accept-new' : 'yes'}`,
      `UserKnownHostsFile ${knownHosts}`,
      'GlobalKnownHostsFile none',
      'UpdateHostKeys no',
      'IdentityFile none',
      `IdentityAgent ${options.agent ?? 'none'}`,
      'ConnectTimeout 20',
      'LogLevel ERROR',
      '',
    ];
    await writeFile(file, lines.join('\n'));
    return {
      GIT_SSH_COMMAND: `ssh -F ${file}`,
      GIT_SSH_VARIANT: 'ssh',
      ...(options.agent === undefined ? {} : { SSH_AUTH_SOCK: options.agent }),
    };
  }

  async writeConfiguration(text: string): Promise<string> {
    this.#configurations += 1;
    const file = join(this.directory, `config-${this.#configurations}.yaml`);
    await writeFile(file, text);
    return file;
  }

  /**
   * Starts a daemon and waits until it says `ready`. Rejects with its output when it ends before. `through`: a program and its
   * arguments that become the daemon, such as `unshare -Ur`.
   */
  async daemon(
    configuration: string = this.plainConfiguration,
    options: {
      env?: Readonly<Record<string, string>>;
      args?: readonly string[];
      through?: readonly string[];
      /** Another build of the program. */
      program?: string;
    } = {},
  ): Promise<RunningDaemon> {
    const file = await this.writeConfiguration(configuration);
    // Named after the file: the count may be another by now.
    const runtime = file.replace(/config-([0-9]+)\.yaml$/, 'run-$1');
    await mkdir(runtime, { mode: 0o700 });
    const env = {
      ...this.environment,
      XDG_RUNTIME_DIR: runtime,
      // One daemon has it to itself.
      ...(this.#daemons.some(({ isRunning }) => isRunning) ? { XDG_STATE_HOME: `${runtime}-state` } : {}),
      SP_SECRET: this.emulator.sts.samples.secretClient.secret,
      // Its default is one port, which only one daemon of all tests could have.
      ...(/\bssh:[ []*['"]?127\.0\.0\.1:/.test(configuration) ? {} : { POSTERN_LISTEN_SSH: 'off' }),
      ...options.env,
    };
    const [through, ...before] = options.through ?? [];
    const words = [options.program ?? PROGRAM, 'start', '--config', file, ...(options.args ?? [])];
    const program = through ?? process.execPath;
    const args = through === undefined ? words : [...before, process.execPath, ...words];
    const child = spawn(program, args, {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const daemon = new RunningDaemon(child, env, this);
    this.#daemons.push(daemon);
    await daemon.ready();
    return daemon;
  }

  /** Starts a daemon with the configuration that an environment leads to, and waits until it says `ready`. It logs as JSON. */
  async daemonOf(env: Readonly<Record<string, string>>, args: readonly string[] = []): Promise<RunningDaemon> {
    const child = spawn(process.execPath, [PROGRAM, 'start', '--log-format', 'json', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const daemon = new RunningDaemon(child, env, this);
    this.#daemons.push(daemon);
    await daemon.ready();
    return daemon;
  }

  /** Runs git as this scene's user. */
  git(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return run('git', args, { ...options, env: { ...this.environment, ...options.env } });
  }

  /** Runs the command line of the built program. */
  postern(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return run(process.execPath, [PROGRAM, ...args], { ...options, env: { ...this.environment, ...options.env } });
  }

  async close(): Promise<void> {
    for (const daemon of this.#daemons) await daemon.kill();
    await this.emulator.stop();
    await rm(this.directory, { recursive: true, force: true });
  }
}

export class RunningDaemon {
  readonly #child: ChildProcess;
  readonly #scene: Scene;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #ended: Promise<number>;
  readonly #watchers = new Set<() => void>();
  #stderr = '';
  #stdout = '';

  constructor(child: ChildProcess, environment: Readonly<Record<string, string>>, scene: Scene) {
    this.#child = child;
    this.#scene = scene;
    this.#environment = environment;
    child.stdout?.on('data', (chunk: Buffer) => (this.#stdout += chunk.toString('utf8')));
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr += chunk.toString('utf8');
      for (const look of this.#watchers) look();
    });
    this.#ended = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        resolve(code ?? (signal === 'SIGKILL' ? 137 : 1));
        for (const look of this.#watchers) look();
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Everything that it printed. */
  get output(): string {
    return this.#stdout + this.#stderr;
  }

  /** Its log lines (configuration with `format: json`). */
  get log(): LogLine[] {
    return this.#stderr
      .split('\n')
      .slice(0, -1)
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as LogLine);
  }

  /** `http://127.0.0.1:PORT`. */
  get base(): string {
    const line = this.log.find(({ event, door }) => event === 'listening' && door === 'http');
    return String(line?.['address']);
  }

  /** Where measurements and probes are answered: `http://127.0.0.1:PORT`. */
  get telemetry(): string {
    const line = this.log.find(({ event, door }) => event === 'listening' && door === 'telemetry');
    if (line === undefined) throw new Error(`the daemon has no telemetry listener:\n${this.output}`);
    return String(line['address']);
  }

  /** Port of the SSH door. */
  get sshPort(): number {
    const line = this.log.find(({ event, door }) => event === 'listening' && door === 'ssh');
    if (line === undefined) throw new Error(`the daemon has no SSH door:\n${this.output}`);
    return Number(new URL(String(line['address'])).port);
  }

  /** Address of a repository at the SSH door, such as of `ssh.dev.azure.com/v3/contoso/Payments/web`. */
  sshUrl(path: string): string {
    return `ssh://git@127.0.0.1:${this.sshPort}/${path}`;
  }

  /** The same in git's other form. */
  scpUrl(path: string): string {
    return `[git@127.0.0.1:${this.sshPort}]:${path}`;
  }

  /** Address of a repository at the door. */
  url(path: string): string {
    return `${this.base}/${path}`;
  }

  /** Resident memory, bytes. */
  async residentBytes(): Promise<number> {
    return (await this.memory()).resident;
  }

  /** Resident memory now and at its highest since the start or the last `forgetPeak`, bytes. */
  async memory(): Promise<{ readonly resident: number; readonly peak: number }> {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8');
    const read = (field: string): number => Number(new RegExp(`^${field}:\\s+([0-9]+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024;
    return { resident: read('VmRSS'), peak: read('VmHWM') };
  }

  /** Sets the highest resident memory back to what it is now (proc(5), clear_refs). */
  async forgetPeak(): Promise<void> {
    await writeFile(`/proc/${this.pid}/clear_refs`, '5');
  }

  async status(): Promise<DaemonStatus> {
    const ran = await this.#scene.postern(['status', '--json'], { env: this.#environment });
    if (ran.code !== 0) throw new Error(ran.stderr);
    return JSON.parse(ran.stdout) as DaemonStatus;
  }

  /** Runs the command line against this very daemon. */
  postern(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return this.#scene.postern(args, { ...options, env: { ...this.#environment, ...options.env } });
  }

  /** Resolves when a log line fits; at once if one has. */
  async logged(fits: (line: LogLine) => boolean, timeoutMs = 20_000): Promise<LogLine> {
    let found: LogLine | undefined;
    await this.#until(() => {
      found = this.log.find(fits);
      return found !== undefined;
    }, timeoutMs);
    if (found === undefined) throw new Error(`no such log line within ${timeoutMs} ms:\n${this.output}`);
    return found;
  }

  async ready(): Promise<void> {
    await this.#until(() => this.#child.exitCode !== null || /"event":"ready"| ready pid=/.test(this.#stderr), READY_MS);
    if (!/"event":"ready"| ready pid=/.test(this.#stderr)) throw new Error(`the daemon did not start:\n${this.output}`);
  }

  /** Sends a signal and gives the exit code. */
  stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number> {
    this.#child.kill(signal);
    return this.#ended;
  }

  ended(): Promise<number> {
    return this.#ended;
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL');
    await this.#ended;
  }

  #until(isTrue: () => boolean, timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        resolve();
      };
      const look = (): void => {
        if (isTrue()) done();
      };
      const timer = setTimeout(done, timeoutMs);
      this.#watchers.add(look);
      look();
    });
  }
}

/** Runs a program to its end. */
export function run(
  program: string,
  args: readonly string[],
  options: RunOptions & { env: Readonly<Record<string, string | undefined>> },
): Promise<Ran> {
  return new Promise((resolve) => {
    const startedAt = performance.now();
    const child = execFile(
      program,
      args,
      { cwd: options.cwd, env: options.env, maxBuffer: 256 * 1024 * 1024, timeout: options.timeoutMs ?? 120_000, encoding: 'utf8' },
      (fault, stdout, stderr) => {
        const code = fault === null ? 0 : typeof fault.code === 'number' ? fault.code : fault.killed === true ? 124 : 255;
        resolve({ code, stdout, stderr, ms: performance.now() - startedAt });
      },
    );
    options.onChild?.(child);
    // A program that does not read its input may have ended before it is written.
    child.stdin?.on('error', () => undefined);
    if (options.isInputOpen === true) child.stdin?.write(options.input ?? '');
    else child.stdin?.end(options.input ?? '');
  });
}
