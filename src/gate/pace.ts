/**
 * How much happened in each of the latest seconds, for the plots of the status page: bytes both ways, operations that ended and
 * how long they waited. It counts only while something runs; a second in which nothing happened is left out.
 */
import type { Clock } from '../model/ports.js';
import type { Second } from '../model/page-view.js';
import type { OperationRecord } from '../model/record.js';
import type { LedgerObserver } from './ledger.js';

/** Seconds that are kept: five minutes, what a plot shows. */
export const SECONDS_KEPT = 300;
const SECOND_MS = 1_000;
/** Waits of one second that are sorted for their middle; a door under load ends more, and the first thousand tell as much. */
const MOST_WAITS = 1_000;

/** The book of what runs, as far as it matters here. */
interface Book {
  running(): readonly OperationRecord[];
}

export class Pace implements LedgerObserver {
  readonly #clock: Clock;
  readonly #book: Book;
  readonly #seconds: Second[] = [];
  /** Bytes of each running operation that have been counted. */
  #counted = new Map<OperationRecord, { readonly up: number; readonly down: number }>();
  #up = 0;
  #down = 0;
  #bad = 0;
  #ended = 0;
  #waits: number[] = [];
  #longest = 0;
  /** When the second began that is being counted; undefined while nothing happens. */
  #since: number | undefined;

  constructor({ clock, book }: { readonly clock: Clock; readonly book: Book }) {
    this.#clock = clock;
    this.#book = book;
  }

  /** The seconds of the latest minutes in which something happened, oldest first. */
  get seconds(): readonly Second[] {
    const from = this.#clock.now() - SECONDS_KEPT * SECOND_MS;
    return this.#seconds.filter(({ at }) => at > from);
  }

  readonly began = (): void => {
    this.#start();
  };

  readonly finished = (record: OperationRecord): void => {
    this.#start();
    this.#count(record);
    this.#counted.delete(record);
    this.#ended += 1;
    if (record.verdict !== 'passed' && record.verdict !== 'client-gone') this.#bad += 1;
    const waited = waitOf(record);
    if (this.#waits.length < MOST_WAITS) this.#waits.push(waited);
    this.#longest = Math.max(this.#longest, waited);
  };

  #start(): void {
    if (this.#since !== undefined) return;
    this.#since = this.#clock.now();
    this.#clock.after(SECOND_MS, this.#tick);
  }

  readonly #tick = (): void => {
    const now = this.#clock.now();
    const running = this.#book.running();
    for (const record of running) this.#count(record);
    const ms = Math.max(1, now - (this.#since ?? now));
    const waits = this.#waits.sort((a, b) => a - b);
    const isAny = this.#ended > 0;
    this.#seconds.push({
      at: now,
      ms,
      up: this.#up,
      down: this.#down,
      running: running.length,
      ended: this.#ended,
      bad: this.#bad,
      waitMiddle: isAny ? waits[Math.floor((waits.length - 1) / 2)] : undefined,
      waitLongest: isAny ? this.#longest : undefined,
    });
    if (this.#seconds.length > SECONDS_KEPT) this.#seconds.shift();
    this.#up = this.#down = this.#bad = this.#ended = this.#longest = 0;
    this.#waits = [];
    this.#since = undefined;
    if (running.length > 0) this.#start();
    else this.#counted = new Map();
  };

  #count(record: OperationRecord): void {
    const { up, down } = this.#counted.get(record) ?? { up: 0, down: 0 };
    this.#up += record.bytesUp - up;
    this.#down += record.bytesDown - down;
    this.#counted.set(record, { up: record.bytesUp, down: record.bytesDown });
  }
}

/** ms that an operation took until its bytes could pass: all but the passing itself, and what its caller took to ask. */
function waitOf({ spent }: OperationRecord): number {
  const { own = 0, token = 0, throttle = 0, connect = 0, upstream = 0 } = spent.byPhase;
  return Math.round((own + token + throttle + connect + upstream) * 10) / 10;
}
