/**
 * What the end-to-end tests of the SSH door share: a scene, an agent with two keys, the real sshd and the emulator's SSH host
 * behind one daemon, and the roads from git to each of them, beside the road without the daemon.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { run, type RunningDaemon, Scene } from './scene.js';
import { type AgentKey, SshAgent } from './ssh-agent.js';
import { type Sshd, startSshd, type SshdOptions } from './sshd.js';
import type { EmulatorOptions } from '../azure/emulator.js';

/** A way from git to a repository. */
export interface Road {
  readonly name: string;
  /** Environment of git. */
  readonly environment: Readonly<Record<string, string>>;
  /** What git is given for the repository `name`, which is one word. */
  url(name: string): string;
  /** As the emulator names the same repository. */
  repository(name: string): string;
}

export interface SshStage {
  readonly scene: Scene;
  readonly daemon: RunningDaemon;
  /** Of the daemon. */
  readonly configuration: string;
  readonly agent: SshAgent;
  readonly sshd: Sshd;
  /** Registered with the organisation `fabrikam` at the emulator's SSH host. */
  readonly rsa: AgentKey;
  /** Let in by sshd. */
  readonly ed25519: AgentKey;
  readonly roads: {
    /** OpenSSH straight to sshd. */
    readonly direct: Road;
    /** The door, then HTTPS to the emulator. */
    readonly bridge: Road;
    /** The door, then SSH to sshd. */
    readonly agent: Road;
    /** The door, then SSH to the emulator's SSH host. */
    readonly azure: Road;
  };
  close(): Promise<void>;
}

export interface SshStageOptions {
  readonly emulator?: Omit<EmulatorOptions, 'directory'>;
  readonly sshd?: Partial<SshdOptions>;
  /** Where everybody finds sshd, instead of where it is: a relay before it. */
  readonly sshdPort?: (port: number) => Promise<number>;
  /** Further lines of the configuration, before those of the stage. */
  readonly routes?: (stage: Omit<SshStage, 'daemon' | 'configuration' | 'roads' | 'close'>) => string;
  /** `debug` by default. */
  readonly logLevel?: string;
  /** Has the direct road use one connection for all commands, which is quicker where the connection is not what is looked at. */
  readonly isDirectShared?: boolean;
}

/** Longest that a shared connection may take to come up. */
const MASTER_MS = 20_000;

export async function openSshStage(options: SshStageOptions = {}): Promise<SshStage> {
  const scene = await Scene.open(options.emulator);
  const closing: (() => Promise<void>)[] = [() => scene.close()];
  const close = async (): Promise<void> => {
    for (const act of closing.splice(0).reverse()) await act();
  };
  try {
    const agent = await SshAgent.start(join(scene.directory, 'agent'));
    closing.push(() => agent.stop());
    const rsa = await agent.add('rsa', { comment: 'ada at fabrikam' });
    const ed25519 = await agent.add('ed25519', { comment: 'ada at git.example.com' });
    scene.emulator.ssh.users.set(rsa.fingerprint, ['fabrikam']);
    const sshd = await startSshd({
      directory: join(scene.directory, 'sshd'),
      root: scene.emulator.repositoriesOf('git.example.com'),
      authorizedKeys: [ed25519.line],
      ...options.sshd,
    });
    closing.push(() => sshd.stop());
    const parts = { scene, agent, sshd, rsa, ed25519 };
    const sshdPort = (await options.sshdPort?.(sshd.port)) ?? sshd.port;
    const sshdKeys = sshd.knownHosts.replaceAll(`:${sshd.port} `, `:${sshdPort} `);
    const knownHosts = await scene.writeFile('known_hosts', sshdKeys + scene.emulator.ssh.knownHosts);
    const signed = `{ mode: agent, socket: ${agent.socket} }`;
    const configuration = [
      'listen: { http: 127.0.0.1:0, ssh: 127.0.0.1:0 }',
      `log: { level: ${options.logLevel ?? 'debug'}, format: json }`,
      'identities:',
      `  sp: ${scene.servicePrincipal}`,
      '  nobody: { kind: none }',
      'routes:',
      ...(options.routes === undefined ? [] : [options.routes(parts)]),
      `  - { match: dev.azure.com/fabrikam/**, identity: nobody, ssh: ${signed}, key: '${rsa.fingerprint}', knownHosts: ['${knownHosts}'], sshUpstream: '${scene.emulator.ssh.origin}' }`,
      `  - { match: dev.azure.com/**, identity: sp, upstream: '${scene.emulator.git.origin}', ca: ${scene.emulator.caFile} }`,
      `  - { match: git.example.com/**, host: generic, identity: nobody, ssh: ${signed}, key: '${ed25519.fingerprint}', knownHosts: ['${knownHosts}'], sshUpstream: 'ssh://${sshd.user}@127.0.0.1:${sshdPort}' }`,
      '',
    ].join('\n');
    const daemon = await scene.daemon(configuration);
    const roads = await makeRoads({ ...parts, daemon, sshdPort, sshdKeys });
    if (options.isDirectShared === true) closing.push(await shareConnection(scene, roads.direct, { user: sshd.user, port: sshdPort }));
    return { ...parts, daemon, configuration, roads, close };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

type RoadParts = Omit<SshStage, 'configuration' | 'roads' | 'close'> & { readonly sshdPort: number; readonly sshdKeys: string };

async function makeRoads({ scene, sshd, agent, ed25519, daemon, sshdPort, sshdKeys }: RoadParts): Promise<SshStage['roads']> {
  // The client of the door has no key and no agent.
  const environment = await scene.sshEnvironment();
  return {
    direct: {
      name: 'direct',
      environment: await scene.sshEnvironment({
        agent: agent.socket,
        knownHosts: sshdKeys,
        settings: [`IdentityFile ${ed25519.publicFile}`, 'IdentitiesOnly yes', `ControlPath ${join(scene.directory, 'master')}`],
      }),
      url: (name) => `ssh://${sshd.user}@127.0.0.1:${sshdPort}/direct/${name}.git`,
      repository: (name) => `git.example.com/direct/${name}`,
    },
    bridge: {
      name: 'bridge',
      environment,
      url: (name) => daemon.sshUrl(`ssh.dev.azure.com/v3/contoso/Payments/${name}`),
      repository: (name) => `contoso/Payments/${name}`,
    },
    agent: {
      name: 'agent',
      environment,
      url: (name) => daemon.scpUrl(`git.example.com/team/${name}.git`),
      repository: (name) => `git.example.com/team/${name}`,
    },
    azure: {
      name: 'agent, Azure',
      environment,
      url: (name) => daemon.sshUrl(`ssh.dev.azure.com/v3/fabrikam/Payments/${name}`),
      repository: (name) => `fabrikam/Payments/${name}`,
    },
  };
}

/** Opens the connection that every command of the road finds by its ControlPath; gives what closes it. */
async function shareConnection(scene: Scene, road: Road, sshd: { user: string; port: number }): Promise<() => Promise<void>> {
  const [program = '', ...args] = (road.environment['GIT_SSH_COMMAND'] ?? '').split(' ');
  const at = [...args, '-p', String(sshd.port), `${sshd.user}@127.0.0.1`];
  const env = { ...scene.environment, ...road.environment };
  const master = spawn(program, ['-M', '-N', ...at], { env, stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => {
    master.once('close', () => resolve());
  });
  const close = async (): Promise<void> => {
    master.kill();
    await ended;
  };
  const until = performance.now() + MASTER_MS;
  while ((await run(program, ['-O', 'check', ...at], { env })).code !== 0) {
    if (performance.now() < until && master.exitCode === null) continue;
    await close();
    throw new Error('the shared connection to sshd does not come up');
  }
  return close;
}
