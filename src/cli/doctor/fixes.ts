/** What `postern doctor --fix` can mend that several rows offer, and how the commands for it are written. */
import { settingsPath } from '../../config/settings-file.js';
import { surroundingsOf } from '../context.js';
import { wordsLine } from '../gitconfig/environment.js';
import { organisationIn } from '../gitconfig/names.js';
import { pointGit } from '../commands/point-git.js';
import { settleAddresses } from '../commands/setup-address.js';
import type { Walk } from './check.js';

/** `postern setup`, with the organisations of the walk's addresses and the flags that say which daemon is meant. */
export function setupCommand(walk: Walk): string {
  return wordsLine(['postern', 'setup', ...setupWords(walk)]);
}

/** Has `--fix` run `setup`; gives the fix's name. */
export function addSetupFix(walk: Walk): string {
  const { context, flags, fixes } = walk;
  const lines: string[] = [];
  const quiet = { ...context, printer: { ...context.printer, line: (text: string) => void lines.push(text) } };
  fixes.set('setup', {
    commands: [setupCommand(walk)],
    mend: async () => {
      const own = { ...configFlags(walk), org: organisationsOf(walk.addresses) };
      const settings = await settleAddresses(quiet, own, false);
      await pointGit(quiet, settings, own, { isSystem: flags['system'] === true, isDry: false });
      return lines;
    },
  });
  return 'setup';
}

/** The configuration that is looked at may be that of the daemon. */
function configFlags({ flags, found }: Walk): Readonly<Record<string, unknown>> {
  const file = found.loaded?.settings.file;
  return file === undefined ? flags : { ...flags, config: file };
}

function setupWords({ context, flags, found, addresses }: Walk): string[] {
  const { config } = flags;
  const looked = found.loaded?.settings.file;
  // Setup would take another one by itself than the daemon that runs has, and lead git to a door of that.
  const isOther = looked !== undefined && looked !== settingsPath(surroundingsOf(context, flags))?.path;
  const file = typeof config === 'string' ? config : isOther ? looked : undefined;
  return [
    ...(flags['system'] === true ? ['--system'] : []),
    ...(file === undefined ? [] : ['--config', file]),
    ...organisationsOf(addresses).flatMap((name) => ['--org', name]),
  ];
}

/** Organisations that addresses of Azure Repos name, each once. */
export function organisationsOf(addresses: readonly string[]): string[] {
  const names = addresses.flatMap((address) => {
    const first =
      /^https?:\/\/(?:[^@/]*@)?dev\.azure\.com(?::\d+)?\/([^/]+)\//i.exec(address)?.[1] ??
      /^https?:\/\/(?:[^@/]*@)?([^./]+)\.visualstudio\.com(?::\d+)?\//i.exec(address)?.[1] ??
      /(?:ssh\.dev\.azure\.com|vs-ssh\.visualstudio\.com)(?::\d+)?[:/]\/?v3\/([^/]+)\//i.exec(address)?.[1];
    const name = first === undefined ? undefined : organisationIn(first);
    return name === undefined || name === '-' ? [] : [name];
  });
  return [...new Set(names)];
}
