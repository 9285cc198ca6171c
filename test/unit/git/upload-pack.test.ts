import { describe, expect, it } from 'vitest';
import { LARGEST_PACKET_BYTES, parsePacket } from '../../../src/git/pkt-line.js';
import { writeErrorPacket } from '../../../src/git/upload-pack.js';

describe('writeErrorPacket()', () => {
  it('is one ERR packet', () => {
    expect(writeErrorPacket('No route matches x').toString()).toBe('001aERR No route matches x');
  });

  it('cuts a text that no packet holds, on a character', () => {
    const bytes = writeErrorPacket('€'.repeat(40_000));
    const read = parsePacket(bytes);
    expect(read?.next).toBe(bytes.length);
    expect(bytes.length).toBeGreaterThan(LARGEST_PACKET_BYTES - 3);
    expect(read?.packet.kind === 'data' && read.packet.payload.toString()).toMatch(/^ERR €+$/);
  });
});
