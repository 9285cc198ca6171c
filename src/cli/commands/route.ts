/** `postern route explain URL`: how an address is read, which route it takes, and what git would be shown. */
import { writeSshUpstream } from '../../config/ssh-settings.js';
import { askStatus } from '../../daemon/admin.js';
import { RouteTable } from '../../gate/route-table.js';
import { inferHostKind } from '../../model/host-name.js';
import { isApiPath } from '../../hosts/api-address.js';
import { stepOf } from '../../hosts/api-steps.js';
import { parseRepoAddress } from '../../hosts/repo-address.js';
import { readSpelling } from '../../hosts/repo-spelling.js';
import { ProxyError } from '../../model/errors.js';
import { REF_CHANGES, type RefRules } from '../../model/refs.js';
import type { Route } from '../../model/settings.js';
import { type Context, loadFor, type SettingsFlags } from '../context.js';
import { Git } from '../gitconfig/git.js';
import { lfsAccessFindings, lfsAccessIn } from '../gitconfig/lfs-access.js';
import type { Finding } from '../gitconfig/proof.js';
import { printFindings } from '../gitconfig/report.js';
import { visibleAll } from '../visible.js';
import { baseOf } from './door-base.js';
import { callText, guidText, parseCall } from './route-call.js';
import { accountOf, mismatchLines, tenantOrigin } from './route-why.js';

/** @throws ProxyError `usage` for what is no address, and the faults of the configuration */
export async function routeExplain(context: Context, url: string, flags: SettingsFlags): Promise<number> {
  const { settings } = await loadFor(context, flags);
  const table = new RouteTable(settings.routes);
  const spelled = readSpelling(url);
  if (spelled === undefined)
    throw new ProxyError('usage', `${url} is not an address of a repository`, { todo: 'give the address that git clone would be given' });
  const kind = table.kindOf(spelled.host) ?? inferHostKind(spelled.host);
  const isCall = isApiPath(spelled.path.replace(/\?.*$/s, ''));
  const api = isCall ? parseCall(kind, spelled.host, spelled.path) : undefined;
  const parsed = api ?? parseRepoAddress(kind, spelled.host, spelled.path);
  if (parsed.kind === 'fault')
    throw new ProxyError('usage', `${url} is not ${isCall ? 'an address of the REST API' : "a repository's address"}: ${parsed.what}`, {
      todo: 'give the address that git clone would be given, or one of the REST API',
    });
  const { address } = parsed;
  const call = api?.kind === 'address' ? callText(api.call, api.isOfAccount) : undefined;
  const isWhere = api?.kind === 'address' && stepOf('GET', api.call, api.isOfAccount) === 'discovery';
  const route = table.find(address) ?? (isWhere ? table.somewhereIn(address, 'api') : undefined);
  const guids = guidText(address);
  const door = `${baseOf(settings)}/${address.host}${spelled.path}`;
  const to = route === undefined ? undefined : upstreamUrl(route.upstream, address.upstreamHost, address.path, address.mainPath);
  // What a daemon that does not answer knows is of no use here.
  const status = await askStatus(context.places.adminSocket).then(visibleAll, () => undefined);
  const identity = settings.identities.find(({ name }) => name === route?.identity);
  const tenant = to === undefined ? undefined : tenantOrigin(identity, address, new URL(to).host, status);
  const account = route && accountOf(status, route, tenant?.tenant);
  const mismatches = table.passedBy(address);
  const leftovers = await leftoversHere(context, {
    doors: [baseOf(settings), ...(status?.listen.http ?? [])].map((base) => `${base}/`),
    real: [`https://${address.host}/`],
  });
  const { printer } = context;
  if (flags['json'] === true) {
    printer.json({
      address: address.display,
      host: kind,
      route: route?.match,
      identity: route?.identity,
      passedBy: mismatches,
      tenant: tenant && { from: tenant.from, tenant: tenant.tenant },
      account,
      allow: route?.allow,
      call,
      refs: route?.refs,
      upstream: to,
      ssh: route?.ssh.kind,
      key: route?.ssh.kind === 'agent' ? route.ssh.key : undefined,
      door,
      leftovers: leftovers.map(({ lines: [what, todo] }) => ({ what, todo })),
    });
  } else {
    printer.line(`address    ${address.display} (${kind})`);
    if (guids !== undefined) printer.line(`names      ${guids}`);
    if (call !== undefined) printer.line(`call       ${call}`);
    const alike = route === undefined ? table.lookAlike(address) : undefined;
    const passedBy = mismatchLines(mismatches);
    if (alike !== undefined)
      printer.line(`route      none: it only looks like what ${alike.match} names, and may be another repository; requests are refused`);
    else if (route === undefined) printer.line('route      none matches: requests are refused');
    if (route === undefined) for (const line of passedBy) printer.line(line);
    else {
      printer.line(`route      ${route.match} (number ${settings.routes.indexOf(route) + 1} of ${settings.routes.length})`);
      for (const line of passedBy) printer.line(line);
      printer.line(`identity   ${route.identity} (${identity?.kind ?? 'unknown'})`);
      if (tenant !== undefined) printer.line(`tenant     ${tenant.text}`);
      if (account !== undefined)
        printer.line(
          `account    ${account.account}${account.tenant === undefined ? '' : ` of tenant ${account.tenant}`}, as the daemon is signed in now`,
        );
      printer.line(`allow      ${route.allow.join(', ')}`);
      for (const line of refLines(route.refs)) printer.line(line);
      printer.line(`upstream   ${to ?? ''}`);
      printer.line(`over SSH   ${settings.listen.ssh.length === 0 ? 'not served: listen.ssh is off' : sshText(route)}`);
    }
    printer.line(`at the door ${door}`);
    printFindings(leftovers, printer.line);
  }
  return route === undefined ? 1 : 0;
}

/** What git-lfs has left in the repository that one stands in, if it is one. */
async function leftoversHere(
  { environment, home, workingDirectory }: Context,
  addresses: Parameters<typeof lfsAccessFindings>[1],
): Promise<readonly Finding[]> {
  // Where there is no git, or it cannot read its configuration, the route is explained all the same.
  const found = await lfsAccessIn(new Git(environment, home, workingDirectory), workingDirectory).catch(() => []);
  return lfsAccessFindings(found, addresses);
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
