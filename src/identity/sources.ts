/**
 * From an identity's settings to where its credential comes from: one row for each kind. A kind that needs more than a line has a
 * file of its own; those of Entra that the token library serves share entra-source.ts.
 */
import type { ProxyError } from '../model/errors.js';
import type { PatOddity } from '../model/pat.js';
import type { LoginStore, SendSignIn } from '../model/sign-in.js';
import type { Secret } from '../model/secret.js';
import type { IdentitySettings } from '../model/settings.js';
import { createEntraSource, type LibraryIdentity } from './entra-source.js';
import { createGitCredentialSource } from './git-credential.js';
import { createLoginSource } from './login-source.js';
import { oddityOf } from './pat-shape.js';
import { createPipelineSource } from './pipeline-token.js';
import { readSecret, type SecretSurroundings } from './secret-reader.js';
import type { ToolIdentity } from './tool-failure.js';
import { createToolSource } from './tool-source.js';
import type { CredentialSource, VaultIdentity } from './vault-entry.js';

/** What kinds may use of the outside. */
export interface IdentitySurroundings {
  readonly secrets: SecretSurroundings;
  /** The daemon's, for programs that are asked. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** ms that a program which is asked may take. */
  readonly timeoutMs: number;
  readonly send: SendSignIn;
  /** Wall-clock time, ms since the epoch. */
  readonly now: () => number;
  /** Undefined without a state directory. */
  readonly logins: LoginStore | undefined;
  /** Told what a personal access token looked like when it was read; undefined: like one. */
  readonly onPatRead?: (identity: string, oddity: PatOddity | undefined) => void;
  /** Told of what does not keep a token from coming and yet wants to be mended. */
  readonly onFault: (fault: ProxyError) => void;
}

type Kind = IdentitySettings['kind'];
type Settings<K extends Kind> = Extract<IdentitySettings, { kind: K }>;
type Row<K extends Kind> = (settings: Settings<K>, around: IdentitySurroundings) => CredentialSource;

const fromLibrary = (settings: LibraryIdentity, around: IdentitySurroundings): CredentialSource => ({
  kind: 'token',
  source: createEntraSource(settings, {
    ...around,
    readSecret: () =>
      'secret' in settings ? readSecret(settings.secret, around.secrets) : Promise.reject(new Error('this kind has no secret')),
  }),
});

const fromTool = (settings: ToolIdentity, around: IdentitySurroundings): CredentialSource => ({
  kind: 'token',
  source: createToolSource(settings, around),
});

const fromLogin = (settings: Settings<'browser' | 'device-code'>, around: IdentitySurroundings): CredentialSource => ({
  kind: 'token',
  source: createLoginSource(settings, around),
});

const KINDS: { readonly [K in Kind]: Row<K> } = {
  'azure-cli': fromTool,
  'azure-developer-cli': fromTool,
  'azure-powershell': fromTool,
  'azure-pipelines': (settings, around) =>
    settings.serviceConnection === undefined
      ? { kind: 'token', source: createPipelineSource(() => readSecret(settings.secret, around.secrets), around.now) }
      : fromLibrary(settings, around),
  browser: fromLogin,
  'device-code': fromLogin,
  'client-secret': fromLibrary,
  'client-certificate': fromLibrary,
  'workload-identity': fromLibrary,
  'managed-identity': fromLibrary,
  // Azure DevOps takes any user name with a personal access token.
  pat: (settings, around) => ({ kind: 'basic', user: 'PAT', read: patReader(settings, around) }),
  basic: (settings, around) => ({ kind: 'basic', user: settings.user, read: patReader(settings, around) }),
  'git-credential': ({ user }, around) => ({ kind: 'asked', source: createGitCredentialSource(user, around) }),
  none: () => ({ kind: 'none' }),
  passthrough: () => ({ kind: 'passthrough' }),
};

/** Builds the source of one identity; nothing is read or asked yet. */
export function createIdentity(settings: IdentitySettings, around: IdentitySurroundings): VaultIdentity {
  const row = KINDS[settings.kind] as Row<Kind>; // the row of this very kind
  return { settings, source: row(settings, around) };
}

/** Azure DevOps takes nothing but tokens for a password; other hosts do not ask what it looked like. */
function patReader({ name, secret }: Settings<'pat' | 'basic'>, { secrets, onPatRead }: IdentitySurroundings): () => Promise<Secret> {
  return async () => {
    const token = await readSecret(secret, secrets);
    onPatRead?.(name, oddityOf(token));
    return token;
  };
}

/** Names of the environment variables that hold secrets of these identities. */
export function secretVariables(identities: readonly IdentitySettings[]): string[] {
  return identities.flatMap((identity) => ('secret' in identity && identity.secret.kind === 'env' ? [identity.secret.name] : []));
}
