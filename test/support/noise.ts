/** Files of random bytes, with what tells later whether they are still the same. */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';

const MIB = 1 << 20;

/** Writes a file that does not compress, piece by piece, and gives its SHA-256. */
export async function writeNoise(file: string, sizeBytes: number): Promise<string> {
  await mkdir(dirname(file), { recursive: true });
  const handle = await open(file, 'w');
  const hash = createHash('sha256');
  try {
    for (let left = sizeBytes; left > 0; left -= MIB) {
      const piece = randomBytes(Math.min(left, MIB));
      hash.update(piece);
      await handle.write(piece);
    }
  } finally {
    await handle.close();
  }
  return hash.digest('hex');
}

/** Writes many small files, each unlike the others, and gives their SHA-256 by name. */
export async function writeMany(directory: string, count: number): Promise<Map<string, string>> {
  const sums = new Map<string, string>();
  for (let index = 0; index < count; index += 1) {
    const name = `part-${index}.bin`;
    const content = randomBytes(500 + index);
    sums.set(name, createHash('sha256').update(content).digest('hex'));
    await writeFile(join(directory, name), content);
  }
  return sums;
}

/** SHA-256 of a file's bytes, in hexadecimal. */
export async function sumOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
