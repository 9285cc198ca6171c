/**
 * podman with storage and configuration of its own below one directory, an image built by the Dockerfile of this checkout, and
 * two networks: the host's with Postern on it, and a job's with Postern on it, which leads nowhere else. As root only, in a
 * network and a mount namespace made for the purpose (`enterOuterSpace`).
 *
 * No registry is asked. The base image is the node that runs the tests with the libraries that it is linked against, and nothing
 * else: no shell, no users, no certificates. A job's image is an empty tree over which the host's /usr is mounted.
 */
import { chmod, copyFile, mkdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { must } from './inner-space.js';
import { type Ran, run, type RunOptions } from './scene.js';

export const NODE_IMAGE = 'localhost/postern-test-node';
export const IMAGE = 'localhost/postern-test';
const JOB_IMAGE = 'localhost/postern-test-job';

/** Addresses of the host, two because two services of Azure listen on port 443. */
export const HOST_ADDRESSES = ['10.211.9.1', '10.211.9.2'] as const;
const OUTER_ADDRESS = '10.211.9.10';
/** Postern as the job has it, and the job. */
export const DOOR_ADDRESS = '10.211.8.1';
const JOB_ADDRESS = '10.211.8.2';

/** Why no image can be built and run here, in one line; undefined when it can. */
export async function podmanFault(): Promise<string | undefined> {
  const environment = { PATH: process.env['PATH'] };
  for (const [program, flag, packages] of [
    ['podman', '--version', 'podman runc'],
    ['runc', '--version', 'runc'],
    ['ip', '-Version', 'iproute2'],
  ] as const) {
    const ran = await run(program, [flag], { env: environment });
    if (ran.code !== 0)
      return `${program} is missing, without which no image can be tried: apt-get install --no-install-recommends ${packages}`;
  }
  return undefined;
}

export class ImageSpace {
  readonly #directory: string;
  readonly #driver: string;

  /** @throws Error when podman cannot hold an image here, with what it said */
  static async open(directory: string): Promise<ImageSpace> {
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, 'containers.conf'), CONFIGURATION);
    // podman keeps locks in it, and `ip netns` its names.
    await must('mount', '-t', 'tmpfs', 'tmpfs', '/run');
    const tree = await nodeTree(join(directory, 'node'));
    const complaints: string[] = [];
    for (const driver of ['overlay', 'vfs']) {
      const space = new ImageSpace(directory, driver);
      const imported = await space.import(tree, NODE_IMAGE);
      // That it can be mounted is seen with the first container.
      const ran =
        imported.code === 0 ? await space.podman(['run', '--rm', '--network', 'none', NODE_IMAGE, 'node', '--version']) : imported;
      if (ran.code === 0) return space;
      complaints.push(`${driver}: ${ran.stderr.trim()}`);
    }
    throw new Error(`podman cannot run a container here: ${complaints.join('; ')}`);
  }

  private constructor(directory: string, driver: string) {
    this.#directory = directory;
    this.#driver = driver;
  }

  podman(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    const places = ['--root', join(this.#directory, 'root'), '--runroot', join(this.#directory, 'runroot')];
    return run('podman', ['--log-level=fatal', ...places, '--storage-driver', this.#driver, ...args], {
      timeoutMs: 60_000,
      ...options,
      env: { PATH: process.env['PATH'] ?? '', CONTAINERS_CONF: join(this.#directory, 'containers.conf') },
    });
  }

  /** What podman prints; it has to succeed. */
  async must(...args: string[]): Promise<string> {
    const ran = await this.podman(args);
    if (ran.code !== 0) throw new Error(`podman ${args.join(' ')} ended with ${ran.code}: ${ran.stderr}${ran.stdout}`);
    return ran.stdout.trim();
  }

  async import(tree: string, name: string): Promise<Ran> {
    await must('tar', '--create', '--file', `${tree}.tar`, '--directory', tree, '.');
    const ran = await this.podman(['import', `${tree}.tar`, name]);
    await rm(`${tree}.tar`);
    return ran;
  }

  /** Builds this checkout's Dockerfile. The packages are those that are installed; the step that installs sees that they are. */
  build(): Promise<Ran> {
    const images = ['NODE_IMAGE', 'BUILD_IMAGE'].flatMap((name) => ['--build-arg', `${name}=${NODE_IMAGE}`]);
    const packages = ['--volume', `${join(process.cwd(), 'node_modules')}:/src/node_modules:ro`];
    const options = ['--pull=never', '--format', 'docker', '--network', 'none', '--layers=false'];
    return this.podman(['build', ...options, ...images, ...packages, '--tag', IMAGE, process.cwd()], { timeoutMs: 120_000 });
  }

  /** Lays the two networks. */
  async connect(): Promise<void> {
    for (const name of ['postern', 'job']) {
      await must('ip', 'netns', 'add', name);
      await must('ip', '-netns', name, 'link', 'set', 'lo', 'up');
    }
    await must('ip', 'link', 'add', 'outside', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', 'postern');
    await must('ip', '-netns', 'postern', 'link', 'add', 'eth1', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', 'job');
    for (const address of HOST_ADDRESSES) await must('ip', 'address', 'add', `${address}/24`, 'dev', 'outside');
    await must('ip', '-netns', 'postern', 'address', 'add', `${OUTER_ADDRESS}/24`, 'dev', 'eth0');
    await must('ip', '-netns', 'postern', 'address', 'add', `${DOOR_ADDRESS}/24`, 'dev', 'eth1');
    await must('ip', '-netns', 'job', 'address', 'add', `${JOB_ADDRESS}/24`, 'dev', 'eth0');
    await must('ip', 'link', 'set', 'outside', 'up');
    for (const [space, device] of [
      ['postern', 'eth0'],
      ['postern', 'eth1'],
      ['job', 'eth0'],
    ] as const)
      await must('ip', '-netns', space, 'link', 'set', device, 'up');
  }

  /** Makes the image of the job: nothing, until /usr is mounted. */
  async jobImage(): Promise<string> {
    const tree = join(this.#directory, 'job');
    for (const name of ['etc', 'proc', 'sys', 'dev', 'tmp', 'usr', 'run', 'leases']) await mkdir(join(tree, name), { recursive: true });
    for (const name of ['bin', 'lib', 'lib64', 'sbin']) await symlink(`usr/${name}`, join(tree, name));
    // What is mounted over it gets its mode.
    await chmod(join(tree, 'tmp'), 0o1777);
    await this.import(tree, JOB_IMAGE);
    return JOB_IMAGE;
  }

  async close(): Promise<void> {
    await this.podman(['rm', '--all', '--force', '--volumes', '--time', '0']);
    // Overlay mounts would keep the directory from being removed.
    await this.podman(['rmi', '--all', '--force']);
  }
}

/** node and what its dynamic loader needs, at the paths where they are here. */
async function nodeTree(tree: string): Promise<string> {
  for (const name of ['etc', 'proc', 'sys', 'dev', 'tmp', 'run']) await mkdir(join(tree, name), { recursive: true });
  const node = await realpath(process.execPath);
  const linked = await run('ldd', [node], { env: { PATH: process.env['PATH'] } });
  const libraries = [...linked.stdout.matchAll(/(?:^|\s)(\/\S+)/gm)].map(([, path = '']) => path);
  for (const [from, to] of [[node, '/usr/local/bin/node'] as const, ...libraries.map((path) => [path, path] as const)]) {
    await mkdir(join(tree, dirname(to)), { recursive: true });
    await copyFile(from, join(tree, to));
  }
  return tree;
}

/** runc, control groups as files and lower limits: what runs in a container or a virtual machine without systemd. */
const CONFIGURATION = `[containers]
default_ulimits = ["nofile=16384:16384", "nproc=8192:8192"]
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "none"
`;
