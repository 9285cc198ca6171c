/**
 * Who may look at the status page. Whoever can open the admin socket is given a code, good once, for a moment and for one local
 * user alone; what a browser brings of it becomes a session of that user at that very address. Neither is kept in clear, and
 * neither says anything without the uid that the kernel tells for each connection: a cookie goes to every port of a host, so
 * another user's server may be sent it, and can do nothing with it.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../model/ports.js';
import { Secret } from '../model/secret.js';

/** How long a code is good, ms: a browser that has to be started first takes some seconds, on a slow disk many. */
export const CODE_MS = 60_000;
/** Codes that wait to be used; an older one gives way. Nobody opens as many browsers in a minute. */
export const MOST_CODES = 8;
/** How long a session lasts, ms: a working day. */
export const SESSION_MS = 12 * 60 * 60_000;
/** Sessions at once; the oldest gives way. */
export const MOST_SESSIONS = 16;
/** Bytes of chance in codes and sessions: nobody guesses 256 bits. */
const CHANCE_BYTES = 32;

/** What became of a code: a page was opened with it, somebody else brought it, or nobody did in time. */
export type CodeEnd = 'opened' | 'refused' | 'unused';

/** Whose connection it is, and what its request calls the door. */
export interface Visitor {
  readonly uid: number;
  /** The Host header, lower case. */
  readonly host: string;
}

export interface GivenCode {
  /** To ask what became of it; opens nothing. */
  readonly id: string;
  readonly code: Secret;
}

interface Code extends Visitor {
  readonly id: string;
  readonly expiresAt: number;
  readonly end: (how: CodeEnd) => void;
}

interface Session extends Visitor {
  readonly expiresAt: number;
}

export class PageSessions {
  readonly #clock: Clock;
  /** By their hash, oldest first. */
  readonly #codes = new Map<string, Code>();
  readonly #sessions = new Map<string, Session>();
  /** What became of the latest codes, by id, oldest first. */
  readonly #ends = new Map<string, Promise<CodeEnd>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Gives a code out for one user and one address of the door. */
  give({ uid, host }: Visitor): GivenCode {
    const code = chance();
    const id = chance();
    const hash = hashOf(code);
    const ended = new Promise<CodeEnd>((resolve) => {
      let cancel: () => void = () => undefined;
      const end = (how: CodeEnd): void => {
        cancel();
        this.#codes.delete(hash);
        resolve(how);
      };
      this.#codes.set(hash, { id, uid, host, expiresAt: this.#clock.now() + CODE_MS, end });
      cancel = this.#clock.after(CODE_MS, () => end('unused'));
    });
    this.#ends.set(id, ended);
    for (const oldest of [...this.#codes.values()].slice(0, -MOST_CODES)) oldest.end('unused');
    for (const oldest of [...this.#ends.keys()].slice(0, -MOST_CODES)) this.#ends.delete(oldest);
    return { id, code: new Secret(code) };
  }

  /** Resolves when a code has come to its end; one that is not known (any more) was not used. */
  ended(id: string): Promise<CodeEnd> {
    return this.#ends.get(id) ?? Promise.resolve('unused');
  }

  /** Makes a session of a code. Whoever brings a code has used it up, also who may not have it. Undefined when it opens nothing. */
  open(code: string, { uid, host }: Visitor): Secret | undefined {
    const found = this.#codes.get(hashOf(code));
    if (found === undefined) return undefined;
    const isGood = found.uid === uid && found.host === host && this.#clock.now() < found.expiresAt;
    found.end(isGood ? 'opened' : 'refused');
    if (!isGood) return undefined;
    const session = chance();
    this.#sessions.set(hashOf(session), { uid, host, expiresAt: this.#clock.now() + SESSION_MS });
    for (const oldest of [...this.#sessions.keys()].slice(0, -MOST_SESSIONS)) this.#sessions.delete(oldest);
    return new Secret(session);
  }

  /** Whether a session is this visitor's, and goes on. */
  isOpen(session: string, { uid, host }: Visitor): boolean {
    const hash = hashOf(session);
    const found = this.#sessions.get(hash);
    if (found === undefined) return false;
    if (this.#clock.now() >= found.expiresAt) {
      this.#sessions.delete(hash);
      return false;
    }
    return found.uid === uid && found.host === host;
  }
}

function chance(): string {
  return randomBytes(CHANCE_BYTES).toString('base64url');
}

/** What is looked up by a hash tells nothing by the time that it takes. */
function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64');
}
