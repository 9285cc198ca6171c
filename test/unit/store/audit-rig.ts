/** What the tests of the audit share: a place for one, operations to write down, and its files to read and to spoil. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OperationRecord } from '../../../src/model/record.js';
import { TimeSpent } from '../../../src/model/time-spent.js';
import { type AuditPlaces, auditPlaces, fileName } from '../../../src/store/audit-files.js';
import type { ChainReport } from '../../../src/store/audit-report.js';
import { verifyAudit } from '../../../src/store/audit-verify.js';
import { AuditWriter, type AuditWriterOptions } from '../../../src/store/audit-writer.js';
import { FakeClock } from '../../fakes/clock.js';
import { FakeLogger } from '../../fakes/logger.js';

export const DAY_MS = 86_400_000;

export class AuditRig {
  readonly state: string;
  readonly places: AuditPlaces;
  readonly clock = new FakeClock();
  readonly logger = new FakeLogger();
  readonly #open: AuditWriter[] = [];
  #lastId = 0;

  static async make(): Promise<AuditRig> {
    return new AuditRig(await mkdtemp(join(tmpdir(), 'postern-audit-')));
  }

  private constructor(state: string) {
    this.state = state;
    this.places = auditPlaces(state, undefined);
  }

  async remove(): Promise<void> {
    for (const writer of this.#open) await writer.close();
    await rm(this.state, { recursive: true, force: true });
  }

  /** A writer that has opened its chain. */
  async writer(
    options: Partial<Omit<AuditWriterOptions, 'settings'>> & { settings?: Partial<AuditWriterOptions['settings']> } = {},
  ): Promise<AuditWriter> {
    const writer = new AuditWriter({
      places: this.places,
      chain: 'daemon',
      clock: this.clock,
      logger: this.logger,
      redact: (text) => text,
      ...options,
      settings: { onFailure: 'continue', maxSizeBytes: 64 * 1024 * 1024, maxAge: 90 * DAY_MS, ...options.settings },
    });
    this.#open.push(writer);
    await writer.start();
    return writer;
  }

  /** An operation that has just ended. */
  operation(more: Partial<OperationRecord> = {}): OperationRecord {
    this.#lastId += 1;
    return {
      id: this.#lastId,
      door: 'http',
      key: undefined,
      startedAt: new Date(this.clock.now()),
      kind: 'fetch',
      step: 'exchange',
      repository: `dev.azure.com/contoso/web/app${this.#lastId}`,
      address: undefined,
      route: 'dev.azure.com/**',
      identity: 'sp',
      caller: '127.0.0.1:5000',
      uid: 1000,
      lease: undefined,
      refs: [],
      refsLeftOut: 0,
      verdict: 'passed',
      upstreamStatus: 200,
      activityId: undefined,
      bytesUp: 10,
      bytesDown: 20,
      ms: 0,
      replays: 0,
      spent: new TimeSpent(),
      lookUpMs: undefined,
      trace: undefined,
      failure: undefined,
      ...more,
    };
  }

  /** Writes so many operations with a writer of their own, and lets go of the chain. */
  async wrote(count: number, options: Parameters<AuditRig['writer']>[0] = {}): Promise<void> {
    const writer = await this.writer(options);
    await this.write(writer, count);
    await writer.close();
  }

  /** Writes so many operations one after the other, each on the disk before the next. */
  async write(writer: AuditWriter, count: number): Promise<void> {
    for (let done = 0; done < count; done++) {
      writer.write(this.operation());
      await writer.settled();
    }
  }

  path(number = 1, chain = 'daemon'): string {
    return join(this.places.directory, fileName(chain, number));
  }

  head(chain = 'daemon'): string {
    return join(this.places.heads, `${chain}.head`);
  }

  async lines(number = 1, chain = 'daemon'): Promise<string[]> {
    return (await readFile(this.path(number, chain), 'utf8')).split('\n').slice(0, -1);
  }

  async setLines(lines: readonly string[], number = 1): Promise<void> {
    await writeFile(this.path(number), lines.map((line) => `${line}\n`).join(''));
  }

  /** What was written, as values. */
  async records(number = 1, chain = 'daemon'): Promise<Record<string, unknown>[]> {
    return (await this.lines(number, chain)).map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  async verify(chain = 'daemon'): Promise<ChainReport> {
    const report = (await verifyAudit(this.places))?.find((each) => each.chain === chain);
    if (report === undefined) throw new Error(`there is no chain ${chain}`);
    return report;
  }
}
