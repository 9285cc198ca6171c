/** What the Azure CLI says is shown by git: a terminal must not act on it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createEntraSource } from '../../src/identity/entra-source.js';
import { entraAround } from '../support/entra-around.js';

const former = process.env['PATH'] ?? '';
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-az-'));
  process.env['PATH'] = `${directory}${delimiter}${former}`;
});
afterEach(async () => {
  process.env['PATH'] = former;
  await rm(directory, { recursive: true, force: true });
});

test('a failure of az is told without terminal sequences', async () => {
  await writeFile(join(directory, 'az'), `#!/bin/sh\nprintf '\\033]0;title\\007\\033[31mboom\\302\\2330m' >&2\nexit 1\n`, { mode: 0o755 });
  const source = createEntraSource(
    {
      kind: 'azure-cli',
      name: 'me',
      tenant: undefined,
      clientId: undefined,
      authority: undefined,
      resource: 'r',
      ca: undefined,
      proxy: undefined,
    },
    entraAround(),
  );
  const fault: unknown = await source.fetch({ tenant: undefined, claims: undefined }).catch((thrown: unknown) => thrown);
  expect(fault).toBeInstanceOf(Error);
  const message = fault instanceof Error ? fault.message : '';
  expect(message).toContain('boom');
  expect(message).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
});
