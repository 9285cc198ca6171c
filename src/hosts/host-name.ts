/**
 * Host names as they stand in a local path, and which kind of host a name is. A host is compared whole: a suffix
 * test would let `evil-dev.azure.com` pass for Azure's.
 */
import type { HostKind } from '../model/address.js';

const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);
const LARGEST_PORT = 65535;

/** Hosts that serve Azure DevOps Services' git: over HTTPS, and the SSH hosts, whose addresses map to HTTPS ones. */
export const DEV_AZURE_HOST = 'dev.azure.com';
export const SSH_AZURE_HOSTS: readonly string[] = ['ssh.dev.azure.com', 'vs-ssh.visualstudio.com'];

/** Well-known hosts whose whole path names a repository. */
const GENERIC_HOSTS: readonly string[] = ['github.com', 'gitlab.com', 'bitbucket.org'];

/**
 * Reads a `host` or `host:port` segment: lower-cased, the port kept unless it is 443. Undefined when it is no host
 * name (IPv6 literals stand in brackets).
 */
export function parseHost(segment: string): string | undefined {
  const match = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::([0-9]{1,5}))?$/.exec(segment.toLowerCase());
  if (match?.[1] === undefined) return undefined;
  const name = match[1];
  if (!name.startsWith('[') && !NAME.test(name)) return undefined;
  if (match[2] === undefined) return name;
  const port = Number(match[2]);
  if (port < 1 || port > LARGEST_PORT) return undefined;
  return port === 443 ? name : `${name}:${port}`;
}

/** The organisation in `{org}.visualstudio.com`, or undefined for any other host. */
export function legacyOrganisation(host: string): string | undefined {
  if (SSH_AZURE_HOSTS.includes(host)) return undefined;
  return /^([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)\.visualstudio\.com$/.exec(host)?.[1];
}

/** The kind that a host has unless its route says otherwise. */
export function inferHostKind(host: string): HostKind {
  if (host === DEV_AZURE_HOST || SSH_AZURE_HOSTS.includes(host) || legacyOrganisation(host) !== undefined) return 'azure-services';
  return GENERIC_HOSTS.includes(host) ? 'generic' : 'azure-server';
}
