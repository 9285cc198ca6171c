/**
 * The SSH door: its listeners, who may sign in, and the walk of a command to the gate: who asks, what for, may they. What is
 * asked of the gate, and in which order, is the same as on the HTTP door; how a command goes up is the carriers'.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { admit } from '../gate/admit.js';
import type { Callers } from '../gate/callers.js';
import type { Ledger } from '../gate/ledger.js';
import { displayHost, listenAt } from '../gate/listening.js';
import { isLoopbackAddress, type Peers } from '../gate/peers.js';
import type { RouteTable } from '../gate/route-table.js';
import type { Caller, Entry } from '../model/caller.js';
import type { Pass } from '../model/decision.js';
import { messageOf } from '../model/errors.js';
import type { SessionOperation } from '../model/operation.js';
import type { AuditTrail, Clock, Logger } from '../model/ports.js';
import type { OperationRecord } from '../model/record.js';
import type { Refusal } from '../model/refusal.js';
import type { Secret } from '../model/secret.js';
import type { AccessSettings, ListenAddress, RouteSsh } from '../model/settings.js';
import type { Carried, Carrier, GitSession } from './git-session.js';
import { leaseIn, type Listener, protocolIn, readCommand } from './read-command.js';
import { type Asked, type CommandChannel, type Proof, serveClient, type SignIn } from './server.js';
import { EXIT_FATAL, sayAside, sayBetween } from './speech.js';

/** Connections at once; a build host's parallel jobs are in the hundreds. */
const MOST_CONNECTIONS = 2048;
/** Of those, how many may not have signed in yet: each costs a key exchange (sshd's MaxStartups ends at 100 too). */
const MOST_SIGNING_IN = 100;
/** How long signing in may take; a person is asked for nothing, an agent may ask for a passphrase. */
const SIGN_IN_MS = 60_000;
/** A connection without a command is closed after this; ControlPersist of most people is below it. */
const IDLE_MS = 10 * 60_000;
/** Refused connections are logged this often: whoever causes them should not fill a disk too. */
const LOG_AGAIN_MS = 60_000;

export interface SshDoorParts {
  readonly routes: RouteTable;
  readonly ledger: Ledger;
  readonly logger: Logger;
  readonly peers: Peers;
  readonly callers: Callers;
  readonly access: Pick<AccessSettings, 'local' | 'remote' | 'keys'>;
  readonly audit: AuditTrail;
  readonly clock: Clock;
  readonly carriers: Readonly<Record<RouteSsh['kind'], Carrier>>;
  /** The door's own private key, as OpenSSH writes it. */
  readonly hostKey: Secret;
  /** ms for signing in; default 60 s. */
  readonly signInMs?: number;
}

export interface SshAddress {
  readonly host: string;
  readonly port: number;
}

const STOPPING: Refusal = {
  kind: 'refusal',
  code: 'upstream-unavailable',
  status: 503,
  what: 'Postern is stopping',
  todo: 'try again when it has started again',
};

/** A connection that is open. */
interface Guest {
  readonly socket: Socket;
  readonly entry: Entry;
  hasSignedIn: boolean;
  commands: number;
  idle: (() => void) | undefined;
}

type Walked =
  | { readonly kind: 'pass'; readonly operation: SessionOperation; readonly path: string; readonly pass: Pass }
  | { readonly kind: 'no'; readonly refusal: Refusal; readonly listener: Listener }
  | { readonly kind: 'gone' };

export class SshDoor {
  readonly #parts: SshDoorParts;
  readonly #servers: Server[] = [];
  readonly #bound: SshAddress[] = [];
  readonly #guests = new Set<Guest>();
  #isDraining = false;
  #loggedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: SshDoorParts) {
    this.#parts = parts;
  }

  /** Addresses that are open, in the order of the configuration. */
  get bound(): readonly SshAddress[] {
    return this.#bound;
  }

  /**
   * Opens one address. Gives false when an optional one does not exist on this system.
   * @throws ProxyError `listen-failed`
   */
  async listen(address: ListenAddress): Promise<boolean> {
    const entry = isLoopbackAddress(address.host) ? this.#parts.access.local : this.#parts.access.remote;
    // Half-open, because a client may end what it sends and wait for the answer.
    const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (socket) => this.#accept(socket, entry));
    server.maxConnections = MOST_CONNECTIONS;
    const port = await listenAt(server, address, { name: 'SSH', key: 'listen.ssh' });
    if (port === undefined) return false;
    server.on('error', (fault) => this.#parts.logger.log('error', 'unexpected', { what: `accepting connections: ${messageOf(fault)}` }));
    this.#servers.push(server);
    this.#bound.push({ host: address.host, port });
    return true;
  }

  /** Refuses new commands from now on; running ones go on. */
  drain(): void {
    this.#isDraining = true;
    for (const server of this.#servers) server.close();
    for (const { socket, commands } of this.#guests) if (commands === 0) socket.destroySoon();
  }

  /** Closes all listeners and every connection. */
  async close(): Promise<void> {
    this.#isDraining = true;
    await Promise.all(
      this.#servers.map(
        (server) =>
          new Promise<void>((resolve) => {
            server.close(() => resolve());
            for (const { socket } of this.#guests) socket.destroy();
          }),
      ),
    );
  }

  #accept(socket: Socket, entry: Entry): void {
    socket.on('error', () => undefined);
    const signingIn = [...this.#guests].filter(({ hasSignedIn }) => !hasSignedIn).length;
    if (signingIn >= MOST_SIGNING_IN) {
      this.#refusedSignIn(socket, `more than ${MOST_SIGNING_IN} connections are signing in at once`);
      socket.destroy();
      return;
    }
    this.#parts.peers.accepted(socket);
    const guest: Guest = { socket, entry, hasSignedIn: false, commands: 0, idle: undefined };
    this.#guests.add(guest);
    const late = this.#parts.clock.after(this.#parts.signInMs ?? SIGN_IN_MS, () => {
      if (guest.hasSignedIn) return;
      this.#refusedSignIn(socket, 'signing in took too long');
      socket.destroy();
    });
    socket.once('close', () => {
      late();
      guest.idle?.();
      this.#guests.delete(guest);
    });
    serveClient(socket, this.#parts.hostKey.reveal(), {
      signIn: (proof) => this.#signIn(guest, proof),
      signedIn: () => {
        late();
        guest.hasSignedIn = true;
        this.#watchIdle(guest);
      },
      exec: (asked, channel) => void this.#walk(guest, asked, channel),
      refused: (what) => this.#refusedSignIn(socket, what),
    }).catch((thrown: unknown) => {
      this.#parts.logger.log('error', 'unexpected', { what: `serving an SSH client: ${messageOf(thrown)}` });
      socket.destroy();
    });
  }

  /**
   * Who signs in without proof is nobody yet: each command then needs a uid that is served, or a lease. Where keys are listed a
   * client is asked for one first, because it shows none after it was let in.
   */
  async #signIn({ socket, entry }: Guest, proof: Proof): Promise<SignIn> {
    const { keys } = this.#parts.access;
    if (proof.method === 'keyboard-interactive') return { kind: 'accept' };
    if (proof.method === 'publickey') {
      if (keys.some(({ type, blob }) => type === proof.type && blob === proof.blob)) return { kind: 'accept' };
      return {
        kind: 'reject',
        methods: ['publickey', 'keyboard-interactive'],
        why: `the key ${proof.fingerprint}, which access.keys does not list`,
      };
    }
    if (keys.length === 0) return { kind: 'accept' };
    const caller = await this.#callerOf(socket, entry, { variables: new Map(), key: undefined });
    if (caller !== undefined && caller.kind !== 'refusal') return { kind: 'accept' };
    return { kind: 'reject', methods: ['publickey', 'keyboard-interactive'], why: 'no proof' };
  }

  #refusedSignIn(socket: Socket, what: string): void {
    const now = performance.now();
    if (now - this.#loggedAt < LOG_AGAIN_MS) {
      this.#parts.logger.log('debug', 'sign-in-refused', { caller: addressOf(socket), what });
      return;
    }
    this.#loggedAt = now;
    this.#parts.logger.log('warn', 'sign-in-refused', { caller: addressOf(socket), what });
  }

  #watchIdle(guest: Guest): void {
    guest.idle?.();
    guest.idle = guest.commands > 0 ? undefined : this.#parts.clock.after(IDLE_MS, () => guest.socket.destroySoon());
  }

  /** Carries one command through, to its end; its record is closed when this resolves. Never rejects. */
  async #walk(guest: Guest, asked: Asked, channel: CommandChannel): Promise<void> {
    const { ledger, logger } = this.#parts;
    const record = ledger.begin(addressOf(guest.socket), 'ssh');
    guest.commands += 1;
    this.#watchIdle(guest);
    try {
      const walked = await this.#askGate(guest, asked, record);
      if (walked.kind === 'gone' || channel.gone.aborted) ledger.finish(record, { verdict: 'client-gone' });
      else if (walked.kind === 'pass') await this.#carry(walked, asked, channel, record);
      else this.#sayNo(walked, channel, record);
    } catch (thrown) {
      logger.log('error', 'unexpected', { what: messageOf(thrown) });
      ledger.finish(record, { verdict: 'failed' });
    } finally {
      guest.commands -= 1;
      this.#watchIdle(guest);
      // Whatever happened, the client is not left waiting.
      channel.end(EXIT_FATAL);
    }
  }

  /** The questions that a command has to pass, in their order. What is understood on the way is noted in `record`. */
  async #askGate({ socket, entry }: Guest, asked: Asked, record: OperationRecord): Promise<Walked> {
    const { routes, audit, clock } = this.#parts;
    if (this.#isDraining) return no(STOPPING);
    const caller = await this.#callerOf(socket, entry, asked, record);
    if (caller === undefined) return { kind: 'gone' };
    if (caller.kind === 'refusal') return no(forSsh(caller));
    const read = readCommand(asked.command, routes, record);
    if (read.kind === 'no') return read;
    const { operation, path } = read;
    const unrecorded = audit.refusal();
    if (unrecorded !== undefined) return no(unrecorded);
    const decision = admit(operation, caller, routes, clock.now());
    return decision.kind === 'refusal' ? no(decision) : { kind: 'pass', operation, path, pass: decision };
  }

  /** Who asks; undefined when they have gone. */
  async #callerOf(
    socket: Socket,
    entry: Entry,
    { variables, key }: Pick<Asked, 'variables' | 'key'>,
    record?: OperationRecord,
  ): Promise<Caller | Refusal | undefined> {
    const lease = leaseIn(variables);
    const peer = await this.#parts.peers.of(socket);
    if (peer === undefined || socket.destroyed) return undefined;
    const knock = { peer, lease, key, entry, forwardedBy: undefined, calledBy: undefined, hasOtherCredential: true };
    const caller = this.#parts.callers.identify(knock);
    if (record === undefined) return caller;
    record.uid = peer.uid.kind === 'known' ? peer.uid.uid : undefined;
    if (caller.kind === 'lease') record.lease = caller.lease;
    if (caller.kind === 'key') record.key = caller.fingerprint;
    return caller;
  }

  async #carry(
    { operation, path, pass }: Extract<Walked, { kind: 'pass' }>,
    asked: Asked,
    channel: CommandChannel,
    record: OperationRecord,
  ): Promise<void> {
    const { ledger, carriers } = this.#parts;
    const { route } = pass;
    record.route = route.match;
    record.identity = route.ssh.kind === 'bridge' ? route.identity : undefined;
    const killed = ledger.killSignal(record);
    const { input, output, errors, gone, bytes } = channel;
    // The record is read while it runs: what the channel counts is its own.
    Object.defineProperties(record, {
      bytesUp: { get: () => bytes.up, enumerable: true },
      bytesDown: { get: () => bytes.down, enumerable: true },
    });
    const session: GitSession = {
      operation,
      pass,
      record,
      path,
      input,
      output,
      errors,
      gitProtocol: protocolIn(asked.variables),
      over: AbortSignal.any([killed, gone]),
    };
    const carried = await carriers[route.ssh.kind](session);
    if (killed.aborted) sayAside(channel, killed.reason as Refusal); // because the ledger aborts it with one
    this.#finish(carried, channel, record);
  }

  #finish(carried: Carried, channel: CommandChannel, record: OperationRecord): void {
    const { ledger } = this.#parts;
    switch (carried.kind) {
      case 'passed':
        ledger.finish(record, { verdict: 'passed' });
        channel.end(carried.exitCode);
        return;
      case 'over':
        ledger.finish(record, { verdict: 'client-gone' });
        return;
      case 'failed': {
        const { verdict, refusal, where, commands } = carried;
        ledger.finish(record, { verdict, refusal });
        if (where === 'between') sayBetween(channel, refusal, commands);
        else sayAside(channel, refusal);
        return;
      }
    }
  }

  #sayNo({ refusal, listener }: Extract<Walked, { kind: 'no' }>, channel: CommandChannel, record: OperationRecord): void {
    record.route ??= refusal.route;
    record.identity ??= refusal.identity;
    this.#parts.ledger.finish(record, { verdict: 'refused', refusal });
    if (listener === 'git') sayBetween(channel, refusal);
    else if (listener === 'person') sayAside(channel, refusal);
  }
}

function no(refusal: Refusal): Walked {
  return { kind: 'no', refusal, listener: 'git' };
}

/** A lease comes as a variable here, and ssh sends none that it was not told to. */
function forSsh(refusal: Refusal): Refusal {
  if (refusal.code !== 'lease-required' && refusal.code !== 'caller-refused') return refusal;
  return { ...refusal, todo: `${refusal.todo}; ssh passes a lease on with \`SendEnv POSTERN_LEASE\`` };
}

function addressOf({ remoteAddress = 'gone', remotePort = 0 }: Socket): string {
  return `${displayHost(remoteAddress)}:${remotePort}`;
}
