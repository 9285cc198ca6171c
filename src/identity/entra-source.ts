/**
 * Entra tokens through `@azure/identity`, the only file that imports it, and only when a token is first needed.
 *
 * A credential object is made anew for every token. The library's own cache would answer a renewal with the old token
 * until five minutes before its end, answer a request after a 401 with the very token that was refused, and, after one
 * 5xx, throw without asking anyone for a minute. A new object also reads files (certificates, federated tokens, CAs)
 * as they are now. The price is one discovery request per token.
 */
import { readFile } from 'node:fs/promises';
import { rootCertificates } from 'node:tls';
import type { AccessToken, TokenCredential, TokenCredentialOptions } from '@azure/identity';
import type { PipelinePolicy } from '@azure/core-rest-pipeline';
import { messageOf, systemCodeOf } from '../model/errors.js';
import { Secret } from '../model/secret.js';
import type { EntraIdentity } from '../model/settings.js';
import { findEntraText } from './entra-texts.js';
import { type FetchedToken, TokenFailure, type TokenSource } from './token-source.js';

/** What the watching policy saw of the library's last exchange: errors do not carry it. */
interface Seen {
  status: number | undefined;
  body: string;
  fault: unknown;
}

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
      const seen: Seen = { status: undefined, body: '', fault: undefined };
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
  const library = await import('@azure/identity');
  const common: TokenCredentialOptions & { disableInstanceDiscovery?: boolean } = {
    retryOptions: { maxRetries: LIBRARY_RETRIES },
    additionalPolicies: [{ policy: watch(seen), position: 'perRetry' }],
  };
  if (identity.authority !== undefined) {
    common.authorityHost = identity.authority;
    // Otherwise the library asks the public cloud whether it knows this authority.
    common.disableInstanceDiscovery = true;
  }
  if (identity.ca !== undefined) common.tlsOptions = { ca: [...rootCertificates, await readFile(identity.ca, 'utf8')] };
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
    case 'managed-identity':
      if (identity.resourceId !== undefined) return new library.ManagedIdentityCredential({ ...common, resourceId: identity.resourceId });
      if (identity.clientId !== undefined) return new library.ManagedIdentityCredential({ ...common, clientId: identity.clientId });
      return new library.ManagedIdentityCredential(common);
  }
}

/** Sees every answer and fault on the way, because the library's errors drop status, body and cause. */
function watch(seen: Seen): PipelinePolicy {
  return {
    name: 'posternWatch',
    async sendRequest(request, next) {
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

function explain(identity: EntraIdentity, thrown: unknown, seen: Seen): TokenFailure {
  if (thrown instanceof TokenFailure) return thrown;
  const text = `${seen.body}\n${messageOf(thrown)}`;
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
        ? 'check tenant, client id and authority of the identity'
        : 'wait and try again; a token that is still held stays in use until it ends',
    });
  }
  if (seen.fault !== undefined) return networkFailure(identity, seen.fault);
  return byKind(identity, messageOf(thrown), thrown);
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

function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').trim().slice(0, 300);
}

/** The sentence after `AADSTSnnn:`, without the ids that follow it. */
function firstSentence(text: string, code: string): string {
  const after = text.slice(text.indexOf(code) + code.length).replace(/^:\s*/, '');
  return (/^[^."\n\\]*/.exec(after)?.[0] ?? '').trim().slice(0, 300);
}
