/** A proof of who asks goes to no sign-in service whose certificate is not trusted, also where the environment would allow it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createEntraSource } from '../../src/identity/entra-source.js';
import type { TokenSource } from '../../src/identity/token-source.js';
import { Secret } from '../../src/model/secret.js';
import { Emulator } from '../azure/emulator.js';
import { entraAround } from '../support/entra-around.js';

const SWITCH = 'NODE_TLS_REJECT_UNAUTHORIZED';
let directory: string;
let emulator: Emulator;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-trust-'));
  emulator = await Emulator.start({ directory });
  process.env[SWITCH] = '0';
});
afterEach(async () => {
  Reflect.deleteProperty(process.env, SWITCH);
  await emulator.stop();
  await rm(directory, { recursive: true, force: true });
});

function source(ca: string | undefined): TokenSource {
  const { tenant, secretClient } = emulator.sts.samples;
  return createEntraSource(
    {
      kind: 'client-secret',
      name: 'sp',
      tenant,
      clientId: secretClient.clientId,
      secret: { kind: 'env', name: 'UNUSED' },
      authority: emulator.sts.origin,
      resource: '499b84ac-1321-427f-aa17-267ca6975798',
      proxy: undefined,
      ca,
    },
    entraAround({ readSecret: () => Promise.resolve(new Secret(secretClient.secret)) }),
  );
}

test('createEntraSource() checks the certificate of the sign-in service whatever the environment says', async () => {
  await expect(source(undefined).fetch({ tenant: undefined, claims: undefined })).rejects.toThrow(/certificate/);
  await expect(source(emulator.caFile).fetch({ tenant: undefined, claims: undefined })).resolves.toBeDefined();
});
