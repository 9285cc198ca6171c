/**
 * Host names as they stand in addresses and in patterns, and which kind of host a name is: the one reading of both, for
 * the configuration, the gate and the doors. A host is compared whole: a suffix test would let `evil-dev.azure.com` pass
 * for Azure's.
 */
import type { HostKind } from './address.js';

/** With `_`, which is in no internet host name but in many of Windows machines. */
const LABEL = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?';
const NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);
const LARGEST_PORT = 65535;

/** Hosts that serve Azure DevOps Services' git: over HTTPS, and the SSH hosts, whose addresses map to HTTPS ones. */
export const DEV_AZURE_HOST = 'dev.azure.com';
export const SSH_AZURE_HOSTS: readonly string[] = ['ssh.dev.azure.com', 'vs-ssh.visualstudio.com'];

/** Well-known hosts whose whole path names a repository, in any case. */
const GENERIC_HOSTS: readonly string[] = ['github.com', 'gitlab.com', 'bitbucket.org'];

/**
 * Reads a `host` or `host:port` segment: lower-cased, the port kept unless it is 443. Undefined when it is no host
 * name (IPv6 literals stand in brackets).
 */
export function parseHost(segment: string): string | undefined {
  const match = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::([0-9]{1,5}))?$/.exec(segment.toLowerCase());
  if (match?.[1] === undefined) return undefined;
  const name = match[1];
  if (!name.startsWith('[') && !isHostName(name)) return undefined;
  if (match[2] === undefined) return name;
  const port = Number(match[2]);
  if (port < 1 || port > LARGEST_PORT) return undefined;
  return port === 443 ? name : `${name}:${port}`;
}

/** Whether a lower-case text is a name that a host can have, without port. */
export function isHostName(name: string): boolean {
  return NAME.test(name);
}

/** The organisation in `{org}.visualstudio.com`, or undefined for any other host. */
export function legacyOrganisation(host: string): string | undefined {
  if (SSH_AZURE_HOSTS.includes(host)) return undefined;
  return /^([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)\.visualstudio\.com$/.exec(host)?.[1];
}

/**
 * The other hosts of Azure DevOps Services on which parts of its REST API and its package feeds are: `{name}.dev.azure.com/{org}`, and before
 * that `{org}.{name}.visualstudio.com`. Not here: `vstoken`, which has nothing but tokens; `status`, which needs no credential; and
 * the web pages of the sign-up (`aex`).
 *
 * Source: the `host` of each description in github.com/MicrosoftDocs/vsts-rest-api-specs (7.2); learn.microsoft.com/azure/devops/
 * organizations/security/allow-list-ip-url for `analytics` and `vsblob`.
 */
const API_FAMILY: ReadonlyMap<string, string> = new Map([
  ['advsec', 'alerts of Advanced Security'],
  ['almsearch', 'search'],
  ['analytics', 'analytics'],
  ['artifacts', 'symbols'],
  ['auditservice', 'the audit log'],
  ['extmgmt', 'extensions'],
  ['feeds', 'package feeds: what there is'],
  ['pkgs', 'package feeds: the packages'],
  ['vsaex', 'who has which licence'],
  ['vsblob', 'files behind packages and artifacts'],
  ['vsrm', 'releases'],
  ['vssps', 'people and groups'],
  ['vstmr', 'test results'],
]);

/** Stands where an organisation does in the names of hosts that are of none: `app.vssps.visualstudio.com`. */
const NO_ORGANISATION = 'app';

/** Where a person's own profile and organisations are asked for: the only host without an organisation that is served. */
export const PROFILE_HOST = `${NO_ORGANISATION}.vssps.visualstudio.com`;

/** Whether a host (see parseHost) is one of that family, and which organisation its name has in it. */
export function familyHost(host: string): { readonly organisation: string | undefined } | undefined {
  const [, own] = /^([a-z]+)\.dev\.azure\.com$/.exec(host) ?? [];
  if (own !== undefined) return API_FAMILY.has(own) ? { organisation: undefined } : undefined;
  const [, organisation, old = ''] = /^([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)\.([a-z]+)\.visualstudio\.com$/.exec(host) ?? [];
  if (organisation === undefined || organisation === NO_ORGANISATION) return undefined;
  return API_FAMILY.has(old) ? { organisation } : undefined;
}

/**
 * Whether a host of kind `generic` (as it stands in an address or a pattern) is known to find a repository by its name in any case.
 * Others may be a directory of a case-sensitive file system, where `Team/app` and `team/app` are two.
 */
export function ignoresCase(host: string): boolean {
  return GENERIC_HOSTS.includes(withoutPort(host));
}

/**
 * The kind that a host has unless its route says otherwise. A port makes no other kind: one of Azure's names with a port
 * is still read by Azure's grammar, which then refuses it.
 */
export function inferHostKind(host: string): HostKind {
  const name = withoutPort(host);
  if (name === DEV_AZURE_HOST || SSH_AZURE_HOSTS.includes(name) || legacyOrganisation(name) !== undefined) return 'azure-services';
  if (familyHost(name) !== undefined || name === PROFILE_HOST) return 'azure-services';
  return GENERIC_HOSTS.includes(name) ? 'generic' : 'azure-server';
}

function withoutPort(host: string): string {
  return host.replace(/:[0-9]+$/, '');
}
