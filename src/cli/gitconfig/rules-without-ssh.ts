/**
 * The rules for an environment that may have no ssh, no key and no known_hosts file of its own (`env`, `exec`): the spellings of
 * `setup`, and SSH forms to the HTTP door as well, where the route's identity opens them.
 */
import type { Route } from '../../model/settings.js';
import { doorBase, onPremBases, type Rule, rulesFor, rulesOf, type RulesInput, spelledOnce } from './rules.js';
import { azureSshHosts, otherSshHost, sshOverHttp } from './ssh-rules.js';

type RuledRoute = Pick<Route, 'match' | 'hostKind' | 'ssh'>;

/**
 * The rules, those of `rulesFor` first. SSH forms are left as they are where every route says `ssh: agent`: the identity may be
 * none, and who chose an agent has a key and an ssh to use it with.
 * @throws ProxyError `usage` as `rulesFor`
 */
export function rulesWithoutSsh(input: Omit<RulesInput, 'onPrem'> & { readonly routes: readonly RuledRoute[] }): Rule[] {
  const { base, organisations, routes } = input;
  const bases = onPremBases(routes);
  const hosts = isBridged(routes.filter(({ hostKind }) => hostKind === 'azure-services')) ? azureSshHosts(spelledOnce(organisations)) : [];
  for (const each of bases) {
    if (isBridged(routes.filter((route) => onPremBases([route])[0] === each))) hosts.push(otherSshHost(each, routes));
  }
  const rules = rulesFor({ ...input, onPrem: bases });
  const taken = new Set(rules.map(({ insteadOf }) => insteadOf));
  return [...rules, ...rulesOf(sshOverHttp(hosts), doorBase(base)).filter(({ insteadOf }) => !taken.has(insteadOf))];
}

function isBridged(routes: readonly RuledRoute[]): boolean {
  return routes.some(({ ssh }) => ssh.kind === 'bridge');
}
