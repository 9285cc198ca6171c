/**
 * Where repositories are listed: an organisation of Azure DevOps Services or a collection of a server, by name or by address.
 *
 *   account = organisation
 *           | [ "https://" [ user "@" ] ] ( "dev.azure.com" "/" organisation
 *                                         | organisation ".visualstudio.com" [ "/DefaultCollection" ]
 *                                         | host [ ":" port ] "/" [ virtual directory "/" ] collection ) [ "/" ]
 */
import type { HostKind } from '../model/address.js';
import { caselessName } from '../model/fold.js';
import { DEV_AZURE_HOST, legacyOrganisation, parseHost } from '../model/host-name.js';
import { canonicalNames } from '../model/route-pattern.js';
import { parseRepoAddress } from './repo-address.js';
import { decodePath } from './segments.js';

export interface AccountAddress {
  readonly kind: Exclude<HostKind, 'generic'>;
  /** As in RepoAddress. */
  readonly host: string;
  /** Decoded, in the caller's own case: the organisation alone, or what stands before a project on a server. */
  readonly names: readonly string[];
  /** Of azure-services. */
  readonly organisation: string | undefined;
  /** The beginning of the canonical addresses of its repositories (RepoAddress). */
  readonly canonical: readonly string[];
  /** Parts of such an address in all: a project and a repository more. */
  readonly length: number;
  /** Percent-encoded, begins with `/`; on the host, or on an upstream that takes its place. */
  readonly path: string;
  /** What a person reads. */
  readonly display: string;
}

export type ParsedAccount =
  { readonly kind: 'account'; readonly account: AccountAddress } | { readonly kind: 'fault'; readonly what: string };

/** An organisation: letters, digits and hyphens, at most 50 of them (Azure DevOps, "Naming restrictions"). */
const ORGANISATION = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,48}[A-Za-z0-9])?$/;
/** Virtual directory and collection. */
const MOST_NAMES = 2;
/** Project and repository. */
const BELOW = 2;

/** Whether a text can be the name of an organisation. */
export function isOrganisation(name: string): boolean {
  return ORGANISATION.test(name);
}

/**
 * Reads what a person wrote. A fault's text repeats nothing of it: it may hold a password.
 * @param kindOf the kind of a host (as in addresses)
 */
export function parseAccount(text: string, kindOf: (host: string) => HostKind): ParsedAccount {
  if (isOrganisation(text)) return services(text);
  const written = /^(?:https?:\/\/)?(?:[^@/]*@)?([^/@?#]+)((?:\/[^?#]*)?)$/i.exec(text);
  const host = written === null ? undefined : parseHost(written[1] ?? '');
  const path = (written?.[2] ?? '').replace(/\/$/, '');
  if (host === undefined) return fault('it is neither a name nor an address');
  const kind = kindOf(host);
  if (kind === 'generic') return fault(`${host} is a host of another kind, which has no list that is known here`);
  if (path === '' && kind === 'azure-server') return fault('it names no organisation or collection');
  // Typed ones are text; those of requests are bytes, and so is what is read here.
  const decoded = path === '' ? { kind: 'segments' as const, names: [] } : decodePath(Buffer.from(path, 'utf8').toString('latin1'));
  if (decoded.kind === 'fault') return fault(decoded.what);
  const { names } = decoded;
  if (names.some((name) => caselessName(name) === '_git')) return fault('it is the address of a repository');
  return kind === 'azure-services' ? servicesAt(host, names) : server(host, names);
}

/** The address of a repository there as the door takes it; undefined when its names can be in none. */
export function repositoryIn(account: AccountAddress, project: string, repository: string): ReturnType<typeof parseRepoAddress> {
  const path = `${account.path}/${encodeURIComponent(project)}/_git/${encodeURIComponent(repository)}`;
  return parseRepoAddress(account.kind, account.host, path);
}

function servicesAt(host: string, names: readonly string[]): ParsedAccount {
  const legacy = legacyOrganisation(host);
  if (legacy !== undefined) {
    const isPlain = names.length === 0 || (names.length === 1 && caselessName(names[0] ?? '') === 'defaultcollection');
    return isPlain ? services(legacy) : fault('it goes on after the organisation');
  }
  if (host !== DEV_AZURE_HOST) return fault(`${host} is not a host that has organisations`);
  const [organisation = '', ...more] = names;
  if (more.length > 0) return fault('it goes on after the organisation');
  return isOrganisation(organisation) ? services(organisation) : fault('it names no organisation');
}

function services(organisation: string): ParsedAccount {
  return {
    kind: 'account',
    account: {
      kind: 'azure-services',
      host: DEV_AZURE_HOST,
      names: [organisation],
      organisation,
      canonical: [DEV_AZURE_HOST, ...canonicalNames('azure-services', DEV_AZURE_HOST, [organisation])],
      length: 2 + BELOW,
      path: `/${organisation}`,
      display: organisation,
    },
  };
}

function server(host: string, names: readonly string[]): ParsedAccount {
  if (names.length > MOST_NAMES) return fault('it goes on after the collection');
  // Whatever cannot stand there in the address of a repository cannot stand here.
  const path = `/${names.map(encodeURIComponent).join('/')}`;
  const parsed = parseRepoAddress('azure-server', host, `${path}/p/_git/r`);
  const length = 1 + names.length + BELOW;
  // `/tfs` alone is where collections are, and none.
  if (parsed.kind === 'fault' || parsed.address.canonical.length !== length) return fault('it names no collection');
  return {
    kind: 'account',
    account: {
      kind: 'azure-server',
      host,
      names,
      organisation: undefined,
      canonical: [host, ...canonicalNames('azure-server', host, names)],
      length,
      path,
      display: [host, ...names].join('/'),
    },
  };
}

function fault(what: string): ParsedAccount {
  return { kind: 'fault', what };
}
