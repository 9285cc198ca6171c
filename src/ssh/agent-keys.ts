/**
 * The one key that a route offers, chosen among those that an ssh-agent holds, and signatures by it. Every way in which the agent
 * can fail has its own text, because to the user they all look like "permission denied".
 */
import { ProxyError } from '../model/errors.js';
import { withoutUnprintable } from '../model/printable.js';
import type { AgentRoute } from '../model/settings.js';
import { AgentFault, type AgentTrouble, type HeldKey, heldKeys, type Signature, signature } from './agent-socket.js';
import { fingerprintOf } from './known-hosts.js';

/** A key of an agent, and where it is. */
export interface AgentKey {
  readonly socket: string;
  readonly type: string;
  readonly blob: Buffer;
  /** `SHA256:` and base64 without padding. */
  readonly fingerprint: string;
  /** For texts: the fingerprint and what stands beside it, fit to be printed. */
  readonly shown: string;
}

/** An agent on this machine answers at once; one that asks for a password before it tells its keys is no agent to wait for. */
const LIST_MS = 5_000;
/** Someone may have to touch a token or type a password before a signature is made; sshd waits 120 s for it (LoginGraceTime). */
const SIGN_MS = 60_000;
/** Types whose signatures the SSH client can write. Those of hardware keys (sk-...) have two more fields, and a certificate names another type in its signature. */
const USABLE: readonly string[] = ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521', 'ssh-rsa'];
const MOST_SHOWN = 8;
const LONGEST_COMMENT = 60;

/** How an RSA key signs: the flag of the agent protocol by the algorithm (draft-miller-ssh-agent section 4.5.1). */
const RSA_FLAGS: Readonly<Record<string, number>> = { 'rsa-sha2-256': 2, 'rsa-sha2-512': 4 };

const SOCKET_TODO = 'correct `ssh: { mode: agent, socket: FILE }` of the route, or SSH_AUTH_SOCK in the environment of the daemon';

/**
 * The key that a route offers. `socketOfEnvironment` is SSH_AUTH_SOCK. Asks the agent each time: who stops or locks it wants that
 * nothing signs in with its keys any more, over open connections neither.
 * @throws ProxyError `agent-unavailable`
 */
export async function chooseKey(
  route: Pick<AgentRoute, 'key' | 'socket'>,
  socketOfEnvironment: string | undefined,
  over?: AbortSignal,
): Promise<AgentKey> {
  const socket = route.socket ?? socketOfEnvironment ?? '';
  if (socket === '') {
    throw unavailable(
      'No ssh-agent is known to the daemon: SSH_AUTH_SOCK is not set, and the route names no socket',
      'start the daemon where SSH_AUTH_SOCK is set, or write `ssh: { mode: agent, socket: FILE }` on the route',
    );
  }
  let held: HeldKey[];
  try {
    held = await heldKeys({ socket, timeoutMs: LIST_MS, over });
  } catch (thrown) {
    throw troubleOf(thrown, socket, LIST_MS);
  }
  const keys = held.map((key) => asKey(key, socket));
  if (keys.length === 0) {
    throw unavailable(
      `The ssh-agent at ${socket} holds no key, or is locked`,
      'add the key with `ssh-add FILE`, or unlock the agent with `ssh-add -X`; `ssh-add -l` shows what it holds',
    );
  }
  return route.key === undefined ? onlyKey(keys, socket) : namedKey(keys, socket, route.key);
}

/**
 * A signature by the key over `data`. `algorithm` is its type, or for RSA `rsa-sha2-256`, `rsa-sha2-512`, or `ssh-rsa` (SHA-1).
 * @throws ProxyError `agent-unavailable`
 */
export async function signWith(key: AgentKey, algorithm: string, data: Buffer, over?: AbortSignal): Promise<Buffer> {
  let signed: Signature;
  try {
    signed = await signature({ socket: key.socket, timeoutMs: SIGN_MS, over }, key.blob, data, RSA_FLAGS[algorithm] ?? 0);
  } catch (thrown) {
    if (thrown instanceof AgentFault && thrown.trouble === 'no') {
      throw unavailable(
        `The ssh-agent at ${key.socket} refused to sign with the key ${key.shown}`,
        'confirm the use of the key where the agent asks for it, unlock the agent, or add the key again with `ssh-add`',
      );
    }
    throw troubleOf(thrown, key.socket, SIGN_MS);
  }
  // Old agents do not know the flags and sign with SHA-1, which nobody asked for.
  if (signed.format !== algorithm) {
    throw unavailable(
      `The ssh-agent at ${key.socket} signed with ${printable(signed.format)} where ${algorithm} was asked for`,
      'use an agent that signs RSA with SHA-2 (OpenSSH 7.2 or newer), or a key of another type',
    );
  }
  return signed.value;
}

function onlyKey(keys: readonly AgentKey[], socket: string): AgentKey {
  const usable = keys.filter(isUsable);
  const [only, ...others] = usable;
  if (only === undefined) {
    throw unavailable(
      `The ssh-agent at ${socket} holds no key that can be offered here, only certificates or hardware keys: ${listed(keys)}`,
      'add a plain RSA, ECDSA or Ed25519 key with `ssh-add`',
    );
  }
  if (others.length === 0) return only;
  throw unavailable(
    `The ssh-agent at ${socket} holds ${usable.length} keys, and the route does not say which one to offer: ${listed(usable)}`,
    'set `key` of the route to the fingerprint of the right one',
  );
}

function namedKey(keys: readonly AgentKey[], socket: string, fingerprint: string): AgentKey {
  const named = keys.filter((key) => key.fingerprint === fingerprint);
  // A certificate has the fingerprint of the key that it is for, and the agent may hold both.
  const usable = named.find(isUsable);
  if (usable !== undefined) return usable;
  const [other] = named;
  if (other === undefined) {
    throw unavailable(
      `The ssh-agent at ${socket} does not hold the key ${fingerprint} of the route; it holds ${listed(keys)}`,
      'add that key with `ssh-add FILE`, or correct `key` of the route',
    );
  }
  throw unavailable(
    `The ssh-agent at ${socket} holds the key ${other.shown} as ${other.type} only, which cannot be offered here`,
    other.type.includes('-cert-') ? 'add the key itself beside its certificate with `ssh-add`' : 'use a plain RSA, ECDSA or Ed25519 key',
  );
}

function isUsable({ type }: AgentKey): boolean {
  return USABLE.includes(type);
}

function asKey({ type, blob, comment }: HeldKey, socket: string): AgentKey {
  const fingerprint = fingerprintOf(type.includes('-cert-') ? certifiedKey(type, blob) : blob);
  const beside = printable(comment);
  return { socket, type: printable(type), blob, fingerprint, shown: beside === '' ? fingerprint : `${fingerprint} (${beside})` };
}

/**
 * The bytes of the key that a certificate is for: `string type, string nonce, the key's own fields, uint64 serial, ...`, where the
 * fields are one for Ed25519 and two for RSA and ECDSA (PROTOCOL.certkeys). The certificate's own bytes for any other.
 */
function certifiedKey(type: string, blob: Buffer): Buffer {
  const plain = type.replace(/-cert-v0[01]@openssh\.com$/, '');
  const count = plain === 'ssh-ed25519' ? 1 : USABLE.includes(plain) ? 2 : 0;
  const fields: Buffer[] = [];
  for (let at = 0; fields.length < count + 2 && at + 4 <= blob.length;) {
    const end = at + 4 + blob.readUInt32BE(at);
    fields.push(blob.subarray(at, end));
    at = end;
  }
  if (count === 0 || fields.length < count + 2) return blob;
  const name = Buffer.alloc(4 + plain.length);
  name.writeUInt32BE(plain.length);
  name.write(plain, 4, 'latin1');
  return Buffer.concat([name, ...fields.slice(2)]);
}

function listed(keys: readonly AgentKey[]): string {
  const rest = keys.length - MOST_SHOWN;
  const shown = keys.slice(0, MOST_SHOWN).map((key) => key.shown);
  return shown.join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

/** One line without what a terminal would act on. */
function printable(text: string): string {
  const plain = withoutUnprintable(text).trim();
  return plain.length > LONGEST_COMMENT ? `${plain.slice(0, LONGEST_COMMENT)}...` : plain;
}

function unavailable(what: string, todo: string, cause?: unknown): ProxyError {
  return new ProxyError('agent-unavailable', what, { todo, cause });
}

function troubleOf(thrown: unknown, socket: string, limitMs: number): unknown {
  if (!(thrown instanceof AgentFault)) return thrown;
  const [what, todo] = wordsOf(thrown.trouble, socket, limitMs);
  return unavailable(what, todo, thrown);
}

function wordsOf(trouble: AgentTrouble, socket: string, limitMs: number): readonly [what: string, todo: string] {
  const restart = 'start the agent again and add its keys (`ssh-add`); `ssh-add -l` shows what it holds';
  switch (trouble) {
    case 'gone':
      return [`There is no ssh-agent at ${socket}: no such socket`, `start the agent; if it listens elsewhere, ${SOCKET_TODO}`];
    case 'refused':
      return [
        `No ssh-agent answers at ${socket}: the one that made the socket has ended`,
        `start it again; if it listens elsewhere, ${SOCKET_TODO}`,
      ];
    case 'forbidden':
      return [
        `The daemon may not use the ssh-agent at ${socket}: the socket is another user's`,
        `run the agent as the user of the daemon, or ${SOCKET_TODO}`,
      ];
    case 'silent':
      return [
        `The ssh-agent at ${socket} did not answer within ${limitMs / 1000} s`,
        'see whether it waits for a confirmation, a touch or a password; if not, start it again',
      ];
    case 'closed':
      return [`The ssh-agent at ${socket} closed the connection without an answer`, restart];
    case 'no':
      return [`The ssh-agent at ${socket} refused to tell which keys it holds`, 'unlock it; `ssh-add -l` shows what it holds'];
    case 'odd':
      return [`What answers at ${socket} does not speak as an ssh-agent does`, SOCKET_TODO];
    case 'aborted':
      return [`The ssh-agent at ${socket} was not waited for, because the client has gone`, restart];
  }
}
