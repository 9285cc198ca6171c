/** Which sign-in service an identity goes to. */
import type { EntraSettings } from '../model/settings.js';
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
