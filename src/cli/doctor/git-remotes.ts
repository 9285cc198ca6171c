/** Where addresses of repositories lead, by git's own word, and why one does not lead to the door. */
import type { CheckOutcome } from '../../model/check.js';
import { userIn } from '../gitconfig/names.js';
import { removal, told } from '../gitconfig/proof.js';
import type { AddressCheck, Walk } from './check.js';
import { addSetupFix, setupCommand } from './fixes.js';
import { isAtDoor, lookAtGit, rewritesOf } from './git-look.js';
import { type GitLook, NO_ADDRESS } from './look.js';
import { hostOf, isForPostern, type RemoteAddress, remoteAddresses, shown, withoutCredential } from './targets.js';

/** An address that does not reach the door. */
interface Astray {
  readonly what: string;
  readonly todo: string;
  /** Whether `postern setup` mends it. */
  readonly bySetup?: true;
}

/** Every remote of the repository that git stands in, for both directions. */
export async function remotesOutcome(walk: Walk, look: GitLook): Promise<CheckOutcome> {
  const { git, isReadOnly } = walk;
  const all = await remoteAddresses(git);
  if (all.length === 0) return { verdict: 'ok', text: 'no repository with remotes here' };
  const about = { hosts: routeHosts(walk), doors: look.doors };
  const ours = all.filter(({ address, direction }) => isForPostern(address, about) && !(isReadOnly && direction === 'push'));
  if (ours.length === 0)
    return {
      verdict: 'ok',
      text: `none of the remotes here (${[...new Set(all.map(({ remote }) => remote))].join(', ')}) is of Azure Repos`,
    };
  const astray: { readonly said: string; readonly why: Astray }[] = [];
  for (const remote of ours) {
    const to = await goesTo(walk, remote);
    const lost = to.filter((each) => !atDoor(each, walk, look));
    if (lost.length === 0) continue;
    astray.push({ said: `${remote.remote} (${remote.direction})`, why: whyAstray(remote.address, lost[0] ?? '', walk, look) });
  }
  const [first] = astray;
  if (first === undefined) return { verdict: 'ok', text: `${[...new Set(ours.map(({ remote }) => remote))].join(', ')}: to the door` };
  return {
    // What was typed is looked at in a row of its own.
    verdict: walk.areRemotes || walk.addresses.length === 0 ? 'failed' : 'warning',
    text: `${first.said}: ${first.why.what}`,
    details: astray.slice(1).flatMap(({ said, why }) => [`${said}: ${why.what}`, `  what to do: ${why.todo}`]),
    todo: first.why.todo,
    code: 'git-config',
    fix: first.why.bySetup === true ? addSetupFix(walk) : undefined,
  };
}

/** The row of one address: what git would do with it. */
export const GIT_ADDRESS_CHECK: AddressCheck = {
  id: 'git-address',
  name: 'address in git',
  class: 'git',
  needs: ['git-configuration', 'configuration'],
  run: async (walk) => {
    const look = await lookAtGit(walk);
    if (look === undefined) return { verdict: 'untried', text: NO_ADDRESS };
    const { address } = walk;
    const lead = look.leads.get(address);
    if (lead === undefined) return { verdict: 'untried', text: 'not tried: git was not asked' };
    // At the door itself it may be a lease.
    if (walk.hadCredential && lead.to !== address)
      return {
        verdict: 'failed',
        text: 'The address has a credential in it and slips past: a rule for it would have to hold the credential',
        todo: `use ${shown(address)}, and revoke the credential`,
        code: 'git-config',
      };
    if (lead.isAtDoor) return { verdict: 'ok', text: lead.to === address ? 'at the door itself' : `leads to ${shown(lead.to)}` };
    const { what, todo, bySetup } = whyAstray(address, lead.to, walk, look);
    return { verdict: 'failed', text: what, todo, code: 'git-config', fix: bySetup === true ? addSetupFix(walk) : undefined };
  },
};

/** Where git goes for a remote, which may have several addresses. */
async function goesTo({ git }: Walk, { remote, direction }: RemoteAddress): Promise<string[]> {
  const { stdout } = await git.run(['remote', 'get-url', ...(direction === 'push' ? ['--push'] : []), '--all', remote]);
  return stdout
    .toString()
    .split('\n')
    .filter((line) => line !== '');
}

function atDoor(to: string, { found }: Walk, { doors }: GitLook): boolean {
  const open = [...(found.status?.listen.http ?? []), ...(found.status?.listen.ssh ?? [])].map((each) => `${each}/`);
  return isAtDoor(to, [...doors, ...open]);
}

/** Hosts that routes name beside Azure DevOps Services. */
export function routeHosts({ found }: Pick<Walk, 'found'>): string[] {
  return (found.loaded?.settings.routes ?? []).flatMap(({ match, hostKind }) => {
    const host = (match.split('/')[0] ?? '').replace(/:\d+$/, '').toLowerCase();
    return hostKind === 'azure-services' || host.includes('*') ? [] : [host];
  });
}

function whyAstray(address: string, to: string, walk: Walk, look: GitLook): Astray {
  const { rules } = look;
  const text = shown(address);
  if (withoutCredential(address).hadCredential)
    return {
      what: `${text} has a credential in it and slips past: a rule for it would have to hold the credential`,
      todo: 'take the credential out of the address (git remote set-url) and revoke it',
    };
  const [rewrite] = rewritesOf(address, look);
  // Where the door was when `setup` ran.
  const isOwn = rewrite?.origin === `file:${look.places.owned}` && to !== address;
  if (isOwn && /^(?:ssh:|\[)/.test(to) && look.doors.length === 1)
    return {
      what: `${text} goes to ${shown(to)}, where the SSH door was: it is off`,
      todo: 'set `listen.ssh` of the configuration, then run `postern reload` and `postern setup`; or use the https:// address',
    };
  if (isOwn) return { what: `${text} goes to ${shown(to)}, where the door is not any more`, todo: setupCommand(walk), bySetup: true };
  if (rewrite !== undefined && to !== address) return { what: `${text} slips past: ${told(rewrite)}`, todo: removal(rewrite) };
  if (rules.some(({ insteadOf }) => address.startsWith(insteadOf)))
    return { what: `${text} goes to ${shown(to)} and not to the door: its rule is not in force`, todo: setupCommand(walk), bySetup: true };
  const lower = inLowerCase(address);
  if (lower !== address && rules.some(({ insteadOf }) => lower.startsWith(insteadOf)))
    return {
      what: `${text} slips past: git compares text, and the rules have scheme and host in lower case`,
      todo: `write it as ${shown(lower)} (git remote set-url)`,
    };
  const host = hostOf(address);
  const isSsh = !/^https?:/i.test(address);
  if (isSsh && look.doors.length === 1 && isForPostern(address, { hosts: routeHosts(walk), doors: [] }))
    return {
      what: `${text} slips past: the SSH door is off, so SSH remotes are left as they are`,
      todo: 'set `listen.ssh` of the configuration and run `postern setup`, or use the https:// address',
    };
  // Nothing that may be a secret comes this far; what is no plain user part is not said here either.
  const user = userIn(/^https?:\/\/([^@/]+)@/i.exec(address)?.[1] ?? '');
  const organisation = /^([^.]+)\.visualstudio\.com$/.exec(host ?? '')?.[1];
  if (organisation !== undefined && organisation !== 'vs-ssh')
    return { what: `${text} slips past: no rule knows the organisation ${organisation}`, todo: setupCommand(walk), bySetup: true };
  if (user !== undefined)
    return {
      what: `${text} slips past: no rule knows the user part ${user}@`,
      todo: `leave ${user}@ out of the address; or run \`${setupCommand(walk)}\` where a remote has it`,
    };
  const olds = /^[^@]+@vs-ssh\.visualstudio\.com:/i.exec(address);
  if (olds !== null) return { what: `${text} slips past: no rule knows its organisation`, todo: setupCommand(walk), bySetup: true };
  if (host === undefined || !isForPostern(address, { hosts: routeHosts(walk), doors: [] }))
    return {
      what: `${text} goes to ${shown(to)}: it is no address of Azure Repos, and no route of the configuration is for its host`,
      todo: 'nothing, if it is not meant to go through Postern; otherwise add a route with an identity to the configuration and run `postern setup`',
    };
  return {
    what: `${text} slips past: it is spelled unlike any rule, and git compares text`,
    todo: `write it as ${isSsh ? 'git@ssh.dev.azure.com:v3/ORG/PROJECT/REPOSITORY' : 'https://dev.azure.com/ORG/PROJECT/_git/REPOSITORY'}`,
  };
}

/** Scheme and host in lower case, the rest as it is; in the scp-like form the host alone. */
function inLowerCase(address: string): string {
  const url = /^([a-z][a-z0-9+.-]*:\/\/)([^@/]*@)?([^/]*)(.*)$/is.exec(address);
  if (url !== null) return `${(url[1] ?? '').toLowerCase()}${url[2] ?? ''}${(url[3] ?? '').toLowerCase()}${url[4] ?? ''}`;
  const scp = /^([^@/:]+@)?([^/:]+)(:.*)$/s.exec(address);
  return scp === null ? address : `${scp[1] ?? ''}${(scp[2] ?? '').toLowerCase()}${scp[3] ?? ''}`;
}
