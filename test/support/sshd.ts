/**
 * A real OpenSSH sshd on a loopback port, for one test: its own host keys, its own configuration, every repository below one
 * directory, and a log that tells who came with which key. It runs as whoever runs the test, so the only user it lets in is
 * that one (`user`).
 *
 * Source: sshd(8), sshd_config(5); git-shell(1) for what a command may be.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { accessSync, constants, mkdirSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { closedPort } from './closed-port.js';
import { makeKeyPair, type PublicKeyLine, readPublicKey } from './ssh-keys.js';

/** Where sshd goes with the privileges that it has given up; its package makes it at boot (sshd(8), FILES). */
const PRIVILEGE_DIRECTORY = '/run/sshd';
/** sshd is not on the path of an ordinary user. */
const PLACES = ['/usr/sbin', '/usr/local/sbin', '/sbin', '/usr/local/bin'];
const START_MS = 10_000;
const STOP_MS = 10_000;
const LOOK_MS = 10;
/** A port that was free a moment ago may be taken now. */
const PORT_TRIES = 5;

export interface SshdOptions {
  /** Scratch directory of this server; made when absent. */
  readonly directory: string;
  /** Both `team/tools.git` and `/team/tools.git` are looked for below it. */
  readonly root: string;
  /** Lines of authorized_keys. */
  readonly authorizedKeys: readonly string[];
  /** Private key files to show; default: an ed25519 and an RSA key, made here. */
  readonly hostKeys?: readonly string[];
  /** Sessions that one connection may have; sshd's own default is 10. */
  readonly maxSessions?: number;
  /** Variables that a client may set; default GIT_PROTOCOL. */
  readonly acceptEnv?: readonly string[];
  /** Shows its RSA key alone and takes RSA keys alone, with SHA-2, as Azure does. */
  readonly rsaOnly?: boolean;
  /** Further lines of sshd_config; they win over those made here. */
  readonly settings?: readonly string[];
  /** A program that is given the command, its path below `root`, instead of git-shell. */
  readonly command?: string;
  /** Default: any free one. A server that was stopped can come back where it was. */
  readonly port?: number;
}

/** One line of the log about a key. */
export interface SshdKeyUse {
  /** `accepted`: signed with and let in; `postponed`: asked whether it would do; `failed`: not let in. */
  readonly kind: 'accepted' | 'postponed' | 'failed';
  readonly user: string;
  /** Of the client's end. */
  readonly port: number;
  /** `SHA256:...`. */
  readonly fingerprint: string;
}

export interface Sshd {
  readonly port: number;
  readonly pid: number;
  /** The only user whom it lets in. */
  readonly user: string;
  readonly hostKeys: readonly PublicKeyLine[];
  /** One line of known_hosts for each host key. */
  readonly knownHosts: string;
  /** `ssh://USER@127.0.0.1:PORT`, without a path. */
  readonly origin: string;
  log(): Promise<string>;
  /** TCP connections since the start. */
  connections(): Promise<number>;
  /** Keys in the order in which they came. */
  keys(): Promise<SshdKeyUse[]>;
  /** Commands that ran, as the client sent them. */
  commands(): Promise<string[]>;
  /** Processes of its connections and their commands that live now. */
  children(): Promise<number[]>;
  /** Kills every connection and its command, as a machine that dies would; the server goes on. */
  cut(): Promise<void>;
  /** Kills it and everything it started. */
  stop(): Promise<void>;
}

/** @throws Error that names the package when there is no sshd, and one with sshd's own words when it does not start */
export async function startSshd(options: SshdOptions): Promise<Sshd> {
  const program = findProgram();
  const { directory } = options;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if (process.getuid?.() === 0) mkdirSync(PRIVILEGE_DIRECTORY, { recursive: true, mode: 0o755 });
  const hostKeyFiles = options.hostKeys ?? (await makeHostKeys(directory));
  const hostKeys = await Promise.all(hostKeyFiles.map((file) => readPublicKey(`${file}.pub`)));
  const files = {
    configuration: join(directory, 'sshd_config'),
    authorizedKeys: join(directory, 'authorized_keys'),
    command: join(directory, 'command'),
    commands: join(directory, 'commands.log'),
    log: join(directory, 'sshd.log'),
  };
  await writeFile(files.authorizedKeys, options.authorizedKeys.map((line) => `${line}\n`).join(''), { mode: 0o600 });
  await writeFile(files.command, commandScript(options.root, files.commands, options.command ?? 'git-shell -c'), { mode: 0o700 });
  await writeFile(files.commands, '');
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await closedPort());
    await writeFile(files.log, '');
    await writeFile(files.configuration, configuration(options, { ...files, port, hostKeys: hostKeyFiles }));
    const child = spawn(program, ['-D', '-f', files.configuration, '-E', files.log], { stdio: 'ignore' });
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
    if (await listens(child, files.log)) return running({ child, ended, port, files, hostKeys });
    await kill(child, ended);
    const words = await readFile(files.log, 'utf8');
    if (attempt === PORT_TRIES || options.port !== undefined || !/Address already in use/.test(words))
      throw new Error(`sshd did not start: ${words.trim() || 'it said nothing'}`);
  }
}

/** @throws Error that names the package when there is none */
function findProgram(): string {
  for (const place of [...PLACES, ...(process.env['PATH'] ?? '').split(delimiter)]) {
    try {
      accessSync(join(place, 'sshd'), constants.X_OK);
      // sshd starts itself again for each connection and wants to know where it is.
      return join(place, 'sshd');
    } catch {
      // Not there.
    }
  }
  throw new Error('There is no sshd: install the package openssh-server');
}

async function makeHostKeys(directory: string): Promise<string[]> {
  const kinds = [
    ['ed25519', undefined],
    ['rsa', 2048],
  ] as const;
  return Promise.all(
    kinds.map(async ([type, bits]) => {
      const file = join(directory, `host_${type}`);
      await makeKeyPair(file, { type, ...(bits === undefined ? {} : { bits }), comment: 'host' });
      return file;
    }),
  );
}

interface ServerFiles {
  readonly port: number;
  readonly hostKeys: readonly string[];
  readonly authorizedKeys: string;
  readonly command: string;
}

function configuration(options: SshdOptions, files: ServerFiles): string {
  const rsa = 'rsa-sha2-512,rsa-sha2-256';
  return [
    // The first value of a setting wins.
    ...(options.settings ?? []),
    `Port ${files.port}`,
    'ListenAddress 127.0.0.1',
    ...files.hostKeys.map((file) => `HostKey ${file}`),
    ...(options.rsaOnly === true ? [`HostKeyAlgorithms ${rsa}`, `PubkeyAcceptedAlgorithms ${rsa}`] : []),
    `AuthorizedKeysFile ${files.authorizedKeys}`,
    'AuthenticationMethods publickey',
    'PermitRootLogin prohibit-password',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'UsePAM no',
    // The scratch directory may be below one that others can write to.
    'StrictModes no',
    'UseDNS no',
    'PidFile none',
    'PrintMotd no',
    'PrintLastLog no',
    'PermitUserRC no',
    'X11Forwarding no',
    'AllowTcpForwarding no',
    'AllowAgentForwarding no',
    'LogLevel VERBOSE',
    // By default connections are dropped by chance once ten wait to sign in, which fifty clones at once do.
    'MaxStartups 1000',
    `MaxSessions ${options.maxSessions ?? 10}`,
    ...(options.acceptEnv ?? ['GIT_PROTOCOL']).map((name) => `AcceptEnv ${name}`),
    // The command is run by the user's own shell, and bash looks at what sshd set to read the user's files first, unless it is
    // told that it is no outermost shell.
    'SetEnv SHLVL=1',
    `ForceCommand ${files.command}`,
    '',
  ].join('\n');
}

/** Runs the command in the repositories' root, where a path with a leading slash means the same as one without. */
function commandScript(root: string, log: string, program: string): string {
  return `#!/bin/sh
printf '%s\\n' "$SSH_ORIGINAL_COMMAND" >>'${log}'
export HOME='${root}' GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null LC_ALL=C
cd '${root}' || exit 1
[ -n "$SSH_ORIGINAL_COMMAND" ] || { echo 'There is no shell here.' >&2; exit 1; }
command=$(printf '%s' "$SSH_ORIGINAL_COMMAND" | sed "s|^\\(git[- ][a-z-]* '\\{0,1\\}\\)/*|\\1|")
exec ${program} "$command"
`;
}

/** Whether it came so far as to listen. */
async function listens(child: ChildProcess, log: string): Promise<boolean> {
  const until = performance.now() + START_MS;
  while (performance.now() < until) {
    if (/^Server listening on 127\.0\.0\.1 port/m.test(await readFile(log, 'utf8'))) return true;
    if (child.exitCode !== null || child.signalCode !== null) return false;
    await sleep(LOOK_MS);
  }
  return false;
}

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
  readonly port: number;
  readonly files: { readonly log: string; readonly commands: string };
  readonly hostKeys: readonly PublicKeyLine[];
}

function running({ child, ended, port, files, hostKeys }: Running): Sshd {
  const pid = child.pid ?? 0;
  const { username } = userInfo();
  const log = (): Promise<string> => readFile(files.log, 'utf8');
  return {
    port,
    pid,
    user: username,
    hostKeys,
    knownHosts: hostKeys.map(({ type, blob }) => `[127.0.0.1]:${port} ${type} ${blob}\n`).join(''),
    origin: `ssh://${username}@127.0.0.1:${port}`,
    log,
    connections: async () => (await log()).match(/^Connection from /gm)?.length ?? 0,
    keys: async () => keyUses(await log()),
    commands: async () => (await readFile(files.commands, 'utf8')).split('\n').slice(0, -1),
    children: () => descendants(pid),
    cut: () => killDescendants(child),
    stop: async () => {
      await killDescendants(child);
      await kill(child, ended);
    },
  };
}

function keyUses(log: string): SshdKeyUse[] {
  const lines = log.matchAll(
    /^(Accepted|Postponed|Failed) publickey for (?:invalid user )?(\S+) from \S+ port (\d+) ssh2: \S+ (SHA256:\S+)/gm,
  );
  return Array.from(lines, ([, word = '', user = '', port, fingerprint = '']) => ({
    kind: word === 'Accepted' ? 'accepted' : word === 'Postponed' ? 'postponed' : 'failed',
    user,
    port: Number(port),
    fingerprint,
  }));
}

/** Everything that it started, whoever is its parent now: nothing new begins while it stands still. */
async function killDescendants(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGSTOP');
  const until = performance.now() + STOP_MS;
  try {
    for (;;) {
      const pids = await descendants(child.pid);
      if (pids.length === 0) return;
      if (performance.now() > until) throw new Error(`processes of sshd do not end: ${pids.join(', ')}`);
      for (const pid of pids) killQuietly(pid);
      await sleep(LOOK_MS);
    }
  } finally {
    child.kill('SIGCONT');
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended in the meantime.
  }
}

async function kill(child: ChildProcess, ended: Promise<void>): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  await ended;
}

/** Children, and theirs, that are more than a record to be collected. */
async function descendants(root: number): Promise<number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=,stat=']);
  const children = new Map<number, number[]>();
  for (const line of stdout.split('\n')) {
    const [pid, parent, state = 'Z'] = line.trim().split(/\s+/);
    if (!state.startsWith('Z')) children.set(Number(parent), [...(children.get(Number(parent)) ?? []), Number(pid)]);
  }
  const found: number[] = [];
  const walk = (pid: number): void => {
    for (const next of children.get(pid) ?? []) {
      walk(next);
      found.push(next);
    }
  };
  walk(root);
  return found;
}
