/** `postern log-level`: another level for the log of the daemon that runs. */
import { askLogLevel } from '../../daemon/life-actions.js';
import type { Context } from '../context.js';
import { notRunning } from './stop.js';

/** @throws ProxyError `not-running`, `usage` */
export async function logLevel({ places, printer }: Context, level: string): Promise<number> {
  const answer = await askLogLevel(places.adminSocket, level);
  if (answer === undefined) throw notRunning(places.adminSocket);
  printer.line(`The daemon logs at ${answer.level} now, until it is started anew or \`log\` of its configuration changes`);
  return 0;
}
