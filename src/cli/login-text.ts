/** Sign-ins of people in words, for `login`, `logout` and `status`. */
import type { LoginState } from '../daemon/login-state.js';
import type { KeptLogin, LoginKeeper } from '../model/sign-in.js';

/** Where the key of a sign-in is, by the name that its administrator knows. */
export function keeperText(keeper: LoginKeeper): string {
  switch (keeper.kind) {
    case 'systemd-credential':
      return `the systemd credential ${keeper.name}`;
    case 'keyring':
      return "the desktop's keyring";
    case 'key-file':
      return `the key file ${keeper.path}: whoever can read that file and the sign-in beside it can use the sign-in`;
  }
}

/** `dana@contoso.com (tenant 7e57...)`. */
export function accountText({ account, tenant }: KeptLogin['label']): string {
  return `${account} (tenant ${tenant})`;
}

/** Lines of `status` below an identity. */
export function loginLines(identity: string, states: readonly LoginState[]): string[] {
  const state = states.find((each) => each.identity === identity);
  if (state === undefined) return [];
  if (state.login === undefined) return [`    nobody is signed in: \`postern login ${identity}\``];
  const { label, keptBy } = state.login;
  // A date is text once it has been through JSON.
  const since = new Date(label.signedInAt).toISOString();
  return [`    signed in as ${accountText(label)} since ${since}`, `    sealed with ${keeperText(keptBy)}`];
}
