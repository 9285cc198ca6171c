/**
 * A user of a scene who has set Postern up: a home, a daemon at a port of its own, git pointed at it, a repository with a remote.
 * Faults are planted in those; what `postern doctor` names is then done as a person would do it, in a shell.
 */
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CheckRow } from '../../src/model/check.js';
import { closedPort } from './closed-port.js';
import { PROGRAM, type Ran, run, type RunningDaemon, type RunOptions, type Scene } from './scene.js';

/** What `postern doctor --json` prints. */
export interface Report {
  readonly version: number;
  readonly exitCode: number;
  readonly firstFailed: { readonly id: string; readonly address: string | null } | null;
  readonly rows: readonly CheckRow[];
  readonly mended?: readonly {
    readonly fix: string;
    readonly outcome: string;
    readonly lines: readonly string[];
    readonly commands: readonly string[];
  }[];
}

export const WEB = 'https://dev.azure.com/contoso/Payments/_git/web';

export class DoctorStage {
  readonly home: string;
  readonly port: number;
  /** The repository's directory; its origin is WEB. */
  readonly repository: string;
  readonly #scene: Scene;
  readonly #directory: string;
  /** Variables of everything that this user runs. */
  environment: Record<string, string>;
  daemon: RunningDaemon | undefined;

  /** Sets all of it up. `more`: lines of the configuration in place of those of `listen`. */
  static async open(scene: Scene, name: string, { listen }: { listen?: (port: number) => string } = {}): Promise<DoctorStage> {
    const directory = join(scene.directory, name);
    for (const part of ['', 'bin', 'home']) await mkdir(join(directory, part));
    await mkdir(join(directory, 'run'), { mode: 0o700 });
    const port = await closedPort();
    const program = join(directory, 'bin', 'postern');
    await writeFile(program, `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`, { mode: 0o755 });
    const stage = new DoctorStage(scene, directory, port);
    await stage.configure(
      scene.plainConfiguration.replace(/^listen: .*$/m, listen?.(port) ?? `listen: { http: '127.0.0.1:${port}', ssh: off }`),
    );
    await stage.start();
    await stage.must('postern setup --org contoso');
    await mkdir(stage.repository);
    await stage.must(`git init -q && git remote add origin ${WEB}`, stage.repository);
    return stage;
  }

  private constructor(scene: Scene, directory: string, port: number) {
    this.#scene = scene;
    this.#directory = directory;
    this.home = join(directory, 'home');
    this.port = port;
    this.repository = join(directory, 'web');
    this.environment = {
      ...scene.environment,
      PATH: `${join(directory, 'bin')}:${process.env['PATH'] ?? ''}`,
      HOME: this.home,
      XDG_RUNTIME_DIR: join(directory, 'run'),
    };
  }

  get configuration(): string {
    return join(this.home, '.config', 'postern', 'config.yaml');
  }

  get base(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async configure(text: string): Promise<void> {
    await mkdir(join(this.configuration, '..'), { recursive: true, mode: 0o700 });
    await writeFile(this.configuration, text);
  }

  /** Starts the daemon with this user's configuration. */
  async start(): Promise<void> {
    this.daemon = await this.#scene.daemonOf({ ...this.environment, SP_SECRET: this.#scene.emulator.sts.samples.secretClient.secret });
  }

  async stop(): Promise<void> {
    await this.daemon?.stop();
  }

  /** Runs a line of shell as this user. */
  sh(line: string, cwd: string = this.home, options: RunOptions = {}): Promise<Ran> {
    return run('sh', ['-c', line], { ...options, cwd, env: { ...this.environment, ...options.env } });
  }

  async must(line: string, cwd?: string): Promise<Ran> {
    const ran = await this.sh(line, cwd);
    if (ran.code !== 0) throw new Error(`${line}: ${ran.code}\n${ran.stdout}${ran.stderr}`);
    return ran;
  }

  /** `postern doctor --json` with these words. */
  async doctor(words = '', { cwd = this.home, env = {} }: { cwd?: string; env?: RunOptions['env'] } = {}): Promise<Report> {
    const ran = await this.sh(`postern doctor --json ${words}`, cwd, { env: { ...env } });
    if (!ran.stdout.startsWith('{')) throw new Error(`doctor ended with ${ran.code}: ${ran.stdout.slice(0, 500)}${ran.stderr.slice(-500)}`);
    const report = JSON.parse(ran.stdout) as Report;
    if (report.exitCode !== ran.code) throw new Error(`doctor says ${report.exitCode} and ended with ${ran.code}`);
    return report;
  }

  /** Keeps what doctor's faults are planted in as it is now, to be put back. The daemon's state stays where it is. */
  async keep(): Promise<void> {
    for (const [from, kept] of this.#parts) await cp(from, kept, { recursive: true });
  }

  async putBack(): Promise<void> {
    for (const [to, kept] of this.#parts) {
      // The daemon watches this one, and is to see a change where there is one, and no other.
      if (to === this.configuration && (await readFile(to)).equals(await readFile(kept))) continue;
      await rm(to, { recursive: true, force: true });
      await cp(kept, to, { recursive: true });
    }
  }

  get #parts(): [string, string][] {
    const kept = join(this.#directory, 'kept');
    return [
      [join(this.home, '.gitconfig'), join(kept, 'gitconfig')],
      [join(this.home, '.config', 'postern', 'gitconfig'), join(kept, 'rules')],
      [join(this.home, '.local', 'state', 'postern', 'setup.json'), join(kept, 'setup.json')],
      [this.configuration, join(kept, 'config.yaml')],
      [this.repository, join(kept, 'web')],
    ];
  }
}

/** The row of an id. */
export function rowOf({ rows }: Pick<Report, 'rows'>, id: string): CheckRow {
  const row = rows.find((each) => each.id === id);
  if (row === undefined) throw new Error(`no row ${id}`);
  return row;
}

/** What the first failed row says to do. */
export function remedyOf({ rows }: Pick<Report, 'rows'>): string {
  const row = rows.find(({ verdict }) => verdict === 'failed');
  return row?.verdict === 'failed' ? row.todo : '';
}

/** Rows that are not as they should be: `id: verdict text`. */
export function faultsOf({ rows }: Pick<Report, 'rows'>): string[] {
  return rows.filter(({ verdict }) => verdict !== 'ok').map(({ id, verdict, text }) => `${id}: ${verdict} ${text}`);
}
