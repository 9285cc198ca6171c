/**
 * The two questions that are put to an ssh-agent: which keys it holds, and a signature. Private keys never leave it.
 *
 *   message   = uint32 length, byte type, contents
 *   string    = uint32 length, bytes
 *   11 -> 12  : uint32 count, then for each key: string blob, string comment
 *   13 -> 14  : string blob, string data, uint32 flags -> string signature = string format, string value
 *   5         : the agent's no
 *
 * Source: draft-miller-ssh-agent sections 3, 4.4 and 4.5; PROTOCOL.agent of OpenSSH.
 */
import { connect } from 'node:net';
import { systemCodeOf } from '../model/errors.js';

/** A key as the agent tells of it. */
export interface HeldKey {
  /** The type that its bytes begin with. */
  readonly type: string;
  readonly blob: Buffer;
  /** What stands beside it, in the agent's own words. */
  readonly comment: string;
}

export interface Signature {
  /** `ssh-ed25519`, `rsa-sha2-256`, ... */
  readonly format: string;
  readonly value: Buffer;
}

/** Why an agent gave no answer. */
export type AgentTrouble = 'gone' | 'refused' | 'forbidden' | 'silent' | 'closed' | 'odd' | 'no' | 'aborted';

export class AgentFault extends Error {
  readonly trouble: AgentTrouble;

  constructor(trouble: AgentTrouble, cause?: unknown) {
    super(`the agent gave no answer (${trouble})`, cause === undefined ? {} : { cause });
    this.name = 'AgentFault';
    this.trouble = trouble;
  }
}

const FAILURE = 5;
const REQUEST_IDENTITIES = 11;
const IDENTITIES_ANSWER = 12;
const SIGN_REQUEST = 13;
const SIGN_RESPONSE = 14;
/** OpenSSH's own limit of a message (AGENT_MAX_LEN): some thousand keys. */
const LARGEST_ANSWER_BYTES = 256 * 1024;
const TROUBLES: Readonly<Record<string, AgentTrouble>> = {
  ENOENT: 'gone',
  ENOTSOCK: 'gone',
  ENOTDIR: 'gone',
  ECONNREFUSED: 'refused',
  EACCES: 'forbidden',
  EPERM: 'forbidden',
};

export interface Question {
  /** Path of its socket. */
  readonly socket: string;
  /** ms until the answer must be there. */
  readonly timeoutMs: number;
  readonly over?: AbortSignal | undefined;
}

/** Keys in the agent's order. @throws AgentFault */
export async function heldKeys(question: Question): Promise<HeldKey[]> {
  const answer = await ask(question, REQUEST_IDENTITIES, Buffer.alloc(0));
  return reading(answer, IDENTITIES_ANSWER, (fields) => {
    const count = fields.number();
    const keys: HeldKey[] = [];
    for (let index = 0; index < count; index++) {
      const blob = fields.string();
      const comment = fields.string().toString('utf8');
      keys.push({ type: new Fields(blob).string().toString('latin1'), blob, comment });
    }
    return keys;
  });
}

/** A signature over `data` by the key of `blob`. `flags`: 2 for SHA-256 and 4 for SHA-512 with an RSA key, 0 for others. @throws AgentFault */
export async function signature(question: Question, blob: Buffer, data: Buffer, flags: number): Promise<Signature> {
  const answer = await ask(question, SIGN_REQUEST, Buffer.concat([string(blob), string(data), number(flags)]));
  return reading(answer, SIGN_RESPONSE, (fields) => {
    const inner = new Fields(fields.string());
    return { format: inner.string().toString('latin1'), value: inner.string() };
  });
}

function reading<T>(answer: Buffer, type: number, read: (fields: Fields) => T): T {
  if (answer[0] === FAILURE) throw new AgentFault('no');
  if (answer[0] !== type) throw new AgentFault('odd');
  try {
    return read(new Fields(answer.subarray(1)));
  } catch (thrown) {
    throw new AgentFault('odd', thrown);
  }
}

/** One connection, one question: an agent may serve them one after the other, and a broken answer must not spoil the next. */
function ask({ socket: path, timeoutMs, over }: Question, type: number, contents: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let received = 0;
    const socket = connect({ path });
    const done = (outcome: AgentFault | Buffer): void => {
      clearTimeout(timer);
      over?.removeEventListener('abort', aborted);
      socket.removeAllListeners();
      // What comes behind the answer is nobody's.
      socket.on('error', () => undefined);
      socket.destroy();
      if (outcome instanceof AgentFault) reject(outcome);
      else resolve(outcome);
    };
    const aborted = (): void => done(new AgentFault('aborted'));
    const timer = setTimeout(() => done(new AgentFault('silent')), timeoutMs);
    over?.addEventListener('abort', aborted);
    socket.on('connect', () => void socket.write(Buffer.concat([number(contents.length + 1), Buffer.from([type]), contents])));
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      received += chunk.length;
      if (received < 4) return;
      const whole = chunks.length === 1 ? chunk : Buffer.concat(chunks);
      chunks.splice(0, chunks.length, whole);
      const length = whole.readUInt32BE(0);
      if (length === 0 || length > LARGEST_ANSWER_BYTES) done(new AgentFault('odd'));
      else if (received >= 4 + length) done(whole.subarray(4, 4 + length));
    });
    socket.on('error', (fault) => done(new AgentFault(TROUBLES[systemCodeOf(fault) ?? ''] ?? 'closed', fault)));
    socket.on('close', () => done(new AgentFault('closed')));
    if (over?.aborted === true) aborted();
  });
}

/** Reads numbers and strings one after the other. */
class Fields {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** @throws RangeError when there are not so many bytes left */
  number(): number {
    const value = this.#bytes.readUInt32BE(this.#at);
    this.#at += 4;
    return value;
  }

  /** @throws RangeError when there are not so many bytes left */
  string(): Buffer {
    const end = this.number() + this.#at;
    if (end > this.#bytes.length) throw new RangeError('a string is cut');
    const value = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return value;
  }
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function string(bytes: Buffer): Buffer {
  return Buffer.concat([number(bytes.length), bytes]);
}
