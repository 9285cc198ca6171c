/**
 * Promise: whatever is done to the audit without its key is found, and told for what it is.
 *
 * Attack: edit, swap, drop, cut, append, replace and remove: records, files, heads and the key.
 */
import { createHmac } from 'node:crypto';
import { appendFile, copyFile, readdir, readFile, rename, rm, truncate, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verifyAudit } from '../../../src/store/audit-verify.js';
import { AuditRig } from './audit-rig.js';

let rig: AuditRig;
beforeEach(async () => {
  rig = await AuditRig.make();
});
afterEach(() => rig.remove());

describe('verifyAudit()', () => {
  it('has nothing to say where there is no audit', async () => {
    expect(await verifyAudit(rig.places)).toBeUndefined();
  });

  it('finds an untouched chain good, with its count, span and head', async () => {
    await rig.wrote(10);
    const report = await rig.verify();
    expect(report).toMatchObject({ isGood: true, count: 10, first: { seq: 1 }, last: { seq: 10 }, faults: [], notes: [] });
    expect(report.head).toEqual({ seq: 10, mac: (await rig.records()).at(-1)?.['mac'] });
  });

  it('finds a chain good that is being written', async () => {
    const writer = await rig.writer();
    await rig.write(writer, 3);
    expect(await rig.verify()).toMatchObject({ isGood: true, count: 3 });
  });

  const tampering: [name: string, act: (lines: string[]) => string[], fault: RegExp][] = [
    [
      'an edited record',
      (lines) => lines.map((line, at) => (at === 4 ? line.replace('"bytesUp":10', '"bytesUp":11') : line)),
      /^record 5 was changed \(line 5 of daemon\.000001\.jsonl\)$/,
    ],
    [
      'a record whose mac was edited',
      (lines) => lines.map((line, at) => (at === 9 ? line.replace(/.("\})$/, (end) => (end.startsWith('0') ? '1"}' : '0"}')) : line)),
      /^record 10 was changed/,
    ],
    [
      'a space in a record',
      (lines) => lines.map((line, at) => (at === 4 ? line.replace('"seq":5,', '"seq":5, ') : line)),
      /^record 5 was changed/,
    ],
    [
      'a record that is none',
      (lines) => lines.map((line, at) => (at === 4 ? 'x' : line)),
      /^line 5 of daemon\.000001\.jsonl was changed: it is no record$/,
    ],
    [
      'two records swapped',
      (lines) => [...lines.slice(0, 4), lines[5]!, lines[4]!, ...lines.slice(6)],
      /^record 5 stands behind record 6, where it does not belong \(line 6 of/,
    ],
    ['an inner record dropped', (lines) => lines.filter((_, at) => at !== 4), /^record 5 is missing$/],
    ['three inner records dropped', (lines) => lines.filter((_, at) => at < 3 || at > 5), /^records 4 to 6 are missing$/],
    ['the first record dropped', (lines) => lines.slice(1), /^record 1 is missing at the beginning$/],
    ['the last record cut off', (lines) => lines.slice(0, -1), /^record 10 is missing at the end: the head says that there were 10$/],
    ['the tail cut off', (lines) => lines.slice(0, 6), /^records 7 to 10 are missing at the end: the head says that there were 10$/],
    ['every record cut off', () => [], /^records 1 to 10 are missing at the end/],
    ['a record that stands twice', (lines) => [...lines, lines[2]!], /^record 3 stands twice \(line 3 of .* and line 11 of/],
    ['a record made up at the end', (lines) => [...lines, lines[9]!.replace('"seq":10', '"seq":11')], /^record 11 was changed/],
    [
      'a record renumbered',
      (lines) => lines.map((line, at) => (at === 9 ? line.replace('"seq":10', '"seq":12') : line)),
      /^records 10 to 11 are missing$/,
    ],
  ];
  it.each(tampering)('finds %s', async (_, act, fault) => {
    await rig.wrote(10);
    await rig.setLines(act(await rig.lines()));
    const report = await rig.verify();
    expect(report.isGood).toBe(false);
    expect(report.faults[0]).toMatch(fault);
  });

  it('tells only what was done: an edited record accuses no other', async () => {
    await rig.wrote(10);
    await rig.setLines((await rig.lines()).map((line, at) => (at === 4 ? line.replace('"uid":1000', '"uid":0') : line)));
    expect((await rig.verify()).faults).toHaveLength(1);
  });

  it('finds bytes that are no UTF-8 in the place of a character that stands for such bytes', async () => {
    const writer = await rig.writer();
    writer.write(rig.operation({ repository: 'a\ufffdb' }));
    await writer.close();
    const bytes = await readFile(rig.path());
    const at = bytes.indexOf(Buffer.from('\ufffd'));
    await writeFile(rig.path(), Buffer.concat([bytes.subarray(0, at), Buffer.from([0xff]), bytes.subarray(at + 3)]));
    expect((await rig.verify()).faults[0]).toMatch(/was changed/);
  });

  it('takes an incomplete last record for what it is, and no fault', async () => {
    await rig.wrote(10);
    const bytes = await readFile(rig.path());
    await appendFile(rig.path(), bytes.subarray(0, 40));
    const report = await rig.verify();
    expect(report).toMatchObject({ isGood: true, count: 10 });
    expect(report.notes).toEqual([
      'the last record is incomplete (daemon.000001.jsonl, 40 characters): its writer was killed, or is writing it',
    ]);
  });

  it('does not take an incomplete record for harmless when the head says that it was whole', async () => {
    await rig.wrote(10);
    await truncate(rig.path(), (await readFile(rig.path())).length - 5);
    const report = await rig.verify();
    expect(report.isGood).toBe(false);
    expect(report.faults).toEqual(['record 10 is missing at the end: the head says that there were 10']);
  });

  it('accepts a head that is behind while the records chain, and says so', async () => {
    await rig.wrote(3);
    const old = await readFile(rig.head());
    await rig.wrote(4);
    await writeFile(rig.head(), old);
    expect(await rig.verify()).toMatchObject({
      isGood: true,
      notes: ['the head is 4 records behind: its writer was killed, or is writing'],
    });
  });

  it('finds files that were swapped, dropped and cut', async () => {
    await rig.wrote(12, { settings: { maxSizeBytes: 1500 } });
    expect((await readdir(rig.places.directory)).length).toBeGreaterThan(2);
    expect((await rig.verify()).isGood).toBe(true);
    const kept = join(rig.state, 'kept');
    await copyFile(rig.path(2), kept);
    await rename(rig.path(1), rig.path(2));
    await rename(kept, rig.path(1));
    expect((await rig.verify()).faults[0]).toMatch(
      /^records 1 to \d+ stand behind record \d+, where they do not belong \(line 1 of daemon\.000002\.jsonl\)$/,
    );
    await rename(rig.path(1), kept);
    await rename(rig.path(2), rig.path(1));
    expect((await rig.verify()).faults[0]).toBe('daemon.000002.jsonl is missing');
    await rename(kept, rig.path(2));
    expect((await rig.verify()).isGood).toBe(true);
    await unlink(rig.path(1));
    const { faults } = await rig.verify();
    expect(faults[0]).toBe('daemon.000001.jsonl is missing');
    expect(faults[1]).toMatch(/^records 1 to \d+ are missing at the beginning$/);
  });

  it('finds an incomplete record in a file that is not the last', async () => {
    await rig.wrote(12, { settings: { maxSizeBytes: 1500 } });
    const { length } = await rig.lines();
    await appendFile(rig.path(), '{"seq":');
    expect((await rig.verify()).faults).toEqual([`line ${length + 1} of daemon.000001.jsonl has no end, and is not the last`]);
  });

  it('finds the last file missing', async () => {
    await rig.wrote(12, { settings: { maxSizeBytes: 1500 } });
    const numbers = (await readdir(rig.places.directory)).length;
    await unlink(rig.path(numbers));
    const { faults } = await rig.verify();
    expect(faults.some((fault) => fault === `daemon.${String(numbers).padStart(6, '0')}.jsonl is missing`)).toBe(true);
    expect(faults.at(-1)).toMatch(/missing at the end: the head says that there were 12$/);
  });

  it('finds a head that is gone, of another chain, or made up', async () => {
    await rig.wrote(4);
    await rig.wrote(2, { chain: 'other' });
    const good = await readFile(rig.head());
    await copyFile(rig.head('other'), rig.head());
    expect((await rig.verify()).faults[0]).toBe('the head was replaced: it is the head of the chain other');
    await writeFile(rig.head(), good.toString('latin1').replaceAll('"seq":4', '"seq":3').replaceAll('"seq":3', '"seq":2'));
    expect((await rig.verify()).faults[0]).toBe('the head was replaced: it was not written with this key');
    await unlink(rig.head());
    expect((await rig.verify()).faults[0]).toBe('the head is missing: it cannot be told whether records are missing at the end');
    await writeFile(rig.head(), good);
    expect((await rig.verify()).isGood).toBe(true);
  });

  it('finds the files of another chain in the place of its own', async () => {
    await rig.wrote(4);
    await rig.wrote(4, { chain: 'other' });
    await copyFile(rig.path(1, 'other'), rig.path());
    const report = await rig.verify();
    expect(report.isGood).toBe(false);
    expect(report.faults[0]).toBe('record 1 was changed (line 1 of daemon.000001.jsonl)');
  });

  it('cannot tell a chain that was made up with the key from the one that was written', async () => {
    await rig.wrote(4);
    await unlink(rig.path());
    await unlink(rig.head());
    await rig.wrote(2);
    expect(await rig.verify()).toMatchObject({ isGood: true, count: 2, faults: [] });
  });

  it('tells another key from changed records', async () => {
    await rig.wrote(4);
    await writeFile(rig.places.key, `${'ab'.repeat(32)}\n`);
    expect((await rig.verify()).faults).toEqual(['nothing in it was written with this key: the key or the files are of another daemon']);
  });

  it('does not verify without a key, or with one that others can read', async () => {
    await rig.wrote(1);
    const text = await readFile(rig.places.key);
    await rm(rig.places.key);
    await expect(verifyAudit(rig.places)).rejects.toThrow(/audit-key is missing, without which nothing can be verified/);
    await writeFile(rig.places.key, text, { mode: 0o644 });
    await expect(verifyAudit(rig.places)).rejects.toThrow(/its mode is 644, not 600/);
  });

  it('costs little more than the HMAC of the same bytes', async () => {
    const writer = await rig.writer({ mostWaiting: 30_000 });
    for (let done = 0; done < 20_000; done++) writer.write(rig.operation());
    await writer.settled();
    await writer.close();
    const lines = await rig.lines();
    expect(lines).toHaveLength(20_000);
    const bareFrom = performance.now();
    let mac = '';
    for (const line of lines) mac = createHmac('sha256', 'key').update(mac).update(line).digest('hex');
    const bare = performance.now() - bareFrom;
    const from = performance.now();
    expect((await rig.verify()).isGood).toBe(true);
    const ratio = (performance.now() - from) / bare;
    // Reading the file and its JSON is what comes on top.
    expect(ratio).toBeLessThan(40);
  });
});
