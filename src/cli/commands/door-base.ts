/** The address under which git reaches the HTTP door. */
import { ProxyError } from '../../model/errors.js';
import type { Settings } from '../../model/settings.js';
import { askStatus } from '../../daemon/admin.js';
import type { Context } from '../context.js';

/** `http://host:port` of the first listener of a configuration. */
export function baseOf(settings: Settings): string {
  const [first] = settings.listen.http;
  if (first === undefined) throw new ProxyError('internal', 'There is no HTTP listener');
  return `http://${first.host.includes(':') ? `[${first.host}]` : first.host}:${first.port}`;
}

/**
 * The same for setting git up. A port of 0 is known only to the running daemon, and changes with each start.
 * @throws ProxyError `usage` when it cannot be known
 */
export async function setupBase(context: Context, settings: Settings): Promise<string> {
  if (settings.listen.http[0]?.port !== 0) return baseOf(settings);
  const running = await askStatus(context.places.adminSocket);
  const address = running?.listen.http[0];
  if (address === undefined) {
    throw new ProxyError('usage', '`listen.http` has port 0, so the address of the door is not known', {
      todo: 'give it a port, or start the daemon first',
    });
  }
  return address;
}
