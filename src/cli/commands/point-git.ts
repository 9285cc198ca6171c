/** Git pointed at the doors of a configuration: what `postern setup` does in the end, and what it shows before. */
import type { Settings } from '../../model/settings.js';
import type { Context, SettingsFlags } from '../context.js';
import type { TwinOptions } from '../gitconfig/places.js';
import { onPremBases } from '../gitconfig/rules.js';
import { setup as setUpGit, type SetupOutcome } from '../gitconfig/setup.js';
import { setupDoor } from './door-base.js';
import { setupSshDoor } from './ssh-door-address.js';

export interface GitWay {
  /** For all users of this machine. */
  readonly isSystem: boolean;
  /** Only shows it. */
  readonly isDry: boolean;
}

/**
 * Points git at the doors of these settings.
 * @throws ProxyError `git-config`, `usage`, `state-unusable`, `certificate-unusable`
 */
export async function pointGit(context: Context, settings: Settings, flags: SettingsFlags, way: GitWay): Promise<SetupOutcome> {
  return setUpGit({
    ...twinOf(context, way),
    ...(await setupDoor(context, settings, way)),
    ssh: await setupSshDoor(context, settings, way),
    organisations: organisationsIn(flags),
    onPrem: onPremBases(settings.routes),
  });
}

/** What setup and its undo are both told. */
export function twinOf({ environment, home, workingDirectory, printer }: Context, { isSystem, isDry }: GitWay): TwinOptions {
  return { env: environment, home, cwd: workingDirectory, system: isSystem, dryRun: isDry, print: printer.line };
}

/** The names given with `--org`. */
export function organisationsIn(flags: SettingsFlags): string[] {
  const value = flags['org'];
  return (Array.isArray(value) ? value : [value]).filter((name): name is string => typeof name === 'string');
}
