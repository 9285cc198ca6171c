/** The emulator's doors to a token against the credentials of @azure/identity, and its outgoing proxy against git. */
import { execFile } from 'node:child_process';
import { delimiter } from 'node:path';
import { promisify } from 'node:util';
import {
  AzureCliCredential,
  ClientCertificateCredential,
  ClientSecretCredential,
  DeviceCodeCredential,
  WorkloadIdentityCredential,
} from '@azure/identity';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeClientCertificate } from '../azure/certificates.js';
import type { Emulator } from '../azure/emulator.js';
import { federatedToken, SAMPLE_FEDERATION } from '../azure/samples.js';
import { ask, authority, endEmulator, git, post, REFS, SCOPE, sends, startEmulator } from './emulator-rig.js';

let emulator: Emulator;
let ca: string;

beforeAll(async () => {
  ({ emulator, ca } = await startEmulator());
});

afterAll(() => endEmulator(emulator));

beforeEach(() => {
  emulator.git.seen.length = 0;
  emulator.proxy.targets.length = 0;
});

const bearer = (): string => `Bearer ${emulator.sts.issue()}`;

describe('sign-in service', () => {
  test('gives tokens to the three sample clients that the git host accepts', async () => {
    const { tenant, secretClient, certificateClient, federatedClient } = emulator.sts.samples;
    const options = authority(emulator, ca);
    const credentials = [
      new ClientSecretCredential(tenant, secretClient.clientId, secretClient.secret, options),
      new ClientCertificateCredential(tenant, certificateClient.clientId, certificateClient.pemFile, options),
      new WorkloadIdentityCredential({
        tenantId: tenant,
        clientId: federatedClient.clientId,
        tokenFilePath: federatedClient.tokenFile,
        ...options,
      }),
    ];
    for (const credential of credentials) {
      const { token, expiresOnTimestamp } = await credential.getToken(SCOPE);
      expect(expiresOnTimestamp - Date.now()).toBeGreaterThan(3_500_000);
      expect(emulator.sts.tokens()).toContain(token);
      expect((await ask(emulator, ca, { path: REFS, headers: { Authorization: `Bearer ${token}` } })).status).toBe(200);
    }
    expect(emulator.sts.tokenRequests.at(-1)).toMatchObject({ grant: 'client_credentials', tenant, clientId: federatedClient.clientId });
  });

  test('marks a token obtained with claims', async () => {
    const { tenant, secretClient } = emulator.sts.samples;
    const credential = new ClientSecretCredential(tenant, secretClient.clientId, secretClient.secret, authority(emulator, ca));
    emulator.sts.requireClaims = true;
    try {
      const plain = (await credential.getToken(SCOPE)).token;
      const refused = await ask(emulator, ca, { path: REFS, headers: { Authorization: `Bearer ${plain}` } });
      const encoded = /claims="([^"]+)"/.exec(refused.headers['www-authenticate'] ?? '')?.[1] ?? '';
      const claims = Buffer.from(encoded, 'base64').toString();
      const fresh = (await credential.getToken(SCOPE, { claims, enableCae: true })).token;
      expect((await ask(emulator, ca, { path: REFS, headers: { Authorization: `Bearer ${fresh}` } })).status).toBe(200);
      expect(emulator.sts.issued.get(fresh)?.xms_cc).toEqual(['CP1']);
      expect(emulator.sts.tokenRequests.at(-1)?.hasClaims).toBe(true);
    } finally {
      emulator.sts.requireClaims = false;
    }
  });

  test.each([
    [7000215, () => ({ secret: 'wrong' })],
    [700016, () => ({ clientId: '00000000-0000-0000-0000-000000000001' })],
    [90002, () => ({ tenant: '00000000-0000-0000-0000-000000000002' })],
    [53003, () => ({ failure: 53003 })],
  ])('fails with AADSTS%i', async (code, change) => {
    const sample = emulator.sts.samples;
    const { tenant, clientId, secret, failure }: { tenant?: string; clientId?: string; secret?: string; failure?: number } = change();
    if (failure !== undefined) emulator.sts.failWith = { aadsts: failure };
    const body = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: clientId ?? sample.secretClient.clientId,
      client_secret: secret ?? sample.secretClient.secret,
      scope: SCOPE,
    });
    const answer = await post(ca, `${emulator.sts.origin}/${tenant ?? sample.tenant}/oauth2/v2.0/token`, body);
    emulator.sts.failWith = undefined;
    expect(answer).toMatchObject({ error_codes: [code] });
    expect(answer['error_description']).toMatch(new RegExp(`^AADSTS${code}: `));
  });

  test('tells the failing code through @azure/identity', async () => {
    const { tenant, secretClient } = emulator.sts.samples;
    const credential = new ClientSecretCredential(tenant, secretClient.clientId, 'wrong', authority(emulator, ca));
    await expect(credential.getToken(SCOPE)).rejects.toThrow('AADSTS7000215');
  });

  test('refuses an expired assertion and one with another subject', async () => {
    const { tenant, federatedClient } = emulator.sts.samples;
    const send = (assertion: string) =>
      post(
        ca,
        `${emulator.sts.origin}/${tenant}/oauth2/v2.0/token`,
        new URLSearchParams({
          grant_type: 'client_credentials',
          client_id: federatedClient.clientId,
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: assertion,
          scope: SCOPE,
        }),
      );
    expect(await send(federatedToken(SAMPLE_FEDERATION, -10))).toMatchObject({ error_codes: [700024] });
    expect(await send(federatedToken({ ...SAMPLE_FEDERATION, subject: 'other' }, 60))).toMatchObject({ error_codes: [700213] });
    expect(await send('not a token')).toMatchObject({ error_codes: [50027] });
  });

  test('refuses a certificate that is not the registered one', async () => {
    const { tenant, certificateClient } = emulator.sts.samples;
    emulator.sts.clients.set('stranger', { certificatePem: (await makeClientCertificate('stranger')).cert });
    const credential = new ClientCertificateCredential(tenant, 'stranger', certificateClient.pemFile, authority(emulator, ca));
    await expect(credential.getToken(SCOPE)).rejects.toThrow('AADSTS700027');
  });

  test('counts what is in flight', async () => {
    emulator.sts.delayMs = 50;
    const { tenant, secretClient } = emulator.sts.samples;
    const credential = new ClientSecretCredential(tenant, secretClient.clientId, secretClient.secret, authority(emulator, ca));
    await Promise.all([credential.getToken(SCOPE), credential.getToken(SCOPE)]);
    emulator.sts.delayMs = 0;
    expect(emulator.sts.maxInFlight).toBe(2);
    expect(emulator.sts.inFlight).toBe(0);
  });
});

describe('a person signing in', () => {
  test('gets a token by device code, and an unknown refresh token gets none', async () => {
    const { tenant } = emulator.sts.samples;
    const prompts: string[] = [];
    emulator.sts.users.deviceApproved = false;
    const credential = new DeviceCodeCredential({
      tenantId: tenant,
      userPromptCallback: ({ message }) => {
        prompts.push(message);
        // The first poll comes a second later; by then the person has signed in.
        emulator.sts.users.deviceApproved = true;
      },
      ...authority(emulator, ca),
    });
    const { token } = await credential.getToken(SCOPE);
    expect(prompts).toHaveLength(1);
    expect(await ask(emulator, ca, { path: REFS, headers: { Authorization: `Bearer ${token}` } })).toMatchObject({ status: 200 });
    const form = { grant_type: 'refresh_token', client_id: 'any', scope: `${SCOPE} offline_access` };
    const url = `${emulator.sts.origin}/${tenant}/oauth2/v2.0/token`;
    expect(await post(ca, url, new URLSearchParams({ ...form, refresh_token: 'unknown' }))).toMatchObject({ error_codes: [700082] });
  });
});

describe('other doors to a token', () => {
  test('az gives one to AzureCliCredential', async () => {
    const path = process.env['PATH'];
    process.env['PATH'] = emulator.az.directory + delimiter + (path ?? '');
    try {
      const credential = new AzureCliCredential({ tenantId: emulator.sts.samples.tenant });
      const { token } = await credential.getToken(SCOPE);
      expect((await ask(emulator, ca, { path: REFS, headers: { Authorization: `Bearer ${token}` } })).status).toBe(200);
      expect(emulator.az.calls).toHaveLength(1);
      emulator.az.mode = 'not-signed-in';
      await expect(credential.getToken(SCOPE)).rejects.toThrow("Please run 'az login'");
      emulator.az.mode = 'broken-json';
      await expect(credential.getToken(SCOPE)).rejects.toThrow();
    } finally {
      emulator.az.mode = 'signed-in';
      process.env['PATH'] = path;
    }
  });

  test('the metadata service gives one, with and without the slash', async () => {
    for (const slash of ['', '/']) {
      const url = `${emulator.imds.origin}/metadata/identity/oauth2/token${slash}?api-version=2018-02-01&resource=499b84ac-1321-427f-aa17-267ca6975798`;
      const answer = (await (await fetch(url, { headers: { Metadata: 'true' } })).json()) as { access_token: string };
      expect(emulator.sts.tokens()).toContain(answer.access_token);
      expect((await fetch(url)).status).toBe(400);
    }
    expect(emulator.imds.requests.map((entry) => entry.status)).toEqual([200, 400, 200, 400]);
  });
});

describe('proxy', () => {
  test('leads a credential to the sign-in service under its real name', async () => {
    const { tenant, certificateClient } = emulator.sts.samples;
    // With a proxy @azure/identity ignores tlsOptions: only the environment of a new process can name the authority.
    const program = `
      import { ClientCertificateCredential } from '@azure/identity';
      const [tenant, client, pemFile, port, scope] = process.argv.slice(1);
      const proxyOptions = { host: 'http://127.0.0.1', port: Number(port) };
      const options = { authorityHost: 'https://login.microsoftonline.com', disableInstanceDiscovery: true, proxyOptions };
      process.stdout.write((await new ClientCertificateCredential(tenant, client, pemFile, options).getToken(scope)).token);`;
    const port = String(emulator.proxy.port);
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--input-type=module', '-e', program, '--', tenant, certificateClient.clientId, certificateClient.pemFile, port, SCOPE],
      { cwd: import.meta.dirname, env: { PATH: process.env['PATH'], NODE_EXTRA_CA_CERTS: emulator.caFile } },
    );
    expect(emulator.sts.tokens()).toContain(stdout);
    expect(new Set(emulator.proxy.targets.map(({ target }) => target))).toEqual(new Set(['login.microsoftonline.com:443']));
  });

  test('leads git to the host it named, and asks for its password', async () => {
    emulator.proxy.credentials = { user: 'proxy', password: 'secret' };
    const url = 'https://dev.azure.com/contoso/Payments/_git/web';
    const list = (userinfo: string) =>
      git(emulator, [...sends(bearer()), 'ls-remote', url], {
        https_proxy: emulator.proxy.origin.replace('://', `://${userinfo}`),
        no_proxy: '',
      });
    expect((await list('')).stderr).toContain('407');
    expect(await list('proxy:secret@')).toMatchObject({ code: 0 });
    // libcurl asks without the password first, to learn the scheme.
    expect(emulator.proxy.targets.map(({ target, authorized }) => [target, authorized])).toEqual([
      ['dev.azure.com:443', false],
      ['dev.azure.com:443', false],
      ['dev.azure.com:443', true],
    ]);
    expect(emulator.git.count({ host: 'dev.azure.com', status: 200 })).toBe(2);
    expect(emulator.git.seen.every((entry) => entry.viaProxy === true)).toBe(true);
    emulator.proxy.mode = 'forbid';
    expect((await list('proxy:secret@')).stderr).toContain('403');
    emulator.proxy.mode = 'tunnel';
    emulator.proxy.credentials = undefined;
  });
});
