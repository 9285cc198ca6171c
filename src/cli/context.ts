/** What every command is handed: the process's surroundings, and the configuration when it asks for it. */
import { userInfo } from 'node:os';
import type { LoadedSettings } from '../config/load-settings.js';
import type { Surroundings } from '../config/settings-file.js';
import { SCALAR_PATHS, flagOf } from '../config/scalar-settings.js';
import { placesFor, type Places, systemPlaces } from '../daemon/places.js';
import { ProxyError } from '../model/errors.js';
import type { Printer } from './print.js';

export interface Context {
  readonly environment: Record<string, string | undefined>;
  readonly home: string;
  readonly workingDirectory: string;
  readonly places: Places;
  readonly printer: Printer;
  readonly version: string;
}

/** What a lone `-` of the lease commands comes as: yargs takes it for an option without a name. */
export const STANDARD_INPUT = '@stdin';

/** Flags that name settings, and the file they stand in; every command that reads the configuration takes them. */
export type SettingsFlags = Readonly<Record<string, unknown>>;

export function createContext(printer: Printer, version: string): Context {
  const home = homeDirectory(process.env['HOME']);
  return { environment: process.env, home, workingDirectory: process.cwd(), places: placesFor(process.env, home), printer, version };
}

/** The same for a command that was given `--system`: it means the daemon of the system and its places. */
export function placed(context: Context, flags: SettingsFlags): Context {
  return flags['system'] === true ? { ...context, places: systemPlaces(context.environment) } : context;
}

/** Where nobody lives: what systems write for users without a home. */
const NO_HOME = '/nonexistent';

/** The user's home. Jobs have none at times: no HOME, and a uid that no user has. */
function homeDirectory(named: string | undefined): string {
  if (named !== undefined && named !== '') return named;
  try {
    return userInfo().homedir;
  } catch {
    return NO_HOME;
  }
}

/** The flags of all settings that can be given as one, for yargs. */
export function settingsOptions(): Record<string, { type: 'string'; describe: string; group: string; requiresArg: true }> {
  const options: ReturnType<typeof settingsOptions> = {};
  for (const path of SCALAR_PATHS) {
    options[flagOf(path).slice(2)] = { type: 'string', describe: `${path} of the configuration`, group: 'Settings:', requiresArg: true };
  }
  return options;
}

/**
 * Loads the configuration for a command.
 * @throws ProxyError `config-invalid`, `config-unreadable`
 */
export async function loadFor(context: Context, flags: SettingsFlags): Promise<LoadedSettings> {
  const { loadSettings } = await import('../config/load-settings.js');
  const given: Record<string, string> = {};
  for (const path of SCALAR_PATHS) {
    const value = flags[flagOf(path).slice(2)];
    if (typeof value === 'string') given[path] = value;
  }
  return loadSettings({ ...surroundingsOf(context, flags), flags: given });
}

/** What decides which configuration file is read. */
export function surroundingsOf({ environment, home, workingDirectory }: Context, flags: SettingsFlags): Surroundings {
  return {
    file: typeof flags['config'] === 'string' ? flags['config'] : undefined,
    system: flags['system'] === true,
    environment,
    home,
    workingDirectory,
  };
}

/**
 * Makes sure that what a configuration points at is there, all of it at once; no secret is read.
 * @throws ProxyError `config-invalid` with one line per thing that is missing
 */
export async function requireFiles(context: Context, loaded: LoadedSettings): Promise<void> {
  const { checkFiles } = await import('../config/check-files.js');
  const missing = await checkFiles(loaded, context.environment);
  if (missing.length === 0) return;
  throw new ProxyError('config-invalid', 'What the configuration points at is not there', {
    details: missing,
    todo: 'Correct each of them',
  });
}
