import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fitBytes, fitPacket, FLUSH_PACKET, LARGEST_PACKET_BYTES, parsePacket, writePacket } from '../../../src/git/pkt-line.js';
import { anyText } from '../any-text.js';

const LARGEST_PAYLOAD = LARGEST_PACKET_BYTES - 4;

describe('parsePacket()', () => {
  it.each([
    ['0000', { packet: { kind: 'flush' }, next: 4 }],
    ['0001', { packet: { kind: 'delimiter' }, next: 4 }],
    ['0002', { packet: { kind: 'response-end' }, next: 4 }],
    ['0004', { packet: { kind: 'data', payload: Buffer.from('') }, next: 4 }],
    ['0006a\n', { packet: { kind: 'data', payload: Buffer.from('a\n') }, next: 6 }],
    ['000Aabcdefgh', { packet: { kind: 'data', payload: Buffer.from('abcdef') }, next: 10 }],
  ])('reads %j', (text, read) => {
    expect(parsePacket(Buffer.from(text))).toEqual(read);
  });

  it.each(['', '0', '000', '0005', '0009abcd', 'fff0'])('waits for the rest of %j', (text) => {
    expect(parsePacket(Buffer.from(text))).toBeUndefined();
  });

  it.each([
    ['0003', 'pkt-line length 3 is not allowed'],
    ['fff1', 'pkt-line length 65521 is not allowed'],
    ['ffff', 'pkt-line length 65535 is not allowed'],
    ['PACK', 'pkt-line length is not four hex digits'],
    ['<htm', 'pkt-line length is not four hex digits'],
    ['-001', 'pkt-line length is not four hex digits'],
    ['0x10', 'pkt-line length is not four hex digits'],
    [' 004', 'pkt-line length is not four hex digits'],
    ['1e2 ', 'pkt-line length is not four hex digits'],
  ])('refuses %j', (text, message) => {
    expect(() => parsePacket(Buffer.from(text))).toThrow(new SyntaxError(message));
  });

  it('reads at an offset, and gives where the next one begins', () => {
    const bytes = Buffer.concat([writePacket('one'), FLUSH_PACKET, writePacket('two')]);
    const first = parsePacket(bytes);
    const second = parsePacket(bytes, first?.next);
    const third = parsePacket(bytes, second?.next);
    expect([first?.packet.kind, second?.packet.kind, third?.packet]).toEqual([
      'data',
      'flush',
      { kind: 'data', payload: Buffer.from('two') },
    ]);
    expect(parsePacket(bytes, third?.next)).toBeUndefined();
  });
});

describe('writePacket()', () => {
  it('is read as what was written, at every cut only when it is whole', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 20 }), (payload, after) => {
        const packet = writePacket(Buffer.from(payload));
        expect(parsePacket(Buffer.concat([packet, after]))).toEqual({
          packet: { kind: 'data', payload: Buffer.from(payload) },
          next: packet.length,
        });
        const early = Array.from(packet.keys()).filter((cut) => parsePacket(packet.subarray(0, cut)) !== undefined);
        expect(early).toEqual([]);
      }),
    );
  });

  it('takes text as UTF-8, its length in bytes', () => {
    expect(writePacket('é').toString('latin1')).toBe('0006Ã©');
  });

  it('writes the largest packet of git, and none larger', () => {
    const packet = writePacket(Buffer.alloc(LARGEST_PAYLOAD));
    expect([packet.length, packet.toString('latin1', 0, 4)]).toEqual([65520, 'fff0']);
    expect(parsePacket(packet)?.next).toBe(65520);
    expect(() => writePacket(Buffer.alloc(LARGEST_PAYLOAD + 1))).toThrow(RangeError);
  });
});

describe('fitBytes()', () => {
  it('keeps what fits, and else the longest beginning that is whole characters', () => {
    fc.assert(
      fc.property(anyText(40), fc.integer({ min: 0, max: 60 }), (text, most) => {
        const cut = fitBytes(text, most);
        expect(text.startsWith(cut)).toBe(true);
        expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(most);
        const [next] = Array.from(text.slice(cut.length));
        if (next !== undefined) expect(Buffer.byteLength(cut + next)).toBeGreaterThan(most);
      }),
    );
  });
});

describe('fitPacket()', () => {
  it.each([0, 4, 8, 1000, LARGEST_PAYLOAD, LARGEST_PAYLOAD + 9])('leaves room for %i bytes before it', (prefixBytes) => {
    for (const text of ['x'.repeat(70_000), '€'.repeat(30_000), '\u{1f600}'.repeat(20_000), 'short']) {
      const cut = fitPacket(text, prefixBytes);
      expect(text.startsWith(cut)).toBe(true);
      if (prefixBytes <= LARGEST_PAYLOAD) expect(Buffer.byteLength(cut) + prefixBytes).toBeLessThanOrEqual(LARGEST_PAYLOAD);
      else expect(cut).toBe('');
    }
  });
});
