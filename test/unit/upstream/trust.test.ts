/** What a chain may end in is read from the files as they are now, and made ready once for each text. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { trustContext } from '../../../src/upstream/trust.js';
import { makeCertificates } from '../../azure/certificates.js';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-'));
});
afterAll(() => rm(directory, { recursive: true }));

test('the same file is made ready once, and a changed one counts at once', async () => {
  const file = join(directory, 'ca.pem');
  await writeFile(file, (await makeCertificates('One')).ca);
  const first = trustContext(file);
  expect(trustContext(file)).toBe(first);
  expect(trustContext(file, 'identity')).toBe(first);
  await writeFile(file, (await makeCertificates('Other')).ca);
  expect(trustContext(file)).not.toBe(first);
  await rm(file);
  expect(() => trustContext(file)).toThrow(/cannot be used \(ENOENT\)/);
});
