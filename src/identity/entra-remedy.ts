/** What to do about an error of Entra, for the kind of identity that met it: the command is that of the tool which signed in. */
import type { EntraIdentity } from '../model/settings.js';
import { type EntraText, entraTextOf } from './entra-texts.js';

/** What of an identity decides about a remedy. */
export type RemedyIdentity = Pick<EntraIdentity, 'kind' | 'name' | 'tenant'>;

/** The command that signs a person in anew; undefined for kinds that no person signs in for. */
export function signInCommand({ kind, name, tenant }: RemedyIdentity): string | undefined {
  switch (kind) {
    case 'azure-cli':
      return tenant === undefined ? 'az login' : `az login --tenant ${tenant}`;
    case 'azure-developer-cli':
      return tenant === undefined ? 'azd auth login' : `azd auth login --tenant-id ${tenant}`;
    case 'azure-powershell':
      return tenant === undefined ? 'Connect-AzAccount' : `Connect-AzAccount -Tenant ${tenant}`;
    case 'browser':
    case 'device-code':
      return `postern login ${quoted(name)}`;
    case 'client-secret':
    case 'client-certificate':
    case 'workload-identity':
    case 'managed-identity':
    case 'azure-pipelines':
      return undefined;
  }
}

/** What to do about an AADSTS code; undefined for one that is not in the table. */
export function todoFor(identity: RemedyIdentity, number: number): string | undefined {
  const text = entraTextOf(number);
  return text === undefined ? undefined : remedyOf(text, identity).todo;
}

/** What happened and what to do, in the words for this kind. */
export function remedyOf(text: EntraText, identity: RemedyIdentity): { readonly what: string; readonly todo: string } {
  const command = signInCommand(identity);
  if (command === undefined) return { what: text.what, todo: text.application };
  if (identity.kind === 'device-code' && text.isPolicy === true) {
    return {
      what: 'The tenant blocks this sign-in with a device code (conditional access)',
      todo: `sign in with a browser instead (\`${command} --browser\`), use a service principal, or ask the administrator of the tenant to allow device codes`,
    };
  }
  return { what: text.what, todo: text.person.replace('{sign in}', `run \`${command}\``) };
}

/** As a POSIX shell takes it for one word. */
function quoted(name: string): string {
  return /^[\w.@-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`;
}
