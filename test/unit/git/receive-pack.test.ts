/** The bytes in captures/ are real pushes; their README says how they were made. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RefCommand } from '../../../src/model/refs.js';
import { FLUSH_PACKET, writePacket } from '../../../src/git/pkt-line.js';
import { CommandListReader, LARGEST_COMMAND_LIST_BYTES } from '../../../src/git/receive-pack.js';

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

/** One command without capabilities, in its packet. */
function command(name: string): Buffer {
  return writePacket(`${NONE} ${ONE} refs/heads/${name}`);
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
    [
      'signed',
      [{ oldOid: '0ac57542972229af268f52bf1e075c5fbc4ef35a', newOid: '0d40eba24651d2dadad59b2390819d4b10290ec0', ref: 'refs/heads/main' }],
      CAPABILITIES,
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

  it('has no list before the flush', () => {
    const bytes = writeList([{ oldOid: NONE, newOid: ONE, ref: 'refs/heads/main' }], CAPABILITIES);
    const reader = read(bytes.subarray(0, -1));
    expect([reader.list, reader.isReading]).toEqual([undefined, true]);
    reader.push(bytes.subarray(-1));
    expect([reader.list?.commands.length, reader.isReading]).toEqual([1, false]);
  });

  const EMPTY = { commands: [], capabilities: new Set() };
  const SHALLOW_ONLY = Buffer.concat([writePacket(`shallow ${ONE}\n`), FLUSH_PACKET]);

  it.each([
    ['the probe before a large push', FLUSH_PACKET],
    ['the push of nothing from a shallow clone', SHALLOW_ONLY],
  ])('reads %s as a list of nothing, sure only when the body has ended', (_what, bytes) => {
    const reader = read(bytes);
    expect([reader.list, reader.isReading]).toEqual([EMPTY, true]);
    reader.end();
    expect([reader.list, reader.isReading, reader.fault]).toEqual([EMPTY, false, undefined]);
  });

  it.each([
    ['the probe', FLUSH_PACKET],
    ['only shallow lines', SHALLOW_ONLY],
  ])('cannot read what follows %s, in the same chunk or the next', (_what, bytes) => {
    const more = writeList([{ oldOid: NONE, newOid: ONE, ref: 'refs/heads/main' }], CAPABILITIES);
    for (const reader of [read(Buffer.concat([bytes, more])), read(bytes, more), read(bytes, Buffer.from('P'))]) {
      expect([reader.list, reader.isReading]).toEqual([undefined, false]);
      expect(reader.fault?.what).toContain('follows a list of nothing');
    }
  });

  it('takes a body without a byte for no push at all, and one that ends inside of the list for a fault', () => {
    const bytes = capture('update-delete-tag');
    const flush = bytes.indexOf('0000PACK');
    for (let end = 0; end < flush + 4; end++) {
      const reader = read(bytes.subarray(0, end));
      reader.end();
      expect(reader.list).toBeUndefined();
      expect(reader.fault === undefined).toBe(end === 0);
      expect(reader.isReading).toBe(end === 0);
    }
  });

  it('takes no notice of what follows the list', () => {
    const bytes = capture('delete-only');
    const reader = read(bytes);
    for (const after of ['PACK', 'ffff', '0000', `0032${NONE} `]) reader.push(Buffer.from(after));
    expect(reader.list?.commands.map(({ ref }) => ref)).toEqual(['refs/tags/v1']);
  });

  it('takes lines with and without a newline at their end, and capabilities between any blanks', () => {
    const lines = [
      `${NONE} ${ONE} refs/heads/a\0  report-status\tatomic\n`,
      `${NONE} ${ONE} refs/heads/b\n`,
      `${NONE} ${ONE} refs/heads/c`,
    ];
    const { list } = read(...lines.map((line) => writePacket(line)), FLUSH_PACKET);
    expect(list?.capabilities).toEqual(new Set(['report-status', 'atomic']));
    expect(list?.commands.map(({ ref }) => ref)).toEqual(['refs/heads/a', 'refs/heads/b', 'refs/heads/c']);
  });

  it('takes the names of refs as they are, well formed or not', () => {
    const names = [
      'main',
      ' refs/heads/a',
      'refs/heads/a b',
      'refs/heads/..',
      '\ufeffrefs/heads/a',
      'refs/heads/\u001b[2J',
      'push-cert',
      'shallow x',
    ];
    const { list } = read(
      writeList(
        names.map((ref) => ({ oldOid: NONE, newOid: ONE, ref })),
        CAPABILITIES,
      ),
    );
    expect(list?.commands.map(({ ref }) => ref)).toEqual(names);
  });

  it.each<[what: string, bytes: Buffer]>([
    ['no packet', Buffer.from('PACK....')],
    ['an HTML page', Buffer.from('<html>')],
    ['a delimiter', Buffer.from('0001')],
    ['a response end', Buffer.from('0002')],
    ['a length that is none', Buffer.from('0003')],
    ['an empty line', Buffer.from('0004')],
    ['a packet larger than git allows', Buffer.concat([Buffer.from('fff1'), Buffer.alloc(65_517, 'x')])],
    ['a signed length', Buffer.from('+051')],
    ['an error packet', writePacket('ERR no')],
    ['a short oid', writePacket(`${NONE.slice(1)} ${ONE} refs/heads/a`)],
    ['an oid of another length', writePacket(`${NONE}00 ${ONE} refs/heads/a`)],
    ['old and new ids of two lengths', writePacket(`${NONE} ${'1'.repeat(64)} refs/heads/a`)],
    ['ids of two lengths', Buffer.concat([command('a'), writePacket(`${'0'.repeat(64)} ${'1'.repeat(64)} refs/heads/b`)])],
    ['a shallow line of another length', Buffer.concat([writePacket(`shallow ${'1'.repeat(64)}`), command('a')])],
    ['an oid in capitals', writePacket(`${NONE} ${ONE.toUpperCase()} refs/heads/a`)],
    ['long ids without their format', writePacket(`${'0'.repeat(64)} ${'1'.repeat(64)} refs/heads/a\0report-status`)],
    ['long ids with the other format', writePacket(`${'0'.repeat(64)} ${'1'.repeat(64)} refs/heads/a\0object-format=sha1`)],
    ['short ids with the other format', writePacket(`${NONE} ${ONE} refs/heads/a\0object-format=sha256`)],
    ['an unknown format', writePacket(`${NONE} ${ONE} refs/heads/a\0object-format=constructor`)],
    ['two formats', writePacket(`${NONE} ${ONE} refs/heads/a\0object-format=sha1 object-format=sha256`)],
    ['no ref', writePacket(`${NONE} ${ONE} `)],
    ['no ref but a newline', writePacket(`${NONE} ${ONE} \n`)],
    ['two blanks', writePacket(`${NONE}  ${ONE} refs/heads/a`)],
    ['a blank before', writePacket(` ${NONE} ${ONE} refs/heads/a`)],
    ['two commands in one packet', writePacket(`${NONE} ${ONE} refs/heads/a\n${NONE} ${ONE} refs/heads/b\n`)],
    ['two newlines', writePacket(`${NONE} ${ONE} refs/heads/a\n\n`)],
    ['a newline before the NUL', writePacket(`${NONE} ${ONE} refs/heads/a\n\0report-status`)],
    ['a NUL on a later line', Buffer.concat([command('a'), writePacket(`${NONE} ${ONE} refs/heads/b\0report-status`)])],
    ['two NULs', writePacket(`${NONE} ${ONE} refs/heads/a\0report-status\0atomic`)],
    ['a ref that is not UTF-8', writePacket(Buffer.from(`${NONE} ${ONE} refs/heads/\xff`, 'latin1'))],
    ['a shallow line behind a command', Buffer.concat([command('a'), writePacket(`shallow ${ONE}`)])],
    ['a shallow line without an id', Buffer.concat([writePacket('shallow '), command('a')])],
    ['a shallow line with more', Buffer.concat([writePacket(`shallow ${ONE} x`), command('a')])],
    ['a shallow line with capabilities', Buffer.concat([writePacket(`shallow ${ONE}\0report-status`), command('a')])],
  ])('cannot read %s, however it is cut', (_what, bytes) => {
    const body = Buffer.concat([bytes, FLUSH_PACKET]);
    for (const chunks of [[body], [...body].map((byte) => Buffer.from([byte]))]) {
      const reader = read(...chunks);
      reader.end();
      expect([reader.list, reader.isReading]).toEqual([undefined, false]);
      expect(reader.fault?.isTooLong).toBe(false);
    }
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
    expect([reader.isReading, reader.list, reader.fault?.isTooLong]).toEqual([false, undefined, true]);
    reader.push(Buffer.from('000'));
    expect(reader.list).toBeUndefined();
  });

  it('looks at every byte once, in whatever pieces they come: copying is linear in the number of refs', () => {
    const copied = [2000, 20_000].map((count) => {
      const commands = Array.from({ length: count }, (_, index) => ({
        oldOid: NONE,
        newOid: ONE,
        ref: `refs/heads/topic/${100_000 + index}`,
      }));
      const bytes = writeList(commands, CAPABILITIES);
      const figures = [1, 1024, bytes.length].map((size) => {
        const reader = new CommandListReader();
        for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
        expect(reader.list?.commands).toHaveLength(count);
        expect(reader.readBytes).toBe(bytes.length);
        expect(reader.copiedBytes).toBeLessThanOrEqual(bytes.length);
        return reader.copiedBytes / count;
      });
      expect(figures[2]).toBe(0);
      return figures;
    });
    const [few = [], many = []] = copied;
    for (const [index, perRef] of many.entries()) expect(perRef).toBeLessThanOrEqual((few[index] ?? 0) * 1.01);
  });

  describe('of a signed push', () => {
    const HEAD = [
      'certificate version 0.1',
      'pusher A <a@example.com> 1700000000 +0000',
      'pushee https://h/r',
      'nonce 1-2',
      'push-option=x',
    ];
    const SIGNATURE = ['-----BEGIN PGP SIGNATURE-----', '', 'bm8=', '-----END PGP SIGNATURE-----'];
    const commandLine = (name: string): string => `${NONE} ${ONE} refs/heads/${name}`;
    const first = (capabilities = 'report-status'): Buffer => writePacket(`push-cert\0${capabilities}\n`);
    const lines = (...texts: readonly string[]): string => texts.map((text) => `${text}\n`).join('');
    const whole = (text: string, ...after: readonly Buffer[]): Buffer =>
      Buffer.concat([first(), writePacket(text), writePacket('push-cert-end\n'), ...after, FLUSH_PACKET]);
    const GOOD = lines(...HEAD.slice(0, 4), '', commandLine('a'), commandLine('b'), ...SIGNATURE);

    it('reads the commands inside the certificate, in packets cut anywhere', () => {
      const names = (bytes: Buffer): string[] | undefined => read(bytes).list?.commands.map(({ ref }) => ref);
      expect(names(whole(GOOD))).toEqual(['refs/heads/a', 'refs/heads/b']);
      for (let cut = 1; cut < GOOD.length; cut++) {
        const packets = [GOOD.slice(0, cut), GOOD.slice(cut)].map((text) => writePacket(text));
        expect(names(Buffer.concat([first(), ...packets, writePacket('push-cert-end\n'), FLUSH_PACKET]))).toEqual([
          'refs/heads/a',
          'refs/heads/b',
        ]);
      }
    });

    it.each([
      '-----BEGIN PGP SIGNATURE-----',
      '-----BEGIN PGP MESSAGE-----',
      '-----BEGIN SIGNED MESSAGE-----',
      '-----BEGIN SSH SIGNATURE-----',
    ])('knows the end of the commands by %s', (begin) => {
      const { list } = read(whole(lines('certificate version 0.1', '', commandLine('a'), begin, 'x')));
      expect(list?.commands.map(({ ref }) => ref)).toEqual(['refs/heads/a']);
      expect(list?.capabilities).toEqual(new Set(['report-status']));
    });

    it.each<[what: string, bytes: Buffer]>([
      ['another version', whole(GOOD.replace('0.1', '0.2'))],
      ['an unknown header', whole(GOOD.replace('nonce', 'nonsense'))],
      ['a command among the headers', whole(lines('certificate version 0.1', commandLine('x'), '', commandLine('a'), ...SIGNATURE))],
      ['no empty line', whole(lines('certificate version 0.1', ...SIGNATURE))],
      ['an empty line among the commands', whole(GOOD.replace(commandLine('b'), `\n${commandLine('b')}`))],
      ['no commands', whole(lines('certificate version 0.1', '', ...SIGNATURE))],
      ['a second signature', whole(GOOD + lines(...SIGNATURE))],
      ['commands between two signatures', whole(GOOD + lines(commandLine('c'), ...SIGNATURE))],
      ['a signature of an unknown kind', whole(GOOD.replace('PGP SIGNATURE', 'X SIGNATURE'))],
      ['a signature with a carriage return', whole(GOOD.replace('SIGNATURE-----', 'SIGNATURE-----\r'))],
      ['no signature', whole(lines('certificate version 0.1', '', commandLine('a')))],
      ['a NUL in it', whole(GOOD.replace('nonce 1-2', 'nonce \0'))],
      ['a ref that is not UTF-8', Buffer.from(whole(GOOD).toString('latin1').replace('heads/b', 'heads/\xff'), 'latin1')],
      ['an end that is no packet of its own', Buffer.concat([first(), writePacket(`${GOOD}push-cert-end\n`), FLUSH_PACKET])],
      ['an end in the middle', whole(`${GOOD}push-cert-end\n`)],
      ['a last line without its newline', whole(`${GOOD}x`)],
      ['no end', Buffer.concat([first(), writePacket(GOOD), FLUSH_PACKET])],
      ['a command behind it', whole(GOOD, command('c'))],
      ['a second certificate', whole(GOOD, first(), writePacket(GOOD), writePacket('push-cert-end\n'))],
      ['a command before it', Buffer.concat([command('c'), whole(GOOD)])],
      ['the name of it with more', Buffer.concat([writePacket('push-certificate\0report-status'), whole(GOOD).subarray(first().length)])],
    ])('cannot read %s', (_what, bytes) => {
      const reader = read(bytes);
      reader.end();
      expect([reader.list, reader.isReading]).toEqual([undefined, false]);
    });
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
