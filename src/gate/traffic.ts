/**
 * How much at once: operations of all doors together, connections of each, and the files that a process may have open, of which
 * every connection takes one and every operation one more. Who comes beyond is refused with a text; what has begun is not.
 */
import type { Socket } from 'node:net';
import type { Logger } from '../model/ports.js';
import type { Refusal } from '../model/refusal.js';
import type { Limits } from '../model/settings.js';
import { FairShare, type Place } from './fair-share.js';

/** What there is too much of. */
export type Shortage = 'connections' | 'operations' | 'files';

/** An operation takes seconds, most of them. */
const AGAIN_SECONDS = 5;
/** Refusals are logged in plain sight this often, each shortage by itself: whoever causes them should not fill a disk too. */
const LOG_AGAIN_MS = 60_000;
/** Connections beyond the limit that are heard, in order to be refused with a text. Each lasts as long as its first request. */
const MOST_CROWDED = 64;
/** How long one of those may take until it is closed. */
const CROWDED_MS = 5_000;
/**
 * Of the files that may be open so many are kept free of connections, for what those that are in need: connections upstream,
 * look-ups of callers, files of the audit. An eighth, but enough for one operation at least, and no more than a hundred want.
 */
const LEAST_FILES_KEPT = 12;
const MOST_FILES_KEPT = 96;

/** What becomes of a connection: it is in, or it is heard and refused, or it is told at once and closed. */
export type Entrance = 'in' | 'crowded' | 'closed';

export interface TrafficState {
  /** Places that are taken. */
  readonly operations: number;
  readonly connections: { readonly http: number; readonly ssh: number };
  /** Refusals since the start. */
  readonly refused: Readonly<Record<Shortage, number>>;
}

export class Traffic {
  readonly #logger: Logger;
  readonly #operations = new FairShare();
  readonly #doors = { http: new FairShare(), ssh: new FairShare() };
  readonly #accepted = { http: 0, ssh: 0 };
  readonly #crowded = new WeakMap<Socket, { readonly shortage: Shortage; readonly late: NodeJS.Timeout }>();
  #crowd = 0;
  /** Number of the first descriptor that is kept free; infinite where the limit is not known. */
  readonly #keptFrom: number;
  readonly #files: number;
  readonly #refused: Record<Shortage, number> = { connections: 0, operations: 0, files: 0 };
  readonly #logged: Record<Shortage, { at: number; count: number }> = {
    connections: { at: Number.NEGATIVE_INFINITY, count: 0 },
    operations: { at: Number.NEGATIVE_INFINITY, count: 0 },
    files: { at: Number.NEGATIVE_INFINITY, count: 0 },
  };

  /** `files`: how many this process may have open; undefined where that is not known. */
  constructor(options: { readonly logger: Logger; readonly files: number | undefined }) {
    this.#logger = options.logger;
    this.#files = options.files ?? Number.POSITIVE_INFINITY;
    this.#keptFrom = this.#files - Math.min(MOST_FILES_KEPT, Math.max(LEAST_FILES_KEPT, Math.floor(this.#files / 8)));
  }

  get state(): TrafficState {
    const { http, ssh } = this.#accepted;
    return { operations: this.#operations.taken, connections: { http, ssh }, refused: { ...this.#refused } };
  }

  /** Asks for the place of an operation. `who` as the gate knows it. */
  begin(who: string, { operations }: Limits): Refusal | (() => void) {
    const place = this.#operations.take(who, operations);
    return place.kind === 'taken' ? place.giveBack : this.#refusal('operations', operations, place.kind);
  }

  /**
   * Lets a connection in that was just accepted. One that is `closed` is to be told `text` and closed by the caller, at once: there
   * may be no descriptor for the next one otherwise. A `crowded` one is closed here before long.
   */
  enter(socket: Socket, door: 'http' | 'ssh', { connections }: Limits): Entrance {
    const shortage = this.#shortage(socket, this.#accepted[door] >= connections);
    if (shortage !== undefined && (this.#crowd >= MOST_CROWDED || descriptorOf(socket) >= this.#files - LEAST_FILES_KEPT / 2)) {
      this.#count(shortage);
      return 'closed';
    }
    this.#accepted[door] += 1;
    socket.once('close', () => (this.#accepted[door] -= 1));
    if (shortage === undefined) return 'in';
    this.#squeeze(socket, shortage);
    return 'crowded';
  }

  /** Counts a connection that is in for the one at its other end, who may have too many. */
  belongs(socket: Socket, door: 'http' | 'ssh', who: string, { connections }: Limits): void {
    if (socket.destroyed) return;
    const place = this.#doors[door].take(who, connections);
    if (place.kind === 'taken') socket.once('close', place.giveBack);
    else this.#squeeze(socket, 'connections');
  }

  /** Whether a connection is one too many; `socket` is the accepted one. */
  isCrowded(socket: Socket): boolean {
    return this.#crowded.has(socket);
  }

  /** Lets a connection live for as long as its request takes, because it belongs to an operation that has begun. */
  keep(socket: Socket): void {
    clearTimeout(this.#crowded.get(socket)?.late);
  }

  /** Why nothing may begin on a connection; `socket` is the accepted one. */
  refuse(socket: Socket, { connections }: Limits): Refusal | undefined {
    const crowded = this.#crowded.get(socket);
    return crowded === undefined ? undefined : this.#refusal(crowded.shortage, connections, 'full');
  }

  /** What is said of a shortage of files, whoever met it. */
  outOfFiles(): Refusal {
    return this.#refusal('files', 0, 'full');
  }

  #shortage(socket: Socket, isFull: boolean): Shortage | undefined {
    // The kernel gives the lowest number that is free: all below it are taken.
    if (descriptorOf(socket) >= this.#keptFrom) return 'files';
    return isFull ? 'connections' : undefined;
  }

  #squeeze(socket: Socket, shortage: Shortage): void {
    if (this.#crowded.has(socket)) return;
    const late = setTimeout(() => socket.destroy(), CROWDED_MS);
    late.unref();
    this.#crowded.set(socket, { shortage, late });
    this.#crowd += 1;
    socket.once('close', () => {
      clearTimeout(late);
      this.#crowd -= 1;
    });
  }

  #refusal(shortage: Shortage, limit: number, kind: Exclude<Place['kind'], 'taken'>): Refusal {
    this.#count(shortage);
    return { kind: 'refusal', code: 'overloaded', status: 503, ...textOf(shortage, limit, kind), retryAfterSeconds: AGAIN_SECONDS };
  }

  #count(shortage: Shortage): void {
    this.#refused[shortage] += 1;
    const logged = this.#logged[shortage];
    logged.count += 1;
    if (performance.now() - logged.at < LOG_AGAIN_MS) return;
    const { operations, connections } = this.state;
    this.#logger.log('warn', 'overloaded', { of: shortage, refused: logged.count, operations, ...connections });
    this.#logged[shortage] = { at: performance.now(), count: 0 };
  }
}

/** What is told to a connection that is not even heard. */
export const CLOSED_TEXT: Pick<Refusal, 'what' | 'todo' | 'code'> = {
  code: 'overloaded',
  what: 'Postern has no room for one more connection',
  todo: `try again in ${AGAIN_SECONDS} s`,
};

function textOf(shortage: Shortage, limit: number, kind: 'full' | 'share'): Pick<Refusal, 'what' | 'todo'> {
  const again = `try again in ${AGAIN_SECONDS} s`;
  if (shortage === 'files')
    return {
      what: 'Postern has no more files to open, and every connection takes one',
      todo: `${again}; whoever looks after Postern raises its limit (\`ulimit -n\`, LimitNOFILE) or lowers \`limits.connections\``,
    };
  if (kind === 'share')
    return {
      what: `This caller has its share of the ${limit} ${shortage} that Postern serves at once, and others ask too`,
      todo: `let some of it end and ${again}; whoever looks after Postern can raise \`limits.${shortage}\``,
    };
  return {
    what: `Postern serves no more than ${limit} ${shortage} at once, and all are taken`,
    todo: `${again}; whoever looks after Postern can raise \`limits.${shortage}\``,
  };
}

/** Number of a socket's descriptor; below all others where this Node.js does not tell. */
function descriptorOf(socket: Socket): number {
  const { _handle } = socket as Socket & { readonly _handle?: { readonly fd?: number } | null }; // because there is no public way
  return _handle?.fd ?? -1;
}
