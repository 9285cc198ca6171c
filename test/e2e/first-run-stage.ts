/**
 * The plays of the first-run tests: `postern setup` on a terminal of its own, on a machine whose only peculiarity is that Azure is the
 * emulator. A program of its own, because it is started in a network namespace, in which the doors' default ports are free:
 *
 *   unshare --net --mount --pid --fork --kill-child --mount-proc node build/first-run-stage.mjs DIRECTORY PLAY
 *
 * Real names reach the emulator by its proxy, as on a machine behind a company's. Prints what the play gives, as JSON.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Emulator } from '../azure/emulator.js';
import { must } from '../support/inner-space.js';
import { PROGRAM, type Ran, run, type RunOptions } from '../support/scene.js';
import { Terminal, type TerminalOptions } from '../support/terminal.js';
import { PLAYS } from './first-run-plays.js';

export const CLONE = 'https://dev.azure.com/contoso/Payments/_git/web';

/** The machine of one play. */
export class FirstRunStage {
  readonly directory: string;
  readonly home: string;
  readonly emulator: Emulator;
  #daemon: ChildProcess | undefined;
  readonly #terminals: Terminal[] = [];

  private constructor(directory: string, emulator: Emulator) {
    this.directory = directory;
    this.home = join(directory, 'home');
    this.emulator = emulator;
  }

  static async open(directory: string): Promise<FirstRunStage> {
    await must('ip', 'link', 'set', 'lo', 'up');
    await mkdir(join(directory, 'home'));
    await mkdir(join(directory, 'run'), { mode: 0o700 });
    // ssh goes by the account and not by HOME.
    const uid = String(process.getuid?.() ?? 0);
    const passwd = join(directory, 'passwd');
    await writeFile(passwd, `dana:x:${uid}:${uid}::${join(directory, 'home')}:/bin/sh\n`);
    await must('mount', '--bind', passwd, '/etc/passwd');
    const emulator = await Emulator.start({ directory: join(directory, 'azure') });
    await emulator.createRepository('contoso/Payments/web', { commits: 3 });
    const browser = `#!/bin/sh\nexec curl --silent --location --cacert '${emulator.caFile}' --proxy '${emulator.proxy.origin}' --noproxy localhost,127.0.0.1 --output /dev/null "$1"\n`;
    await mkdir(join(directory, 'bin'));
    await writeFile(join(directory, 'bin', 'browser'), browser, { mode: 0o755 });
    return new FirstRunStage(directory, emulator);
  }

  get environment(): Record<string, string> {
    const { az, azd, proxy, caFile } = this.emulator;
    return {
      PATH: `${az.directory}:${azd.directory}:${join(this.directory, 'bin')}:${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`,
      HOME: this.home,
      XDG_RUNTIME_DIR: join(this.directory, 'run'),
      LANG: 'C.UTF-8',
      GIT_TERMINAL_PROMPT: '0',
      GIT_CONFIG_NOSYSTEM: '1',
      HTTPS_PROXY: proxy.origin,
      NO_PROXY: 'localhost,127.0.0.1,::1',
      NODE_EXTRA_CA_CERTS: caFile,
    };
  }

  /** `postern ...` on a terminal, in the home. */
  terminal(args: readonly string[], options: Partial<TerminalOptions> = {}): Terminal {
    const env = { ...this.environment, ...options.env };
    const terminal = new Terminal(process.execPath, [PROGRAM, ...args], { cwd: this.home, ...options, env });
    this.#terminals.push(terminal);
    return terminal;
  }

  /** The same without a terminal. */
  postern(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return run(process.execPath, [PROGRAM, ...args], { cwd: this.home, ...options, env: { ...this.environment, ...options.env } });
  }

  git(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return run('git', args, { cwd: this.home, ...options, env: { ...this.environment, ...options.env } });
  }

  /** A daemon as somebody starts it in another terminal. */
  async daemon(env: Readonly<Record<string, string>> = {}): Promise<void> {
    const child = spawn(process.execPath, [PROGRAM, 'start'], { env: { ...this.environment, ...env }, cwd: this.home, stdio: 'ignore' });
    this.#daemon = child;
    const ran = await this.postern(['wait', '--timeout', '20s']);
    if (ran.code !== 0) throw new Error(ran.stderr);
  }

  /** Every file of the home, by its path there. */
  async files(): Promise<Record<string, string>> {
    const found: Record<string, string> = {};
    for (const entry of await readdir(this.home, { recursive: true, withFileTypes: true }))
      if (entry.isFile()) {
        const path = join(entry.parentPath, entry.name);
        found[path.slice(this.home.length + 1)] = await readFile(path, 'latin1');
      }
    return found;
  }

  async close(): Promise<void> {
    for (const terminal of this.#terminals) await terminal.close();
    const child = this.#daemon;
    if (child?.exitCode === null) {
      const ended = new Promise((resolve) => child.once('close', resolve));
      child.kill('SIGKILL');
      await ended;
    }
    await this.emulator.stop();
  }
}

async function main(): Promise<void> {
  const [directory = '', name = ''] = process.argv.slice(2);
  const play = PLAYS[name];
  if (play === undefined) throw new Error(`there is no play ${name}`);
  const stage = await FirstRunStage.open(directory);
  try {
    process.stdout.write(JSON.stringify(await play(stage)));
  } finally {
    await stage.close();
  }
}

await main();
