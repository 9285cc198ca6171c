/**
 * What an identity is good for: whether a token is the one that was asked for, and whether there is a use in asking at all. Nothing that
 * would be sent to the wrong place, or for nothing, leaves the identity room.
 */
import type { CredentialTarget } from '../model/credential.js';
import { ProxyError } from '../model/errors.js';
import { printableLine } from '../model/printable.js';
import { AZURE_DEVOPS_RESOURCE, isAzureDevOps, isFor } from '../model/resource.js';
import type { Secret } from '../model/secret.js';
import type { EntraIdentity, IdentitySettings } from '../model/settings.js';
import { ANY_TENANT } from '../model/tenant.js';
import { readTokenClaims, type TokenClaims } from '../model/token-claims.js';
import { TokenFailure, type TokenOrder } from './token-source.js';
import type { VaultIdentity } from './vault-entry.js';

/** Longest audience that is quoted, in characters: far above an id or a URI. */
const LONGEST_AUDIENCE = 200;

type Kind = IdentitySettings['kind'];

/** Applications: they live in one tenant each, and are no guests of others. */
const APPLICATIONS: ReadonlySet<Kind> = new Set(['client-secret', 'client-certificate', 'workload-identity', 'azure-pipelines']);
/** Programs that are asked: each has a tenant of its own, which it takes where none is named. */
const PROGRAMS: ReadonlySet<Kind> = new Set(['azure-cli', 'azure-developer-cli', 'azure-powershell']);

/** Where the surroundings of an application say which tenant it lives in. */
export const TENANT_VARIABLES: Readonly<Partial<Record<Kind, string>>> = {
  'workload-identity': 'AZURE_TENANT_ID',
  'azure-pipelines': 'AZURESUBSCRIPTION_TENANT_ID',
};

/** Whether the tenant of an organisation makes a difference to an identity, now: the file names none, and its surroundings do not either. */
export function lacksTenant(
  { kind, tenant }: Pick<EntraIdentity, 'kind' | 'tenant'>,
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  if (tenant !== undefined || kind === 'managed-identity') return false;
  const variable = TENANT_VARIABLES[kind];
  return variable === undefined || (environment[variable] ?? '') === '';
}

/** Why there is no use in asking this identity for a credential for that target; undefined when nothing speaks against it. */
export function findMisuse({ settings, source }: VaultIdentity, target: CredentialTarget): ProxyError | undefined {
  if (!isEntra(settings)) return undefined;
  if (target.hostKind === 'azure-services' && settings.authority === undefined && !isAzureDevOps(settings.resource)) {
    return new ProxyError(
      'identity-rejected',
      `Tokens of this identity are for another service (${settings.resource}), not for Azure DevOps (${AZURE_DEVOPS_RESOURCE})`,
      { todo: 'leave `resource` of the identity out: its default is Azure DevOps' },
    );
  }
  if (source.kind !== 'token' || source.source.wantsTenant !== true || !APPLICATIONS.has(settings.kind)) return undefined;
  if (target.tenant === ANY_TENANT) {
    return new ProxyError(
      'identity-rejected',
      'The organisation belongs to no tenant: it is for personal accounts, and a service principal cannot be one of its users',
      {
        todo: 'use an identity of a person (`browser`, `device-code`, `pat`), or connect the organisation to a tenant and add the service principal',
      },
    );
  }
  if (target.tenant === undefined) {
    return new ProxyError(
      'identity-rejected',
      'The identity names no tenant, and the upstream does not tell which one the organisation belongs to',
      {
        todo: 'set `tenant` of the identity to the tenant of the service principal, and check the name of the organisation',
      },
    );
  }
  return undefined;
}

/** What the source of an identity is asked with. */
export function orderOf({ kind }: IdentitySettings, { tenant }: CredentialTarget, claims: string | undefined): TokenOrder {
  // A program signs in to its own tenant; `organizations` is a word for sign-in pages.
  return { tenant: PROGRAMS.has(kind) && tenant === ANY_TENANT ? undefined : tenant, claims };
}

/**
 * Looks whether a token is for what the identity is written for, and gives what it says of itself; undefined for an opaque one, which
 * nobody but its issuer can read.
 * @throws TokenFailure for the token of another service
 */
export function inspectToken(settings: IdentitySettings, token: Secret): TokenClaims | undefined {
  const claims = readTokenClaims(token.reveal());
  const audience = claims?.audience;
  if (audience === undefined || !isEntra(settings) || isFor(audience, settings.resource)) return claims;
  const named = isAzureDevOps(settings.resource) ? `Azure DevOps (${AZURE_DEVOPS_RESOURCE})` : settings.resource;
  throw new TokenFailure(`The token is for another service (${printableLine(audience, LONGEST_AUDIENCE)}), not for ${named}`, {
    isDefinite: true,
    todo: isAzureDevOps(settings.resource)
      ? 'check what gives tokens here (`authority` of the identity, or the program that it asks): it was asked for Azure DevOps'
      : 'set `resource` of the identity to what the upstream is in the directory; left out it is Azure DevOps',
  });
}

/** Kinds that hold an Entra token. The token of a pipeline's job is none: Azure DevOps makes it itself. */
function isEntra(settings: IdentitySettings): settings is EntraIdentity {
  return 'resource' in settings && !(settings.kind === 'azure-pipelines' && settings.serviceConnection === undefined);
}
