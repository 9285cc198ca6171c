/** `postern setup` and `postern env`: git pointed at the door, for a user or for one environment. */
import { ProxyError } from '../../model/errors.js';
import { type Context, loadFor, type SettingsFlags } from '../context.js';
import { discover } from '../gitconfig/discovery.js';
import { ENVIRONMENT_FORMATS, type EnvironmentFormat, writeEnvironment } from '../gitconfig/environment.js';
import { Git } from '../gitconfig/git.js';
import { placesFor } from '../gitconfig/places.js';
import { onPremBases, rulesFor } from '../gitconfig/rules.js';
import { setup as setUpGit } from '../gitconfig/setup.js';
import { undo as undoGit } from '../gitconfig/undo.js';
import { setupBase } from './door-base.js';

/** @throws ProxyError `git-config`, `usage`, and the faults of the configuration */
export async function setup(context: Context, flags: SettingsFlags): Promise<number> {
  const twin = {
    env: context.environment,
    home: context.home,
    cwd: context.workingDirectory,
    system: flags['system'] === true,
    dryRun: flags['dry-run'] === true,
    print: context.printer.line,
  };
  if (flags['undo'] === true) {
    const outcome = await undoGit(twin);
    // Something of ours had to be left where it is; the text above says what and why.
    return outcome.kind === 'left' ? 1 : 0;
  }
  const { settings } = await loadFor(context, flags);
  await setUpGit({
    ...twin,
    base: await setupBase(context, settings),
    organisations: organisationsIn(flags),
    onPrem: onPremBases(settings.routes),
  });
  return 0;
}

/** @throws ProxyError `usage`, `git-config`, and the faults of the configuration */
export async function env(context: Context, flags: SettingsFlags): Promise<number> {
  const { settings } = await loadFor(context, flags);
  const format = ENVIRONMENT_FORMATS.find((known) => known === flags['format']);
  if (format === undefined)
    throw new ProxyError('usage', 'There is no such format', { todo: `use one of ${ENVIRONMENT_FORMATS.join(', ')}` });
  const base = await setupBase(context, settings);
  const git = new Git(context.environment, context.home, context.workingDirectory);
  const places = await placesFor({ env: context.environment, home: context.home });
  const found = await discover({ git, named: organisationsIn(flags), repositories: [context.workingDirectory], owned: places.owned });
  const rules = rulesFor({ base, organisations: found.organisations, users: found.users, onPrem: onPremBases(settings.routes) });
  context.printer.line(writeEnvironment(format, rules, base, inherits(format) ? context.environment : {}).trimEnd());
  return 0;
}

/** Whether what is printed will be laid over this very environment, so that what it already holds has to be counted. */
function inherits(format: EnvironmentFormat): boolean {
  return format === 'sh' || format === 'fish' || format === 'powershell';
}

/** The names given with `--org`. */
export function organisationsIn(flags: SettingsFlags): string[] {
  const value = flags['org'];
  return (Array.isArray(value) ? value : [value]).filter((name): name is string => typeof name === 'string');
}
