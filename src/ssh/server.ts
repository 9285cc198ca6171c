/**
 * One client of the SSH door: ssh2's server side, brought down to the three questions that the door answers. Who may sign in, may
 * another command run, and what to do with one. Whatever else SSH has (shells, terminals, forwarding, subsystems, agents) is
 * refused by not being listened for, which ssh2 answers with a failure in good order.
 *
 * Source: RFC 4252 (authentication), RFC 4254 (sessions), RFC 8332 (RSA with SHA-2).
 */
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { Duplex, type Writable } from 'node:stream';
import { holdFirstAnswer } from './first-answer.js';
import { mendChannel } from './mended-channel.js';
import type { Secret } from '../model/secret.js';
import type { AuthContext, Connection, ServerChannel, Session } from 'ssh2';

/** What a client offers as proof of who it is. */
export type Proof =
  | { readonly method: 'none' }
  | { readonly method: 'keyboard-interactive' }
  /** `isSigned`: whether it has shown that it holds the key; without, it only asks whether the key would do. */
  | {
      readonly method: 'publickey';
      readonly type: string;
      readonly blob: string;
      readonly fingerprint: string;
      readonly isSigned: boolean;
    };

/** The door's answer: in, or the methods that may still work. */
export type SignIn =
  { readonly kind: 'accept' } | { readonly kind: 'reject'; readonly methods: readonly AuthMethod[]; readonly why: string };
type AuthMethod = 'none' | 'publickey' | 'keyboard-interactive';

/** One command with the client's ends. Bytes are counted as they pass. */
export interface CommandChannel {
  readonly input: Duplex;
  readonly output: Writable;
  readonly errors: Writable;
  /** Aborted when the client has closed it, or is gone. */
  readonly gone: AbortSignal;
  /** Has the bytes from and to the client counted there, those that have passed included. */
  countInto(record: { bytesUp: number; bytesDown: number }): void;
  /** Tells how the command ended and closes; what was written before goes out first. */
  end(exitCode: number): void;
}

export interface Asked {
  /** The command as it came, decoded as UTF-8. */
  readonly command: string;
  /** Values by name, in the order in which they came. */
  readonly variables: ReadonlyMap<string, readonly string[]>;
  /** Fingerprint of the key that the client has signed with. */
  readonly key: string | undefined;
}

export interface ClientHandlers {
  /** Decides on what a client offers. */
  signIn(proof: Proof): Promise<SignIn>;
  signedIn(): void;
  /** Takes a command; returns at once. */
  exec(asked: Asked, channel: CommandChannel): void;
  /** Something that was refused, for the log. */
  refused(what: string): void;
}

/** Strongest first. No CBC, no SHA-1, and counter mode only with a MAC over the ciphertext. */
const ALGORITHMS = {
  kex: [
    // What is used goes by the client's order. The first one here decides only whether a packet that a client sent on a guess
    // counts (RFC 4253 section 7), and ssh2 drops it even where the guess was right, so that dropbear's client would wait for
    // ever: first stands what nobody guesses.
    'diffie-hellman-group16-sha512',
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'diffie-hellman-group14-sha256',
  ],
  cipher: ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'chacha20-poly1305@openssh.com', 'aes128-ctr', 'aes256-ctr'],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512'],
  // Compression would cost time and give the network the lengths of what is alike; packs are compressed already.
  compress: ['none'],
} as const;
/** Says who is there, and nothing of versions. */
const IDENT = 'Postern';
/** Between probes of a silent client, ms; after three without an answer it counts as gone. */
const KEEPALIVE_MS = 30_000;
/** Offers of a client before it is cut: an agent may hold many keys, and each is two of them. */
const MOST_OFFERS = 40;
/** Commands at once on one connection: a ControlMaster's parallel fetches of submodules (OpenSSH's own default is 10). */
const MOST_SESSIONS = 64;
/** Sessions that were opened in vain before the connection is cut; nobody but an attacker goes on after as many refusals. */
const MOST_REFUSED_SESSIONS = 256;
/** Variables that a session may send; ssh's SendEnv of a whole locale is under ten. */
const MOST_VARIABLES = 64;
/** Those that mean something here. */
const VARIABLES: ReadonlySet<string> = new Set(['GIT_PROTOCOL', 'POSTERN_LEASE', 'TRACEPARENT', 'TRACESTATE']);
/** Longest value of one: a lease with many narrowings is a few KiB. */
const LONGEST_VARIABLE = 16 * 1024;
/** Same variable more than once: two is enough to tell that it is unclear. */
const MOST_VALUES = 4;

/** Serves one accepted connection until it closes. `hostKey`: the door's private key, as OpenSSH writes it. */
export async function serveClient(socket: Socket, hostKey: Secret, handlers: ClientHandlers): Promise<void> {
  // Not before the first client: it takes longer to load than the rest of the door.
  const { default: ssh2 } = await import('ssh2');
  if (socket.destroyed) return;
  // ssh2 leaves Nagle's algorithm on, which makes each exchange of git's wait for an acknowledgement.
  socket.setNoDelay(true);
  // One for each connection, because ssh2 does not say which socket a client came by.
  const server = new ssh2.Server({
    hostKeys: [hostKey.reveal()],
    ident: IDENT,
    keepaliveInterval: KEEPALIVE_MS,
    algorithms: mutable(ALGORITHMS),
  });
  server.on('connection', (client) => {
    holdFirstAnswer(socket);
    new Client(client, socket, handlers, ssh2.utils.parseKey);
  });
  server.injectSocket(socket);
}

class Client {
  readonly #client: Connection;
  readonly #socket: Socket;
  readonly #handlers: ClientHandlers;
  readonly #parseKey: ParseKey;
  #offers = 0;
  #sessions = 0;
  #refusedSessions = 0;
  #isCut = false;
  #key: string | undefined;

  constructor(client: Connection, socket: Socket, handlers: ClientHandlers, parseKey: ParseKey) {
    this.#client = client;
    this.#socket = socket;
    this.#handlers = handlers;
    this.#parseKey = parseKey;
    // Each running command waits for its end, and Node would warn of the eleventh as of a leak.
    client.setMaxListeners(MOST_SESSIONS + 10);
    client.on('authentication', (context) => this.#authenticate(context));
    client.on('ready', () => handlers.signedIn());
    client.on('session', (accept, reject) => this.#session(accept, reject));
    // What is wrong with a connection concerns that connection, and it is closed by ssh2.
    client.on('error', () => socket.destroy());
  }

  #authenticate(context: AuthContext): void {
    this.#offers += 1;
    if (this.#offers > MOST_OFFERS) {
      this.#cut('offered too many keys');
      return;
    }
    const proof = this.#proofOf(context);
    if (proof === undefined) {
      context.reject(['publickey', 'keyboard-interactive']);
      return;
    }
    void this.#handlers.signIn(proof).then((answer) => this.#answer(context, proof, answer));
  }

  #answer(context: AuthContext, proof: Proof, answer: SignIn): void {
    if (answer.kind === 'reject') {
      // A probe that is refused is a client that looks which of its keys will do.
      if (proof.method !== 'none') this.#handlers.refused(answer.why);
      context.reject([...answer.methods]);
      return;
    }
    // The key that signed, and no other that was asked about before.
    if (proof.method === 'publickey' && proof.isSigned) this.#key = proof.fingerprint;
    context.accept();
  }

  /** What of an attempt counts; undefined for what never does (passwords, SHA-1, a signature that is not right). */
  #proofOf(context: AuthContext): Proof | undefined {
    if (context.method === 'none' || context.method === 'keyboard-interactive') return { method: context.method };
    if (context.method !== 'publickey') return undefined;
    const { key, signature, blob, hashAlgo } = context;
    const isRsa = key.algo === 'ssh-rsa';
    if (isRsa && hashAlgo !== 'sha256' && hashAlgo !== 'sha512') {
      if (signature !== undefined) this.#handlers.refused('a signature with SHA-1, which is refused');
      return undefined;
    }
    const parsed = this.#parseKey(key.data);
    if (parsed instanceof Error || Array.isArray(parsed) || parsed.type !== key.algo) return undefined;
    const isSigned = signature !== undefined;
    // It gives an Error, not false, when it cannot check: anything but true is a no.
    const isRight = (): boolean =>
      blob !== undefined && (parsed.verify(blob, signature ?? Buffer.alloc(0), isRsa ? hashAlgo : undefined) as unknown) === true;
    if (isSigned && !isRight()) {
      this.#handlers.refused('a signature that is not of the key');
      return undefined;
    }
    const digest = createHash('sha256').update(key.data).digest('base64').replace(/=+$/, '');
    return { method: 'publickey', type: parsed.type, blob: key.data.toString('base64'), fingerprint: `SHA256:${digest}`, isSigned };
  }

  #session(accept: () => Session, reject: () => void): void {
    if (this.#sessions >= MOST_SESSIONS) {
      this.#refusedSessions += 1;
      if (this.#refusedSessions === 1) this.#handlers.refused(`more than ${MOST_SESSIONS} commands at once on one connection`);
      reject();
      if (this.#refusedSessions > MOST_REFUSED_SESSIONS) this.#cut('opened too many sessions');
      return;
    }
    this.#sessions += 1;
    const session = accept();
    session.once('close', () => (this.#sessions -= 1));
    const variables = new Map<string, string[]>();
    let sent = 0;
    session.on('env', (take: (() => void) | undefined, refuse: (() => void) | undefined, { key, val }) => {
      sent += 1;
      if (sent > MOST_VARIABLES) {
        this.#cut('sent too many variables');
        return;
      }
      const values = variables.get(key) ?? [];
      if (!VARIABLES.has(key) || val.length > LONGEST_VARIABLE || values.length >= MOST_VALUES) {
        refuse?.();
        return;
      }
      variables.set(key, [...values, val]);
      take?.();
    });
    session.once('exec', (take, _refuse, { command }) => {
      // At once: when the client has sent its EOF already, ssh2 would give no channel later.
      const channel = take() as ServerChannel | undefined; // because ssh2 gives none to a session that is over
      if (channel === undefined) return;
      this.#handlers.exec({ command, variables, key: this.#key }, this.#channelOf(channel));
    });
  }

  #channelOf(channel: ServerChannel): CommandChannel {
    let counted = { bytesUp: 0, bytesDown: 0 };
    mendChannel(channel);
    const gone = new AbortController();
    let isEnded = false;
    const over = (): void => {
      if (!isEnded) gone.abort();
    };
    channel.once('close', over);
    // ssh2 does not tell the channels of a session when the connection breaks.
    this.#client.once('close', over);
    channel.once('close', () => this.#client.off('close', over));
    channel.on('error', over);
    channel.stderr.on('error', over);
    // Counted in place: a stream between would copy everything once more.
    const push = channel.push.bind(channel);
    channel.push = (chunk: Buffer | null) => {
      if (chunk !== null) counted.bytesUp += chunk.length;
      return push(chunk);
    };
    const write = channel.write.bind(channel) as (...args: unknown[]) => boolean;
    channel.write = ((chunk: Buffer | string, ...rest: unknown[]) => {
      counted.bytesDown += chunk.length;
      return write(chunk, ...rest);
    }) as typeof channel.write;
    return {
      input: channel,
      output: channel,
      errors: channel.stderr,
      gone: gone.signal,
      countInto: (record) => {
        record.bytesUp += counted.bytesUp;
        record.bytesDown += counted.bytesDown;
        counted = record;
      },
      end: (exitCode) => {
        if (isEnded) return;
        isEnded = true;
        // Not close(), and not before stderr is empty: ssh2's end() waits for what is written to stdout alone.
        channel.stderr.end(() => {
          channel.exit(exitCode);
          channel.end();
        });
        // What the client still sends is not wanted, and an unread window would keep it waiting.
        channel.resume();
      },
    };
  }

  #cut(what: string): void {
    if (this.#isCut) return;
    this.#isCut = true;
    this.#handlers.refused(what);
    this.#client.end();
    this.#socket.destroySoon();
  }
}

type ParseKey = typeof import('ssh2').utils.parseKey;

/** ssh2's types want lists that it could change. */
function mutable<Lists extends Readonly<Record<string, readonly string[]>>>(lists: Lists): { [Key in keyof Lists]: Lists[Key][number][] } {
  return Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, [...list]])) as {
    [Key in keyof Lists]: Lists[Key][number][];
  };
}
