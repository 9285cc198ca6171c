/** `postern config check|show|schema`. */
import { settingsJsonSchema } from '../../config/file-schema.js';
import { showSettings, showSettingsJson } from '../../config/show-settings.js';
import { type Context, loadFor, requireFiles, type SettingsFlags } from '../context.js';

/** @throws ProxyError `config-invalid`, `config-unreadable` */
export async function configCheck(context: Context, flags: SettingsFlags): Promise<number> {
  const loaded = await loadFor(context, flags);
  for (const warning of loaded.warnings) context.printer.note(`warning: ${warning}`);
  await requireFiles(context, loaded);
  const { settings } = loaded;
  const where = settings.file ?? 'no file, built-in defaults';
  const count = (n: number, noun: string, plural: string): string => `${n} ${n === 1 ? noun : plural}`;
  context.printer.line(
    `The configuration is good (${where}): ${count(settings.identities.length, 'identity', 'identities')}, ${count(settings.routes.length, 'route', 'routes')}`,
  );
  return 0;
}

/** @throws ProxyError `config-invalid`, `config-unreadable` */
export async function configShow(context: Context, flags: SettingsFlags): Promise<number> {
  const loaded = await loadFor(context, flags);
  const options = { origins: flags['origin'] === true };
  if (flags['json'] === true) context.printer.json(showSettingsJson(loaded, options));
  else for (const line of showSettings(loaded, options)) context.printer.line(line);
  return 0;
}

export function configSchema(context: Context): number {
  context.printer.json(settingsJsonSchema());
  return 0;
}
