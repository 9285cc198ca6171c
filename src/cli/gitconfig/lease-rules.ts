/**
 * The rewriting rules of a lease's environment: everything that can be meant for a host of the lease's repositories goes to
 * the HTTP door, SSH forms too, so that a container needs neither ssh nor a key. Whole hosts, because names of repositories
 * are compared by the door and not by git: what a lease does not cover is then refused with a text that says so, and not sent
 * to the real host without a credential.
 */
import type { RepoPattern } from '../../model/lease.js';
import { parseOrganisation } from './names.js';
import { devAzure, doorBase, type Family, otherHost, type Rule, rulesOf, spelledOnce, visualStudio } from './rules.js';
import { azureSshHosts, otherSshHost, sshOverHttp } from './ssh-rules.js';

export interface LeaseRulesInput {
  /** The door's own address as the holder of the lease reaches it. */
  readonly base: string;
  readonly repos: readonly RepoPattern[];
  /** Organisations in other than lower case, as they stand before the `@` of an address. */
  readonly organisations?: readonly string[];
}

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
    families.push(devAzure(all, []), ...all.map(visualStudio), ...sshOverHttp(azureSshHosts(all)));
  }
  const others = repos.filter(({ hostKind }) => hostKind !== 'azure-services').map(({ parts: [host = ''] }) => host);
  for (const host of [...new Set(others)].sort()) {
    if (host === '' || host.includes('*')) continue;
    const https = `https://${host}/`;
    families.push(otherHost(https, door), otherHost(`http://${host}/`, door), ...sshOverHttp([otherSshHost(https)]));
  }
  return rulesOf(families, door);
}
