/**
 * The book of operations: what runs, what was counted, who asked, and the last failures with their cause. Some failures
 * cannot be told to git (a transfer that broke half-way); here and in the log they stand in full. Whoever looks after the
 * daemon ends a running operation here; the door that carries it is told through a signal.
 */
import { leaseName } from '../model/lease.js';
import type { AuditTrail, Clock, Logger, LogLevel } from '../model/ports.js';
import type { OperationRecord, Verdict } from '../model/record.js';
import type { Refusal } from '../model/refusal.js';
import { tenths, TimeSpent } from '../model/time-spent.js';
import { type CallerState, CallersSeen } from './callers-seen.js';
import { Conversations } from './conversations.js';

/** Failures kept for `status`. */
const FAILURES_KEPT = 20;

/** Endings that someone may ask about: git has no way to show some of them. */
const FAILURES: ReadonlySet<Verdict> = new Set<Verdict>(['refused', 'failed', 'broken', 'killed']);

/** What is said of an operation that was ended from outside. */
const KILLED: Refusal = {
  kind: 'refusal',
  code: 'operation-killed',
  status: 503,
  what: 'The operation was ended by `postern kill`',
  todo: 'ask whoever looks after this Postern why, before you try again',
};

export interface Ending {
  readonly verdict: Exclude<Verdict, 'running'>;
  readonly refusal?: Refusal | undefined;
}

/** Whoever counts along. Called in the middle of an operation: it must not throw, and be quick. */
export interface LedgerObserver {
  readonly began: (record: OperationRecord) => void;
  /** When all is noted in the record. */
  readonly finished: (record: OperationRecord) => void;
}

export class Ledger {
  /** The operations that have begun: what a request over HTTP may belong to. */
  readonly conversations: Conversations;
  /** The level at which an operation is logged that went well, or that its caller broke off; may be changed at any time. */
  operationLevel: LogLevel;
  readonly observers = new Set<LedgerObserver>();
  readonly #clock: Clock;
  readonly #logger: Logger;
  #audit: AuditTrail;
  readonly #running = new Map<OperationRecord, AbortController>();
  readonly #callers: CallersSeen;
  readonly #failures: OperationRecord[] = [];
  readonly #counts: Record<Exclude<Verdict, 'running'>, number> = {
    passed: 0,
    refused: 0,
    failed: 0,
    broken: 0,
    'client-gone': 0,
    killed: 0,
  };
  #lastId = 0;

  /** `operationLevel`: default debug. */
  constructor(options: { clock: Clock; logger: Logger; audit: AuditTrail; operationLevel?: LogLevel | undefined }) {
    this.operationLevel = options.operationLevel ?? 'debug';
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#audit = options.audit;
    this.#callers = new CallersSeen(options.clock);
    this.conversations = new Conversations(options.clock);
  }

  /** Records that end from now on are written there. */
  useAudit(audit: AuditTrail): void {
    this.#audit = audit;
  }

  /** Opens a record; it counts as running until `finish`. */
  begin(caller: string, door: OperationRecord['door'] = 'http'): OperationRecord {
    this.#lastId += 1;
    const record: OperationRecord = {
      id: this.#lastId,
      startedAt: new Date(this.#clock.now()),
      kind: 'unknown',
      step: '',
      repository: '',
      address: undefined,
      route: undefined,
      identity: undefined,
      caller,
      door,
      key: undefined,
      uid: undefined,
      lease: undefined,
      refs: [],
      refsLeftOut: 0,
      verdict: 'running',
      upstreamStatus: undefined,
      activityId: undefined,
      bytesUp: 0,
      bytesDown: 0,
      ms: 0,
      replays: 0,
      spent: new TimeSpent(),
      lookUpMs: undefined,
      trace: undefined,
      failure: undefined,
    };
    this.#running.set(record, new AbortController());
    for (const each of this.observers) each.began(record);
    return record;
  }

  /** Closes a record and logs it; a second call for the same record does nothing. */
  finish(record: OperationRecord, ending: Ending): void {
    if (!this.#running.delete(record)) return;
    record.spent.end();
    record.verdict = ending.verdict;
    // The wall clock may have been set back meanwhile.
    record.ms = Math.max(0, this.#clock.now() - record.startedAt.getTime());
    const { refusal } = ending;
    if (refusal !== undefined) {
      record.failure = { code: refusal.code, what: refusal.what, todo: refusal.todo };
      record.upstreamStatus ??= refusal.upstreamStatus;
      record.activityId ??= refusal.activityId;
    }
    this.#counts[ending.verdict] += 1;
    this.conversations.finished(record, ending.verdict);
    this.#callers.note(record);
    if (FAILURES.has(ending.verdict)) {
      this.#failures.push(record);
      if (this.#failures.length > FAILURES_KEPT) this.#failures.shift();
    }
    this.#log(record);
    this.#audit.write(record);
    for (const each of this.observers) each.finished(record);
  }

  /**
   * Ends a running operation: its record is closed, and its `killSignal` tells the door, which frees the upstream and
   * tells or cuts off the caller. Gives the record, or undefined when no such operation runs (any more).
   */
  kill(id: number): OperationRecord | undefined {
    for (const [record, controller] of this.#running) {
      if (record.id !== id) continue;
      this.finish(record, { verdict: 'killed', refusal: { ...KILLED, route: record.route, identity: record.identity } });
      controller.abort(KILLED);
      return record;
    }
    return undefined;
  }

  /** Aborted when the operation is killed, with the refusal to tell as its reason. Of a closed record: aborted if it was killed. */
  killSignal(record: OperationRecord): AbortSignal {
    const running = this.#running.get(record);
    if (running !== undefined) return running.signal;
    return record.verdict === 'killed' ? AbortSignal.abort(KILLED) : new AbortController().signal;
  }

  running(): readonly OperationRecord[] {
    return [...this.#running.keys()];
  }

  /** Who asked, latest first, the ones of running operations included. */
  callers(): { readonly seen: readonly CallerState[]; readonly forgotten: number } {
    return this.#callers.states(this.running());
  }

  failures(): readonly OperationRecord[] {
    return this.#failures;
  }

  counts(): Readonly<Record<Exclude<Verdict, 'running'>, number>> {
    return this.#counts;
  }

  #log(record: OperationRecord): void {
    const fields = {
      id: record.id,
      operation: record.kind,
      step: record.step,
      repository: record.repository,
      route: record.route,
      identity: record.identity,
      door: record.door,
      caller: record.caller,
      key: record.key,
      uid: record.uid,
      lease: record.lease === undefined ? undefined : leaseName(record.lease),
      upstreamStatus: record.upstreamStatus,
      activityId: record.activityId,
      bytesUp: record.bytesUp,
      bytesDown: record.bytesDown,
      ms: record.ms,
      ...waits(record),
      replays: record.replays,
      trace: record.trace?.traceId,
      code: record.failure?.code,
      what: record.failure?.what,
      todo: record.failure?.todo,
    };
    switch (record.verdict) {
      case 'refused':
        this.#logger.log('warn', 'request-refused', fields);
        break;
      case 'failed':
        this.#logger.log('warn', 'request-failed', fields);
        break;
      case 'broken':
        this.#logger.log('warn', 'transfer-broken', fields);
        break;
      case 'killed':
        this.#logger.log('warn', 'operation-killed', fields);
        break;
      case 'client-gone':
        this.#logger.log(this.operationLevel, 'client-gone', fields);
        break;
      case 'passed':
      case 'running':
        this.#logger.log(this.operationLevel, 'request-finished', fields);
        break;
    }
  }
}

/** Of where its time went, what a reader of the log looks for first, ms; absent where it was nothing to speak of. */
function waits({ spent }: OperationRecord): Readonly<Record<string, number>> {
  const { own = 0, token = 0, throttle = 0, connect = 0, upstream = 0 } = spent.byPhase;
  const all = { ownMs: own, tokenMs: token, throttleMs: throttle, upstreamMs: connect + upstream };
  return Object.fromEntries(Object.entries(all).flatMap(([name, ms]) => (tenths(ms) > 0 ? [[name, tenths(ms)]] : [])));
}
