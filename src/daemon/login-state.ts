/** Who is signed in for the identities that want a person, as `status` tells it. */
import type { IdentitySettings } from '../model/settings.js';
import type { KeptLogin, LoginStore } from '../model/sign-in.js';

export interface LoginState {
  readonly identity: string;
  /** Undefined when nobody is signed in. Its time is text once it has been through JSON. */
  readonly login: KeptLogin | undefined;
}

/** Of every identity that a person signs in for. */
export function loginStates(identities: readonly IdentitySettings[], logins: LoginStore | undefined): LoginState[] {
  return identities
    .filter(({ kind }) => kind === 'browser' || kind === 'device-code')
    .map(({ name }) => ({ identity: name, login: logins?.look(name) }));
}
