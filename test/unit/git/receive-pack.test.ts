/** The bytes in captures/ are real pushes; their README says how they were made. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RefCommand } from '../../../src/model/refs.js';
import { FLUSH_PACKET, parsePacket, writePacket } from '../../../src/git/pkt-line.js';
import { type CommandList, CommandListReader, LARGEST_COMMAND_LIST_BYTES, writeRefusedPush } from '../../../src/git/receive-pack.js';

const CAPTURES = join(import.meta.dirname, 'captures');
const NONE = '0'.repeat(40);
const ONE = 'c29b3412b24ec135f9768f86f67e8fec1e3fa62e';
const TWO = 'da15bf890d6b8a175fd8312964d8b2a7526cce67';
const CAPABILITIES = ['report-status-v2', 'side-band-64k', 'quiet', 'object-format=sha1', 'agent=git/2.39.5'];

function capture(name: string): Buffer {
  return readFileSync(join(CAPTURES, `${name}.bin`));
}

function read(...chunks: readonly Buffer[]): CommandListReader {
  const reader = new CommandListReader();
  for (const chunk of chunks) reader.push(chunk);
  return reader;
}

/** A command list as a client writes it. */
function writeList(commands: readonly RefCommand[], capabilities: readonly string[], shallow: readonly string[] = []): Buffer {
  return Buffer.concat([
    ...shallow.map((oid) => writePacket(`shallow ${oid}\n`)),
    ...commands.map(({ oldOid, newOid, ref }, index) =>
      writePacket(`${oldOid} ${newOid} ${ref}${index === 0 ? `\0 ${capabilities.join(' ')}` : ''}`),
    ),
    FLUSH_PACKET,
  ]);
}

describe('CommandListReader', () => {
  it.each<[name: string, commands: RefCommand[], capabilities: string[]]>([
    [
      'create',
      [
        { oldOid: NONE, newOid: ONE, ref: 'refs/heads/main' },
        { oldOid: NONE, newOid: ONE, ref: 'refs/heads/topic/ä' },
      ],
      CAPABILITIES,
    ],
    [
      'update-delete-tag',
      [
        { oldOid: ONE, newOid: TWO, ref: 'refs/heads/main' },
        { oldOid: ONE, newOid: NONE, ref: 'refs/heads/topic/ä' },
        { oldOid: NONE, newOid: TWO, ref: 'refs/tags/v1' },
      ],
      CAPABILITIES,
    ],
    ['delete-only', [{ oldOid: TWO, newOid: NONE, ref: 'refs/tags/v1' }], CAPABILITIES],
    [
      'options',
      [{ oldOid: TWO, newOid: '0ac57542972229af268f52bf1e075c5fbc4ef35a', ref: 'refs/heads/main' }],
      ['report-status-v2', 'side-band-64k', 'quiet', 'atomic', 'push-options', 'object-format=sha1', 'agent=git/2.39.5'],
    ],
    ['shallow', [{ oldOid: NONE, newOid: 'f130f90e13732df11ca1ec90f933fd8815659e3d', ref: 'refs/heads/shallow' }], CAPABILITIES],
    [
      'sha256',
      [
        {
          oldOid: '0'.repeat(64),
          newOid: '13dc67485038ac7268fb5d2b53db49381dc5f4a9e98f3b9186a518bc52c4501a',
          ref: 'refs/heads/main',
        },
      ],
      ['report-status-v2', 'side-band-64k', 'quiet', 'object-format=sha256', 'agent=git/2.39.5'],
    ],
  ])('reads the captured push %s, however it is cut into chunks', (name, commands, capabilities) => {
    const bytes = capture(name);
    const list = { commands, capabilities: new Set(capabilities) };
    expect(read(bytes).list).toEqual(list);
    for (let cut = 0; cut <= bytes.length; cut++) expect(read(bytes.subarray(0, cut), bytes.subarray(cut)).list).toEqual(list);
    expect(read(...[...bytes].map((byte) => Buffer.from([byte]))).list).toEqual(list);
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 12 }), (cuts) => {
        const ends = [...cuts.sort((a, b) => a - b), bytes.length];
        const chunks = ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
        expect(read(...chunks).list).toEqual(list);
      }),
    );
  });

  it('has a test for each captured push', () => {
    const known = ['create', 'update-delete-tag', 'delete-only', 'options', 'shallow', 'sha256', 'signed'];
    const names = readdirSync(CAPTURES).filter((name) => name.endsWith('.bin'));
    expect(names.sort()).toEqual(known.map((name) => `${name}.bin`).sort());
  });

  it('does not read the refs of a signed push', () => {
    const reader = read(capture('signed'));
    expect([reader.list, reader.isReading]).toEqual([undefined, false]);
  });

  it('has no list before the flush', () => {
    const bytes = writeList([{ oldOid: NONE, newOid: ONE, ref: 'refs/heads/main' }], CAPABILITIES);
    const reader = read(bytes.subarray(0, -1));
    expect([reader.list, reader.isReading]).toEqual([undefined, true]);
    reader.push(bytes.subarray(-1));
    expect([reader.list?.commands.length, reader.isReading]).toEqual([1, false]);
  });

  it('reads the probe before a large push as a list of nothing', () => {
    expect(read(FLUSH_PACKET).list).toEqual({ commands: [], capabilities: new Set() });
  });

  it('takes no notice of what follows the list', () => {
    const bytes = capture('delete-only');
    const reader = read(bytes);
    for (const after of ['PACK', 'ffff', '0000', `0032${NONE} `]) reader.push(Buffer.from(after));
    expect(reader.list?.commands.map(({ ref }) => ref)).toEqual(['refs/tags/v1']);
  });

  it('takes capabilities from the first line that has them', () => {
    const lines = [`${NONE} ${ONE} refs/heads/a\0report-status`, `${NONE} ${ONE} refs/heads/b\0side-band-64k`];
    const { list } = read(...lines.map((line) => writePacket(line)), FLUSH_PACKET);
    expect(list?.capabilities).toEqual(new Set(['report-status']));
    expect(list?.commands.map(({ ref }) => ref)).toEqual(['refs/heads/a', 'refs/heads/b']);
  });

  it.each<[what: string, bytes: Buffer]>([
    ['no packet', Buffer.from('PACK....')],
    ['an HTML page', Buffer.from('<html>')],
    ['a delimiter', Buffer.from('0001')],
    ['a response end', Buffer.from('0002')],
    ['an empty line', Buffer.from('0004')],
    ['a short oid', writePacket(`${NONE.slice(1)} ${ONE} refs/heads/a`)],
    ['an oid of another length', writePacket(`${NONE}00 ${ONE} refs/heads/a`)],
    ['no ref', writePacket(`${NONE} ${ONE} `)],
    ['two blanks', writePacket(`${NONE}  ${ONE} refs/heads/a`)],
    ['a ref that is not UTF-8', writePacket(Buffer.from(`${NONE} ${ONE} refs/heads/\xff`, 'latin1'))],
    ['a push certificate', writePacket('push-cert\0report-status')],
  ])('cannot read %s', (_what, bytes) => {
    const reader = read(bytes, FLUSH_PACKET);
    expect([reader.list, reader.isReading]).toEqual([undefined, false]);
  });

  it('keeps no list that is longer than its bound, and one that just fits', () => {
    // Lines of 50,000 bytes: few enough to be quick.
    const line = (bytes: number): Buffer => writePacket(`${NONE} ${ONE} refs/${'x'.repeat(bytes - 4 - 82 - 5)}`);
    const whole = Math.floor(LARGEST_COMMAND_LIST_BYTES / 50_000);
    const rest = LARGEST_COMMAND_LIST_BYTES - whole * 50_000;
    const reader = new CommandListReader();
    for (let at = 0; at < whole; at++) reader.push(line(50_000));
    reader.push(line(rest));
    expect(reader.isReading).toBe(true);
    const longer = read(FLUSH_PACKET.subarray(0, 1));
    expect(longer.isReading).toBe(true);
    reader.push(Buffer.from('0'));
    expect([reader.isReading, reader.list]).toEqual([false, undefined]);
    reader.push(Buffer.from('000'));
    expect(reader.list).toBeUndefined();
  });

  const oid = fc.stringMatching(/^[0-9a-f]{40}$/);
  const ref = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }).filter((text) => !/[\0\n]/.test(text));
  it('reads what was written', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ oldOid: oid, newOid: oid, ref }), { minLength: 1, maxLength: 8 }),
        fc.uniqueArray(fc.stringMatching(/^[a-z0-9=./-]{1,20}$/), { minLength: 1, maxLength: 6 }),
        fc.array(oid, { maxLength: 3 }),
        (commands, capabilities, shallow) => {
          const { list } = read(writeList(commands, capabilities, shallow));
          expect(list).toEqual({ commands, capabilities: new Set(capabilities) });
        },
      ),
    );
  });
});

/** Packets of a body, undone from their side band if they have one. */
function packets(bytes: Buffer): (string | null)[] {
  const found: (string | null)[] = [];
  for (let at = 0; at < bytes.length;) {
    const read = parsePacket(bytes, at);
    if (read === undefined) throw new Error(`not whole at ${at}`);
    found.push(read.packet.kind === 'data' ? read.packet.payload.toString('latin1') : null);
    at = read.next;
  }
  return found;
}

function listWith(capabilities: readonly string[], refs: readonly string[] = ['refs/heads/main', 'refs/tags/v1']): CommandList {
  return { commands: refs.map((ref) => ({ oldOid: NONE, newOid: ONE, ref })), capabilities: new Set(capabilities) };
}

const REPORT = ['unpack ok\n', 'ng refs/heads/main no\n', 'ng refs/tags/v1 no\n', null];

describe('writeRefusedPush()', () => {
  it.each([[['report-status']], [['report-status-v2']], [['report-status', 'report-status-v2']]])(
    'is a bare report for a client with %s',
    (capabilities) => {
      const body = writeRefusedPush(listWith(capabilities), 'no', ['a', 'b']);
      expect(body === undefined ? body : packets(body)).toEqual(REPORT);
    },
  );

  it.each([
    ['side-band-64k', 65_520],
    ['side-band', 1000],
  ])('goes through %s: progress for a person, then the report', (band, most) => {
    const body = writeRefusedPush(listWith(['report-status', band]), 'no', ['one', 'two']) ?? Buffer.alloc(0);
    const [first, second, ...rest] = packets(body);
    expect([first, second, rest.at(-1)]).toEqual(['\u0002one\n', '\u0002two\n', null]);
    const report = rest.slice(0, -1).map((payload) => {
      expect(payload?.[0]).toBe('\u0001');
      return payload?.slice(1) ?? '';
    });
    expect(packets(Buffer.from(report.join(''), 'latin1'))).toEqual(REPORT);
    expect(Math.max(...[first, second, ...rest].map((payload) => (payload?.length ?? 0) + 4))).toBeLessThanOrEqual(most);
  });

  it.each([
    ['side-band-64k', 65_520],
    ['side-band', 1000],
  ])('keeps to the packets of %s, whatever it has to say', (band, most) => {
    const refs = Array.from({ length: 3000 }, (_, index) => `refs/heads/${'x'.repeat(40)}${index}`);
    const lines = ['x'.repeat(5000), '€'.repeat(5000), '\u{1f600}'.repeat(5000)];
    const body = writeRefusedPush(listWith(['report-status', band], refs), 'no', lines) ?? Buffer.alloc(0);
    const sent = packets(body);
    expect(Math.max(...sent.map((payload) => (payload?.length ?? 0) + 4))).toBeLessThanOrEqual(most);
    for (const payload of sent.slice(0, 3)) expect(Buffer.from(payload ?? '', 'latin1').toString('utf8')).not.toContain('\ufffd');
    const report = sent
      .slice(3, -1)
      .map((payload) => payload?.slice(1) ?? '')
      .join('');
    expect(packets(Buffer.from(report, 'latin1'))).toHaveLength(refs.length + 2);
  });

  it.each([[[]], [['side-band-64k']], [['atomic', 'ofs-delta']]])('cannot be said to a client with %j only', (capabilities) => {
    expect(writeRefusedPush(listWith(capabilities), 'no', ['a'])).toBeUndefined();
  });

  it('has one line for each ref, whatever the reason holds', () => {
    const body = writeRefusedPush(listWith(['report-status']), 'first\nng refs/heads/other yes\r\n\tsecond', []);
    expect(body === undefined ? body : packets(body)[1]).toBe('ng refs/heads/main first ng refs/heads/other yes second\n');
  });

  it('keeps a ref whole and cuts the reason', () => {
    const ref = `refs/heads/${'é'.repeat(30_000)}`;
    const body = writeRefusedPush(listWith(['report-status'], [ref]), '€'.repeat(30_000), []) ?? Buffer.alloc(0);
    const line = Buffer.from(packets(body)[1] ?? '', 'latin1').toString('utf8');
    expect(line).toMatch(new RegExp(`^ng ${ref} €+\n$`));
  });
});
