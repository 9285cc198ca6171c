/** Rows of the configuration and of the directories that are ours. */
import { chmod, lstat } from 'node:fs/promises';
import { missingThings } from '../../config/check-files.js';
import { askStatus } from '../../daemon/admin.js';
import type { CheckOutcome } from '../../model/check.js';
import { messageOf, systemCodeOf } from '../../model/errors.js';
import { countText } from '../amounts.js';
import { loadFor } from '../context.js';
import { wordsLine } from '../gitconfig/environment.js';
import type { Check, Walk } from './check.js';

export const CONFIGURATION_CHECKS: readonly Check[] = [
  { id: 'configuration', name: 'configuration', class: 'configuration', needs: [], run: configuration },
  { id: 'configured-files', name: 'files it names', class: 'configuration', needs: ['configuration'], run: configuredFiles },
  { id: 'own-directories', name: 'own directories', class: 'configuration', needs: [], run: ownDirectories },
];

/** Without `--config` it is the one of the daemon that runs: what it does is what is to be explained. */
async function configuration({ context, flags, found }: Walk): Promise<CheckOutcome> {
  const running = await askStatus(context.places.adminSocket).catch(() => undefined);
  const isNamed = typeof flags['config'] === 'string' || (context.environment['POSTERN_CONFIG'] ?? '') !== '';
  const ofDaemon = isNamed ? undefined : running?.configuration;
  const loaded = await loadFor(context, ofDaemon === undefined ? flags : { ...flags, config: ofDaemon });
  found.loaded = loaded;
  const { settings, effective, warnings } = loaded;
  const count = `${countText(settings.routes.length, 'route')}, identities ${settings.identities.map(({ name }) => name).join(', ')}`;
  const file = settings.file ?? 'no file, built-in defaults';
  const outside = effective.filter(({ origin }) => /^(?:flag|environment) /.test(origin));
  const said = {
    text: `${file}: ${count}`,
    details: outside.map(({ path, value, origin }) => `${path} = ${typeof value === 'string' ? value : JSON.stringify(value)} (${origin})`),
  };
  if (warnings.length === 0) return { verdict: 'ok', ...said };
  return { verdict: 'warning', ...said, details: [...said.details, ...warnings], todo: 'see each of the lines above' };
}

/** What is looked for in an environment may be in the daemon's alone, which has looked at its start. */
async function configuredFiles({ context, found: { loaded } }: Walk): Promise<CheckOutcome> {
  if (loaded === undefined) return { verdict: 'untried', text: 'not tried: the configuration is not known' };
  const isRunning = (await askStatus(context.places.adminSocket).catch(() => undefined)) !== undefined;
  const missing = (await missingThings(loaded, context.environment)).filter(({ isOfEnvironment }) => !isOfEnvironment || !isRunning);
  const details = missing.map(({ text }) => text);
  if (missing.length === 0) return { verdict: 'ok', text: 'all are there' };
  if (missing.some(({ isOfEnvironment }) => !isOfEnvironment))
    return {
      verdict: 'failed',
      text: 'What the configuration points at is not there',
      details,
      todo: 'correct each of them; `postern config check` looks again',
      code: 'config-invalid',
    };
  return {
    verdict: 'warning',
    text: 'What the configuration points at is not in this environment',
    details,
    todo: 'see that the environment in which Postern is started has it; here `postern start` would not start',
    code: 'config-invalid',
  };
}

const OPEN_TO_OTHERS = 0o077;
const OPEN_TO_WRITERS = 0o022;

/** The daemon refuses a runtime directory that others can enter, and what lies in the state directory is nobody else's business. */
async function ownDirectories({ context: { places }, fixes }: Walk): Promise<CheckOutcome> {
  const { stateDirectory, runtimeDirectory, adminGroup } = places;
  const open: { readonly path: string; readonly mode: number; readonly wanted: number }[] = [];
  const strange: string[] = [];
  for (const path of new Set([runtimeDirectory, stateDirectory])) {
    const isShared = path === runtimeDirectory && adminGroup !== undefined;
    const found = await lstat(path).catch((thrown: unknown) => {
      if (systemCodeOf(thrown) !== 'ENOENT') strange.push(`${path} cannot be looked at: ${messageOf(thrown)}`);
    });
    if (found === undefined) continue;
    if (!found.isDirectory()) strange.push(`${path} is no directory`);
    else if (adminGroup === undefined && found.uid !== process.getuid?.())
      strange.push(`${path} belongs to the user with uid ${found.uid}`);
    else if ((found.mode & (isShared ? OPEN_TO_WRITERS : OPEN_TO_OTHERS)) !== 0)
      open.push({ path, mode: found.mode & 0o777, wanted: isShared ? 0o755 : 0o700 });
  }
  if (strange.length > 0)
    return {
      verdict: 'failed',
      text: 'A directory of Postern cannot be used',
      details: strange,
      todo: 'give it to the user of the daemon, or set XDG_RUNTIME_DIR and POSTERN_STATE_DIRECTORY to others',
      code: 'state-unusable',
    };
  if (open.length === 0) return { verdict: 'ok', text: 'closed to other users' };
  const commands = open.map(({ path, wanted }) => wordsLine(['chmod', wanted.toString(8), path]));
  fixes.set('directory-modes', {
    commands,
    mend: async () => {
      for (const { path, wanted } of open) await chmod(path, wanted);
      return open.map(({ path, wanted }) => `${path} has mode ${wanted.toString(8)} now`);
    },
  });
  return {
    // The daemon refuses the one, and uses the other all the same.
    verdict: open.some(({ path }) => path === runtimeDirectory) ? 'failed' : 'warning',
    text: 'Other users can reach into a directory of Postern',
    details: open.map(({ path, mode }) => `${path} has mode ${mode.toString(8)}`),
    todo: commands.join(' && '),
    code: 'state-unusable',
    fix: 'directory-modes',
  };
}
