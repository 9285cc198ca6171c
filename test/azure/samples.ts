/**
 * Writes the files of the ready-made clients and registers them: one with a secret, one with a certificate, one federated.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeClientCertificate } from './certificates.js';
import type { ClientRegistration, FederatedCredential } from './client-proof.js';
import type { StsSamples } from './sts.js';
import { DEFAULT_TENANT } from './token-book.js';

export const SAMPLE_FEDERATION: FederatedCredential = {
  issuer: 'https://cluster.example.com/',
  subject: 'system:serviceaccount:build:postern',
  audience: 'api://AzureADTokenExchange',
};

export async function makeSamples(
  directory: string,
): Promise<{ samples: StsSamples; registrations: readonly (readonly [string, ClientRegistration])[] }> {
  await mkdir(directory, { recursive: true });
  const certificate = await makeClientCertificate('postern-sample');
  const secretClient = { clientId: randomUUID(), secret: `sMp8Q~${randomBytes(26).toString('base64url').slice(0, 34)}` };
  const certificateClient = { clientId: randomUUID(), pemFile: join(directory, 'client.pem') };
  const federatedClient = { clientId: randomUUID(), tokenFile: join(directory, 'federated-token') };
  await writeFile(certificateClient.pemFile, `${certificate.key}${certificate.cert}\n`, { mode: 0o600 });
  await writeFile(federatedClient.tokenFile, federatedToken(SAMPLE_FEDERATION, 3600), { mode: 0o600 });
  return {
    samples: { tenant: DEFAULT_TENANT, secretClient, certificateClient, federatedClient },
    registrations: [
      [secretClient.clientId, { secret: secretClient.secret }],
      [certificateClient.clientId, { certificatePem: certificate.cert }],
      [federatedClient.clientId, { federated: SAMPLE_FEDERATION }],
    ],
  };
}

/** The token of another issuer, as a cluster projects it into a file. A negative life makes an expired one. */
export function federatedToken(credential: FederatedCredential, lifeSeconds: number): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: credential.issuer, sub: credential.subject, aud: credential.audience, iat: now, nbf: now, exp: now + lifeSeconds };
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${encode({ alg: 'RS256', kid: 'cluster-1' })}.${encode(claims)}.${randomBytes(256).toString('base64url')}`;
}
