/**
 * Entra tokens through `@azure/identity`, the only file that imports it, and only when a token is first needed.
 *
 * A credential object is made anew for every token. The library's own cache would answer a renewal with the old token
 * until five minutes before its end, answer a request after a 401 with the very token that was refused, and, after one
 * 5xx, throw without asking anyone for a minute. A new object also reads files (certificates, federated tokens, CAs)
 * as they are now. The price is one discovery request per token.
 */
import { readFile } from 'node:fs/promises';
import { Agent } from 'node:http';
import { rootCertificates } from 'node:tls';
import type { AccessToken, TokenCredential, TokenCredentialOptions } from '@azure/identity';
import type { PipelinePolicy } from '@azure/core-rest-pipeline';
import { messageOf, systemCodeOf } from '../model/errors.js';
import { Secret } from '../model/secret.js';
import type { EntraIdentity } from '../model/settings.js';
import { explainEntraFailure, type SeenExchange } from './entra-failure.js';
import { connectionOf } from './pipeline-connection.js';
import { type FetchedToken, TokenFailure, type TokenOrder, type TokenSource } from './token-source.js';

/** Form fields of a token request that prove who asks (RFC 6749 section 2.3.1, RFC 7521 section 4.2). */
const PROOF_FIELDS = ['client_secret', 'client_assertion', 'refresh_token'];
/** Variables that make the library write its requests to stderr, past the log and its redaction. */
const LOUD_VARIABLES = ['AZURE_LOG_LEVEL', 'TYPESPEC_RUNTIME_LOG_LEVEL'];

/** Retries inside the library are off: the vault has its own, which do not block a caller. */
const LIBRARY_RETRIES = 0;

/** Kinds that the library serves. */
export type LibraryIdentity = Extract<
  EntraIdentity,
  { kind: 'client-secret' | 'client-certificate' | 'workload-identity' | 'managed-identity' | 'azure-pipelines' }
>;

/** A source for one identity. `readSecret` gives the client secret, or a job's own token, when one is needed. */
export function createEntraSource(identity: LibraryIdentity, options: { readSecret: () => Promise<Secret> }): TokenSource {
  return {
    wantsTenant: identity.tenant === undefined && identity.kind !== 'managed-identity',
    async fetch({ tenant, claims }: TokenOrder) {
      const seen: SeenExchange = { status: undefined, body: '', fault: undefined, proofs: new Set() };
      try {
        const credential = await buildCredential(
          { ...identity, tenant: identity.tenant ?? namedTenant(identity) ?? tenant },
          options,
          seen,
        );
        // A token that satisfies claims is only given to a client that says that it understands them.
        const demand = claims === undefined ? {} : { claims, enableCae: true };
        const token = await credential.getToken(`${identity.resource}/.default`, demand);
        if (token === null) throw new Error('the library returned no token');
        return fetched(token);
      } catch (thrown) {
        throw explainEntraFailure(identity, thrown, seen);
      }
    },
  };
}

/** The tenant that the environment names for a kind: it is that of the machine or the job, and goes before one that was looked up. */
function namedTenant({ kind }: LibraryIdentity): string | undefined {
  if (kind === 'workload-identity') return process.env['AZURE_TENANT_ID'];
  return kind === 'azure-pipelines' ? process.env['AZURESUBSCRIPTION_TENANT_ID'] : undefined;
}

function fetched(token: AccessToken): FetchedToken {
  return {
    token: new Secret(token.token),
    expiresAt: new Date(token.expiresOnTimestamp),
    refreshAfter: token.refreshAfterTimestamp === undefined ? undefined : new Date(token.refreshAfterTimestamp),
  };
}

async function buildCredential(
  identity: LibraryIdentity,
  { readSecret }: { readSecret: () => Promise<Secret> },
  seen: SeenExchange,
): Promise<TokenCredential> {
  // The library reads them when it is loaded, which is only now.
  for (const name of LOUD_VARIABLES) Reflect.deleteProperty(process.env, name);
  const library = await import('@azure/identity');
  const common: TokenCredentialOptions & { disableInstanceDiscovery?: boolean } = {
    retryOptions: { maxRetries: LIBRARY_RETRIES },
    additionalPolicies: [{ policy: watch(seen, await trusted(identity.ca)), position: 'perRetry' }],
  };
  if (identity.authority !== undefined) {
    common.authorityHost = identity.authority;
    // Otherwise the library asks the public cloud whether it knows this authority.
    common.disableInstanceDiscovery = true;
  }
  const tenant = identity.tenant ?? '';
  const clientId = identity.clientId ?? '';
  switch (identity.kind) {
    case 'client-secret': {
      const secret = await readSecret();
      return new library.ClientSecretCredential(tenant, clientId, secret.reveal(), common);
    }
    case 'client-certificate':
      return new library.ClientCertificateCredential(tenant, clientId, identity.certificate, common);
    case 'workload-identity':
      return new library.WorkloadIdentityCredential({
        ...common,
        ...(identity.tenant === undefined ? {} : { tenantId: identity.tenant }),
        ...(identity.clientId === undefined ? {} : { clientId: identity.clientId }),
        ...(identity.tokenFile === undefined ? {} : { tokenFilePath: identity.tokenFile }),
      });
    case 'azure-pipelines': {
      const connection = connectionOf(identity, process.env);
      const token = (await readSecret()).reveal();
      seen.proofs.add(token);
      // Without a connection the kind is not the library's.
      return new library.AzurePipelinesCredential(connection.tenant, connection.clientId, identity.serviceConnection ?? '', token, common);
    }
    case 'managed-identity': {
      const local = { ...common, ...unproxied() };
      if (identity.resourceId !== undefined)
        return askAlways(new library.ManagedIdentityCredential({ ...local, resourceId: identity.resourceId }));
      if (identity.clientId !== undefined)
        return askAlways(new library.ManagedIdentityCredential({ ...local, clientId: identity.clientId }));
      if (identity.objectId !== undefined)
        return askAlways(new library.ManagedIdentityCredential({ ...local, objectId: identity.objectId }));
      return askAlways(new library.ManagedIdentityCredential(local));
    }
  }
}

/**
 * An agent for a managed identity's endpoint. It belongs to the machine and no proxy can reach it, but the library would
 * send even plain http through HTTPS_PROXY; with an agent of its own it does not. Only Service Fabric's is https.
 */
function unproxied(): { agent?: Agent } {
  return process.env['IDENTITY_ENDPOINT']?.startsWith('https:') === true ? {} : { agent: new Agent() };
}

/**
 * Makes a managed identity credential ask its endpoint. Its tokens are kept in a cache of the whole process, which a new
 * credential shares, and which would hand out a refused token again until five minutes before its end. MSAL's
 * `forceRefresh` passes it by; `getToken` has no way to say so, hence the reach into the credential.
 */
function askAlways(credential: TokenCredential): TokenCredential {
  interface Application {
    acquireToken: (request: object) => Promise<unknown>;
  }
  const { managedIdentityApp } = credential as TokenCredential & { managedIdentityApp?: Application }; // private there
  if (typeof managedIdentityApp?.acquireToken !== 'function') return credential;
  const acquire = managedIdentityApp.acquireToken.bind(managedIdentityApp);
  managedIdentityApp.acquireToken = (request) => acquire({ ...request, forceRefresh: true });
  return credential;
}

/** The certificates for an identity with a `ca`: Node's own, those that the environment adds, and it. */
async function trusted(ca: string | undefined): Promise<string[] | undefined> {
  if (ca === undefined) return undefined;
  const extra = process.env['NODE_EXTRA_CA_CERTS'];
  const read = async (file: string, name: string): Promise<string> => {
    try {
      const text = await readFile(file, 'utf8');
      if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
      throw new Error('it holds no PEM certificate');
    } catch (thrown) {
      throw new TokenFailure(`The certificate file ${file} cannot be used (${systemCodeOf(thrown) ?? messageOf(thrown)})`, {
        isDefinite: true,
        todo: `check ${name}: a PEM file with one or more certificates, readable by the daemon`,
        cause: thrown,
      });
    }
  };
  const added = extra === undefined || extra === '' ? [] : [await read(extra, 'NODE_EXTRA_CA_CERTS')];
  return [...rootCertificates, ...added, await read(ca, '`ca` of the identity')];
}

/**
 * Sees every answer and fault on the way, because the library's errors drop status, body and cause. It is also where
 * `ca` is put on: the library's own `tlsOptions` are dropped, with no more than a line in its log, where there is a proxy.
 */
function watch(seen: SeenExchange, ca: string[] | undefined): PipelinePolicy {
  return {
    name: 'posternWatch',
    async sendRequest(request, next) {
      if (typeof request.body === 'string') {
        const form = new URLSearchParams(request.body);
        for (const field of PROOF_FIELDS) seen.proofs.add(form.get(field) ?? '');
      }
      // Said aloud, because NODE_TLS_REJECT_UNAUTHORIZED would otherwise switch the check off, and a proof goes to whoever answers.
      request.requestOverrides = { ...request.requestOverrides, rejectUnauthorized: true, ...(ca === undefined ? {} : { ca }) };
      try {
        const response = await next(request);
        seen.status = response.status;
        seen.body = response.status >= 400 ? (response.bodyAsText ?? '') : '';
        return response;
      } catch (thrown) {
        seen.fault = thrown;
        throw thrown;
      }
    },
  };
}
