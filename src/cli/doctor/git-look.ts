/**
 * What git's configuration does with addresses of Azure Repos, looked at once for all rows that speak of it. Proved by the real git
 * with the user's own environment and directory; what is found is what `setup` finds (proof.ts, discovery.ts, lfs-access.ts).
 */
import { stat } from 'node:fs/promises';
import { askStatus } from '../../daemon/admin.js';
import type { DaemonStatus } from '../../daemon/status.js';
import { isLoopbackAddress } from '../../gate/peers.js';
import type { Settings } from '../../model/settings.js';
import { baseOf } from '../commands/door-base.js';
import { setupSshDoor } from '../commands/ssh-door-address.js';
import { discover } from '../gitconfig/discovery.js';
import { type ConfigEntry, type Git, subsectionOf } from '../gitconfig/git.js';
import { placesFor } from '../gitconfig/places.js';
import { addressOf, prove } from '../gitconfig/proof.js';
import { doorBase, onPremBases, rulesFor, spelledOnce } from '../gitconfig/rules.js';
import { azureSshHosts, otherSshHost, sshDoorRules, sshDoors } from '../gitconfig/ssh-rules.js';
import type { Walk } from './check.js';
import type { GitLook } from './look.js';

/** Undefined where the door's address is known to nobody but a daemon that does not run. @throws ProxyError `git-config` */
export function lookAtGit(walk: Walk): Promise<GitLook | undefined> {
  walk.found.gitLook ??= look(walk);
  return walk.found.gitLook;
}

async function look(walk: Walk): Promise<GitLook | undefined> {
  const { context, git, found, addresses } = walk;
  if (found.loaded === undefined) return undefined;
  const { settings } = found.loaded;
  const status = await askStatus(context.places.adminSocket).catch(() => undefined);
  const base = reachedBase(settings, status);
  if (base === undefined) return undefined;
  const door = doorBase(base);
  const system = walk.flags['system'] === true;
  const places = await placesFor({ env: context.environment, home: context.home, system });
  const discovery = await discover({
    git,
    named: [],
    repositories: [context.workingDirectory],
    owned: places.owned,
  });
  const onPrem = onPremBases(settings.routes);
  const { organisations, users } = discovery;
  const quiet = { ...context, printer: { ...context.printer, line: () => undefined } };
  // What known_hosts has of it is looked at where an address goes over SSH.
  const ssh = (await setupSshDoor(quiet, settings, { isSystem: system, isDry: true }))?.address;
  const hosts = [...azureSshHosts(spelledOnce(organisations)), ...[...onPrem].sort().map((host) => otherSshHost(host, settings.routes))];
  const rules = [...rulesFor({ base: door, organisations, users, onPrem }), ...(ssh === undefined ? [] : sshDoorRules(ssh, hosts))];
  const doors = [door, ...(ssh === undefined ? [] : sshDoors(ssh))] as const;
  const entries = await git.entries();
  const open = [...doors, ...(status === undefined ? [] : [...status.listen.http, ...status.listen.ssh].map((each) => `${each}/`))];
  const leads = new Map<string, { to: string; isAtDoor: boolean }>();
  for (const address of addresses) {
    const to = await addressOf(git, address);
    leads.set(address, { to, isAtDoor: isAtDoor(to, open) });
  }
  const sample = await wouldGo(git);
  // Who needs no rules and has none is not made to wait until each has been tried.
  const areNeeded =
    addresses.length === 0 || [...leads.values()].some((lead) => !lead.isAtDoor) || doors.some((each) => sample.startsWith(each));
  return {
    door,
    doors,
    rules,
    proof: await prove(git, areNeeded ? rules : [], doors, places.owned),
    discovery,
    entries,
    places,
    owned: {
      isThere: await stat(places.owned).then(
        () => true,
        () => false,
      ),
      isIncluded: entries.some(({ key, value }) => key === 'include.path' && value?.replace(/^~(?=\/)/, context.home) === places.owned),
    },
    leads,
  };
}

/**
 * The address under which git reaches the door: that of the configuration, unless the daemon that runs listens on others. Undefined
 * where the configuration leaves the port open and nothing runs.
 */
export function reachedBase(settings: Settings, status: Pick<DaemonStatus, 'listen'> | undefined): string | undefined {
  const configured = baseOf(settings);
  if (status === undefined) return configured.endsWith(':0') ? undefined : configured;
  const open = status.listen.http;
  const isOpen = open.some((each) => endOf(each) === endOf(configured));
  if (isOpen) return configured;
  return open.find((each) => isLoopbackAddress(new URL(each).hostname.replace(/^\[|\]$/g, ''))) ?? open[0] ?? configured;
}

/** An address of SSH on this machine: git was led there, whatever has become of the door that was there. */
const LOCAL_SSH =
  /^(?:ssh:\/\/(?:[^@/]*@)?(?:127\.\d+\.\d+\.\d+|localhost|\[::1\])[:/]|\[?[^@/[\]]+@(?:127\.\d+\.\d+\.\d+|localhost|\[::1\])[:\]])/;

/** Whether what git makes of an address is one of a door. That of an SSH door which is closed counts: rows of its own look at that. */
export function isAtDoor(to: string, doors: readonly string[]): boolean {
  return LOCAL_SSH.test(to) || doors.some((door) => to.startsWith(door));
}

/** Scheme and port: what has to be equal, since a listener may be reached by several names. */
function endOf(base: string): string {
  const { protocol, port } = new URL(base);
  return `${protocol}${port}`;
}

/** Where an address of Azure Repos that nobody has would go, by the rules that are in force now. */
export function wouldGo(git: Git): Promise<string> {
  return addressOf(git, 'https://dev.azure.com/-/project/_git/repository');
}

/** Rules of somebody else that rewrite an address: the longest first. */
export function rewritesOf(address: string, { entries, doors }: Pick<GitLook, 'entries' | 'doors'>): ConfigEntry[] {
  return entries
    .filter(({ key, value }) => {
      const base = subsectionOf(key, 'url', 'insteadof');
      return base !== undefined && value !== undefined && address.startsWith(value) && !doors.some((door) => base.startsWith(door));
    })
    .sort((one, other) => (other.value?.length ?? 0) - (one.value?.length ?? 0));
}
