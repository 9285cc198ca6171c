import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PacketReader } from '../../../src/git/packet-reader.js';
import { PacketWalk } from '../../../src/git/packet-walk.js';
import { FLUSH_PACKET, parsePacket, type Packet, writePacket } from '../../../src/git/pkt-line.js';
import { cutAt, places, single } from '../../support/chunks.js';

const packets = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 40 }).map((bytes) => writePacket(Buffer.from(bytes))),
      fc.constantFrom(FLUSH_PACKET, Buffer.from('0001'), Buffer.from('0002')),
      fc.constantFrom('ERR x', '\u0003x', 'ER').map((text) => writePacket(text)),
    ),
    { maxLength: 12 },
  )
  .map((parts) => Buffer.concat(parts));

function parsed(bytes: Buffer): Packet[] {
  const all: Packet[] = [];
  for (let at = 0; ;) {
    const found = parsePacket(bytes, at);
    if (found === undefined) return all;
    all.push(found.packet);
    at = found.next;
  }
}

describe('PacketWalk', () => {
  it('stops behind every flush packet and nowhere else, wherever the bytes are cut', () => {
    fc.assert(
      fc.property(packets, places, (bytes, cuts) => {
        const walk = new PacketWalk();
        const stops: number[] = [];
        let before = 0;
        for (const chunk of cutAt(bytes, cuts)) {
          for (let at = 0; at < chunk.length;) {
            at = walk.walk(chunk, at);
            if (walk.isAtFlush) stops.push(before + at);
          }
          before += chunk.length;
        }
        const expected: number[] = [];
        for (let at = 0; at < bytes.length;) {
          const { packet, next } = parsePacket(bytes, at)!;
          if (packet.kind === 'flush') expected.push(next);
          at = next;
        }
        expect(stops).toEqual(expected);
        expect(walk.isBetweenPackets).toBe(true);
        const last = parsed(bytes).at(-1);
        expect(walk.isAtError).toBe(last?.kind === 'data' && /^(?:ERR |\u0003)/.test(last.payload.toString('latin1')));
      }),
    );
  });

  it('is not at its end inside a packet', () => {
    const walk = new PacketWalk();
    walk.walkAll(Buffer.from('000000'));
    expect([walk.isAtFlush, walk.isBetweenPackets]).toEqual([false, false]);
    walk.walkAll(Buffer.from('0aERR'));
    expect([walk.isAtError, walk.isBetweenPackets]).toEqual([false, false]);
    walk.walkAll(Buffer.from(' xy'));
    expect([walk.isAtError, walk.isBetweenPackets]).toEqual([true, true]);
  });

  it.each(['zzzz', '0003', 'fff1', '00 4'])('refuses the length %s', (digits) => {
    expect(() => new PacketWalk().walk(Buffer.from(digits))).toThrow(SyntaxError);
  });
});

describe('PacketReader', () => {
  it('gives the same packets wherever the bytes are cut, and the rest as it is', () => {
    fc.assert(
      fc.property(packets, places, fc.uint8Array({ maxLength: 3 }), (bytes, cuts, more) => {
        const reader = new PacketReader();
        const rest = Buffer.from(more);
        const found: Packet[] = [];
        for (const chunk of cutAt(Buffer.concat([bytes, rest]), cuts)) {
          reader.push(chunk);
          for (let packet = reader.next(); packet !== undefined; packet = reader.next()) found.push(packet);
        }
        expect(found).toEqual(parsed(bytes));
        expect(reader.isEmpty).toBe(rest.length === 0);
        expect(reader.rest()).toEqual(rest);
        expect(reader.isEmpty).toBe(true);
      }),
    );
  });

  it('reads the largest packet byte by byte', () => {
    const bytes = writePacket(Buffer.alloc(65516, 7));
    const reader = new PacketReader();
    let found: Packet | undefined;
    for (const byte of single(bytes)) {
      reader.push(byte);
      found ??= reader.next();
    }
    expect(found).toEqual({ kind: 'data', payload: Buffer.alloc(65516, 7) });
  });

  it('stops between packets, and can be read on', () => {
    const reader = new PacketReader();
    reader.push(Buffer.from('0005a0005bPACK'));
    expect(reader.next()).toEqual({ kind: 'data', payload: Buffer.from('a') });
    expect(reader.rest()).toEqual(Buffer.from('0005bPACK'));
    reader.push(Buffer.from('0000'));
    expect(reader.next()).toEqual({ kind: 'flush' });
  });
});
