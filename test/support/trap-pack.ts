/**
 * A good pack that looks complete in the middle: its one blob is stored uncompressed, and holds the hash of everything that stands
 * before it in the pack.
 */
import { createHash } from 'node:crypto';
import { deflateSync } from 'node:zlib';

export interface TrapPack {
  readonly bytes: Buffer;
  /** Bytes up to the end of the hash in the middle. */
  readonly trap: number;
  /** What the blob holds. */
  readonly content: Buffer;
}

export function trapPack(format: 'sha1' | 'sha256'): TrapPack {
  const hashOf = (...bytes: Buffer[]): Buffer => createHash(format).update(Buffer.concat(bytes)).digest();
  const before = Buffer.from('what stands before the trap\n'.repeat(5));
  const after = Buffer.from('what stands behind it\n'.repeat(5));
  const size = before.length + hashOf().length + after.length;
  // One object; a blob (type 3) whose size takes two bytes: four bits, then seven.
  const head = Buffer.concat([
    Buffer.from('PACK\0\0\0\u0002\0\0\0\u0001', 'latin1'),
    Buffer.from([0x80 | (3 << 4) | (size & 15), size >> 4]),
  ]);
  const store = (hash: Buffer): { content: Buffer; stored: Buffer } => {
    const content = Buffer.concat([before, hash, after]);
    return { content, stored: deflateSync(content, { level: 0 }) };
  };
  const draft = store(Buffer.alloc(hashOf().length)).stored;
  const place = draft.indexOf(before) + before.length;
  const { content, stored } = store(hashOf(head, draft.subarray(0, place)));
  const body = Buffer.concat([head, stored]);
  return { bytes: Buffer.concat([body, hashOf(body)]), trap: head.length + place + hashOf().length, content };
}
