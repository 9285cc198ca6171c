/** What a person is told of a claims challenge that could not be met within one request, by how far it came and who is signed in. */
import type { IdentitySettings } from '../model/settings.js';

/** How far the answer to a challenge came. */
export type ChallengeState =
  /** The next token is asked for with the claims, but this request could not be sent again with it. */
  | 'open'
  /** A token that was asked for with the claims was refused too. */
  | 'refused'
  /** The identity gave the very token again that was refused. */
  | 'unchanged'
  /** The challenge names no claims that can be read. */
  | 'unreadable';

/** How the sign-in of a program is begun anew: one that is there already has the proof that did not do. */
const SIGN_IN_AGAIN: Readonly<Partial<Record<IdentitySettings['kind'], string>>> = {
  'azure-cli': 'az logout; az login',
  'azure-developer-cli': 'azd auth logout; azd auth login',
  'azure-powershell': 'Disconnect-AzAccount; Connect-AzAccount',
};

const WITHDRAWN = 'The upstream withdrew the token and asks for one with more proof (continuous access evaluation)';

export function claimsText(
  state: ChallengeState,
  identity: { readonly name: string; readonly kind: IdentitySettings['kind'] },
): { readonly what: string; readonly todo: string } {
  switch (state) {
    case 'open':
      return {
        what: `${WITHDRAWN}; this request could not be sent a second time with a new one`,
        todo: 'run the command again: the next token is asked for with that proof',
      };
    case 'refused':
      return { what: `${WITHDRAWN}; a token that was asked for with that proof was refused too`, todo: remedyOf(identity) };
    case 'unchanged':
      return { what: `${WITHDRAWN}; there is no other than the one that was refused`, todo: remedyOf(identity) };
    case 'unreadable':
      return { what: `${WITHDRAWN}, in a way that cannot be read`, todo: remedyOf(identity) };
  }
}

function remedyOf({ name, kind }: { readonly name: string; readonly kind: IdentitySettings['kind'] }): string {
  if (kind === 'managed-identity')
    return 'ask the administrator of the tenant which policy stops this identity, or whether it was changed; Azure keeps the tokens of a managed identity for up to a day';
  const command = kind === 'browser' || kind === 'device-code' ? `postern login ${name}` : SIGN_IN_AGAIN[kind];
  return command === undefined
    ? 'ask the administrator of the tenant which policy (conditional access for workload identities, allowed networks) stops this identity, and whether it was disabled'
    : `run \`${command}\` from a network and a device that the policies of the tenant allow, then try again`;
}
