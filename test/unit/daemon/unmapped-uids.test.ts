import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { unmappedUids } from '../../../src/daemon/self-check.js';

const directory = mkdtempSync(join(tmpdir(), 'postern-map-'));
afterAll(() => rmSync(directory, { recursive: true }));

function map(text: string): string {
  const file = join(directory, 'uid_map');
  writeFileSync(file, text);
  return file;
}

it.each([
  ['all of them', '         0          0 4294967295\n', [0, 1000, 4_294_967_294], []],
  ['its own alone (PrivateUsers=yes)', '      1000       1000          1\n', [1000, 1001], [1001]],
  ['a range, as a container has it', '0 1000 1\n1 100000 65536\n', [0, 1, 65_536, 65_537], [65_537]],
])('where the namespace maps %s', async (_what, text, uids, unmapped) => {
  expect(await unmappedUids(uids, map(text))).toEqual(unmapped);
});

it('says nothing where there is no such file', async () => {
  expect(await unmappedUids([1], join(directory, 'none'))).toEqual([]);
});
