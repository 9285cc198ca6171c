/**
 * The operations of git that have begun. Over HTTP one of them is several requests: `info/refs`, then one POST or several, with
 * work of git's own between. A door that stops, or is full, still serves what belongs to one of these, because git would lose
 * what it has done so far. Over SSH a command is the whole of its operation, and its record says all there is to say.
 *
 * What belongs together is told by who asks, which repository and which way. No lease and no right is remembered here: each
 * request is admitted by itself.
 */
import type { Duplex } from 'node:stream';
import type { Clock } from '../model/ports.js';
import type { OperationRecord, Verdict } from '../model/record.js';
import { callerOf } from './callers-seen.js';

/**
 * How long an operation counts as begun after its latest request, where the connection stays open. Between the requests of a fetch git
 * walks its history for what to tell that it has: moments, seconds in the largest repositories.
 */
export const GRACE_MS = 5_000;
/**
 * The same after the `info/refs` of a push: git counts, compares and compresses before it sends a byte, which takes minutes in
 * the largest repositories.
 */
export const PACKING_GRACE_MS = 10 * 60_000;

/** One operation that has begun and not ended. */
export interface Conversation {
  /** Of its latest request. */
  readonly record: OperationRecord;
  /** Requests of it that run now. */
  readonly running: number;
}

interface Open extends Conversation {
  record: OperationRecord;
  running: number;
  readonly key: string;
  /** The connections that its requests came by, as far as they are open. */
  readonly connections: Set<Duplex>;
  /** Whether it was asked for a credential of the client's own, so that the next request is its first one again. */
  isChallenged: boolean;
  /** Whether its client has closed the last of its connections while a request of it still ran. */
  isLeft: boolean;
  /** Gives its place among the operations back. */
  readonly giveBack: () => void;
  /** Calls off the end of its grace. */
  stay: (() => void) | undefined;
}

export class Conversations {
  readonly #clock: Clock;
  readonly #open = new Map<string, Set<Open>>();
  readonly #byRecord = new Map<OperationRecord, Open>();
  readonly #byConnection = new WeakMap<Duplex, Set<Open>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** All that have begun and not ended. */
  get open(): readonly Conversation[] {
    return [...this.#open.values()].flatMap((same) => [...same]);
  }

  /** Those of which no request runs now: git is at work, or about to close its connection. */
  get between(): readonly Conversation[] {
    return this.open.filter(({ running }) => running === 0);
  }

  /**
   * Notes that the request of `record` belongs to an operation that has begun; false when there is none. Every exchange may belong to one;
   * an advertisement is a beginning, unless the one before it on `connection` asked for a credential.
   * `record` must say who asks, what for and which repository.
   */
  join(record: OperationRecord, connection: Duplex): boolean {
    const same = [...(this.#open.get(keyOf(record)) ?? [])];
    const here = same.find(({ connections }) => connections.has(connection));
    const found =
      record.step === 'advertisement'
        ? [here].find((each) => each?.isChallenged === true)
        : (here ??
          same.find(({ running, connections }) => running === 0 && connections.size === 0) ??
          same.find(({ running }) => running === 0));
    if (found === undefined) return false;
    this.#add(found, record, connection);
    return true;
  }

  /** Notes that the request of `record` begins an operation; `giveBack` is called when it has ended. */
  begin(record: OperationRecord, connection: Duplex, giveBack: () => void = () => undefined): void {
    const key = keyOf(record);
    // Who asks the same again on the same connection has done with it: a client that looks every moment has one place, not hundreds.
    for (const former of [...(this.#open.get(key) ?? [])])
      if (former.running === 0 && former.connections.has(connection)) this.#end(former);
    const begun: Open = { key, record, running: 0, connections: new Set(), isChallenged: false, isLeft: false, giveBack, stay: undefined };
    const same = this.#open.get(key);
    if (same === undefined) this.#open.set(key, new Set([begun]));
    else same.add(begun);
    this.#add(begun, record, connection);
  }

  /** Notes that a request has ended; does nothing for one that belongs to no operation. */
  finished(record: OperationRecord, verdict: Verdict): void {
    const open = this.#byRecord.get(record);
    if (open === undefined) return;
    this.#byRecord.delete(record);
    open.running -= 1;
    open.isChallenged = record.step === 'advertisement' && record.upstreamStatus === 401;
    if (open.running > 0) return;
    // git gives up when there is no advertisement; who has gone does not come back; and no call of the REST API is a part of another.
    if (record.kind === 'api' || open.isLeft || verdict === 'client-gone' || (record.step === 'advertisement' && verdict !== 'passed')) {
      this.#end(open);
      return;
    }
    const isPacking = record.kind === 'push' && record.step === 'advertisement';
    open.stay = this.#clock.after(isPacking ? PACKING_GRACE_MS : GRACE_MS, () => this.#end(open));
  }

  /** Notes that a connection will be closed after its latest request as the client or we have said, which tells nothing of git. */
  unties(connection: Duplex): void {
    for (const open of this.#byConnection.get(connection) ?? []) open.connections.delete(connection);
    this.#byConnection.delete(connection);
  }

  #add(open: Open, record: OperationRecord, connection: Duplex): void {
    open.stay?.();
    open.stay = undefined;
    open.isLeft = false;
    open.record = record;
    open.running += 1;
    this.#byRecord.set(record, open);
    open.connections.add(connection);
    const carried = this.#byConnection.get(connection);
    if (carried !== undefined) {
      carried.add(open);
      return;
    }
    this.#byConnection.set(connection, new Set([open]));
    // A connection that was idle for long is closed by the door, and git opens another when it goes on.
    connection.once('timeout', () => this.unties(connection));
    connection.once('close', () => {
      const left = this.#byConnection.get(connection) ?? [];
      this.unties(connection);
      for (const each of left) {
        if (each.connections.size > 0) continue;
        if (each.running === 0) this.#end(each);
        else each.isLeft = true;
      }
    });
  }

  #end(open: Open): void {
    open.stay?.();
    open.giveBack();
    const same = this.#open.get(open.key);
    same?.delete(open);
    if (same?.size === 0) this.#open.delete(open.key);
    for (const connection of open.connections) this.#byConnection.get(connection)?.delete(open);
  }
}

function keyOf(record: OperationRecord): string {
  return `${callerOf(record).key} ${record.kind} ${record.repository}`;
}
