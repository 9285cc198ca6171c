/** What is there when the first run begins: what nobody has to be asked again. */
import { askStatus } from '../../daemon/admin.js';
import type { DaemonStatus } from '../../daemon/status.js';
import type { LoadedSettings } from '../../config/load-settings.js';
import { ProxyError } from '../../model/errors.js';
import { type Context, loadFor, type SettingsFlags } from '../context.js';
import { discover } from '../gitconfig/discovery.js';
import { Git } from '../gitconfig/git.js';
import { readJournal } from '../gitconfig/journal.js';
import { placesFor } from '../gitconfig/places.js';
import { Systemctl } from '../service/systemctl.js';
import { installedPaths, lookAt, unitDirectory, unitNames } from '../service/unit-files.js';
import { lookAround, type Machine } from './machine.js';

export interface Standing {
  readonly loaded: LoadedSettings;
  readonly machine: Machine;
  /** Whether the configuration has routes of its own: then it says who signs in. */
  readonly hasRoutes: boolean;
  /** Whether the configuration, a variable or a flag says what the SSH door is to be. */
  readonly isSshSettled: boolean;
  /** Whether git was set up before. */
  readonly isSetUp: boolean;
  /** Found in remotes, in git's configuration and in earlier rules. */
  readonly organisations: readonly string[];
  readonly service: ServiceState;
  /** The daemon that runs now; undefined when none answers. */
  readonly daemon: DaemonStatus | undefined;
}

export type ServiceState =
  | {
      readonly kind: 'installed';
      /** Whether its doors are open or it runs: a daemon that answers meanwhile is it, and otherwise somebody's own. */
      readonly isUp: boolean;
      /** Whether the units are as they were installed: others are started, and not replaced. */
      readonly isOurs: boolean;
    }
  | { readonly kind: 'absent' }
  /** Why it cannot be one, in a line. */
  | { readonly kind: 'impossible'; readonly why: string };

/** @throws ProxyError the faults of the configuration, `git-config` */
export async function standingOf(context: Context, flags: SettingsFlags): Promise<Standing> {
  const { environment, home, workingDirectory, places } = context;
  const git = new Git(environment, home, workingDirectory);
  await git.requireVersion();
  const loaded = await loadFor(context, flags);
  const gitPlaces = await placesFor({ env: environment, home });
  const [machine, journal, found, service, daemon] = await Promise.all([
    lookAround(context, git.neutral()),
    readJournal(gitPlaces.journal),
    discover({ git, named: [], repositories: [workingDirectory], owned: gitPlaces.owned }),
    serviceState(context),
    askStatus(places.adminSocket),
  ]);
  const originOf = (key: string): string | undefined => loaded.effective.find(({ path }) => path === key)?.origin;
  return {
    loaded,
    machine,
    hasRoutes: originOf('routes[0].match') !== 'default',
    isSshSettled: originOf('listen.ssh') !== 'default',
    isSetUp: journal !== undefined,
    organisations: found.organisations,
    service,
    daemon,
  };
}

/** Whether there is a service to be made of it: none is installed, one can be, and no daemon of somebody's terminal is in its place. */
export function canBeService({ service, daemon }: Standing): boolean {
  return service.kind === 'absent' && daemon === undefined;
}

/** `install` also brings what is installed up to date. */
export type ServiceWork = 'install' | 'start' | 'none';

/** What is to be done about the service, when it is wished for and when it is not. */
export function serviceWork({ service, daemon }: Pick<Standing, 'service' | 'daemon'>, isWished: boolean): ServiceWork {
  if (service.kind !== 'installed') return isWished ? 'install' : 'none';
  // Somebody has started a daemon by hand, beside a service that is down: it has the ports.
  if (daemon !== undefined && !service.isUp) return 'none';
  return service.isOurs ? 'install' : 'start';
}

export async function serviceState({ environment, home }: Pick<Context, 'environment' | 'home'>): Promise<ServiceState> {
  const files = await Promise.all(installedPaths('user', unitDirectory('user', { environment, home })).map(lookAt));
  const systemctl = new Systemctl('user', environment);
  if (files.every(({ found }) => found !== 'missing')) {
    const units = await Promise.all(Object.values(unitNames('user')).map((unit) => systemctl.properties(unit, ['ActiveState'])));
    return {
      kind: 'installed',
      isUp: units.some(({ ActiveState: state }) => state === 'active'),
      isOurs: files.every(({ found }) => found === 'ours'),
    };
  }
  try {
    await systemctl.version();
    return { kind: 'absent' };
  } catch (thrown) {
    if (!(thrown instanceof ProxyError)) throw thrown;
    return { kind: 'impossible', why: thrown.message };
  }
}
