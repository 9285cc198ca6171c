import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FLUSH_PACKET, writePacket } from '../../../src/git/pkt-line.js';
import { AdvertisementWatch } from '../../../src/ssh/advertisement.js';

describe('AdvertisementWatch', () => {
  it('is whole with the last byte of the flush packet and not before, wherever it is cut', () => {
    const packets = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 });
    fc.assert(
      fc.property(packets, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (payloads, cuts) => {
        const bytes = Buffer.concat([...payloads.map((payload) => writePacket(Buffer.from(payload))), FLUSH_PACKET]);
        const watch = new AdvertisementWatch();
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          expect(watch.isWhole).toBe(false);
          const size = cuts[turn % cuts.length]!;
          watch.push(bytes.subarray(at, at + size));
          at += size;
        }
        expect(watch.isWhole).toBe(true);
        watch.push(Buffer.from('anything'));
        expect(watch.isWhole).toBe(true);
      }),
    );
  });

  it.each(['zzzz', '0001', '0003', 'ffff'])('never is behind %s, which begins no packet of it', (odd) => {
    const watch = new AdvertisementWatch();
    watch.push(Buffer.from(`${odd}0000`));
    expect(watch.isWhole).toBe(false);
  });
});
