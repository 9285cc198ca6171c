/**
 * The rewriting rules of a lease's environment: everything that can be meant for a host of the lease's repositories goes to
 * the HTTP door, SSH forms too, so that a container needs neither ssh nor a key. Whole hosts, because names of repositories
 * are compared by the door and not by git: what a lease does not cover is then refused with a text that says so, and not sent
 * to the real host without a credential.
 *
 * The SSH forms are those of git-clone(1), "GIT URLS": scp-like `[user@]host:path` and `ssh://[user@]host[:port]/path`.
 * Azure DevOps: `git@ssh.dev.azure.com:v3/...` and `ORG@vs-ssh.visualstudio.com:v3/...`, which the door reads as they are.
 */
import type { RepoPattern } from '../../model/lease.js';
import { parseOrganisation } from './names.js';
import { devAzure, doorBase, type Family, otherHost, type Rule, rulesOf, spelledOnce, visualStudio } from './rules.js';

export interface LeaseRulesInput {
  /** The door's own address as the holder of the lease reaches it. */
  readonly base: string;
  readonly repos: readonly RepoPattern[];
  /** Organisations in other than lower case, as they stand before the `@` of an address. */
  readonly organisations?: readonly string[];
}

const SSH_PORT = 22;

/**
 * The rules for the hosts of `repos`, in an order that depends on nothing but the input's sense. A pattern whose host is itself
 * a pattern (`*.example.com`) yields none: there is no text to compare.
 *
 * @throws ProxyError `usage` for a name that cannot be an organisation, or a host that is the door itself
 */
export function leaseRulesFor({ base, repos, organisations = [] }: LeaseRulesInput): Rule[] {
  const door = doorBase(base);
  const azure = repos.filter(({ hostKind }) => hostKind === 'azure-services');
  const families: Family[] = [];
  if (azure.length > 0) {
    const named = azure.flatMap(({ parts: [, organisation = '*'] }) => (organisation.startsWith('*') ? [] : [organisation]));
    const all = spelledOnce([...named, ...organisations].map(parseOrganisation));
    families.push(
      devAzure(all, []),
      ...all.map(visualStudio),
      azureSsh('ssh.dev.azure.com', ['git']),
      azureSsh('vs-ssh.visualstudio.com', all),
    );
  }
  const others = repos.filter(({ hostKind }) => hostKind !== 'azure-services').map(({ parts: [host = ''] }) => host);
  for (const host of [...new Set(others)].sort()) {
    if (host === '' || host.includes('*')) continue;
    families.push(otherHost(`https://${host}/`, door), otherHost(`http://${host}/`, door), otherSsh(host));
  }
  return rulesOf(families, door);
}

function azureSsh(host: string, users: readonly string[]): Family {
  return { spellings: sshForms(host, users, 'v3/'), behindDoor: `${host}/v3/` };
}

/** The path of other hosts is the same over SSH and HTTP; the port in `host` is the one of HTTP. */
function otherSsh(host: string): Family {
  return { spellings: sshForms(host.replace(/:\d+$/, ''), ['git'], ''), behindDoor: `${host}/` };
}

/** Every spelling of `path` on an SSH host, for each user and for none. */
function sshForms(host: string, users: readonly string[], path: string): string[] {
  return ['', ...users.map((user) => `${user}@`)].flatMap((user) => [
    `${user}${host}:${path}`,
    `${user}${host}:/${path}`,
    `ssh://${user}${host}/${path}`,
    `ssh://${user}${host}:${SSH_PORT}/${path}`,
  ]);
}
