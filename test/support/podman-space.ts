/**
 * A real container for each command, by podman, on a bridge of its own in the network namespace that the caller stands in. Its
 * image is an empty tree with the host's /usr in it, so that no registry is needed. As root only; storage, networks and
 * configuration live below one directory.
 */
import { execFile } from 'node:child_process';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ContainerSpace, HOST_NAME, INNER_ROOT, must } from './inner-space.js';
import { type Ran, run, type RunOptions } from './scene.js';

export class PodmanSpace implements ContainerSpace {
  readonly hostAddress: string;
  readonly #directory: string;
  readonly #shared: string;
  #files = 0;

  /**
   * `directory` is for podman's own things; `shared` is shown at INNER_ROOT.
   * @throws Error when podman cannot run a container here, with what it said
   */
  static async open({ directory, shared }: { readonly directory: string; readonly shared: string }): Promise<PodmanSpace> {
    const tree = join(directory, 'tree');
    for (const name of ['etc', 'proc', 'sys', 'dev', 'tmp', 'mnt', 'usr', 'run']) await mkdir(join(tree, name), { recursive: true });
    for (const name of ['bin', 'lib', 'lib64', 'sbin']) await symlink(`usr/${name}`, join(tree, name));
    await writeFile(join(tree, 'etc', 'passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
    await mkdir(join(directory, 'networks'));
    await mkdir(join(shared, 'home'), { recursive: true });
    await writeFile(join(directory, 'containers.conf'), CONFIGURATION(directory));
    // The plugins of the network keep the addresses that they gave below it. The mount namespace is the stage's own.
    await must('mount', '-t', 'tmpfs', 'tmpfs', '/var/lib');
    const space = new PodmanSpace(directory, shared, '');
    // The first container makes the bridge.
    const hosts = await space.run('cat', ['/etc/hosts'], { env: {} });
    const address = new RegExp(`^(\\S+)\\s+.*${HOST_NAME.replaceAll('.', '\\.')}`, 'm').exec(hosts.stdout)?.[1];
    if (address === undefined)
      throw new Error(`podman cannot run a container here, or gives it no ${HOST_NAME}: ${hosts.stderr}${hosts.stdout}`);
    return new PodmanSpace(directory, shared, address);
  }

  private constructor(directory: string, shared: string, hostAddress: string) {
    this.#directory = directory;
    this.#shared = shared;
    this.hostAddress = hostAddress;
  }

  /** The environment reaches the container as an env-file, the way a person hands over a lease; PATH is podman's. */
  async run(
    program: string,
    args: readonly string[],
    options: RunOptions & { readonly env: Readonly<Record<string, string>> },
  ): Promise<Ran> {
    const { cwd = INNER_ROOT, env, ...rest } = options;
    this.#files += 1;
    const file = join(this.#directory, `variables-${this.#files}`);
    const variables = Object.entries(env).filter(([name]) => name !== 'PATH');
    await writeFile(file, variables.map(([name, value]) => `${name}=${value}\n`).join(''), { mode: 0o600 });
    const container = ['--rm', '--interactive', '--dns', 'none', '--env-file', file, '--workdir', cwd, '--volume', '/usr:/usr:ro'];
    const mounts = ['--volume', `${this.#shared}:${INNER_ROOT}`, '--rootfs', join(this.#directory, 'tree')];
    const ran = await run('podman', [...this.#places, 'run', ...container, ...mounts, program, ...args], {
      ...rest,
      env: this.#environment,
    });
    await rm(file);
    return ran;
  }

  close(): void {
    // Every container is gone with its command; what holds the storage is gone with the namespace.
    execFile('podman', [...this.#places, 'rm', '--all', '--force'], { env: this.#environment }, () => undefined);
  }

  get #places(): readonly string[] {
    return ['--root', join(this.#directory, 'root'), '--runroot', join(this.#directory, 'runroot'), '--storage-driver', 'vfs'];
  }

  get #environment(): Record<string, string> {
    return { PATH: process.env['PATH'] ?? '', CONTAINERS_CONF: join(this.#directory, 'containers.conf') };
  }
}

/** runc, control groups as files and lower limits: what runs in a container or a virtual machine without systemd. */
const CONFIGURATION = (directory: string): string => `[containers]
default_ulimits = ["nofile=16384:16384", "nproc=8192:8192"]
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "none"
[network]
network_config_dir = "${join(directory, 'networks')}"
`;
