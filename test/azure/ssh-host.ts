/**
 * The SSH host of Azure DevOps (ssh.dev.azure.com, vs-ssh.visualstudio.com), with its ways: one RSA host key, any well-formed key
 * signs in, and only the command is answered by whether that key is registered with the organisation it names. Git itself is the
 * real one, in the same repositories as on the HTTPS side.
 *
 * The real host offers diffie-hellman-group-exchange-sha256, which ssh2's server does not have: this one offers curve25519 and
 * group14 with SHA-256 instead. What a log line of git says is Microsoft's: "Use SSH key authentication", questions and troubleshooting.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createHash, generateKeyPair } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import { promisify } from 'node:util';
import ssh2, { type AuthContext, type Connection, type PublicKeyAuthContext, type ServerChannel, type Session } from 'ssh2';
import { repositoryMissing } from './azure-answers.js';
import { Loopback } from './loopback.js';
import { cleanGitEnvironment, type Repositories } from './repositories.js';
import { parseSshCommand } from './ssh-command.js';
import type { SeenAttempt, SeenCommand, SeenConnection, SshFault } from './ssh-journal.js';

const IDENT = 'SSHBlackbox.10';
/** No figure is published; the emulator closes what has been idle for ten minutes. */
const IDLE_MS = 600_000;
const BAD_KEY = 'remote: Public key authentication failed.\n';
const EXPIRED =
  'remote: Authentication failed: your SSH key has expired. To restore access, visit https://aka.ms/ado-ssh-public-key-expired for guidance.\n';
const NO_SHELL = 'remote: Shell access is not supported.\n';
const SHA1 =
  'remote: You’re using ssh-rsa that is unsupported. Please use rsa-sha2-256 or rsa-sha2-512 instead. For more details see https://aka.ms/ado-ssh-rsa-deprecation.\n';
/** Between those words and the refusal. */
const SHELL_REFUSAL_MS = 100;
/** Extended data of a channel that stands for stderr (RFC 4254 section 5.2). */
const STDERR = 1;

interface HostKey {
  readonly pem: string;
  readonly blob: Buffer;
}

type Mutable<Thing> = { -readonly [Key in keyof Thing]: Thing[Key] };
type Entry = Mutable<SeenConnection> & { attempts: SeenAttempt[]; commands: SeenCommand[] };

/** Made once for all emulators of a process, like a host's that stays. */
let usual: Promise<HostKey> | undefined;

export class SshHost {
  /** Fingerprints of registered keys, and the organisations that know them (lower case; `*` is any). */
  readonly users = new Map<string, readonly string[]>();
  /** Fingerprints of registered keys whose time is over. */
  readonly expired = new Set<string>();
  readonly connections: SeenConnection[] = [];
  /** What goes wrong from now on; undefined for nothing. */
  fault: SshFault | undefined;
  /**
   * The real host closes the connection once an answer is sent. `after-channel` waits until the client has closed its side, too,
   * so that OpenSSH never sees the end of the connection before the end of its channel; `at-once` does not wait.
   */
  closing: 'after-channel' | 'at-once' | 'never' = 'after-channel';
  /** ms that a connection without a command may stay. */
  idleMs = IDLE_MS;
  readonly #repositories: Repositories;
  readonly #passProtocol: boolean;
  readonly #listener = createServer((socket) => this.#take(socket));
  readonly #loopback = new Loopback(this.#listener);
  readonly #children = new Set<ChildProcessWithoutNullStreams>();
  /** By the client's port. */
  readonly #sockets = new Map<number, Socket>();
  #key: HostKey | undefined;
  #server: ssh2.Server | undefined;

  constructor(repositories: Repositories, passProtocol: boolean) {
    this.#repositories = repositories;
    this.#passProtocol = passProtocol;
  }

  async listen(port: number): Promise<void> {
    this.#use(await (usual ??= makeHostKey()));
    await this.#loopback.listen(port);
  }

  get port(): number {
    return this.#loopback.port;
  }

  /** `ssh://git@127.0.0.1:PORT`, without a path. */
  get origin(): string {
    return `ssh://git@127.0.0.1:${this.port}`;
  }

  /** `SHA256:...` of the host key that new connections see. */
  get fingerprint(): string {
    return fingerprintOf(this.#hostKey.blob);
  }

  /** One line of known_hosts. */
  get knownHosts(): string {
    return `[127.0.0.1]:${this.port} ssh-rsa ${this.#hostKey.blob.toString('base64')}\n`;
  }

  /** TCP connections since the start, also those that never signed in. */
  get accepted(): number {
    return this.#loopback.accepted;
  }

  /** Commands of all connections, in the order of these. */
  get commands(): SeenCommand[] {
    return this.connections.flatMap(({ commands }) => commands);
  }

  /** git processes that run now. */
  get children(): number {
    return this.#children.size;
  }

  /** Connections that are open now. */
  get open(): number {
    return this.connections.filter(({ isOpen }) => isOpen).length;
  }

  /** New connections see another host key, as if another machine had taken the address. */
  async changeHostKey(): Promise<void> {
    this.#use(await makeHostKey());
  }

  /** Destroys every connection that is open now, as a server that dies would. */
  cutConnections(): void {
    this.#loopback.cut();
  }

  async close(): Promise<void> {
    for (const child of this.#children) end(child);
    await this.#loopback.close();
  }

  get #hostKey(): HostKey {
    if (this.#key === undefined) throw new Error('the SSH host has no key before it listens');
    return this.#key;
  }

  #use(key: HostKey): void {
    this.#key = key;
    this.#server = new ssh2.Server(
      {
        hostKeys: [key.pem],
        ident: IDENT,
        algorithms: {
          kex: ['curve25519-sha256', 'diffie-hellman-group14-sha256'],
          serverHostKey: ['rsa-sha2-256', 'rsa-sha2-512'],
          hmac: ['hmac-sha2-256', 'hmac-sha2-512'],
        },
      },
      (client, { header, port }) => this.#serve(client, header.versions.software, this.#sockets.get(port)),
    );
  }

  #take(socket: Socket): void {
    if (this.fault?.kind === 'mute') {
      socket.resume();
      return;
    }
    socket.setNoDelay(true);
    const port = socket.remotePort ?? 0;
    this.#sockets.set(port, socket);
    socket.once('close', () => this.#sockets.delete(port));
    this.#server?.injectSocket(socket);
  }

  #serve(client: Connection, software: string, socket: Socket | undefined): void {
    const entry: Entry = { at: Date.now(), user: '', software, attempts: [], key: undefined, commands: [], isOpen: true };
    this.connections.push(entry);
    let signedWith: PublicKeyAuthContext | undefined;
    let channels = 0;
    let idle: NodeJS.Timeout | undefined;
    const rest = (): void => {
      clearTimeout(idle);
      if (channels === 0 && entry.isOpen) idle = setTimeout(() => client.end(), this.idleMs).unref();
    };
    client.on('error', () => undefined);
    client.on('close', () => {
      entry.isOpen = false;
      clearTimeout(idle);
    });
    client.on('authentication', (context) => {
      entry.user = context.username;
      entry.attempts.push(attempt(context));
      if (context.method !== 'publickey' || !isGenuine(context)) {
        context.reject(['password', 'publickey']);
        return;
      }
      if (context.signature !== undefined) {
        signedWith = context;
        entry.key = fingerprintOf(context.key.data);
      }
      context.accept();
    });
    client.on('ready', () => {
      if (this.fault?.kind === 'close-at-sign-in') client.end();
      else rest();
    });
    client.on('session', (accept, reject) => {
      if (this.fault?.kind === 'no-channel') {
        reject();
        return;
      }
      channels += 1;
      clearTimeout(idle);
      const session = accept();
      session.on('close', () => {
        channels -= 1;
        if (this.closing !== 'never' && channels === 0 && isDone(entry)) socket?.end();
        else rest();
      });
      this.#converse(session, { client, socket, entry, usesSha1: signedWith?.key.algo === 'ssh-rsa' && signedWith.hashAlgo === undefined });
    });
  }

  #converse(session: Session, peer: Peer): void {
    const environment: Record<string, string> = {};
    session.on('env', (accept: (() => void) | undefined, _reject: unknown, { key, val }: { key: string; val: string }) => {
      environment[key] = val;
      accept?.();
    });
    session.on('shell', () => {
      // Words on a channel on which nothing runs, and then the refusal: ssh2 has no call for that.
      const { _protocol, _chanInfo } = { ...(peer.client as unknown as Innards), ...(session as unknown as Innards) }; // as ssh2 1.17 is built
      const { id } = _chanInfo.outgoing;
      _protocol.channelExtData(id, Buffer.from(NO_SHELL), STDERR);
      // A refusal that comes with the words ends OpenSSH before it has printed them.
      const later = setTimeout(() => _protocol.channelFailure(id), SHELL_REFUSAL_MS);
      peer.client.once('close', () => clearTimeout(later));
    });
    session.on('exec', (accept, _reject, { command }) => {
      const seen: SeenCommand = { command, environment, exitCode: undefined, receivedBytes: 0 };
      peer.entry.commands.push(seen);
      const channel = accept();
      channel.on('error', () => undefined);
      channel.on('data', (chunk: Buffer) => (seen.receivedBytes += chunk.length));
      if (this.fault?.kind === 'silent') return;
      this.#answer(channel, seen, peer);
    });
  }

  #answer(channel: ServerChannel, seen: SeenCommand, peer: Peer): void {
    const finish = (code: number, words = ''): void => {
      seen.exitCode = code;
      if (words !== '') channel.stderr.write(words);
      channel.exit(code);
      channel.once('finish', () => {
        if (this.closing === 'at-once' && isDone(peer.entry)) peer.socket?.end();
      });
      channel.end();
    };
    const key = peer.entry.key ?? '';
    const asked = parseSshCommand(seen.command, peer.entry.user);
    if (peer.usesSha1) {
      finish(1, SHA1);
    } else if (this.expired.has(key)) {
      finish(1, EXPIRED + BAD_KEY);
    } else if (asked.kind === 'unknown') {
      finish(1, `remote: Command not supported: ${seen.command}\n`);
    } else if (!this.#isRegistered(key, asked.organization)) {
      finish(1, BAD_KEY);
    } else if (!this.#repositories.exists(asked.repository)) {
      finish(1, `remote: ${repositoryMissing(asked.leaf).trimEnd()}\n`);
    } else {
      this.#run(channel, [asked.service, this.#repositories.path(asked.repository)], { seen, peer, finish });
    }
  }

  #isRegistered(key: string, organization: string): boolean {
    const known = this.users.get(key) ?? [];
    return known.includes('*') || known.some((name) => name.toLowerCase() === organization);
  }

  #run(channel: ServerChannel, args: readonly string[], run: { seen: SeenCommand; peer: Peer; finish: (code: number) => void }): void {
    const { GIT_PROTOCOL: protocol } = run.seen.environment;
    const child = spawn('git', args, {
      detached: true,
      env: {
        ...cleanGitEnvironment(this.#repositories.root),
        ...(this.#passProtocol && protocol !== undefined ? { GIT_PROTOCOL: protocol } : {}),
      },
    });
    this.#children.add(child);
    // It may answer and leave before it has read everything.
    child.stdin.on('error', () => undefined);
    channel.pipe(child.stdin);
    child.stdin.once('close', () => channel.resume());
    child.stderr.pipe(channel.stderr, { end: false });
    const { fault } = this;
    let left = fault?.kind === 'die' ? fault.afterBytes : Infinity;
    child.stdout.on('data', (chunk: Buffer) => {
      if (left === Infinity || left <= 0) return;
      const part = chunk.subarray(0, left);
      left -= part.length;
      // What is written leaves; then the line is cut.
      channel.write(part, () => {
        if (left <= 0) run.peer.socket?.destroySoon();
      });
      if (left <= 0) end(child);
    });
    if (left === Infinity) child.stdout.pipe(channel, { end: false });
    run.peer.client.once('close', () => end(child));
    channel.once('close', () => end(child));
    child.once('close', (code) => {
      this.#children.delete(child);
      if (run.peer.entry.isOpen && left > 0) run.finish(code ?? 128);
    });
  }
}

interface Peer {
  readonly client: Connection;
  readonly socket: Socket | undefined;
  readonly entry: Entry;
  readonly usesSha1: boolean;
}

interface Innards {
  readonly _protocol: { channelExtData(id: number, data: Buffer, type: number): void; channelFailure(id: number): void };
  readonly _chanInfo: { readonly outgoing: { readonly id: number } };
}

/** Whether every command has been answered. */
function isDone({ commands }: Entry): boolean {
  return commands.length > 0 && commands.every(({ exitCode }) => exitCode !== undefined);
}

function attempt(context: AuthContext): SeenAttempt {
  if (context.method !== 'publickey') return { method: context.method, fingerprint: undefined, algorithm: undefined, isSigned: false };
  const { key, hashAlgo, signature } = context;
  const algorithm = hashAlgo === undefined ? key.algo : `rsa-sha2-${hashAlgo.replace('sha', '')}`;
  return { method: 'publickey', fingerprint: fingerprintOf(key.data), algorithm, isSigned: signature !== undefined };
}

/** A key that can be read and, where there is a signature, has made it. */
function isGenuine({ key, signature, blob, hashAlgo }: PublicKeyAuthContext): boolean {
  const parsed = ssh2.utils.parseKey(key.data);
  if (parsed instanceof Error) return false;
  if (signature === undefined || blob === undefined) return signature === undefined;
  const verdict: unknown = parsed.verify(blob, signature, hashAlgo); // an Error where it cannot be tried, whatever its type says
  return verdict === true;
}

/** `SHA256:` and base64 without padding, of a key's own bytes. */
export function fingerprintOf(blob: Buffer): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

async function makeHostKey(): Promise<HostKey> {
  const { privateKey: pem } = await promisify(generateKeyPair)('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'pkcs1', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
  const parsed = ssh2.utils.parseKey(pem);
  if (parsed instanceof Error) throw parsed;
  return { pem, blob: parsed.getPublicSSH() };
}

/** Ends a git and what it started. */
function end(child: ChildProcessWithoutNullStreams): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It ended in the meantime.
  }
}
