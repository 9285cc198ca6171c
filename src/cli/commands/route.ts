/** `postern route explain URL`: how an address is read, which route it takes, and what git would be shown. */
import { writeSshUpstream } from '../../config/ssh-settings.js';
import { RouteTable } from '../../gate/route-table.js';
import { inferHostKind } from '../../model/host-name.js';
import { parseRepoAddress } from '../../hosts/repo-address.js';
import { readSpelling } from '../../hosts/repo-spelling.js';
import { ProxyError } from '../../model/errors.js';
import { REF_CHANGES, type RefRules } from '../../model/refs.js';
import type { Route } from '../../model/settings.js';
import { type Context, loadFor, type SettingsFlags } from '../context.js';
import { baseOf } from './door-base.js';

/** @throws ProxyError `usage` for what is no address, and the faults of the configuration */
export async function routeExplain(context: Context, url: string, flags: SettingsFlags): Promise<number> {
  const { settings } = await loadFor(context, flags);
  const table = new RouteTable(settings.routes);
  const spelled = readSpelling(url);
  if (spelled === undefined)
    throw new ProxyError('usage', `${url} is not an address of a repository`, { todo: 'give the address that git clone would be given' });
  const kind = table.kindOf(spelled.host) ?? inferHostKind(spelled.host);
  const parsed = parseRepoAddress(kind, spelled.host, spelled.path);
  if (parsed.kind === 'fault')
    throw new ProxyError('usage', `${url} is not a repository's address: ${parsed.what}`, {
      todo: 'give the address that git clone would be given',
    });
  const { address } = parsed;
  const route = table.find(address);
  const door = `${baseOf(settings)}/${address.host}${spelled.path}`;
  const to = route === undefined ? undefined : upstreamUrl(route.upstream, address.upstreamHost, address.path, address.mainPath);
  const { printer } = context;
  if (flags['json'] === true) {
    printer.json({
      address: address.display,
      host: kind,
      route: route?.match,
      identity: route?.identity,
      allow: route?.allow,
      refs: route?.refs,
      upstream: to,
      ssh: route?.ssh.kind,
      key: route?.ssh.kind === 'agent' ? route.ssh.key : undefined,
      door,
    });
  } else {
    printer.line(`address    ${address.display} (${kind})`);
    const alike = table.lookAlike(address);
    if (alike !== undefined)
      printer.line(`route      none: it only looks like what ${alike.match} names, and may be another repository; requests are refused`);
    else if (route === undefined) printer.line('route      none matches: requests are refused');
    else {
      printer.line(`route      ${route.match} (number ${settings.routes.indexOf(route) + 1} of ${settings.routes.length})`);
      printer.line(`identity   ${route.identity} (${settings.identities.find(({ name }) => name === route.identity)?.kind ?? 'unknown'})`);
      printer.line(`allow      ${route.allow.join(', ')}`);
      for (const line of refLines(route.refs)) printer.line(line);
      printer.line(`upstream   ${to ?? ''}`);
      printer.line(`over SSH   ${settings.listen.ssh.length === 0 ? 'not served: listen.ssh is off' : sshText(route)}`);
    }
    printer.line(`at the door ${door}`);
  }
  return route === undefined ? 1 : 0;
}

/** How SSH remotes of the route are served. */
function sshText({ ssh, identity }: Route): string {
  if (ssh.kind === 'bridge') return `bridged to the upstream above, as ${identity}; no key is needed`;
  const where = ssh.upstream === undefined ? '' : ` at ${writeSshUpstream(ssh.upstream)}`;
  return `signed by an ssh-agent${where}, with ${ssh.key ?? 'the only key that it holds'}`;
}

/** What pushes may touch, a line for each rule; none when they may touch everything. */
function refLines(refs: RefRules | undefined): string[] {
  if (refs === undefined) return [];
  const { allow, protect, changes } = refs;
  const rules = [
    `allow ${allow === undefined ? 'every ref' : allow.join(', ')}`,
    ...(protect.length === 0 ? [] : [`protect ${protect.join(', ')}`]),
    `changes ${changes === undefined ? REF_CHANGES.join(', ') : changes.join(', ')}`,
  ];
  return rules.map((rule, index) => `${index === 0 ? 'refs' : '    '}       ${rule}`);
}

function upstreamUrl(upstream: URL | undefined, host: string, path: string, mainPath: string): string {
  return upstream === undefined ? `https://${host}${path}` : `${upstream.href.replace(/\/$/, '')}${mainPath}`;
}
