/**
 * Writes finished operations down. `write` only takes them; a loop appends what has gathered as one piece, so that a hundred
 * operations that end together cost the disk as much as one. What cannot be written waits, up to a bound, and is tried again;
 * what is beyond it is counted, and the chain says so when it can be written again. Whether operations may begin meanwhile is
 * configured.
 */
import type { KeyObject } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AuditRecord, AuditState, Unnumbered } from '../model/audit.js';
import { messageOf, systemCodeOf } from '../model/errors.js';
import type { AuditTrail, Clock, Logger } from '../model/ports.js';
import type { OperationRecord } from '../model/record.js';
import type { Refusal } from '../model/refusal.js';
import type { AuditSettings } from '../model/settings.js';
import { makeDirectory } from './atomic-file.js';
import { AuditChain, ChainDisturbed, type Opening } from './audit-chain.js';
import type { AuditPlaces } from './audit-files.js';
import { auditKey } from './audit-key.js';
import { type ChainLock, lockFreeChain } from './audit-lock.js';
import { auditOperation } from './audit-record.js';
import { remedyFor } from './audit-remedy.js';
import { removeEndedChains } from './audit-sweep.js';

/** Records that wait at most: some megabytes, and minutes of a busy build host. */
const MOST_WAITING = 2_000;
/** Records of one write. */
const BATCH = 256;
const RETRY_MS = 1_000;
/** A request that is refused may ask again itself, but not each of a hundred. */
const PROBE_MS = 100;
/** A write that takes longer does not come back: a disk of the network that has gone. */
const STUCK_MS = 30_000;
const CLOSE_MS = 5_000;
const SWEEP_MS = 60 * 60 * 1000;

export interface AuditWriterOptions {
  readonly places: AuditPlaces;
  /** Name of the chain; `-2` and so on is added while another process writes it. */
  readonly chain: string;
  readonly settings: Pick<AuditSettings, 'onFailure' | 'maxSizeBytes' | 'maxAge'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Takes out of a text what looks like a credential. */
  readonly redact: (text: string) => string;
  readonly mostWaiting?: number;
}

type Item = Unnumbered<AuditRecord>;

export class AuditWriter implements AuditTrail {
  readonly #options: AuditWriterOptions;
  /** In force: the chain looks here at every write. */
  readonly #settings: { -readonly [Key in keyof AuditWriterOptions['settings']]: AuditWriterOptions['settings'][Key] };
  readonly #queue: Item[] = [];
  #chain: AuditChain | undefined;
  #lock: ChainLock | undefined;
  /** Number of the last record that is known to be written; undefined before the first opening. */
  #committed: number | undefined;
  #failure: { readonly what: string; readonly since: string; readonly todo: string } | undefined;
  #working: Promise<void> | undefined;
  #workingSince = 0;
  #triedAt = 0;
  #cancelRetry: (() => void) | undefined;
  #cancelSweep: (() => void) | undefined;
  #key: KeyObject | undefined;
  #sweepAt = 0;
  #lost = 0;
  #untold: { count: number; readonly since: string; why: string | undefined } | undefined;
  readonly #findings: string[] = [];
  #isClosed = false;

  constructor(options: AuditWriterOptions) {
    this.#options = options;
    const { onFailure, maxSizeBytes, maxAge } = options.settings;
    this.#settings = { onFailure, maxSizeBytes, maxAge };
  }

  /** Takes other limits and another answer to failure, from the next record on. */
  adjust({ onFailure, maxSizeBytes, maxAge }: AuditWriterOptions['settings']): void {
    Object.assign(this.#settings, { onFailure, maxSizeBytes, maxAge });
  }

  /** Opens the chain, or tries to: what is wrong is logged, and tried again. Never rejects. */
  async start(): Promise<void> {
    this.#kick();
    await this.settled();
  }

  write(record: OperationRecord): void {
    if (this.#isClosed) {
      this.#options.logger.log('error', 'audit-failed', { what: `operation ${record.id} ended after the audit was closed`, lost: 1 });
      return;
    }
    this.#take(auditOperation(record, this.#options.redact));
    if (this.#failure === undefined) this.#kick();
  }

  refusal(): Refusal | undefined {
    if (this.#settings.onFailure === 'continue') return undefined;
    const now = this.#options.clock.now();
    const failure = this.#failure ?? this.#stuck(now);
    if (failure === undefined) return undefined;
    if (now - this.#triedAt >= PROBE_MS || now < this.#triedAt) this.#kick();
    return {
      kind: 'refusal',
      code: 'audit-unwritable',
      status: 503,
      what: `The audit cannot be written (${failure.what}), and nothing is done that is not recorded`,
      todo: failure.todo,
      retryAfterSeconds: Math.ceil(RETRY_MS / 1000),
    };
  }

  state(): AuditState {
    const chain = this.#chain;
    const failure = this.#failure ?? this.#stuck(this.#options.clock.now());
    return {
      kind: 'on',
      directory: this.#options.places.directory,
      onFailure: this.#settings.onFailure,
      chain: this.#lock?.name,
      count: chain?.point.seq ?? 0,
      last: chain?.point.mac ?? '',
      anchor: { count: chain?.anchor.seq ?? 0, last: chain?.anchor.mac ?? '' },
      file: chain?.path,
      waiting: this.#queue.filter(({ kind }) => kind === 'operation').length,
      lost: this.#lost,
      failure: failure === undefined ? undefined : { what: failure.what, since: failure.since },
      findings: this.#findings,
    };
  }

  /** Resolves when nothing is being written: everything is on the disk, or could not be written. */
  async settled(): Promise<void> {
    while (this.#working !== undefined) await this.#working;
  }

  /** Writes what waits, as far as that goes within some seconds, and lets go of the chain. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelRetry?.();
    this.#cancelSweep?.();
    const flushed = this.settled().then(() => {
      // A chain that nobody has written in yet is not begun in order to be ended.
      if (this.#queue.length > 0 || this.#untold !== undefined || this.#chain !== undefined) this.#kick();
      return this.settled();
    });
    await Promise.race([flushed, sleep(CLOSE_MS, undefined, { ref: false })]);
    const left = this.#queue.length + (this.#untold?.count ?? 0);
    if (left > 0) {
      this.#options.logger.log('error', 'audit-failed', { what: this.#failure?.what ?? 'the disk does not answer', lost: left });
      // The head has its place on the disk already, so that this may go where a record does not.
      await Promise.race([this.#chain?.leave(left).catch(() => undefined), sleep(CLOSE_MS, undefined, { ref: false })]);
    }
    await Promise.race([this.#letGo(), sleep(CLOSE_MS, undefined, { ref: false })]);
    await this.#lock?.release();
  }

  #take(item: Item): void {
    if (this.#queue.length < (this.#options.mostWaiting ?? MOST_WAITING)) this.#queue.push(item);
    else {
      this.#lost += 1;
      this.#untold ??= { count: 0, since: item.time, why: this.#failure?.what };
      this.#untold.count += 1;
    }
  }

  #kick(): void {
    if (this.#working !== undefined) return;
    this.#cancelRetry?.();
    this.#workingSince = this.#options.clock.now();
    this.#working = this.#work().finally(() => {
      this.#working = undefined;
      if (this.#isClosed) return;
      if (this.#failure !== undefined) this.#cancelRetry = this.#options.clock.after(RETRY_MS, () => this.#kick());
      // Something may have come between the last look and now.
      else if (this.#queue.length > 0) this.#kick();
    });
  }

  /** Writes until nothing waits; ends at the first fault. Never rejects. */
  async #work(): Promise<void> {
    const { clock } = this.#options;
    this.#triedAt = clock.now();
    try {
      const key = await this.#readKey();
      this.#chain ??= await this.#open(key);
      await this.#sweep(this.#chain, key);
      while (this.#queue.length > 0 || this.#untold !== undefined) {
        this.#workingSince = clock.now();
        if (this.#queue.length === 0) this.#tellLost();
        const batch = this.#queue.slice(0, BATCH);
        await this.#chain.append(batch);
        this.#committed = this.#chain.point.seq;
        this.#queue.splice(0, batch.length);
        this.#recovered();
      }
      this.#recovered();
    } catch (thrown) {
      const isFirst = this.#failure === undefined;
      this.#fail(thrown);
      await this.#letGo();
      // Opening it again tells what has happened to it; the records still wait.
      if (thrown instanceof ChainDisturbed && isFirst) await this.#work();
    }
  }

  /** Read once for each opening: a chain goes on with the key that it was opened with. */
  async #readKey(): Promise<KeyObject> {
    if (this.#chain === undefined) this.#key = undefined;
    this.#key ??= await auditKey(this.#options.places.key);
    return this.#key;
  }

  async #open(key: KeyObject): Promise<AuditChain> {
    const { places, clock, logger } = this.#options;
    const lock = await this.#locked();
    const opening = await AuditChain.open({ places, name: lock.name, key, limits: this.#settings, now: () => clock.now() });
    const { chain, torn, finding } = opening;
    this.#countWritten(opening);
    if (opening.lost > 0 && this.#committed === undefined) {
      this.#untold ??= { count: 0, since: new Date(clock.now()).toISOString(), why: 'the process that had them ended' };
      this.#untold.count += opening.lost;
    }
    this.#committed = chain.point.seq;
    this.#sweepAt = 0;
    if (finding !== undefined) {
      this.#findings.push(finding);
      logger.log('error', 'audit-failed', {
        chain: chain.name,
        what: `records of the audit are not as they were left: ${finding}`,
        todo: 'find out who did this; `postern audit verify` tells more',
      });
    }
    if (torn !== undefined)
      logger.log('warn', 'audit-recovered', { chain: chain.name, what: 'the last record was incomplete', bytes: torn.length });
    return chain;
  }

  /** A write that failed may have left whole records, which must not be written again. */
  #countWritten({ found, finding }: Opening): void {
    if (this.#committed === undefined || finding !== undefined) return;
    this.#queue.splice(0, Math.max(0, found.seq - this.#committed));
  }

  async #locked(): Promise<ChainLock> {
    const { places, chain } = this.#options;
    await makeDirectory(places.directory);
    if (this.#lock !== undefined) {
      if (await this.#lock.isThere()) return this.#lock;
      await this.#lock.release();
      this.#lock = undefined;
    }
    this.#lock = await lockFreeChain(places.directory, chain);
    this.#committed = undefined;
    return this.#lock;
  }

  /** Removes what is past its age, now and then. That it cannot be removed keeps nothing from being written. */
  async #sweep(chain: AuditChain, key: KeyObject): Promise<void> {
    const { places, clock, logger } = this.#options;
    if (clock.now() < this.#sweepAt) return;
    this.#sweepAt = clock.now() + SWEEP_MS;
    this.#cancelSweep?.();
    if (!this.#isClosed) this.#cancelSweep = clock.after(SWEEP_MS, () => this.#kick());
    try {
      const removed = await chain.removeOld();
      if (removed !== undefined) this.#take(removed);
      const ended = await removeEndedChains({ places, key, own: chain.name, maxAge: this.#settings.maxAge, now: clock.now() });
      for (const note of ended) this.#take(note);
    } catch (thrown) {
      logger.log('warn', 'audit-failed', { what: `old files cannot be removed: ${messageOf(thrown)}`, todo: 'see who owns them' });
    }
  }

  /** Behind what waited: those that were lost came later. */
  #tellLost(): void {
    if (this.#untold === undefined) return;
    const { count, since, why = 'more came at once than may wait' } = this.#untold;
    this.#untold = undefined;
    this.#queue.push({ kind: 'lost', time: new Date(this.#options.clock.now()).toISOString(), count, since, why });
  }

  #fail(thrown: unknown): void {
    const { places, clock, logger } = this.#options;
    const code = systemCodeOf(thrown);
    const path = this.#chain?.path ?? pathOf(thrown) ?? places.directory;
    const text = code === undefined ? messageOf(thrown) : `${code} at ${path}`;
    const isNew = this.#failure === undefined;
    this.#failure = {
      what: text,
      since: this.#failure?.since ?? new Date(clock.now()).toISOString(),
      todo: remedyFor(code, places.directory),
    };
    if (this.#untold !== undefined) this.#untold.why ??= text;
    if (!isNew) return;
    const { todo } = this.#failure;
    logger.log('error', 'audit-failed', { what: text, todo, onFailure: this.#settings.onFailure, waiting: this.#queue.length });
  }

  #recovered(): void {
    if (this.#failure === undefined) return;
    const { what, since } = this.#failure;
    this.#failure = undefined;
    this.#options.logger.log('info', 'audit-recovered', { what: `written again after ${what}`, since, lost: this.#lost });
  }

  #stuck(now: number): { what: string; since: string; todo: string } | undefined {
    if (this.#working === undefined || now - this.#workingSince < STUCK_MS) return undefined;
    const { directory } = this.#options.places;
    return {
      what: `the disk of ${directory} does not answer`,
      since: new Date(this.#workingSince).toISOString(),
      todo: remedyFor(undefined, directory),
    };
  }

  async #letGo(): Promise<void> {
    const chain = this.#chain;
    this.#chain = undefined;
    await chain?.close().catch(() => undefined); // what was written is synced already
  }
}

function pathOf(thrown: unknown): string | undefined {
  return typeof thrown === 'object' && thrown !== null && 'path' in thrown && typeof thrown.path === 'string' ? thrown.path : undefined;
}
