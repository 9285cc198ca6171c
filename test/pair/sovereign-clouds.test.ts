/**
 * Every cloud's own sign-in service is asked, by its own name, through the outgoing proxy with the user and password of the environment; and
 * nothing is asked of the public cloud about a private one.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createEntraSource, type LibraryIdentity } from '../../src/identity/entra-source.js';
import type { TokenSource } from '../../src/identity/token-source.js';
import { Secret } from '../../src/model/secret.js';
import { Emulator } from '../azure/emulator.js';
import { entraAround } from '../support/entra-around.js';

let directory: string;
let emulator: Emulator;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-clouds-'));
  emulator = await Emulator.start({ directory });
  emulator.proxy.credentials = { user: 'corp', password: 'p@ss' };
});
beforeEach(() => {
  emulator.proxy.targets.length = 0;
  emulator.sts.hosts.length = 0;
  emulator.sts.tokenRequests.length = 0;
});
afterAll(async () => {
  await emulator.stop();
  await rm(directory, { recursive: true, force: true });
});

type Kind = 'client-secret' | 'client-certificate' | 'workload-identity';

function source(kind: Kind, authority: string | undefined, variables: Readonly<Record<string, string>> = {}): TokenSource {
  const { tenant, secretClient, certificateClient, federatedClient } = emulator.sts.samples;
  const entra = { name: 'it', tenant, authority, resource: '499b84ac-1321-427f-aa17-267ca6975798', proxy: undefined, ca: emulator.caFile };
  const identities: Readonly<Record<Kind, LibraryIdentity>> = {
    'client-secret': { ...entra, kind: 'client-secret', clientId: secretClient.clientId, secret: { kind: 'env', name: 'UNUSED' } },
    'client-certificate': {
      ...entra,
      kind: 'client-certificate',
      clientId: certificateClient.clientId,
      certificate: certificateClient.pemFile,
    },
    'workload-identity': { ...entra, kind: 'workload-identity', clientId: federatedClient.clientId, tokenFile: federatedClient.tokenFile },
  };
  const environment = { HTTPS_PROXY: emulator.proxy.origin.replace('//', '//corp:p%40ss@'), ...variables };
  return createEntraSource(
    identities[kind],
    entraAround({ environment, readSecret: () => Promise.resolve(new Secret(secretClient.secret)) }),
  );
}

const KINDS: readonly Kind[] = ['client-secret', 'client-certificate', 'workload-identity'];
const AUTHORITIES = [
  'https://login.microsoftonline.com',
  'https://login.microsoftonline.us',
  'https://login.partner.microsoftonline.cn',
  'https://login.contoso.example',
];

test.each(AUTHORITIES.flatMap((authority) => KINDS.map((kind) => [authority, kind] as const)))(
  '%s gives a token to %s',
  async (authority, kind) => {
    await expect(source(kind, authority).fetch({ tenant: undefined, claims: undefined })).resolves.toMatchObject({
      expiresAt: expect.any(Date) as unknown,
    });
    const { host } = new URL(authority);
    expect(new Set(emulator.proxy.targets.map(({ target, status }) => `${target} ${status}`))).toEqual(new Set([`${host}:443 200`]));
    expect(new Set(emulator.sts.hosts)).toEqual(new Set([host]));
    expect(emulator.sts.tokenRequests).toHaveLength(1);
  },
);

test('AZURE_AUTHORITY_HOST stands in for the authority, also a private one', async () => {
  const variables = { AZURE_AUTHORITY_HOST: 'https://login.contoso.example/' };
  await source('workload-identity', undefined, variables).fetch({ tenant: undefined, claims: undefined });
  expect(new Set(emulator.sts.hosts)).toEqual(new Set(['login.contoso.example']));
});

test('without either it is the public cloud', async () => {
  await source('client-secret', undefined).fetch({ tenant: undefined, claims: undefined });
  expect(new Set(emulator.sts.hosts)).toEqual(new Set(['login.microsoftonline.com']));
});

test('a discovery document that names another cloud is sent no secret, and told', async () => {
  emulator.sts.tokenOrigin = 'https://login.microsoftonline.us';
  const asked = source('client-secret', 'https://login.contoso.example').fetch({ tenant: undefined, claims: undefined });
  await expect(asked).rejects.toThrow('The sign-in service https://login.contoso.example sends on to https://login.microsoftonline.us');
  emulator.sts.tokenOrigin = undefined;
  expect(emulator.sts.tokenRequests).toEqual([]);
  expect(new Set(emulator.proxy.targets.map(({ target }) => target))).toEqual(new Set(['login.contoso.example:443']));
});
