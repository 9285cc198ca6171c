/** `postern setup` and `postern env`: git pointed at the door, for a user or for one environment. */
import { ProxyError, systemCodeOf } from '../../model/errors.js';
import { removeFileDurably } from '../../store/atomic-file.js';
import { type Context, loadFor, type SettingsFlags } from '../context.js';
import { discover } from '../gitconfig/discovery.js';
import { ENVIRONMENT_FORMATS, type EnvironmentFormat, writeEnvironment } from '../gitconfig/environment.js';
import { Git } from '../gitconfig/git.js';
import { placesFor } from '../gitconfig/places.js';
import { rulesWithoutSsh } from '../gitconfig/rules-without-ssh.js';
import { undo as undoGit } from '../gitconfig/undo.js';
import { machineWideAuthority, setupDoor } from './door-base.js';
import { type GitWay, organisationsIn, pointGit, twinOf } from './point-git.js';
import { offerTls, settleAddresses } from './setup-address.js';
import { canBeAsked } from '../colour.js';

/** @throws ProxyError `git-config`, `usage`, `state-unusable`, `certificate-unusable`, and the faults of the configuration */
export async function setup(context: Context, flags: SettingsFlags): Promise<number> {
  const way: GitWay = { isSystem: flags['system'] === true, isDry: flags['dry-run'] === true };
  if (flags['undo'] === true) {
    if (way.isSystem && !way.isDry) await removeFileDurably(await machineWideAuthority(context)).catch(ignoreAbsent);
    const outcome = await undoGit(twinOf(context, way));
    // Something of ours had to be left where it is; the text above says what and why.
    return outcome.kind === 'left' ? 1 : 0;
  }
  if (isFirstRun(flags)) return (await import('../first-run/first-run.js')).firstRun(context, flags);
  const settings = await settleAddresses(context, flags, way.isDry);
  await pointGit(context, settings, flags, way);
  await offerTls(context, settings);
  return 0;
}

/** @throws ProxyError `usage`, `git-config`, and the faults of the configuration */
export async function env(context: Context, flags: SettingsFlags): Promise<number> {
  const { settings } = await loadFor(context, flags);
  const format = ENVIRONMENT_FORMATS.find((known) => known === flags['format']);
  if (format === undefined)
    throw new ProxyError('usage', 'There is no such format', { todo: `use one of ${ENVIRONMENT_FORMATS.join(', ')}` });
  const door = await setupDoor(context, settings, { isSystem: false, isDry: false });
  const git = new Git(context.environment, context.home, context.workingDirectory);
  const places = await placesFor({ env: context.environment, home: context.home });
  const found = await discover({ git, named: organisationsIn(flags), repositories: [context.workingDirectory], owned: places.owned });
  const { organisations, users } = found;
  const rules = rulesWithoutSsh({ base: door.base, organisations, users, routes: settings.routes });
  context.printer.line(writeEnvironment(format, rules, door, inherits(format) ? context.environment : {}).trimEnd());
  return 0;
}

/** Whether what is printed will be laid over this very environment, so that what it already holds has to be counted. */
function inherits(format: EnvironmentFormat): boolean {
  return format === 'sh' || format === 'fish' || format === 'powershell';
}

/** Flags of which each is a wish for more than git's rules. */
const FIRST_RUN_FLAGS = ['yes', 'identity', 'with', 'ssh', 'service'] as const;

/** Whether somebody wants all of it set up: who is there to be asked, or has said so by flags. A look or the machine's git is not that. */
function isFirstRun(flags: SettingsFlags): boolean {
  if (flags['system'] === true) return false;
  if (FIRST_RUN_FLAGS.some((name) => flags[name] !== undefined)) return true;
  return flags['dry-run'] !== true && canBeAsked();
}

function ignoreAbsent(thrown: unknown): void {
  if (systemCodeOf(thrown) !== 'ENOENT') throw thrown;
}
