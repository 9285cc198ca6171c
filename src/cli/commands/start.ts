/** `postern start`: the daemon in the foreground, as a service manager wants it. */
import { Daemon, guardProcess } from '../../daemon/daemon.js';
import { InheritedSockets } from '../../daemon/inherited-sockets.js';
import { isJournal } from '../../daemon/journal.js';
import { openLog } from '../../daemon/log.js';
import { ServiceManager } from '../../daemon/service-manager.js';
import { systemClock } from '../../model/clock.js';
import { settingsPath } from '../../config/settings-file.js';
import { type Context, loadFor, requireFiles, type SettingsFlags, surroundingsOf } from '../context.js';

/** Stands for a value that is not to be read again. */
const HELD = 'held';

/**
 * Starts, runs until stopped, and ends the process with the exit code.
 * @throws ProxyError when it cannot start; nothing is left open then
 */
export async function start(context: Context, flags: SettingsFlags): Promise<never> {
  const loaded = await loadFor(context, flags);
  await requireFiles(context, loaded);
  const { settings } = loaded;
  const log = openLog(settings.log, { isJournal: isJournal(context.environment) });
  guardProcess(log);
  for (const warning of loaded.warnings) log.log('warn', 'config-warning', { what: warning });
  const daemon = new Daemon({
    settings,
    environment: context.environment,
    places: context.places,
    log,
    clock: systemClock,
    version: context.version,
    manager: ServiceManager.take(context.environment, log),
    inherited: await InheritedSockets.take(context.environment),
    isOnTerminal: process.stdin.isTTY,
    watched: settingsPath(surroundingsOf(context, flags))?.path,
    load: async (held) => {
      // They were taken out of the environment at the start; that they were there is all that is asked of them here.
      const then = { ...context, environment: { ...Object.fromEntries(held.map((name) => [name, HELD])), ...context.environment } };
      const again = await loadFor(then, flags);
      await requireFiles(then, again);
      return again;
    },
  });
  const ended = daemon.run();
  await daemon.start();
  const code = await ended;
  await log.close();
  // Not by running out of work: a token request or an `az` that nobody waits for any more may go on for half a minute.
  process.exit(code);
}
