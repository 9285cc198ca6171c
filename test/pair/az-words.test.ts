/** What a tool prints: a token is taken from nothing but what is one, and what it says is shown by git, where no terminal must act on it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { FetchedToken } from '../../src/identity/token-source.js';
import type { ToolIdentity } from '../../src/identity/tool-failure.js';
import { createToolSource } from '../../src/identity/tool-source.js';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-az-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** `script`: what the program does. */
async function fetchFrom(program: string, kind: ToolIdentity['kind'], script: string): Promise<FetchedToken> {
  await writeFile(join(directory, program), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const source = createToolSource(
    { kind, name: 'me', tenant: undefined, clientId: undefined, authority: undefined, resource: 'r', ca: undefined, proxy: undefined },
    { environment: { PATH: `${directory}${delimiter}${process.env['PATH'] ?? ''}` }, timeoutMs: 10_000 },
  );
  return source.fetch({ tenant: undefined, claims: undefined });
}

test('a failure of az is told without terminal sequences', async () => {
  const fault: unknown = await fetchFrom('az', 'azure-cli', `printf '\\033]0;title\\007\\033[31mboom\\302\\2330m' >&2\nexit 1`).catch(
    (thrown: unknown) => thrown,
  );
  expect(fault).toBeInstanceOf(Error);
  const message = fault instanceof Error ? fault.message : '';
  expect(message).toContain('boom');
  expect(message).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
});

test.each<[program: string, kind: ToolIdentity['kind'], printed: string, ends: string]>([
  ['az', 'azure-cli', '{"accessToken":"t","expires_on":4102444800,"expiresOn":"2001-01-01 00:00:00.000000"}', '2100-01-01T00:00:00.000Z'],
  ['az', 'azure-cli', '{"accessToken":"t","expires_on":"4102444800"}', '2100-01-01T00:00:00.000Z'],
  ['az', 'azure-cli', '{\n "accessToken": "t",\n "expiresOn": "2100-01-01 00:00:00.000000"\n}', new Date(2100, 0, 1).toISOString()],
  ['azd', 'azure-developer-cli', '{"token":"t","expiresOn":"2100-01-01T01:00:00+01:00"}', '2100-01-01T00:00:00.000Z'],
  ['azd', 'azure-developer-cli', 'an update\n{"token":"t","expiresOn":"2100-01-01T00:00:00Z"}', '2100-01-01T00:00:00.000Z'],
  ['pwsh', 'azure-powershell', 'WARNING: x\n{"token":"t","expiresOn":4102444800}', '2100-01-01T00:00:00.000Z'],
])('%s as %s: %s', async (program, kind, printed, ends) => {
  const { token, expiresAt } = await fetchFrom(program, kind, `cat <<'EOF'\n${printed}\nEOF`);
  expect(token.reveal()).toBe('t');
  expect(expiresAt.toISOString()).toBe(ends);
});

test.each([
  ['{"accessToken":"a b","expires_on":4102444800}'],
  ['{"accessToken":"a\\r\\nX-Header: b","expires_on":4102444800}'],
  ['{"accessToken":"","expires_on":4102444800}'],
  ['{"accessToken":["t"],"expires_on":4102444800}'],
  ['{"accessToken":"t"}'],
  ['{"accessToken":"t","expires_on":"soon"}'],
  ['["t"]'],
  ['null'],
  [''],
])('is no token: %s', async (printed) => {
  await expect(fetchFrom('az', 'azure-cli', `cat <<'EOF'\n${printed}\nEOF`)).rejects.toThrow(
    'The Azure CLI gave no token (what it printed is no token in JSON)',
  );
});
