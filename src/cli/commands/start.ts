/** `postern start`: the daemon in the foreground, as a service manager wants it. */
import { Daemon, guardProcess } from '../../daemon/daemon.js';
import { InheritedSockets } from '../../daemon/inherited-sockets.js';
import { isJournal } from '../../daemon/journal.js';
import { openLog } from '../../daemon/log.js';
import { ServiceManager } from '../../daemon/service-manager.js';
import { systemClock } from '../../model/clock.js';
import { type Context, loadFor, requireFiles, type SettingsFlags } from '../context.js';

/**
 * Starts, runs until stopped, and ends the process with the exit code.
 * @throws ProxyError when it cannot start; nothing is left open then
 */
export async function start(context: Context, flags: SettingsFlags): Promise<never> {
  const loaded = await loadFor(context, flags);
  await requireFiles(context, loaded);
  const { settings } = loaded;
  const isTerminal = process.stderr.isTTY;
  const log = openLog({
    level: settings.log.level,
    format: settings.log.format === 'auto' ? (isTerminal ? 'human' : 'json') : settings.log.format,
    isJournal: isJournal(context.environment),
  });
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
  });
  const ended = daemon.run();
  await daemon.start();
  const code = await ended;
  await log.close();
  // Not by running out of work: a token request or an `az` that nobody waits for any more may go on for half a minute.
  process.exit(code);
}
