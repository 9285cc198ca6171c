/** Which sign-in service an identity goes to, and where else its proofs may go. */
import type { EntraIdentity, EntraSettings } from '../model/settings.js';
import { TokenFailure } from './token-source.js';

export const PUBLIC_AUTHORITY = 'https://login.microsoftonline.com';

/**
 * The identity's own, else that of AZURE_AUTHORITY_HOST (which AKS sets for a pod), else the public cloud; an https origin.
 * @throws TokenFailure when the variable holds no such origin
 */
export function authorityOf(
  { authority }: Pick<EntraSettings, 'authority'>,
  environment: Readonly<Record<string, string | undefined>>,
): string {
  if (authority !== undefined) return authority;
  const text = environment['AZURE_AUTHORITY_HOST'];
  if (text === undefined || text === '') return PUBLIC_AUTHORITY;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (
    url?.protocol === 'https:' &&
    url.username === '' &&
    url.password === '' &&
    url.pathname === '/' &&
    url.search === '' &&
    url.hash === ''
  )
    return url.origin;
  throw new TokenFailure('AZURE_AUTHORITY_HOST in the environment of the daemon is not an https origin', {
    isDefinite: true,
    todo: `set it to the sign-in service alone, such as ${PUBLIC_AUTHORITY}, or set \`authority\` of the identity`,
  });
}

/** Origins besides the sign-in service's that a kind asks: Azure Pipelines gives a job the token that proves it to Entra. */
export function otherOriginsOf(
  { kind }: Pick<EntraIdentity, 'kind'>,
  environment: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const text = kind === 'azure-pipelines' ? (environment['SYSTEM_OIDCREQUESTURI'] ?? '') : '';
  return URL.canParse(text) && text.startsWith('https:') ? [new URL(text).origin] : [];
}
