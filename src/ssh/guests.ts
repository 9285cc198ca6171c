/**
 * The connections of the SSH door: how many there may be, how long they may take to sign in, who may, and when one without a
 * command is closed.
 */
import type { Socket } from 'node:net';
import type { Callers } from '../gate/callers.js';
import { displayHost } from '../gate/listening.js';
import type { Peers } from '../gate/peers.js';
import type { Caller } from '../model/caller.js';
import { messageOf } from '../model/errors.js';
import type { Clock, Logger } from '../model/ports.js';
import type { Refusal } from '../model/refusal.js';
import type { Secret } from '../model/secret.js';
import type { AccessSettings } from '../model/settings.js';
import { leaseIn } from './read-command.js';
import { type Asked, type CommandChannel, type Proof, serveClient, type SignIn } from './server.js';

/** Of all connections, how many may not have signed in yet: each costs a key exchange (sshd's MaxStartups ends at 100 too). */
const MOST_SIGNING_IN = 100;
/** How long signing in may take: nobody is asked for anything, but an agent may ask its owner. */
const SIGN_IN_MS = 60_000;
/** A connection without a command is closed after this; ControlPersist of most people is below it. */
const IDLE_MS = 10 * 60_000;
/** Whose command has just ended closes the connection itself, within milliseconds; when we do, ssh tells its user of a broken one. */
const LEAVING_MS = 1_000;
/** Refused connections are logged in plain sight this often: whoever causes them should not fill a disk too. */
const LOG_AGAIN_MS = 60_000;

export interface GuestParts {
  readonly logger: Logger;
  readonly peers: Peers;
  readonly callers: Callers;
  readonly access: Pick<AccessSettings, 'local' | 'remote' | 'keys'>;
  readonly clock: Clock;
  /** ms for signing in; default 60 s. */
  readonly signInMs?: number | undefined;
  /** Takes a command; returns at once. */
  readonly exec: (guest: Guest, asked: Asked, channel: CommandChannel) => void;
}

/** A connection that is open. */
export interface Guest {
  readonly socket: Socket;
  /** Whether its listener is on loopback, which says what is taken as proof. */
  readonly isLocal: boolean;
  /** `ip:port` of the other end. */
  readonly address: string;
}

interface Stay extends Guest {
  hasSignedIn: boolean;
  commands: number;
  /** When the last command ended, of performance.now(). */
  endedAt: number;
  idle: (() => void) | undefined;
}

export class Guests {
  #parts: GuestParts;
  readonly #stays = new Map<Guest, Stay>();
  #signingIn = 0;
  #loggedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: GuestParts) {
    this.#parts = parts;
  }

  /** Other rules from now on, also for who is in. */
  change(parts: GuestParts): void {
    this.#parts = parts;
  }

  /** Serves a connection that was just accepted. `hostKey`: the door's private key, as OpenSSH writes it. */
  accept(socket: Socket, isLocal: boolean, hostKey: Secret): void {
    const { peers, clock, logger } = this.#parts;
    const { remoteAddress = 'gone', remotePort = 0 } = socket;
    const guest: Stay = {
      socket,
      isLocal,
      address: `${displayHost(remoteAddress)}:${remotePort}`,
      hasSignedIn: false,
      commands: 0,
      endedAt: Number.NEGATIVE_INFINITY,
      idle: undefined,
    };
    socket.on('error', () => undefined);
    if (this.#signingIn >= MOST_SIGNING_IN) {
      this.#refused(guest, `more than ${MOST_SIGNING_IN} connections are signing in at once`);
      socket.destroy();
      return;
    }
    peers.accepted(socket);
    this.#stays.set(guest, guest);
    this.#signingIn += 1;
    let isSigningIn = true;
    const settled = (): void => {
      if (isSigningIn) this.#signingIn -= 1;
      isSigningIn = false;
      late();
    };
    const late = clock.after(this.#parts.signInMs ?? SIGN_IN_MS, () => {
      this.#refused(guest, 'signing in took too long');
      socket.destroy();
    });
    socket.once('close', () => {
      settled();
      guest.idle?.();
      this.#stays.delete(guest);
    });
    const served = serveClient(socket, hostKey, {
      signIn: (proof) => this.#signIn(guest, proof),
      signedIn: () => {
        settled();
        guest.hasSignedIn = true;
        this.#watch(guest);
      },
      exec: (asked, channel) => this.#parts.exec(guest, asked, channel),
      refused: (what) => this.#refused(guest, what),
    });
    served.catch((thrown: unknown) => {
      logger.log('error', 'unexpected', { what: `serving an SSH client: ${messageOf(thrown)}` });
      socket.destroy();
    });
  }

  /** Counts a command of a guest; what is given back tells that it has ended. */
  busy(guest: Guest): () => void {
    const stay = this.#stays.get(guest);
    if (stay === undefined) return () => undefined;
    stay.commands += 1;
    this.#watch(stay);
    return () => {
      stay.commands -= 1;
      stay.endedAt = performance.now();
      this.#watch(stay);
    };
  }

  /** Connections whose last command has just ended, and which are about to be closed from the other end. */
  get leaving(): number {
    const since = performance.now() - LEAVING_MS;
    return [...this.#stays.values()].filter(({ commands, endedAt }) => commands === 0 && endedAt > since).length;
  }

  /** Closes every connection. */
  closeAll(): void {
    for (const { socket } of this.#stays.values()) socket.destroy();
  }

  /** Who a guest is for a command; undefined when it has gone. `uid` of its peer where that is known. */
  async identify(
    { socket, isLocal }: Guest,
    { variables, key }: Pick<Asked, 'variables' | 'key'>,
  ): Promise<{ readonly caller: Caller | Refusal; readonly uid: number | undefined } | undefined> {
    const lease = leaseIn(variables);
    const { peers, callers, access } = this.#parts;
    const peer = await peers.of(socket);
    if (peer === undefined || socket.destroyed) return undefined;
    const entry = isLocal ? access.local : access.remote;
    const knock = { peer, lease, key, entry, forwardedBy: undefined, calledBy: undefined, hasOtherCredential: true };
    return { caller: callers.identify(knock), uid: peer.uid.kind === 'known' ? peer.uid.uid : undefined };
  }

  /**
   * Who signs in without proof is nobody yet: each command then needs a uid that is served, or a lease. Where keys are listed a
   * client is asked for one first, because it shows none after it was let in.
   */
  async #signIn(guest: Guest, proof: Proof): Promise<SignIn> {
    const { keys } = this.#parts.access;
    const methods = ['publickey', 'keyboard-interactive'] as const;
    if (proof.method === 'keyboard-interactive') return { kind: 'accept' };
    if (proof.method === 'publickey') {
      if (keys.some(({ type, blob }) => type === proof.type && blob === proof.blob)) return { kind: 'accept' };
      return { kind: 'reject', methods, why: `the key ${proof.fingerprint}, which access.keys does not list` };
    }
    if (keys.length === 0) return { kind: 'accept' };
    const found = await this.identify(guest, { variables: new Map(), key: undefined });
    return found !== undefined && found.caller.kind !== 'refusal' ? { kind: 'accept' } : { kind: 'reject', methods, why: 'no proof' };
  }

  #refused({ address }: Guest, what: string): void {
    const now = performance.now();
    const isLoud = now - this.#loggedAt >= LOG_AGAIN_MS;
    if (isLoud) this.#loggedAt = now;
    this.#parts.logger.log(isLoud ? 'warn' : 'debug', 'sign-in-refused', { caller: address, what });
  }

  #watch(stay: Stay): void {
    stay.idle?.();
    stay.idle = stay.commands > 0 ? undefined : this.#parts.clock.after(IDLE_MS, () => stay.socket.destroySoon());
  }
}
