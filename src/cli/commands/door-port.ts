/**
 * The port of a door when nobody chose one: if something else listens on the default, another is taken, the same one each
 * time, and written down, so that the daemon, git and the next setup agree on it.
 */
import { createServer } from 'node:net';
import { askStatus } from '../../daemon/admin.js';
import { ProxyError, systemCodeOf } from '../../model/errors.js';
import type { ListenAddress } from '../../model/settings.js';
import { hostInUrl } from '../../http/listener-tls.js';
import type { Context } from '../context.js';
import { Systemctl } from '../service/systemctl.js';
import { type Scope, unitNames } from '../service/unit-files.js';

/** How far above a taken port a free one is looked for. */
export const PORTS_TRIED = 80;
/** What the doors have by default: whoever else runs a Postern here will want them. */
const KEPT_FREE: readonly number[] = [8417, 8422];

/** What the addresses of a configuration are to one who wants to open them. */
export type Holder = 'nobody' | 'this-daemon' | 'something-else';

/**
 * Who holds these addresses now: the daemon that runs, the service manager for one that it will start, or something else. Opens and
 * closes them for a moment to find out.
 */
export async function holderOf(
  { places, environment }: Pick<Context, 'places' | 'environment'>,
  addresses: readonly ListenAddress[],
  scope: Scope = 'user',
): Promise<Holder> {
  if (await areFree(addresses)) return 'nobody';
  const running = await askStatus(places.adminSocket);
  const listeners = [...(running?.listen.http ?? []), ...(running?.listen.ssh ?? [])];
  const isIn = (held: readonly string[]): boolean => addresses.some(({ host, port }) => held.includes(`${hostInUrl(host)}:${port}`));
  if (isIn(listeners.map((address) => address.replace(/^[a-z]+:\/\//, '')))) return 'this-daemon';
  return isIn(await socketsOf(scope, environment)) ? 'this-daemon' : 'something-else';
}

/** What the socket unit of the service listens on, if it is open: `127.0.0.1:8417`. */
async function socketsOf(scope: Scope, environment: Context['environment']): Promise<string[]> {
  const names = ['ActiveState', 'Listen'];
  const { ActiveState: state, Listen: listen = '' } = await new Systemctl(scope, environment).properties(unitNames(scope).socket, names);
  return state === 'active' ? listen.split('\n').map((line) => line.replace(/ \(Stream\)$/, '')) : [];
}

/**
 * The first port above the one of these addresses that all of them can have.
 * @param key where the configuration names the address, for the text of a fault
 * @param others ports that are of the other door, or will be, whether it holds them now or not
 * @throws ProxyError `usage` when none of `PORTS_TRIED` is free
 */
export async function freePort(key: string, addresses: readonly ListenAddress[], others: readonly number[]): Promise<number> {
  const taken = addresses[0]?.port ?? 0;
  const kept = new Set([...KEPT_FREE, ...others]);
  for (let port = taken + 1; port <= Math.min(taken + PORTS_TRIED, 65_535); port++) {
    if (!kept.has(port) && (await areFree(addresses.map((address) => ({ ...address, port }))))) return port;
  }
  throw new ProxyError('usage', `Port ${taken} is in use, and so are the ${PORTS_TRIED} above it`, {
    todo: `write a free one as \`${key}\` into the configuration`,
  });
}

async function areFree(addresses: readonly ListenAddress[]): Promise<boolean> {
  for (const address of addresses) if (!(await isFree(address))) return false;
  return true;
}

/** Whether an address can be opened; one that this system does not have, or lets nobody open, is not held by anybody. */
function isFree({ host, port }: ListenAddress): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer((socket) => socket.destroy());
    probe.once('error', (fault) => resolve(systemCodeOf(fault) !== 'EADDRINUSE'));
    probe.listen({ host, port, ipv6Only: true, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
