/** What ends the process when nothing else has caught it. */
import { messageOf } from '../model/errors.js';
import { EXIT } from './daemon.js';
import type { DaemonLog } from './log.js';

/**
 * The last resort. A promise that nobody waited for concerns one request, so the daemon goes on; an exception that
 * nobody caught may have left anything behind, so it ends, and whoever supervises it starts a clean one.
 */
export function guardProcess(log: DaemonLog): void {
  process.on('unhandledRejection', (thrown) => log.log('error', 'unexpected', { what: messageOf(thrown) }));
  process.on('uncaughtException', (thrown) => {
    log.log('error', 'unexpected', { what: messageOf(thrown), stack: thrown.stack ?? '' });
    void log.close().finally(() => process.exit(EXIT.failure));
  });
}
