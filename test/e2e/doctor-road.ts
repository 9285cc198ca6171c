/**
 * What the tests of `postern doctor` for LFS, SSH and REST share: a user whom `postern setup` has led to a daemon with both doors, routes that
 * are bridged and routes that an agent signs for, and doctor as that user runs it.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { CheckRow } from '../../src/model/check.js';
import { type Ran, type RunningDaemon, type RunOptions, Scene } from '../support/scene.js';
import { type AgentKey, SshAgent } from '../support/ssh-agent.js';

/** Bridged. */
export const HTTPS = 'https://dev.azure.com/contoso/Payments/_git/web';
export const BRIDGED = 'git@ssh.dev.azure.com:v3/contoso/Payments/web';
/** Signed by the agent. */
export const SIGNED = 'git@ssh.dev.azure.com:v3/fabrikam/Payments/web';

export interface Walked {
  readonly code: number;
  readonly rows: readonly CheckRow[];
  /** The first that failed. */
  readonly first: CheckRow | undefined;
  readonly row: (id: string) => CheckRow;
}

export class DoctorRoad {
  readonly scene: Scene;
  readonly daemon: RunningDaemon;
  readonly agent: SshAgent;
  readonly key: AgentKey;
  /** The configuration with nothing wrong in it. */
  readonly healthy: string;
  /** known_hosts of the daemon, for the host of the agent. */
  readonly upstreamHosts: string;
  /** Environment of the user. */
  readonly environment: Readonly<Record<string, string>>;

  static async open(): Promise<DoctorRoad> {
    const scene = await Scene.open();
    const agent = await SshAgent.start(join(scene.directory, 'agent'));
    const key = await agent.add('rsa', { comment: 'ada at fabrikam', isFileKept: true });
    scene.emulator.ssh.users.set(key.fingerprint, ['fabrikam']);
    for (const name of ['contoso/Payments/web', 'fabrikam/Payments/web']) await scene.emulator.createRepository(name);
    const upstreamHosts = await scene.writeFile('upstream_hosts', scene.emulator.ssh.knownHosts);
    const { git, ssh } = scene.emulator;
    const upstream = `upstream: '${git.origin}', ca: ${scene.emulator.caFile}`;
    const signed = `ssh: { mode: agent, socket: ${agent.socket} }, key: '${key.fingerprint}', knownHosts: ['${upstreamHosts}'], sshUpstream: '${ssh.origin}'`;
    const healthy = [
      'listen: { http: 127.0.0.1:0, ssh: 127.0.0.1:0 }',
      'log: { level: debug, format: json }',
      'identities:',
      `  sp: ${scene.servicePrincipal}`,
      'routes:',
      `  - { match: dev.azure.com/fabrikam/**, identity: sp, ${upstream}, ${signed} }`,
      `  - { match: dev.azure.com/**, identity: sp, allow: [fetch, push, lfs, api], ${upstream} }`,
      '',
    ].join('\n');
    const daemon = await scene.daemon(healthy);
    const environment = { ...(await scene.sshEnvironment({ settings: ['StrictHostKeyChecking yes'] })), LC_ALL: 'C' };
    const road = new DoctorRoad({ scene, daemon, agent, key, healthy, upstreamHosts, environment });
    await road.setup();
    return road;
  }

  private constructor(parts: Pick<DoctorRoad, 'scene' | 'daemon' | 'agent' | 'key' | 'healthy' | 'upstreamHosts' | 'environment'>) {
    this.scene = parts.scene;
    this.daemon = parts.daemon;
    this.agent = parts.agent;
    this.key = parts.key;
    this.healthy = parts.healthy;
    this.upstreamHosts = parts.upstreamHosts;
    this.environment = parts.environment;
  }

  /** The file of the configuration: the first of its scene. */
  get file(): string {
    return join(this.scene.directory, 'config-1.yaml');
  }

  get knownHosts(): string {
    return join(this.scene.home, '.ssh', 'known_hosts');
  }

  postern(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return this.daemon.postern(args, { ...options, env: { ...this.environment, ...options.env } });
  }

  async setup(): Promise<void> {
    const done = await this.postern(['setup', '--config', this.file, '--org', 'contoso', '--org', 'fabrikam']);
    expect(done, done.stderr).toMatchObject({ code: 0 });
  }

  /** Gives the running daemon another configuration. */
  async reconfigure(text: string): Promise<void> {
    await writeFile(this.file, text);
    const ran = await this.postern(['reload']);
    expect(ran.code, ran.stderr).toBe(0);
  }

  /** Walks an address. */
  async doctor(address: string, options: RunOptions & { readonly args?: readonly string[] } = {}): Promise<Walked> {
    const ran = await this.postern(['doctor', address, '--json', '--config', this.file, ...(options.args ?? [])], options);
    expect(ran.stdout, ran.stderr).toMatch(/^\{/);
    const { rows } = JSON.parse(ran.stdout) as { rows: CheckRow[] };
    const row = (id: string): CheckRow => {
      const found = rows.find((each) => each.id === id);
      if (found === undefined) throw new Error(`there is no row ${id} in ${rows.map((each) => each.id).join(', ')}`);
      return found;
    };
    return { code: ran.code, rows, first: rows.find(({ verdict }) => verdict === 'failed'), row };
  }

  /** Walks an address on which nothing is wrong. */
  async expectGreen(address: string, options: Parameters<DoctorRoad['doctor']>[1] = {}): Promise<Walked> {
    const walked = await this.doctor(address, options);
    expect(walked.rows.filter(({ verdict }) => verdict === 'failed' || verdict === 'untried')).toEqual([]);
    expect(walked.code).toBe(0);
    return walked;
  }

  /** A repository that keeps files with git-lfs, with this address as its remote. */
  async workTree(address: string): Promise<string> {
    const directory = join(this.scene.home, `work-${Math.random().toString(36).slice(2)}`);
    await mkdir(directory);
    await writeFile(join(directory, '.gitattributes'), '*.bin filter=lfs diff=lfs merge=lfs -text\n');
    for (const args of [
      ['init', '-q'],
      ['remote', 'add', 'origin', address],
      ['add', '.'],
      ['commit', '-qm', 'Track large files'],
    ]) {
      const ran = await this.scene.git(args, { cwd: directory });
      expect(ran.code, ran.stderr).toBe(0);
    }
    return directory;
  }

  /** What a file holds; put back by the function. */
  async keep(file: string): Promise<() => Promise<void>> {
    const content = await readFile(file);
    return () => writeFile(file, content);
  }

  async close(): Promise<void> {
    await this.agent.stop();
    await this.scene.close();
  }
}

/** What a row that failed or warns says to do. */
export function todoOf(row: CheckRow | undefined): string {
  return row !== undefined && 'todo' in row ? row.todo : '';
}
