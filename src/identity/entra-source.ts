/**
 * Entra tokens through `@azure/identity`, the only file that imports it, and only when a token is first needed.
 *
 * A credential object is made anew for every token. The library's own cache would answer a renewal with the old token
 * until five minutes before its end, answer a request after a 401 with the very token that was refused, and, after one
 * 5xx, throw without asking anyone for a minute. A new object also reads files (certificates, federated tokens, CAs)
 * as they are now. The price is one discovery request per token.
 */
import { Agent } from 'node:http';
import type { AccessToken, TokenCredential, TokenCredentialOptions } from '@azure/identity';
import { Secret } from '../model/secret.js';
import type { EntraIdentity } from '../model/settings.js';
import type { SendSignIn } from '../model/sign-in.js';
import { authorityOf, otherOriginsOf, PUBLIC_AUTHORITY } from './authority.js';
import { type AuthorityTalk, authorityTalk } from './authority-talk.js';
import { explainEntraFailure } from './entra-failure.js';
import { httpClientOver } from './entra-http.js';
import { connectionOf } from './pipeline-connection.js';
import { lacksTenant } from './purpose.js';
import type { FetchedToken, TokenOrder, TokenSource } from './token-source.js';

/** Variables that make the library write its requests to stderr, past the log and its redaction. */
const LOUD_VARIABLES = ['AZURE_LOG_LEVEL', 'TYPESPEC_RUNTIME_LOG_LEVEL'];

/** Retries inside the library are off: the vault has its own, which do not block a caller. */
const LIBRARY_RETRIES = 0;

/** Kinds that the library serves. */
export type LibraryIdentity = Extract<
  EntraIdentity,
  { kind: 'client-secret' | 'client-certificate' | 'workload-identity' | 'managed-identity' | 'azure-pipelines' }
>;

/** Kinds that go to no sign-in service by themselves, and what they ask, for texts. */
const LOCAL_KINDS: { readonly [Kind in LibraryIdentity['kind']]?: string } = {
  'managed-identity': 'the managed identity endpoint',
};

/** What a source needs of the outside. */
export interface EntraSurroundings {
  /** Gives the client secret, or a job's own token, when one is needed. */
  readonly readSecret: () => Promise<Secret>;
  readonly send: SendSignIn;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Wall-clock time, ms since the epoch. */
  readonly now: () => number;
}

/** A source for one identity. */
export function createEntraSource(identity: LibraryIdentity, around: EntraSurroundings): TokenSource {
  return {
    get asks() {
      return LOCAL_KINDS[identity.kind] ?? `the sign-in service ${authorityOf(identity, around.environment)}`;
    },
    get wantsTenant() {
      return lacksTenant(identity, around.environment);
    },
    async fetch({ tenant, claims }: TokenOrder) {
      const asked = { ...identity, tenant: identity.tenant ?? tenant };
      const authority = LOCAL_KINDS[identity.kind] ?? authorityOf(identity, around.environment);
      const { send, now, environment } = around;
      const talk = authorityTalk({ send, way: identity, authority, others: otherOriginsOf(identity, environment), now });
      try {
        const credential = await buildCredential({ ...asked, authority }, around, talk);
        // A token that satisfies claims is only given to a client that says that it understands them.
        const demand = claims === undefined ? {} : { claims, enableCae: true };
        const token = await credential.getToken(`${identity.resource}/.default`, demand);
        if (token === null) throw new Error('the library returned no token');
        return fetched(token);
      } catch (thrown) {
        throw explainEntraFailure(asked, thrown, talk.seen, authority);
      }
    },
  };
}

function fetched(token: AccessToken): FetchedToken {
  return {
    token: new Secret(token.token),
    expiresAt: new Date(token.expiresOnTimestamp),
    refreshAfter: token.refreshAfterTimestamp === undefined ? undefined : new Date(token.refreshAfterTimestamp),
  };
}

async function buildCredential(
  identity: LibraryIdentity & { readonly authority: string },
  { readSecret, environment }: EntraSurroundings,
  talk: AuthorityTalk,
): Promise<TokenCredential> {
  // The library reads them when it is loaded, which is only now.
  for (const name of LOUD_VARIABLES) Reflect.deleteProperty(process.env, name);
  const library = await import('@azure/identity');
  const retryOptions = { maxRetries: LIBRARY_RETRIES };
  const common: TokenCredentialOptions & { disableInstanceDiscovery: boolean } = {
    retryOptions,
    httpClient: httpClientOver(talk),
    authorityHost: identity.authority,
    // Otherwise the library asks the public cloud whether it knows this authority.
    disableInstanceDiscovery: true,
  };
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
      const connection = connectionOf(identity, environment);
      const token = (await readSecret()).reveal();
      // Without a connection the kind is not the library's.
      return new library.AzurePipelinesCredential(connection.tenant, connection.clientId, identity.serviceConnection ?? '', token, common);
    }
    case 'managed-identity': {
      // The authority is not asked, but the library would refuse one of the environment that it cannot use.
      const local = { retryOptions, authorityHost: PUBLIC_AUTHORITY, ...unproxied() };
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
