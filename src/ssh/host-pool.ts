/**
 * The connections to one SSH host for one key, each for as many commands at the same time as the host allows: 50 commands at once need
 * a few dials and not 50. The hosts of Azure DevOps close a connection when the first command on it is done, so that each command
 * there has one of its own.
 */
import { ProxyError } from '../model/errors.js';
import { SSH_AZURE_HOSTS } from '../model/host-name.js';
import type { AgentKey } from './agent-keys.js';
import { ChannelRefused, ConnectionLost, SshConnection, type SshDial } from './client.js';
import { channelRefused, nameOf } from './client-faults.js';
import type { RemoteCommand } from './remote-command.js';
import { Abandoned } from './tcp.js';

/** Idle connections are closed after this: sooner than hosts and firewalls forget them. */
const IDLE_MS = 5 * 60 * 1000;
/** After this a connection takes no more commands: what known_hosts says is looked at when one is made, and may have changed. */
const LONGEST_LIFE_MS = 60 * 60 * 1000;
/** sshd's default of MaxSessions. A host that allows fewer says so, and is believed. */
const USUAL_SESSIONS = 10;
/** Connections at once per pool: with one command each, a fleet's parallel clones. */
const MOST_CONNECTIONS = 64;
/** sshd begins to drop connections that have not signed in when there are ten (MaxStartups 10:30:100). */
const MOST_DIALS = 8;
/** Idle connections kept per pool. */
const MOST_IDLE = 4;
/** A command that waits so long for one of them is told. */
const WAIT_MS = 60_000;
/** Azure DevOps' server, also where it is the user's own. */
const ONE_AT_A_TIME = /^SSHBlackbox/;

/** Where a command goes and who signs for it. */
export interface SshTarget {
  /** Lower case, without brackets. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly key: AgentKey;
  /** As AgentRoute.knownHosts. */
  readonly knownHosts: readonly string[] | undefined;
  readonly isLegacyAllowed: boolean;
}

export interface SshUpstreamState {
  readonly host: string;
  readonly user: string;
  /** Fingerprint. */
  readonly key: string;
  /** Connections with commands, and without. */
  readonly busy: number;
  readonly idle: number;
}

/** A command that was started, and how to let go of it. */
export interface Started {
  readonly remote: RemoteCommand;
  /** Lets go of it at once; the connection stays for others. */
  readonly end: () => void;
}

/** A connection being made, and for how many commands. */
interface Dial {
  readonly abort: AbortController;
  readonly waiting: Set<Waiting>;
}

/** A command that waits for a connection; called once, with why there is none, or to look again. */
type Waiting = (fault?: Error) => void;

interface Member {
  readonly connection: SshConnection;
  readonly bornAt: number;
  /** Commands that it may have at once. */
  sessions: number;
  /** Those that are about to be started on it. */
  promised: number;
  /** Whether any command was started on it. */
  hasServed: boolean;
  idleTimer: NodeJS.Timeout | undefined;
}

export class HostPool {
  readonly #target: SshTarget;
  readonly #plan: () => Promise<SshDial>;
  readonly #members = new Set<Member>();
  readonly #dials = new Set<Dial>();
  /** Commands for which there is neither room nor a dial. */
  readonly #queue = new Set<Waiting>();
  #sessions: number;

  constructor(target: SshTarget, plan: () => Promise<SshDial>) {
    this.#target = target;
    this.#plan = plan;
    this.#sessions = SSH_AZURE_HOSTS.includes(target.host) ? 1 : USUAL_SESSIONS;
  }

  get isUnused(): boolean {
    return this.#members.size + this.#dials.size + this.#queue.size === 0;
  }

  get state(): SshUpstreamState {
    const { host, port, user, key } = this.#target;
    const busy = [...this.#members].filter((member) => !isIdle(member)).length;
    return { host: nameOf({ host, port }), user, key: key.fingerprint, busy, idle: this.#members.size - busy };
  }

  close(): void {
    for (const { abort } of this.#dials) abort.abort();
    for (const { connection } of this.#members) connection.close();
    for (const waiting of [...this.#queue]) waiting(new Abandoned());
  }

  async start(command: string, environment: Readonly<Record<string, string>>, over: AbortSignal): Promise<Started> {
    let isRedialled = false;
    for (;;) {
      // A host that closes after each command closes other connections too: the second try is on one of its own.
      const member = await this.#member(over, isRedialled);
      const { connection, hasServed } = member;
      member.promised -= 1;
      try {
        const remote = await connection.start(command, environment, over);
        member.hasServed = true;
        return { remote, end: () => connection.end(remote) };
      } catch (thrown) {
        if (thrown instanceof ChannelRefused) {
          // What else is on it is what the host allows.
          if (connection.running === 0 && !hasServed) throw channelRefused(this.#target, thrown);
          if (connection.running === 0) connection.retire();
          member.sessions = Math.max(1, connection.running);
          this.#sessions = Math.min(this.#sessions, member.sessions);
        } else if (thrown instanceof ConnectionLost) {
          // Nothing was answered, and of the client's nothing was sent.
          if (!hasServed || isRedialled) throw connection.lost;
          isRedialled = true;
          connection.retire();
        } else throw thrown;
      }
    }
  }

  /** A connection with room, now or when one is made; the place on it is promised. */
  async #member(over: AbortSignal, isFresh: boolean): Promise<Member> {
    const until = performance.now() + WAIT_MS;
    for (;;) {
      if (over.aborted) throw new Abandoned();
      const member = this.#room(isFresh);
      if (member !== undefined) {
        member.promised += 1;
        clearTimeout(member.idleTimer);
        member.connection.isHolding = true;
        return member;
      }
      await this.#wait(over, until);
    }
  }

  /** The fullest one that has room, so that the others become idle and are closed. */
  #room(isFresh: boolean): Member | undefined {
    let best: Member | undefined;
    for (const member of this.#members) {
      if (performance.now() - member.bornAt > LONGEST_LIFE_MS) member.connection.retire();
      if (isFresh && member.hasServed) continue;
      if (roomOf(member) > 0 && (best === undefined || roomOf(member) < roomOf(best))) best = member;
    }
    return best;
  }

  /** Settles when there may be room; rejects with what the dial that it waited for came to. */
  #wait(over: AbortSignal, until: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = (fault) => {
        clearTimeout(timer);
        over.removeEventListener('abort', aborted);
        this.#queue.delete(waiting);
        for (const dial of this.#dials) {
          // A connection that nobody waits for any more is not made.
          if (dial.waiting.delete(waiting) && dial.waiting.size === 0) dial.abort.abort();
        }
        if (fault === undefined) resolve();
        else reject(fault);
      };
      const aborted = (): void => waiting(new Abandoned());
      const timer = setTimeout(() => {
        // Who waits for a dial has its times.
        if (this.#queue.has(waiting)) waiting(this.#crowded());
      }, until - performance.now());
      over.addEventListener('abort', aborted);
      this.#enter(waiting);
    });
  }

  #enter(waiting: Waiting): void {
    for (const dial of this.#dials) {
      if (dial.abort.signal.aborted || dial.waiting.size >= this.#sessions) continue;
      dial.waiting.add(waiting);
      return;
    }
    if (this.#dials.size < MOST_DIALS && this.#members.size + this.#dials.size < MOST_CONNECTIONS) this.#dial(waiting);
    else this.#queue.add(waiting);
  }

  #dial(first: Waiting): void {
    const dial: Dial = { abort: new AbortController(), waiting: new Set([first]) };
    this.#dials.add(dial);
    const finish = (fault?: unknown): void => {
      this.#dials.delete(dial);
      const waiting = [...dial.waiting];
      // Where nothing else is there or on its way, it would be no better for those who wait in the queue.
      if (fault !== undefined && this.#members.size + this.#dials.size === 0) waiting.push(...this.#queue);
      for (const each of waiting) each(fault as Error | undefined); // nothing else is thrown
      this.#serveQueue();
    };
    this.#open(dial.abort.signal).then(() => finish(), finish);
  }

  async #open(over: AbortSignal): Promise<void> {
    const connection = await SshConnection.open(await this.#plan(), over);
    if (ONE_AT_A_TIME.test(connection.software)) this.#sessions = 1;
    const member: Member = {
      connection,
      bornAt: performance.now(),
      sessions: this.#sessions,
      promised: 0,
      hasServed: false,
      idleTimer: undefined,
    };
    this.#members.add(member);
    connection.onChange = () => this.#changed(member);
    this.#changed(member);
  }

  /** A connection has room, has become idle, or has gone. */
  #changed(member: Member): void {
    const { connection } = member;
    clearTimeout(member.idleTimer);
    if (!connection.isOpen) this.#members.delete(member);
    else if (isIdle(member)) {
      member.connection.isHolding = false;
      this.#keep(member);
    }
    this.#serveQueue();
  }

  #keep(member: Member): void {
    member.idleTimer = setTimeout(() => {
      if (isIdle(member)) member.connection.retire();
    }, IDLE_MS);
    member.idleTimer.unref();
    // One that is new is not idle: those who waited for it come in a moment.
    const idle = [...this.#members].filter((each) => each.connection.isUsable && each.hasServed && isIdle(each));
    for (const { connection } of idle.slice(0, Math.max(0, idle.length - MOST_IDLE))) connection.retire();
  }

  /** Lets those who wait look again, as many as there may be something for. */
  #serveQueue(): void {
    let room = Math.max(0, Math.min(MOST_DIALS, MOST_CONNECTIONS - this.#members.size) - this.#dials.size);
    for (const member of this.#members) room += roomOf(member);
    for (const waiting of [...this.#queue].slice(0, room)) waiting();
  }

  #crowded(): ProxyError {
    return new ProxyError(
      'upstream-unavailable',
      `All ${this.#members.size} connections to ${nameOf(this.#target)} are in use, and none became free within ${WAIT_MS / 1000} s`,
      { todo: 'try again when fewer commands run; `postern status` shows them' },
    );
  }
}

/** Commands that may be started on a connection now. */
function roomOf({ connection, sessions, promised }: Member): number {
  return connection.isUsable ? Math.max(0, sessions - connection.running - promised) : 0;
}

function isIdle({ connection, promised }: Member): boolean {
  return connection.running + promised === 0;
}
