/** What the Azure CLI says is shown by git: a terminal must not act on it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createToolSource } from '../../src/identity/tool-source.js';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-az-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

test('a failure of az is told without terminal sequences', async () => {
  await writeFile(join(directory, 'az'), `#!/bin/sh\nprintf '\\033]0;title\\007\\033[31mboom\\302\\2330m' >&2\nexit 1\n`, { mode: 0o755 });
  const source = createToolSource(
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
    { environment: { PATH: `${directory}${delimiter}${process.env['PATH'] ?? ''}` }, timeoutMs: 10_000 },
  );
  const fault: unknown = await source.fetch({ tenant: undefined, claims: undefined }).catch((thrown: unknown) => thrown);
  expect(fault).toBeInstanceOf(Error);
  const message = fault instanceof Error ? fault.message : '';
  expect(message).toContain('boom');
  expect(message).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
});
