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
import { messageOf, ProxyError, systemCodeOf } from '../model/errors.js';
import { Secret } from '../model/secret.js';
import type { EntraIdentity } from '../model/settings.js';
import { findEntraText } from './entra-texts.js';
import { type FetchedToken, TokenFailure, type TokenSource } from './token-source.js';

/** What the watching policy saw of the library's last exchange: errors do not carry it. */
interface Seen {
  status: number | undefined;
  body: string;
  fault: unknown;
  /** Proofs that were sent: a service that says back what it was sent must not be quoted with them. */
  readonly proofs: Set<string>;
}

/** Form fields of a token request that prove who asks (RFC 6749 section 2.3.1, RFC 7521 section 4.2). */
const PROOF_FIELDS = ['client_secret', 'client_assertion', 'refresh_token'];
/** Variables that make the library write its requests to stderr, past the log and its redaction. */
const LOUD_VARIABLES = ['AZURE_LOG_LEVEL', 'TYPESPEC_RUNTIME_LOG_LEVEL'];

/** Retries inside the library are off: the vault has its own, which do not block a caller. */
const LIBRARY_RETRIES = 0;
const DEFAULT_AUTHORITY = 'https://login.microsoftonline.com';

/**
 * A source for one identity. `readSecret` gives the client secret when one is needed; `timeoutMs` bounds a child
 * process (the vault bounds everything else).
 */
export function createEntraSource(identity: EntraIdentity, options: { readSecret: () => Promise<Secret>; timeoutMs: number }): TokenSource {
  return {
    async fetch() {
      const seen: Seen = { status: undefined, body: '', fault: undefined, proofs: new Set() };
      try {
        const credential = await buildCredential(identity, options, seen);
        const token = await credential.getToken(`${identity.resource}/.default`);
        if (token === null) throw new Error('the library returned no token');
        return fetched(token);
      } catch (thrown) {
        throw explain(identity, thrown, seen);
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
  identity: EntraIdentity,
  { readSecret, timeoutMs }: { readSecret: () => Promise<Secret>; timeoutMs: number },
  seen: Seen,
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
    case 'azure-cli':
      return new library.AzureCliCredential({
        ...(identity.tenant === undefined ? {} : { tenantId: identity.tenant }),
        processTimeoutInMs: timeoutMs,
      });
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
    case 'managed-identity': {
      const local = { ...common, ...unproxied() };
      if (identity.resourceId !== undefined)
        return askAlways(new library.ManagedIdentityCredential({ ...local, resourceId: identity.resourceId }));
      if (identity.clientId !== undefined)
        return askAlways(new library.ManagedIdentityCredential({ ...local, clientId: identity.clientId }));
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
function watch(seen: Seen, ca: string[] | undefined): PipelinePolicy {
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

function explain(identity: EntraIdentity, thrown: unknown, seen: Seen): TokenFailure | ProxyError {
  // Its own words already: a secret or a certificate file that cannot be read.
  if (thrown instanceof TokenFailure || thrown instanceof ProxyError) return thrown;
  const message = withoutProofs(messageOf(thrown), seen.proofs);
  const text = `${withoutProofs(seen.body, seen.proofs)}\n${message}`;
  const entra = findEntraText(text);
  if (entra !== undefined) {
    const code = `AADSTS${entra.number}`;
    if (entra.known !== undefined) {
      return new TokenFailure(`${entra.known.what} (${code})`, { isDefinite: entra.known.isTransient !== true, todo: entra.known.todo });
    }
    return new TokenFailure(`The sign-in service refused (${code}: ${firstSentence(text, code)})`, {
      isDefinite: (seen.status ?? 400) < 500,
      todo: `look up ${code} at https://login.microsoftonline.com/error?code=${entra.number}`,
    });
  }
  if (seen.status !== undefined && seen.status >= 400) {
    const isDefinite = seen.status < 500 && seen.status !== 429 && seen.status !== 408;
    return new TokenFailure(`The sign-in service answered with status ${seen.status}`, {
      isDefinite,
      todo: isDefinite
        ? 'check `authority` of the identity, and what stands between here and it (HTTPS_PROXY): the sign-in service itself would give an AADSTS code'
        : 'wait and try again; a token that is still held stays in use until it ends',
    });
  }
  if (seen.fault !== undefined) return networkFailure(identity, seen.fault);
  if (seen.status !== undefined) {
    // The library's message is then about a property of something that it took for JSON.
    return new TokenFailure(
      `What answers at ${identity.authority ?? DEFAULT_AUTHORITY} is not a sign-in service (status ${seen.status}, and no token)`,
      {
        isDefinite: false,
        todo: 'check `authority` of the identity, and what stands between here and it (HTTPS_PROXY, a portal that wants a sign-in)',
        cause: thrown,
      },
    );
  }
  return byKind(identity, message, thrown);
}

function networkFailure(identity: EntraIdentity, fault: unknown): TokenFailure {
  const where = identity.kind === 'managed-identity' ? 'the managed identity endpoint' : (identity.authority ?? DEFAULT_AUTHORITY);
  const reason = [systemCodeOf(fault), messageOf(fault)].filter((part) => part !== undefined && part !== '').join(': ');
  const isTls = /certificate|self.signed|altname|TLS|SSL/i.test(reason);
  return new TokenFailure(`The sign-in service at ${where} could not be reached (${reason})`, {
    isDefinite: false,
    todo: isTls
      ? 'check `authority` and `ca` of the identity: the certificate of the sign-in service is not trusted here'
      : 'check the network, `authority` of the identity, and HTTPS_PROXY if there is a proxy',
    cause: fault,
  });
}

function byKind(identity: EntraIdentity, message: string, cause: unknown): TokenFailure {
  const tenant = identity.tenant === undefined ? '' : ` --tenant ${identity.tenant}`;
  switch (identity.kind) {
    case 'azure-cli':
      if (/could not be found|not found|ENOENT/i.test(message)) {
        return new TokenFailure('The Azure CLI (az) was not found on the PATH of the daemon', {
          isDefinite: true,
          todo: 'install the Azure CLI, or start the daemon with a PATH that includes it',
          cause,
        });
      }
      if (/az login/i.test(message)) {
        return new TokenFailure('The Azure CLI is not signed in', {
          isDefinite: true,
          todo: `run \`az login${tenant}\` as the user of the daemon`,
          cause,
        });
      }
      return new TokenFailure(`The Azure CLI gave no token (${firstLine(message)})`, {
        isDefinite: false,
        todo: `run \`az account get-access-token --resource ${identity.resource}${tenant}\` to see why (its output holds a token: do not share it)`,
        cause,
      });
    case 'managed-identity':
      return new TokenFailure(`No managed identity answered on this machine (${firstLine(message)})`, {
        isDefinite: false,
        todo: 'check that the machine has a managed identity, and clientId or resourceId if it is user-assigned',
        cause,
      });
    case 'workload-identity':
      return new TokenFailure(`The federated token could not be used (${firstLine(message)})`, {
        isDefinite: false,
        todo: 'check tenant, clientId and tokenFile, or AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_FEDERATED_TOKEN_FILE of the daemon',
        cause,
      });
    case 'client-certificate':
      return new TokenFailure(`The certificate could not be used (${firstLine(message)})`, {
        isDefinite: false,
        todo: 'check that `certificate` names a PEM file with the private key and the certificate, readable by the daemon',
        cause,
      });
    case 'client-secret':
      return new TokenFailure(`No token could be had (${firstLine(message)})`, {
        isDefinite: false,
        todo: 'check tenant, client id and secret of the identity',
        cause,
      });
  }
}

/** The text without what proved who asked, without anything that has the form of a token, and without what a terminal would act on: git prints it. */
function withoutProofs(text: string, proofs: ReadonlySet<string>): string {
  let clean = text;
  for (const proof of proofs) {
    if (proof === '') continue;
    for (const form of [proof, encodeURIComponent(proof), JSON.stringify(proof).slice(1, -1)]) clean = clean.replaceAll(form, '[secret]');
  }
  return clean.replace(/\beyJ[\w-]{8,}(?:\.[\w-]*){0,2}/g, '[token]').replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, ' ');
}

function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').trim().slice(0, 300);
}

/** The sentence after `AADSTSnnn:`, without the ids that follow it. */
function firstSentence(text: string, code: string): string {
  const after = text.slice(text.indexOf(code) + code.length).replace(/^:\s*/, '');
  return (/^[^."\n\\]*/.exec(after)?.[0] ?? '').trim().slice(0, 300);
}
