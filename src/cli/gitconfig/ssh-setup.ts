/** What setup needs to know for the SSH door: its rules, where its key is to be known, and what stands in the way. */
import type { KnownHostsWish } from '../known-hosts/entry.js';
import { doorNamesOf } from '../known-hosts/lines.js';
import { knownHostsPlace } from '../known-hosts/place.js';
import type { ListenAddress, Route } from '../../model/settings.js';
import type { Git } from './git.js';
import type { Places, TwinOptions } from './places.js';
import type { Finding } from './proof.js';
import { type Rule, spelledOnce } from './rules.js';
import { azureSshHosts, otherSshHost, sshDoors, sshDoorRules } from './ssh-rules.js';

export interface SshDoor {
  /** The address that git on this machine uses. */
  readonly address: ListenAddress;
  /** All that the door listens on. */
  readonly listen: readonly ListenAddress[];
  /** `ssh-ed25519 AAAA...`. */
  readonly publicLine: string;
  /** Who may name another user or port in addresses. */
  readonly routes: readonly Pick<Route, 'match' | 'ssh'>[];
}

export interface SshPlan {
  readonly rules: readonly Rule[];
  /** What the rules' bases begin with. */
  readonly doors: readonly string[];
  readonly knownHosts: KnownHostsWish | undefined;
  readonly findings: readonly Finding[];
}

/** @throws ProxyError `usage` as `otherSshHost`, `git-config` when git cannot be run */
export async function sshPlanFor(
  { env, home }: Pick<TwinOptions, 'env' | 'home'>,
  around: { git: Git; places: Places; door: SshDoor | undefined; organisations: readonly string[]; onPrem: readonly string[] },
): Promise<SshPlan> {
  const { git, places, door, organisations, onPrem } = around;
  if (door === undefined) return { rules: [], doors: [], knownHosts: undefined, findings: [] };
  const { address, listen, publicLine, routes } = door;
  const hosts = [...azureSshHosts(spelledOnce(organisations)), ...[...onPrem].sort().map((base) => otherSshHost(base, routes))];
  const place = places.system
    ? { file: places.knownHosts, findings: [] }
    : await knownHostsPlace({ git, env, home, address, usual: places.knownHosts });
  return {
    rules: sshDoorRules(address, hosts),
    doors: sshDoors(address),
    knownHosts: place.file === undefined ? undefined : { file: place.file, door: { names: doorNamesOf(listen), publicLine } },
    findings: place.findings,
  };
}
