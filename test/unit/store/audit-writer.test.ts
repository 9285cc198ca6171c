/** How the audit is written: in groups, through failures, across ends of the process, and for as long as it is kept. */
import { appendFile, chmod, mkdir, readdir, readFile, rename, rm, stat, truncate, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { auditKey } from '../../../src/store/audit-key.js';
import { readAudit } from '../../../src/store/audit-reader.js';
import { FakeLogger } from '../../fakes/logger.js';
import { AuditRig, DAY_MS } from './audit-rig.js';

let rig: AuditRig;
beforeEach(async () => {
  rig = await AuditRig.make();
});
afterEach(() => rig.remove());

describe('AuditWriter', () => {
  it('writes one line for each operation, bound to the one before it', async () => {
    await rig.wrote(3);
    const records = await rig.records();
    expect(records.map(({ seq, kind, id, verdict }) => [seq, kind, id, verdict])).toEqual([
      [1, 'operation', 1, 'passed'],
      [2, 'operation', 2, 'passed'],
      [3, 'operation', 3, 'passed'],
    ]);
    expect(new Set(records.map(({ mac }) => mac)).size).toBe(3);
  });

  it('keeps everything to its user: files 0600 in directories 0700', async () => {
    await rig.wrote(1);
    const mode = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8);
    expect(await Promise.all([rig.places.directory, rig.places.heads, rig.places.key, rig.path(), rig.head()].map(mode))).toEqual([
      '700',
      '700',
      '600',
      '600',
      '600',
    ]);
    expect((await readdir(rig.state)).sort()).toEqual(['audit', 'audit-heads', 'audit-key']);
  });

  it('writes what gathers as one piece', async () => {
    const writer = await rig.writer();
    for (let done = 0; done < 1000; done++) writer.write(rig.operation());
    await writer.close();
    expect(await rig.verify()).toMatchObject({ isGood: true, count: 1000 });
    // The head counts its own writes: one when the chain is opened, one for each piece of 256.
    const turns = [...(await readFile(rig.head(), 'latin1')).matchAll(/"turn":([0-9]+)/g)].map(([, turn]) => Number(turn));
    expect(Math.max(...turns)).toBeLessThanOrEqual(8);
  });

  it('goes on with the chain after a restart', async () => {
    await rig.wrote(2);
    await rig.wrote(2);
    expect((await rig.records()).map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
    expect(await rig.verify()).toMatchObject({ isGood: true, count: 4 });
    expect(rig.logger.lines).toEqual([]);
  });

  it('gives two writers a chain each', async () => {
    const first = await rig.writer();
    const second = await rig.writer();
    await rig.write(first, 2);
    await rig.write(second, 1);
    expect(second.state()).toMatchObject({ chain: 'daemon-2', count: 1 });
    await first.close();
    await second.close();
    expect(await rig.verify()).toMatchObject({ isGood: true, count: 2 });
    expect(await rig.verify('daemon-2')).toMatchObject({ isGood: true, count: 1 });
    // The name is free again.
    expect((await rig.writer()).state()).toMatchObject({ chain: 'daemon', count: 2 });
  });

  it('has a lock also where the path of a socket would be too long', async () => {
    const places = { ...rig.places, directory: join(rig.state, 'd'.repeat(120)) };
    const first = await rig.writer({ places });
    const second = await rig.writer({ places });
    expect([first.state(), second.state()]).toMatchObject([{ chain: 'daemon' }, { chain: 'daemon-2' }]);
  });

  it('gives two that make the key at once the same one', async () => {
    const keys = await Promise.all(Array.from({ length: 8 }, () => auditKey(rig.places.key)));
    expect(new Set(keys.map((key) => key.export().toString('hex'))).size).toBe(1);
    expect((await stat(rig.places.key)).mode & 0o777).toBe(0o600);
    expect(await readdir(rig.state)).toEqual(['audit-key']);
  });
});

describe('AuditWriter after the end of a process', () => {
  it('keeps what there is of an incomplete record in a record of its own', async () => {
    await rig.wrote(3);
    const torn = '{"seq":4,"time":"2030-01-01T00:00:00.000Z","kind":"operation","repository":"dev.az\u00fcre';
    await appendFile(rig.path(), torn);
    await rig.wrote(1);
    expect((await rig.records()).slice(3)).toMatchObject([
      { seq: 4, kind: 'recovered', text: torn },
      { seq: 5, kind: 'operation' },
    ]);
    expect(await rig.verify()).toMatchObject({ isGood: true, count: 5, faults: [] });
    expect(rig.logger.lines).toMatchObject([
      { level: 'warn', event: 'audit-recovered', fields: { what: 'the last record was incomplete' } },
    ]);
  });

  it('takes records that their head does not know yet when they chain', async () => {
    await rig.wrote(2);
    const old = await readFile(rig.head());
    await rig.wrote(3);
    await writeFile(rig.head(), old);
    await rig.wrote(1);
    expect(await rig.verify()).toMatchObject({ isGood: true, count: 6 });
    expect(rig.logger.lines).toEqual([]);
  });

  it('goes on when it was killed between the file and its first head, and between a file and the next', async () => {
    await mkdir(rig.places.heads, { recursive: true });
    await writeFile(rig.head(), '', { mode: 0o600 });
    await rig.wrote(2);
    await unlink(rig.path());
    await writeFile(rig.path(), '', { mode: 0o600 });
    rig.logger.lines.length = 0;
    await rig.wrote(1);
    // That one was no kill: two records are gone.
    expect(rig.logger.count('audit-failed')).toBe(1);
    const other = await AuditRig.make();
    await other.wrote(2);
    await writeFile(other.path(2), '', { mode: 0o600 });
    await other.wrote(1);
    expect(await other.verify()).toMatchObject({ isGood: true, count: 3 });
    expect(other.logger.lines).toEqual([]);
    await other.remove();
  });

  const findings: [name: string, act: () => Promise<void>, finding: RegExp][] = [
    [
      'its end is cut off',
      async () => rig.setLines((await rig.lines()).slice(0, 2)),
      /^the end of daemon\.000001\.jsonl is missing: it had \d+ bytes up to record 5, and has \d+$/,
    ],
    [
      'its last record is cut in two',
      async () => truncate(rig.path(), (await readFile(rig.path())).length - 3),
      /^the end of daemon\.000001\.jsonl is missing/,
    ],
    ['its file is gone', async () => unlink(rig.path()), /^daemon\.000001\.jsonl is missing; the last of its records was number 5$/],
    [
      'its last record is another',
      async () =>
        rig.setLines(
          (await rig.lines()).map((line, at) =>
            at === 4 ? line.replace(/.("\})$/, (end) => (end.startsWith('0') ? '1"}' : '0"}')) : line,
          ),
        ),
      /^daemon\.000001\.jsonl was changed: record 5 is not where it was written$/,
    ],
    [
      'something was appended',
      async () => appendFile(rig.path(), '{"seq":6}\n'),
      /^daemon\.000001\.jsonl was changed: what stands behind record 5 does not belong there$/,
    ],
    [
      'a record was made up behind its last',
      async () => appendFile(rig.path(), `${(await rig.lines())[4]!.replace('"seq":5', '"seq":6')}\n`),
      /^daemon\.000001\.jsonl was changed: what stands behind record 5 does not belong there$/,
    ],
    ['its head is gone', async () => unlink(rig.head()), /^its head is missing$/],
    ['its head is spoilt', async () => writeFile(rig.head(), 'x'.repeat(1024)), /^its head is wrong: it was not written with this key$/],
    ['the key is another', async () => rm(rig.places.key), /^its head is wrong: it was not written with this key$/],
  ];
  it.each(findings)('says aloud, in status and in the chain when %s, and goes on', async (_, act, finding) => {
    await rig.wrote(5);
    await act();
    const writer = await rig.writer();
    const state = writer.state();
    const found = (state.kind === 'on' ? state.findings[0] : undefined) ?? '';
    expect(found).toMatch(finding);
    expect(rig.logger.lines).toMatchObject([{ level: 'error', event: 'audit-failed' }]);
    expect(String(rig.logger.lines[0]?.fields['what'])).toContain(found);
    await rig.write(writer, 2);
    await writer.close();
    expect((await rig.records(2)).map(({ kind }) => kind)).toEqual(['missing', 'operation', 'operation']);
    expect((await rig.records(2))[0]).toMatchObject({ what: found });
    const report = await rig.verify();
    expect(report.isGood).toBe(false);
    expect(report.faults.some((fault) => fault.includes(`when the chain was opened, ${found}`))).toBe(true);
    // Once: the next start finds what this one left.
    rig.logger.lines.length = 0;
    await rig.wrote(1);
    expect(rig.logger.lines).toEqual([]);
  });

  it('notices while it runs that its file was cut, and goes on in another', async () => {
    const writer = await rig.writer();
    await rig.write(writer, 3);
    await truncate(rig.path(), 10);
    await rig.write(writer, 1);
    expect(writer.state()).toMatchObject({
      failure: undefined,
      findings: [expect.stringMatching(/^the end of daemon\.000001\.jsonl is missing/)],
    });
    expect((await rig.records(2)).map(({ seq, kind }) => [seq, kind])).toEqual([
      [4, 'missing'],
      [5, 'operation'],
    ]);
  });

  it('notices while it runs that its directory is gone', async () => {
    const writer = await rig.writer();
    await rig.write(writer, 3);
    await rename(rig.places.directory, join(rig.state, 'away'));
    await rig.write(writer, 1);
    expect(writer.state()).toMatchObject({
      failure: undefined,
      waiting: 0,
      findings: ['daemon.000001.jsonl is missing; the last of its records was number 3'],
    });
    // The lock went with the directory, and is there again.
    expect((await rig.writer()).state()).toMatchObject({ chain: 'daemon-2' });
    await rename(join(rig.state, 'away', 'daemon.000001.jsonl'), rig.path());
    // What was taken away is back: all that is left is the note about it.
    expect((await rig.verify()).faults).toEqual([
      expect.stringMatching(/^record 4 of .* when the chain was opened, daemon\.000001\.jsonl is missing/),
    ]);
  });
});

describe('AuditWriter that cannot write', () => {
  /** A file in the place of the directory: no user can write there, root included. */
  async function block(): Promise<() => Promise<void>> {
    const away = join(rig.state, 'away');
    await rename(rig.places.directory, away);
    await writeFile(rig.places.directory, '');
    return async () => {
      await unlink(rig.places.directory);
      await rename(away, rig.places.directory);
    };
  }

  it('goes on and counts, and the chain says how many are lost', async () => {
    const writer = await rig.writer({ mostWaiting: 3 });
    await rig.write(writer, 1);
    const mend = await block();
    for (let done = 0; done < 8; done++) writer.write(rig.operation());
    await writer.settled();
    expect(writer.refusal()).toBeUndefined();
    expect(writer.state()).toMatchObject({ lost: 5, waiting: 3, failure: { what: expect.stringContaining('ENOTDIR') as string } });
    expect(rig.logger.lines).toMatchObject([{ level: 'error', event: 'audit-failed' }]);
    await mend();
    await rig.clock.advance(1_000);
    await writer.settled();
    expect(writer.state()).toMatchObject({ failure: undefined, waiting: 0, lost: 5 });
    expect((await rig.records()).map(({ id, kind, count }) => id ?? [kind, count])).toEqual([1, 2, 3, 4, ['lost', 5]]);
    expect(rig.logger.lines.at(-1)).toMatchObject({ level: 'info', event: 'audit-recovered', fields: { lost: 5 } });
    const report = await rig.verify();
    expect(report).toMatchObject({ isGood: true });
    expect(report.notes[0]).toMatch(/5 records since .* could not be written \(ENOTDIR/);
  });

  it('refuses with the path and the remedy until a try succeeds, and loses nothing', async () => {
    const writer = await rig.writer({ settings: { onFailure: 'refuse' } });
    expect(writer.refusal()).toBeUndefined();
    const mend = await block();
    await rig.write(writer, 2);
    expect(writer.refusal()).toMatchObject({
      code: 'audit-unwritable',
      status: 503,
      what: expect.stringMatching(/^The audit cannot be written \(ENOTDIR at .*\), and nothing is done that is not recorded$/) as string,
      todo: expect.stringContaining(rig.places.directory) as string,
    });
    await mend();
    // The next request is refused still, and its asking is what mends it.
    rig.clock.jump(1_000);
    expect(writer.refusal()).toBeDefined();
    await writer.settled();
    expect(writer.refusal()).toBeUndefined();
    expect((await rig.records()).map(({ id }) => id)).toEqual([1, 2]);
  });

  it('opens later what it could not open at the start', async () => {
    await writeFile(join(rig.state, 'file'), '');
    const places = { ...rig.places, directory: join(rig.state, 'file') };
    const writer = await rig.writer({ places, settings: { onFailure: 'refuse' } });
    expect(writer.refusal()).toBeDefined();
    writer.write(rig.operation());
    await unlink(places.directory);
    await rig.clock.advance(1_000);
    await writer.settled();
    expect(writer.refusal()).toBeUndefined();
    expect(writer.state()).toMatchObject({ count: 1, findings: [] });
  });

  it('says at the next start what it could not write before the end of the process', async () => {
    const writer = await rig.writer();
    await rig.write(writer, 1);
    // The head can be written, the records cannot.
    const path = rig.path();
    await rename(path, `${path}.away`);
    await mkdir(path);
    await rig.write(writer, 4);
    expect(writer.state()).toMatchObject({ waiting: 4 });
    await writer.close();
    expect(rig.logger.lines.at(-1)).toMatchObject({ level: 'error', event: 'audit-failed', fields: { lost: 4 } });
  });

  it.runIf(process.getuid?.() !== 0)('tells what right is missing (as an ordinary user)', async () => {
    await rig.wrote(1);
    await chmod(rig.places.directory, 0o500);
    try {
      const writer = await rig.writer({ settings: { onFailure: 'refuse' } });
      expect(writer.refusal()?.todo).toMatch(/^give the user of the daemon the right to write in/);
      expect(writer.refusal()?.what).toMatch(/EACCES at/);
    } finally {
      await chmod(rig.places.directory, 0o700);
    }
  });

  it('says so when an operation ends after it was closed', async () => {
    const writer = await rig.writer();
    await writer.close();
    writer.write(rig.operation());
    expect(rig.logger.lines).toMatchObject([{ level: 'error', event: 'audit-failed', fields: { lost: 1 } }]);
  });
});

describe('AuditWriter and age', () => {
  it('closes a file when it is full, and removes closed ones when they are old, moving the anchor', async () => {
    const settings = { maxSizeBytes: 1000, maxAge: 10 * DAY_MS };
    const writer = await rig.writer({ settings });
    await rig.write(writer, 6);
    const before = await rig.verify();
    expect(before).toMatchObject({ isGood: true, count: 6, anchor: { seq: 0 } });
    rig.clock.jump(11 * DAY_MS);
    await rig.write(writer, 1);
    await writer.close();
    const report = await rig.verify();
    expect(report.isGood).toBe(true);
    expect(report.anchor?.seq).toBeGreaterThan(0);
    expect(report.notes).toEqual([expect.stringMatching(/removed because of their age$/)]);
    expect(writer.state()).toMatchObject({ kind: 'on' });
    const files = (await readdir(rig.places.directory)).filter((name) => name.endsWith('.jsonl'));
    expect(files).not.toContain('daemon.000001.jsonl');
    // Taken away by someone else, the oldest that is left is missed all the same.
    await unlink(join(rig.places.directory, files.sort()[0]!));
    expect((await rig.verify()).isGood).toBe(false);
  });

  it('closes a file that is not full when a tenth of the age is over', async () => {
    const writer = await rig.writer({ settings: { maxAge: 10 * DAY_MS } });
    await rig.write(writer, 1);
    rig.clock.jump(DAY_MS + 1);
    await rig.write(writer, 1);
    expect((await rig.records(2)).map(({ seq }) => seq)).toEqual([2]);
    // Also when the process was another one in between.
    await writer.close();
    rig.clock.jump(DAY_MS + 1);
    await rig.wrote(1, { settings: { maxAge: 10 * DAY_MS } });
    expect((await rig.records(3)).map(({ seq }) => seq)).toEqual([3]);
    expect((await rig.verify()).isGood).toBe(true);
  });

  it('goes on when it was killed while it removed files', async () => {
    const settings = { maxSizeBytes: 1000, maxAge: 10 * DAY_MS };
    await rig.wrote(6, { settings });
    const first = await readFile(rig.path(1));
    rig.clock.jump(11 * DAY_MS);
    await rig.wrote(1, { settings });
    await writeFile(rig.path(1), first, { mode: 0o600 });
    expect((await rig.verify()).notes.at(-1)).toBe('1 files are past their age and will be removed');
    expect((await rig.verify()).isGood).toBe(true);
    rig.clock.jump(DAY_MS);
    await rig.wrote(1, { settings });
    expect(await readdir(rig.places.directory)).not.toContain('daemon.000001.jsonl');
    expect((await rig.verify()).isGood).toBe(true);
  });

  it('removes the chain of a process that ended long ago, and says so; one that is written stays', async () => {
    const settings = { maxAge: 10 * DAY_MS };
    await rig.wrote(2, { chain: 'exec-1', settings });
    const living = await rig.writer({ chain: 'exec-2', settings });
    await rig.write(living, 1);
    rig.clock.jump(11 * DAY_MS);
    await rig.wrote(1, { settings });
    expect((await rig.records()).map(({ kind, chain, count }) => [kind, chain, count])).toEqual([
      ['chain-removed', 'exec-1', 2],
      ['operation', undefined, undefined],
    ]);
    expect((await readdir(rig.places.directory)).filter((name) => name.endsWith('.jsonl'))).toEqual([
      'daemon.000001.jsonl',
      'exec-2.000001.jsonl',
    ]);
    expect((await readdir(rig.places.heads)).sort()).toEqual(['daemon.head', 'exec-2.head']);
  });
});

describe('readAudit()', () => {
  it('gives the records of all chains in the order of time', async () => {
    const one = await rig.writer({ settings: { maxSizeBytes: 900 } });
    const two = await rig.writer({ chain: 'exec-1', logger: new FakeLogger() });
    for (let turn = 0; turn < 5; turn++) {
      await rig.write(one, 1);
      rig.clock.jump(1);
      await rig.write(two, 1);
      rig.clock.jump(1);
    }
    const ids: unknown[] = [];
    for await (const { record } of readAudit(rig.places)) ids.push(record.kind === 'operation' ? record.id : record.kind);
    expect(ids).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });
});
