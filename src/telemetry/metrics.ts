/**
 * The measurements, on prom-client (the only file that imports it). Operations are counted as they end; everything else is asked of
 * the house when somebody reads. The registry is our own: what another part of a process registers globally does not show here.
 *
 * The format is Prometheus' text format alone: the library renames its counters for good once it has written OpenMetrics, so that one
 * registry cannot speak both. Prometheus takes either.
 *
 * Source: prometheus.io/docs/instrumenting/exposition_formats.
 */
import { LFS_STEPS } from '../model/operation.js';
import type { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { LedgerObserver } from '../gate/ledger.js';
import type { OperationRecord } from '../model/record.js';
import type { HouseView } from './house-view.js';
import { type Family, FAMILIES, type FamilyKey } from './metric-table.js';
import { readiness } from './probes.js';

type Library = typeof import('prom-client');
type Labels = Readonly<Record<string, string>>;

/** What an operation can be called; anything else would be a name of the caller's choice. */
const OPERATIONS: ReadonlySet<string> = new Set(['fetch', 'push', 'archive', 'lfs', 'api']);
const STEPS: ReadonlySet<string> = new Set(['advertisement', 'exchange', 'session', 'read', 'write', ...Object.keys(LFS_STEPS)]);

const SUMS = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

export class Metrics {
  readonly #view: HouseView;
  readonly #registry: Registry;
  readonly #counters = new Map<FamilyKey, Counter>();
  readonly #gauges = new Map<FamilyKey, Gauge>();
  readonly #histograms = new Map<FamilyKey, Histogram>();
  /** Bytes of operations that have ended, by labels. */
  readonly #bytes = new Map<string, { readonly labels: Labels; bytes: number }>();
  #reading: Promise<string> | undefined;

  /** The library is loaded only where somebody wants numbers. */
  static async open(view: HouseView): Promise<Metrics> {
    const { default: library } = await import('prom-client');
    return new Metrics(view, library);
  }

  private constructor(view: HouseView, library: Library) {
    this.#view = view;
    this.#registry = new library.Registry();
    const registers = [this.#registry];
    for (const [key, family] of Object.entries(FAMILIES) as [FamilyKey, Family][]) {
      const { name, help, type, labels, buckets } = family;
      const options = { name, help, labelNames: [...labels], registers };
      if (type === 'counter') this.#counters.set(key, new library.Counter(options));
      else if (type === 'gauge') this.#gauges.set(key, new library.Gauge(options));
      else this.#histograms.set(key, new library.Histogram({ ...options, buckets: [...(buckets ?? [])] }));
    }
    library.collectDefaultMetrics({ register: this.#registry });
    // Sums of others, with the ending of what only grows.
    for (const name of SUMS) this.#registry.removeSingleMetric(name);
  }

  /** Media type of `text`. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  readonly observer: LedgerObserver = {
    began: ({ door }) => this.#count('started', { door }),
    finished: (record) => this.#finished(record),
  };

  /** All measurements as they are now. Who asks while another is being answered gets the same. */
  text(): Promise<string> {
    this.#reading ??= this.#read().finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  #finished(record: OperationRecord): void {
    const { door, verdict, identity = '', failure, spent, lookUpMs, replays } = record;
    const what = whatOf(record);
    const { operation } = what;
    this.#count('finished', { ...what, verdict, identity });
    this.#count('callers', { door, caller: proofOf(record) });
    if (failure !== undefined) this.#count('errors', { door, operation, verdict, code: failure.code });
    if (replays > 0) this.#count('retries', { door, operation }, replays);
    this.#histograms.get('duration')?.observe(what, spent.wholeMs / 1000);
    for (const [phase, ms] of Object.entries(spent.byPhase)) this.#histograms.get('phase')?.observe({ ...what, phase }, ms / 1000);
    if (lookUpMs !== undefined) this.#histograms.get('lookUp')?.observe({ door }, lookUpMs / 1000);
    for (const [direction, bytes] of bytesOf(record)) {
      const key = `${door} ${operation} ${direction}`;
      const known = this.#bytes.get(key);
      if (known === undefined) this.#bytes.set(key, { labels: { door, operation, direction }, bytes });
      else known.bytes += bytes;
    }
  }

  async #read(): Promise<string> {
    const doors = await this.#view.doorConnections();
    // Whatever is gone by now must not stay as it was.
    for (const [key, gauge] of this.#gauges) if (key !== 'build') gauge.reset();
    for (const { door, count } of doors) this.#set('doorConnections', { door }, count);
    this.#readOperations();
    this.#readIdentities();
    this.#readEvents();
    const { pools, throttled, audit, limits, certificateEndsAt, life, version } = this.#view;
    for (const { protocol, identity = '', busy, idle } of pools())
      for (const [state, count] of Object.entries({ busy, idle })) this.#set('pools', { protocol, identity, state }, count);
    this.#set('throttled', {}, throttled());
    for (const [limit, count] of Object.entries(limits())) this.#set('limit', { limit }, count as number);
    const endsAt = certificateEndsAt();
    if (endsAt !== undefined) this.#set('certificate', {}, endsAt / 1000);
    // Without labels it would say 0: a certificate that ended long ago.
    else this.#gauges.get('certificate')?.remove();
    const state = audit();
    const { waiting, lost, failure } = state.kind === 'on' ? state : { waiting: 0, lost: 0, failure: undefined };
    this.#set('auditFailing', {}, Number(failure !== undefined));
    this.#set('auditWaiting', {}, waiting);
    this.#total('auditLost', [[{}, lost]]);
    this.#set('ready', {}, Number(readiness(life()).isYes));
    this.#set('build', { version }, 1);
    return this.#registry.metrics();
  }

  #readOperations(): void {
    const totals = new Map([...this.#bytes].map(([key, { labels, bytes }]) => [key, [labels, bytes] as [Labels, number]]));
    for (const record of this.#view.running()) {
      const what = whatOf(record);
      this.#gauges.get('running')?.inc(what);
      const { door, operation } = what;
      for (const [direction, bytes] of bytesOf(record)) {
        const key = `${door} ${operation} ${direction}`;
        const known = totals.get(key);
        totals.set(key, [{ door, operation, direction }, (known?.[1] ?? 0) + bytes]);
      }
    }
    this.#total('bytes', totals.values());
  }

  #readIdentities(): void {
    const identities = this.#view.identities();
    for (const { name: identity, kind, state, obtainedAt, expiresAt } of identities) {
      this.#set('failing', { identity, kind }, Number(state === 'failing'));
      // One that has ended is not held any more: nobody uses the identity, and that is no trouble.
      if (expiresAt === undefined || expiresAt.getTime() <= this.#view.now()) continue;
      if (obtainedAt !== undefined) this.#set('obtainedAt', { identity }, obtainedAt.getTime() / 1000);
      this.#set('expiresAt', { identity }, expiresAt.getTime() / 1000);
    }
    // Also one that has ended: that is what has to be noticed.
    for (const { identity, expiresAt } of this.#view.patEnds()) this.#set('patExpiresAt', { identity }, expiresAt / 1000);
    // Those that hold no credential of their own would stand at 0 for ever.
    const fetching = identities.filter(({ kind }) => kind !== 'none' && kind !== 'passthrough');
    this.#total(
      'tokenRequests',
      fetching.map(({ name, requests }) => [{ identity: name }, requests]),
    );
    this.#total(
      'tokenFetches',
      fetching.flatMap(({ name: identity, obtained, failures }): [Labels, number][] => [
        [{ identity, result: 'success' }, obtained],
        [{ identity, result: 'failure' }, failures],
      ]),
    );
  }

  #readEvents(): void {
    const logged = this.#view.logged();
    this.#total(
      'events',
      logged.map(({ level, event, count }) => [{ level, event }, count]),
    );
    const of = (wanted: string) => logged.filter(({ event }) => event === wanted);
    const [good, bad] = [of('reloaded'), of('reload-failed')];
    const sum = (events: typeof good): number => events.reduce((all, { count }) => all + count, 0);
    const latest = (events: typeof good, none: number): number => Math.max(none, ...events.map(({ lastAt }) => lastAt));
    this.#total('reloads', [
      [{ result: 'success' }, sum(good)],
      [{ result: 'failure' }, sum(bad)],
    ]);
    const loadedAt = latest(good, this.#view.startedAt);
    this.#set('loadedAt', {}, loadedAt / 1000);
    this.#set('reloadOk', {}, Number(latest(bad, 0) <= loadedAt));
  }

  #count(key: FamilyKey, labels: Labels, by = 1): void {
    this.#counters.get(key)?.inc(labels, by);
  }

  #set(key: FamilyKey, labels: Labels, value: number): void {
    this.#gauges.get(key)?.set(labels, value);
  }

  /** Sets a counter to what was counted elsewhere. */
  #total(key: FamilyKey, values: Iterable<readonly [Labels, number]>): void {
    const counter = this.#counters.get(key);
    counter?.reset();
    for (const [labels, value] of values) counter?.inc(labels, value);
  }
}

function whatOf({ door, kind, step }: OperationRecord): { door: string; operation: string; step: string } {
  return { door, operation: OPERATIONS.has(kind) ? kind : 'unknown', step: STEPS.has(step) ? step : 'unknown' };
}

/** How the caller was let in, or would have been: never who it is. */
function proofOf({ lease, key, uid }: OperationRecord): string {
  if (lease !== undefined) return 'lease';
  if (key !== undefined) return 'key';
  return uid === undefined ? 'address' : 'user';
}

function bytesOf({ bytesUp, bytesDown }: OperationRecord): [direction: string, bytes: number][] {
  return [
    ['up', bytesUp],
    ['down', bytesDown],
  ];
}
