/**
 * One connection to an SSH host, signed in with one key of an agent. Nothing else is offered, the agent is never forwarded, and a
 * host whose key is not the known one is left before anybody signs in.
 *
 * ssh2 is loaded with the first dial, so that a daemon that never dials does without it.
 *
 * Source: RFC 4252 section 7 (publickey), RFC 4253, RFC 4254 sections 6.4 to 6.10, RFC 8332.
 */
import type { Socket } from 'node:net';
import type { Client, ClientChannel, ParsedKey } from 'ssh2';
import { messageOf } from '../model/errors.js';
import { signWith } from './agent-keys.js';
import { algorithmsFor, signatureAlgorithms } from './algorithms.js';
import { brokenOff, closedEarly, commandRefused, type Dialled, type DialStage, lostBefore, notSignedIn, tooLate } from './client-faults.js';
import type { HostKeys } from './host-keys.js';
import { RemoteCommand } from './remote-command.js';
import { Abandoned, connectTcp, serverName } from './tcp.js';

export interface SshDial extends Dialled {
  readonly hostKeys: HostKeys;
  /** ms for each of: TCP, the handshake, the sign-in without the time that the agent takes to sign, the start of a command. */
  readonly connectMs: number;
}

/** Firewalls forget a connection that is silent for some minutes; three unanswered ones end it. ssh2's timer for it keeps a process alive until `close`. */
const KEEPALIVE_MS = 30_000;
const KEEPALIVES_UNANSWERED = 3;
/** A host that does not confirm the end of a command within this gets no more of them over the same connection. */
const CLOSE_MS = 10_000;

/** The host opens no further channel on this connection; it may on another one. */
export class ChannelRefused extends Error {}

/** The connection went away, or the host went silent, before a command had begun. */
export class ConnectionLost extends Error {}

export class SshConnection {
  readonly #dial: SshDial;
  readonly #client: Client;
  readonly #socket: Socket;
  /** The server's name and version as it tells them, e.g. `OpenSSH_9.2p1`. */
  readonly software: string;
  /** Called when commands have ended, when it takes no more of them, and when it has closed. */
  onChange: () => void = () => undefined;
  readonly #commands = new Set<RemoteCommand>();
  #beginning = 0;
  #isOpen = true;
  #isRetired = false;

  /**
   * Dials and signs in.
   * @throws ProxyError `upstream-unreachable`, `upstream-timeout`, `upstream-broken`, `upstream-error`, `host-key-refused`,
   * `agent-unavailable`, `upstream-unauthenticated`; Abandoned when `over` was aborted
   */
  static async open(dial: SshDial, over: AbortSignal): Promise<SshConnection> {
    const { default: ssh2 } = await import('ssh2');
    const socket = await connectTcp(dial, over);
    const { client, software } = await signIn(ssh2, dial, socket, over);
    return new SshConnection(dial, client, socket, software);
  }

  private constructor(dial: SshDial, client: Client, socket: Socket, software: string) {
    this.#dial = dial;
    this.#client = client;
    this.#socket = socket;
    this.software = software;
    const closed = (): void => {
      if (!this.#isOpen) return;
      this.#isOpen = false;
      this.onChange();
    };
    // At the end of what the host sends ssh2 has let go of its ciphers, so that nothing can be sent any more.
    client.on('end', closed).on('close', closed);
    if (socket.destroyed || socket.readableEnded) this.#isOpen = false;
  }

  /** Whether a command can be started on it. */
  get isUsable(): boolean {
    return this.#isOpen && !this.#isRetired;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Commands that run, begin, or are not yet over for the host. */
  get running(): number {
    return this.#commands.size + this.#beginning;
  }

  /** Whether it may keep the process alive. */
  set isHolding(holds: boolean) {
    if (holds) this.#socket.ref();
    else this.#socket.unref();
  }

  /**
   * Starts a command, a text as a shell reads it. A variable that the host does not want is left out without a word.
   * @throws ChannelRefused, ConnectionLost; ProxyError `upstream-error` when the host refuses the command; Abandoned when `over` was aborted
   */
  start(command: string, environment: Readonly<Record<string, string>>, over: AbortSignal): Promise<RemoteCommand> {
    this.#beginning += 1;
    return new Promise<RemoteCommand>((resolve, reject) => {
      let isSettled = false;
      let isOver = false;
      const begun = (): void => {
        if (!isOver) this.#beginning -= 1;
        isOver = true;
      };
      const settle = (outcome: RemoteCommand | Error): void => {
        if (isSettled) return;
        isSettled = true;
        clearTimeout(timer);
        over.removeEventListener('abort', aborted);
        if (outcome instanceof Error) reject(outcome);
        else resolve(outcome);
      };
      const fail = (fault: Error): void => {
        begun();
        this.#left();
        settle(fault);
      };
      const aborted = (): void => settle(new Abandoned());
      const timer = setTimeout(() => {
        this.#isRetired = true;
        fail(new ConnectionLost('the host does not answer'));
      }, this.#dial.connectMs);
      over.addEventListener('abort', aborted);
      if (over.aborted) aborted();
      try {
        this.#client.exec(command, { env: { ...environment } }, (fault, channel) => {
          if (fault !== undefined) {
            fail(this.#startFault(fault));
            return;
          }
          begun();
          const remote = this.#track(channel);
          if (isSettled) this.end(remote);
          else settle(remote);
        });
      } catch (thrown) {
        fail(new ConnectionLost(messageOf(thrown)));
      }
    });
  }

  /** Lets go of a command. A host that does not confirm that gets no other, and is not waited for. */
  end(remote: RemoteCommand): void {
    remote.close();
    const timer = setTimeout(() => {
      this.retire();
      this.#leave(remote);
    }, CLOSE_MS);
    timer.unref();
    void remote.closed.then(() => clearTimeout(timer));
  }

  /** Takes no more commands, and closes when the last has ended. */
  retire(): void {
    this.#isRetired = true;
    if (this.running === 0) this.close();
    else this.onChange();
  }

  /** Closes at once, whatever runs. */
  close(): void {
    this.#isRetired = true;
    this.#client.end();
    this.#socket.destroySoon();
    // A host that takes nothing in would keep it for ever.
    setTimeout(() => this.#socket.destroy(), CLOSE_MS).unref();
  }

  #track(channel: ClientChannel): RemoteCommand {
    const remote = new RemoteCommand(channel);
    this.#commands.add(remote);
    void remote.closed.then(() => this.#leave(remote));
    return remote;
  }

  #leave(remote: RemoteCommand): void {
    if (this.#commands.delete(remote)) this.#left();
  }

  #left(): void {
    if (this.#isRetired && this.running === 0) this.close();
    this.onChange();
  }

  #startFault(fault: Error): Error {
    if (!this.#isOpen) return new ConnectionLost(messageOf(fault));
    // RFC 4254 section 5.1: a channel that is not opened has a reason.
    if ('reason' in fault && typeof fault.reason === 'number') return new ChannelRefused(messageOf(fault));
    return commandRefused(this.#dial);
  }

  /** For whoever gives up on it. */
  get lost(): Error {
    return lostBefore(this.#dial);
  }
}

/** Handshake and sign-in on an open socket, which is destroyed when they fail. */
function signIn(
  ssh2: typeof import('ssh2'),
  dial: SshDial,
  socket: Socket,
  over: AbortSignal,
): Promise<{ readonly client: Client; readonly software: string }> {
  const { Client, BaseAgent, utils } = ssh2;
  const { key, hostKeys, user, connectMs } = dial;
  return new Promise((resolve, reject) => {
    const client = new Client();
    const stopped = new AbortController();
    let stage: DialStage = 'handshake';
    let server = (): string => '';
    let timer: NodeJS.Timeout | undefined;
    const wait = (limit: number | undefined): void => {
      clearTimeout(timer);
      if (limit !== undefined) timer = setTimeout(() => done(tooLate(dial, stage, limit)), limit);
    };
    const done = (fault?: Error): void => {
      if (stopped.signal.aborted) return;
      stopped.abort();
      wait(undefined);
      over.removeEventListener('abort', aborted);
      const software = server();
      client.removeAllListeners();
      client.on('error', () => undefined);
      if (fault === undefined) {
        resolve({ client, software });
        return;
      }
      socket.destroy();
      reject(fault);
    };
    const aborted = (): void => done(new Abandoned());
    /** Knows one key, and signs with it by one algorithm. */
    class OneKey extends BaseAgent<ParsedKey> {
      readonly #algorithm: string;
      readonly #key: ParsedKey;

      constructor(algorithm: string, parsed: ParsedKey) {
        super();
        this.#algorithm = algorithm;
        this.#key = algorithm === parsed.type && algorithm !== 'ssh-rsa' ? parsed : signingAs(parsed, algorithm);
      }

      getIdentities(tell: (fault: null, keys: ParsedKey[]) => void): void {
        tell(null, [this.#key]);
      }

      sign(_key: ParsedKey, data: Buffer, _options: unknown, tell?: (fault: Error | null, signature?: Buffer) => void): void {
        wait(undefined);
        signWith(key, this.#algorithm, data, stopped.signal).then(
          (signed) => {
            wait(connectMs);
            tell?.(null, signed);
          },
          (fault: unknown) => done(fault instanceof Error ? fault : new Error(messageOf(fault))),
        );
      }
    }

    const parsed = utils.parseKey(key.blob);
    if (parsed instanceof Error) {
      done(brokenOff(dial, stage, parsed));
      return;
    }
    const algorithms = [...signatureAlgorithms(key.type, dial.isLegacyAllowed)];
    over.addEventListener('abort', aborted);
    client
      .on('error', (fault) => done(brokenOff(dial, stage, fault)))
      .on('close', () => done(closedEarly(dial, stage)))
      .on('handshake', () => {
        stage = 'sign-in';
        wait(connectMs);
      })
      .on('ready', () => done());
    wait(connectMs);
    client.connect({
      sock: socket,
      username: user,
      ident: 'Postern',
      algorithms: algorithmsFor(hostKeys.typesFor(dial), dial.isLegacyAllowed),
      hostVerifier: (blob: Buffer) => {
        const refusal = hostKeys.refusalOf(dial, blob);
        if (refusal !== undefined) done(refusal);
        return refusal === undefined;
      },
      authHandler: (_left, _isPartly, next) => {
        const algorithm = algorithms.shift();
        if (algorithm === undefined) done(notSignedIn(dial));
        else next({ type: 'agent', username: user, agent: new OneKey(algorithm, parsed) });
      },
      agentForward: false,
      tryKeyboard: false,
      // The stages have their own times: a signature may need somebody's hand.
      readyTimeout: 0,
      keepaliveInterval: KEEPALIVE_MS,
      keepaliveCountMax: KEEPALIVES_UNANSWERED,
    });
    client.setNoDelay(true);
    server = serverName(socket);
    if (over.aborted) aborted();
  });
}

/**
 * An RSA key that signs by `algorithm`. ssh2 chooses it by what the server has announced, and takes SHA-1 when that was nothing; for a
 * key whose type it does not look up so it takes the type itself. It looks once, before everything else.
 */
function signingAs(key: ParsedKey, algorithm: string): ParsedKey {
  let looks = 0;
  const type = (): string => {
    looks += 1;
    return looks === 1 ? '' : algorithm;
  };
  return Object.create(key, { type: { get: type } }) as ParsedKey; // the same but for its type
}
