import { describe, expect, it } from 'vitest';
import { connectionFailure, connectionOf } from '../../../src/identity/pipeline-connection.js';
import { createPipelineSource } from '../../../src/identity/pipeline-token.js';
import { TokenFailure } from '../../../src/identity/token-source.js';
import { Secret } from '../../../src/model/secret.js';

const NOW = Date.UTC(2026, 0, 1);
const jwt = (claims: unknown): string => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.x`;
const fetchOf = (text: string) =>
  createPipelineSource(
    () => Promise.resolve(new Secret(text)),
    () => NOW,
  ).fetch({ tenant: undefined, claims: undefined });

describe('createPipelineSource()', () => {
  it('takes the end of the token from itself, and looks for another one only then', async () => {
    const fetched = await fetchOf(jwt({ exp: NOW / 1000 + 600 }));
    expect(fetched.expiresAt).toEqual(new Date(NOW + 600_000));
    expect(fetched.refreshAfter).toEqual(fetched.expiresAt);
  });

  it.each([['opaque'], ['a.b.c'], [jwt({})], [jwt({ exp: 'soon' })], [jwt({ exp: 1e300 })], [jwt([1])], [jwt(null)], ['']])(
    'gives an hour to what tells no end: %s',
    async (text) => {
      expect((await fetchOf(text)).expiresAt).toEqual(new Date(NOW + 3_600_000));
    },
  );

  it('hands out none that has ended', async () => {
    const fault: unknown = await fetchOf(jwt({ exp: NOW / 1000 })).catch((thrown: unknown) => thrown);
    expect(fault).toBeInstanceOf(TokenFailure);
    expect(fault).toMatchObject({
      message: 'The token of the pipeline job ended at 2026-01-01T00:00:00.000Z: it lives as long as its job, about 60 minutes',
      isDefinite: true,
    });
  });
});

describe('connectionOf()', () => {
  const none = { tenant: undefined, clientId: undefined };
  const job = { SYSTEM_OIDCREQUESTURI: 'https://dev.azure.com/x' };

  it('prefers the file to the environment', () => {
    const environment = { ...job, AZURESUBSCRIPTION_TENANT_ID: 'et', AZURESUBSCRIPTION_CLIENT_ID: 'ec' };
    expect(connectionOf({ tenant: 't', clientId: 'c' }, environment)).toEqual({ tenant: 't', clientId: 'c' });
    expect(connectionOf(none, environment)).toEqual({ tenant: 'et', clientId: 'ec' });
  });

  it.each([
    [{}, 'SYSTEM_OIDCREQUESTURI is not set'],
    [{ SYSTEM_OIDCREQUESTURI: 'http://dev.azure.com/x' }, 'no https address'],
    [job, 'has no tenant'],
    [{ ...job, AZURESUBSCRIPTION_TENANT_ID: 't' }, 'has no client id'],
    [{ ...job, AZURESUBSCRIPTION_TENANT_ID: '', AZURESUBSCRIPTION_CLIENT_ID: 'c' }, 'has no tenant'],
  ])('%o: %s', (environment, text) => {
    expect(() => connectionOf(none, environment)).toThrow(text);
  });
});

describe('connectionFailure()', () => {
  const message = (status: number, response: string): string =>
    `AzurePipelinesCredential: Authentication Failed. oidcToken field not detected in the response. Status code: ${status}\nMore details:\nResponse = ${response}. Response headers ["x-vss-e2eid"] = x`;

  it('leaves what the sign-in service said to others', () => {
    expect(connectionFailure('invalid_client: AADSTS700213: No matching federated identity record')).toBeUndefined();
  });

  it.each([
    [401, '<html>', "Azure Pipelines did not accept the job's own token (401)", true],
    [203, '<html>', "Azure Pipelines did not accept the job's own token (203)", true],
    [302, '<html>', "Azure Pipelines did not accept the job's own token (302)", true],
    [
      404,
      '{"$id":"1","message":"No \\"x\\" here","typeKey":"y"}',
      'Azure Pipelines has no token for this service connection (404: No "x" here)',
      true,
    ],
    [404, '', 'Azure Pipelines has no token for this service connection (404)', true],
    [503, '<html>', 'Azure Pipelines gave no token for the service connection (503)', false],
    [200, '{}', 'Azure Pipelines gave no token for the service connection (200)', false],
  ])('names a status of %i', (status, response, what, isDefinite) => {
    expect(connectionFailure(message(status, response))).toMatchObject({ message: what, isDefinite });
  });
});
