/**
 * The SSH way up with everything real around it: git drives sessions (bridge-rig.ts), which go to an sshd of this machine over
 * connections signed by an ssh-agent.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type { RepoAddress } from '../../src/model/address.js';
import type { SessionOperation } from '../../src/model/operation.js';
import type { OperationRecord } from '../../src/model/record.js';
import type { RefPolicy } from '../../src/model/refs.js';
import type { AgentRoute, Route } from '../../src/model/settings.js';
import { agentCarrier } from '../../src/ssh/agent.js';
import type { Carried, GitSession } from '../../src/ssh/git-session.js';
import { SshUpstreams } from '../../src/ssh/pool.js';
import { type AgentKey, SshAgent } from '../support/ssh-agent.js';
import { type Sshd, type SshdOptions, startSshd } from '../support/sshd.js';
import { addressOf, route } from '../unit/route.js';
import { openRig, type Rig, sessionOf } from './bridge-rig.js';

/** Longer than any wait: what is given up is given up for another reason. */
const CONNECT_MS = 120_000;
/** The limit of a wait for something that takes milliseconds. */
const WAIT_MS = 20_000;

export interface AgentStage {
  readonly rig: Rig;
  readonly agent: SshAgent;
  readonly key: AgentKey;
  readonly sshd: Sshd;
  readonly knownHosts: string;
  readonly upstreams: SshUpstreams;
  /** The route of sessions that begin from now on. */
  ssh: AgentRoute;
  /** The address of sessions that begin from now on; undefined for one of a host of no kind. */
  address: RepoAddress | undefined;
  /** What pushes have to keep to. */
  policies: readonly RefPolicy[];
  /** What else is in the route. */
  also: Partial<Route>;
  /** SSH_AUTH_SOCK. */
  socket: string | undefined;
  /** A server beside the one that is there, with the same repositories. */
  server(options?: Partial<SshdOptions>): Promise<Sshd>;
  /** A session without git. */
  session(kind: SessionOperation['kind'], path: string, more?: Partial<GitSession>): Hand;
  close(): Promise<void>;
}

/** A session whose client is the test. */
export interface Hand {
  readonly input: PassThrough;
  readonly output: PassThrough;
  readonly errors: PassThrough;
  readonly over: AbortController;
  readonly record: OperationRecord;
  readonly carried: Promise<Carried>;
  /** What has come on stdout and stderr so far. */
  said(): { readonly out: string; readonly err: string };
}

/** A route to a server, of the host 127.0.0.1. */
export function routeTo(sshd: Pick<Sshd, 'port' | 'user'>, knownHosts: string, more: Partial<AgentRoute> = {}): AgentRoute {
  return {
    key: undefined,
    socket: undefined,
    knownHosts: [knownHosts],
    isLegacyAllowed: false,
    upstream: { user: sshd.user, host: '127.0.0.1', port: sshd.port },
    ...more,
  };
}

export async function openAgentStage(options: Partial<SshdOptions> = {}): Promise<AgentStage> {
  const rig = await openRig();
  const agent = await SshAgent.start(join(rig.folder, 'agent'));
  const key = await agent.add('ed25519', { comment: 'ada at work' });
  const servers: Sshd[] = [];
  const server = async (more: Partial<SshdOptions> = {}): Promise<Sshd> => {
    const directory = join(rig.folder, `sshd-${String(servers.length)}`);
    const started = await startSshd({ directory, root: rig.folder, authorizedKeys: [key.line], ...options, ...more });
    servers.push(started);
    return started;
  };
  const sshd = await server();
  const knownHosts = join(rig.folder, 'known_hosts');
  writeFileSync(knownHosts, sshd.knownHosts);
  const upstreams = new SshUpstreams({ connectMs: CONNECT_MS, home: rig.folder });
  const stage: AgentStage = {
    rig,
    agent,
    key,
    sshd,
    knownHosts,
    upstreams,
    ssh: routeTo(sshd, knownHosts),
    address: undefined,
    policies: [],
    also: {},
    socket: agent.socket,
    server,
    session(kind, path, more = {}) {
      const input = new PassThrough();
      const output = new PassThrough();
      const errors = new PassThrough();
      const over = new AbortController();
      const said = { out: '', err: '' };
      output.on('data', (chunk: Buffer) => (said.out += chunk.toString('latin1')));
      errors.on('data', (chunk: Buffer) => (said.err += chunk.toString('utf8')));
      const session = dressed(stage, sessionOf(kind, { input, output, errors, over: over.signal, path, ...more }));
      return { input, output, errors, over, record: session.record, said: () => said, carried: carrierOf(stage)(session) };
    },
    async close() {
      upstreams.close();
      for (const each of servers) await each.stop();
      await agent.stop();
      await rig.close();
    },
  };
  rig.carrier = (session) => carrierOf(stage)(dressed(stage, session));
  return stage;
}

function carrierOf({ upstreams, socket }: AgentStage): ReturnType<typeof agentCarrier> {
  return agentCarrier({ upstreams, socket });
}

/** A session with the route of the stage. */
function dressed(stage: AgentStage, session: GitSession): GitSession {
  const address = stage.address ?? addressOf('github.com/team/tools');
  if (address === undefined) throw new Error('no address');
  return {
    ...session,
    operation: { ...session.operation, address },
    pass: {
      ...session.pass,
      refPolicies: stage.policies,
      route: route('github.com', { ssh: { kind: 'agent', ...stage.ssh }, ...stage.also }),
    },
  };
}

/** Looks until it holds. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + WAIT_MS;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`it does not hold: ${holds.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
