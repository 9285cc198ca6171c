/**
 * A container as far as the network and the files matter: a network namespace of its own behind a veth pair, a mount namespace
 * in which the stage's directory is hidden, and a name for the host in /etc/hosts. What runs in it has the environment that it
 * is given and nothing else.
 *
 * Whoever uses this has to stand in a network namespace made for the purpose (`enterOuterSpace`), so that no address and no
 * device of the machine is touched.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Ran, run, type RunOptions } from './scene.js';

/** What a container calls its host; podman's name for it. */
export const HOST_NAME = 'host.containers.internal';

/** Where the container sees `shared`; every Linux has this directory (Filesystem Hierarchy Standard 3.0, 3.12). */
export const INNER_ROOT = '/mnt';

/** Anything that can play a container. */
export interface ContainerSpace {
  /** The address of the host that HOST_NAME is in the container. */
  readonly hostAddress: string;
  /** Runs a program inside, with this environment and no other, in `cwd` (a path as it is inside; default INNER_ROOT). */
  run(program: string, args: readonly string[], options: RunOptions & { readonly env: Readonly<Record<string, string>> }): Promise<Ran>;
  close(): void;
}

/** The host's end of the pair, and the container's. */
const HOST_ADDRESS = '10.211.7.1';
const INNER_ADDRESS = '10.211.7.2';

export interface InnerSpaceOptions {
  /** A directory to show at INNER_ROOT. */
  readonly shared: string;
  /** A directory that the container cannot look into; may hold `shared`. */
  readonly hidden: string;
}

export class InnerSpace implements ContainerSpace {
  readonly hostAddress = HOST_ADDRESS;
  readonly #holder: ChildProcess;

  /** @throws Error with the command that failed and what it said */
  static async open({ shared, hidden }: InnerSpaceOptions): Promise<InnerSpace> {
    const hosts = join(shared, 'hosts');
    await mkdir(shared, { recursive: true });
    await writeFile(hosts, `127.0.0.1 localhost\n${HOST_ADDRESS} ${HOST_NAME}\n`);
    // Ends when its input does, and the namespaces with it.
    const holder = spawn('unshare', ['--net', '--mount', 'sh', '-c', 'echo made; exec cat >/dev/null'], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    await made(holder);
    const inner = new InnerSpace(holder);
    try {
      await must('ip', 'link', 'add', 'postern0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(holder.pid));
      await must('ip', 'address', 'add', `${HOST_ADDRESS}/24`, 'dev', 'postern0');
      await must('ip', 'link', 'set', 'postern0', 'up');
      await inner.#must('ip', 'link', 'set', 'lo', 'up');
      await inner.#must('ip', 'address', 'add', `${INNER_ADDRESS}/24`, 'dev', 'eth0');
      await inner.#must('ip', 'link', 'set', 'eth0', 'up');
      // The kernel raises the link in its own time; what is sent before is lost and sent again a second later.
      await inner.#must('sh', '-c', 'until ip -o link show dev eth0 | grep -q "state UP"; do :; done');
      await inner.#must('mount', '--bind', hosts, '/etc/hosts');
      await inner.#must('mount', '--bind', shared, INNER_ROOT);
      await inner.#must('mount', '-t', 'tmpfs', 'tmpfs', hidden);
    } catch (fault) {
      inner.close();
      throw fault;
    }
    return inner;
  }

  private constructor(holder: ChildProcess) {
    this.#holder = holder;
  }

  run(program: string, args: readonly string[], options: RunOptions & { readonly env: Readonly<Record<string, string>> }): Promise<Ran> {
    const { cwd = INNER_ROOT, ...rest } = options;
    const enter = [...this.#entering, 'sh', '-c', 'cd "$1" && shift && exec "$@"', 'sh', cwd];
    return run('nsenter', [...enter, program, ...args], rest);
  }

  close(): void {
    this.#holder.stdin?.end();
  }

  async #must(program: string, ...args: string[]): Promise<void> {
    await must('nsenter', ...this.#entering, program, ...args);
  }

  get #entering(): readonly string[] {
    return ['--target', String(this.#holder.pid), '--net', '--mount'];
  }
}

/** Arguments of `unshare` for the outer namespace: root has the right already, others get it in a user namespace of theirs. */
export function outerSpaceFlags(): readonly string[] {
  return process.getuid?.() === 0 ? ['--net', '--mount'] : ['--user', '--map-root-user', '--net', '--mount'];
}

/** Why no namespace can be had, for whoever has to change it; undefined when one can. */
export async function outerSpaceFault(): Promise<string | undefined> {
  const tried = await run('unshare', [...outerSpaceFlags(), 'ip', 'link', 'set', 'lo', 'up'], { env: { PATH: process.env['PATH'] } });
  if (tried.code === 0) return undefined;
  return [
    `No network namespace can be made here: ${tried.stderr.trim() === '' ? 'unshare was not found' : tried.stderr.trim()}`,
    'Needed: the packages util-linux (unshare, nsenter, mount) and iproute2 (ip), and, unless you are root, user namespaces:',
    '  sysctl -w kernel.unprivileged_userns_clone=1            (Debian)',
    '  sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu)',
    '  sysctl -w user.max_user_namespaces=15000',
  ].join('\n');
}

/** Brings up loopback in the namespace that this process was started in. */
export async function enterOuterSpace(): Promise<void> {
  await must('ip', 'link', 'set', 'lo', 'up');
}

/** Runs a program that has to succeed. @throws Error with what it said */
export function must(program: string, ...args: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { timeout: 10_000 }, (fault, _stdout, stderr) => {
      if (fault === null) resolve();
      else reject(new Error(`${program} ${args.join(' ')}: ${stderr.trim() === '' ? fault.message : stderr.trim()}`));
    });
  });
}

/** Resolves when the namespaces are there. */
function made(holder: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let complaint = '';
    holder.stderr?.on('data', (chunk: Buffer) => (complaint += chunk.toString('utf8')));
    holder.stdout?.once('data', () => resolve());
    holder.once('error', reject);
    holder.once('close', (code) => reject(new Error(`unshare --net --mount ended with ${String(code)}: ${complaint.trim()}`)));
  });
}
