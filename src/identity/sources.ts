/**
 * From an identity's settings to where its credential comes from.
 */
import type { Secret } from '../model/secret.js';
import type { IdentitySettings, SecretReference } from '../model/settings.js';
import { createEntraSource } from './entra-source.js';
import { readSecret, type SecretSurroundings } from './secret-reader.js';
import type { VaultIdentity } from './vault-entry.js';

/** Builds the source of one identity; nothing is read or asked yet. */
export function createIdentity(settings: IdentitySettings, surroundings: SecretSurroundings, timeoutMs: number): VaultIdentity {
  const reader = (reference: SecretReference) => (): Promise<Secret> => readSecret(reference, surroundings);
  switch (settings.kind) {
    case 'none':
    case 'passthrough':
      return { settings, source: { kind: settings.kind } };
    case 'pat':
      // Azure DevOps takes any user name with a personal access token.
      return { settings, source: { kind: 'basic', user: 'PAT', read: reader(settings.secret) } };
    case 'basic':
      return { settings, source: { kind: 'basic', user: settings.user, read: reader(settings.secret) } };
    case 'client-secret':
      return {
        settings,
        source: { kind: 'token', source: createEntraSource(settings, { readSecret: reader(settings.secret), timeoutMs }) },
      };
    case 'azure-cli':
    case 'client-certificate':
    case 'workload-identity':
    case 'managed-identity':
      return {
        settings,
        source: {
          kind: 'token',
          source: createEntraSource(settings, { readSecret: () => Promise.reject(new Error('this kind has no secret')), timeoutMs }),
        },
      };
  }
}

/** Names of the environment variables that hold secrets of these identities. */
export function secretVariables(identities: readonly IdentitySettings[]): string[] {
  return identities.flatMap((identity) => ('secret' in identity && identity.secret.kind === 'env' ? [identity.secret.name] : []));
}
