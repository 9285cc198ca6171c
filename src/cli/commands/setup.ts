/** `postern setup` and `postern env`: git pointed at the door, for a user or for one environment. */
import { ProxyError, systemCodeOf } from '../../model/errors.js';
import { removeFileDurably } from '../../store/atomic-file.js';
import { type Context, loadFor, type SettingsFlags } from '../context.js';
import { discover } from '../gitconfig/discovery.js';
import { ENVIRONMENT_FORMATS, type EnvironmentFormat, writeEnvironment } from '../gitconfig/environment.js';
import { Git } from '../gitconfig/git.js';
import { placesFor } from '../gitconfig/places.js';
import { onPremBases } from '../gitconfig/rules.js';
import { rulesWithoutSsh } from '../gitconfig/rules-without-ssh.js';
import { setup as setUpGit } from '../gitconfig/setup.js';
import { undo as undoGit } from '../gitconfig/undo.js';
import { machineWideAuthority, setupDoor } from './door-base.js';
import { setupSshDoor } from './ssh-door-address.js';
import { offerTls, settleAddress } from './setup-address.js';

/** @throws ProxyError `git-config`, `usage`, `state-unusable`, `certificate-unusable`, and the faults of the configuration */
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
    if (twin.system && !twin.dryRun) await removeFileDurably(await machineWideAuthority(context)).catch(ignoreAbsent);
    const outcome = await undoGit(twin);
    // Something of ours had to be left where it is; the text above says what and why.
    return outcome.kind === 'left' ? 1 : 0;
  }
  const settings = await settleAddress(context, flags, twin.dryRun);
  const way = { isSystem: twin.system, isDry: twin.dryRun };
  await setUpGit({
    ...twin,
    ...(await setupDoor(context, settings, way)),
    ssh: await setupSshDoor(context, settings, way),
    organisations: organisationsIn(flags),
    onPrem: onPremBases(settings.routes),
  });
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

/** The names given with `--org`. */
export function organisationsIn(flags: SettingsFlags): string[] {
  const value = flags['org'];
  return (Array.isArray(value) ? value : [value]).filter((name): name is string => typeof name === 'string');
}

function ignoreAbsent(thrown: unknown): void {
  if (systemCodeOf(thrown) !== 'ENOENT') throw thrown;
}
