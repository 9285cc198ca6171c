/** A door's listener: opened at one address, with what can go wrong told in the same words for every door. */
import type { AddressInfo, Server } from 'node:net';
import { messageOf, ProxyError, systemCodeOf } from '../model/errors.js';
import type { Refusal } from '../model/refusal.js';
import type { ListenAddress } from '../model/settings.js';

/** A service manager has started it again by then, if nothing is wrong. */
const STARTED_AGAIN_SECONDS = 5;
/** Connections that may wait to be accepted on an inherited socket, as its service manager has it; Node's own is less. */
const INHERITED_BACKLOG = 4096;

/** What is said to whoever comes while a door closes. */
export const STOPPING: Refusal = {
  kind: 'refusal',
  code: 'upstream-unavailable',
  status: 503,
  what: 'Postern is stopping',
  todo: 'try again when it has started again',
  retryAfterSeconds: STARTED_AGAIN_SECONDS,
};

/**
 * Listens and gives the port; undefined when an optional address does not exist on this system.
 * @param door its name and its key in the configuration, for the text of a fault
 * @param descriptor of a socket that listens at that address already (`src/daemon/inherited-sockets.ts`)
 * @throws ProxyError `listen-failed`
 */
export async function listenAt(
  server: Server,
  address: ListenAddress,
  door: { readonly name: 'HTTP' | 'SSH' | 'telemetry'; readonly key: string },
  descriptor?: number,
): Promise<number | undefined> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      const where =
        descriptor === undefined
          ? { host: address.host, port: address.port, ipv6Only: true, exclusive: true }
          : { fd: descriptor, backlog: INHERITED_BACKLOG };
      server.listen(where, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (thrown) {
    const code = systemCodeOf(thrown);
    if (address.optional && (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT' || code === 'EINVAL')) return undefined;
    throw new ProxyError(
      'listen-failed',
      `The ${door.name} ${door.name === 'telemetry' ? 'listener' : 'door'} cannot listen on ${displayHost(address.host)}:${address.port} (${code ?? messageOf(thrown)})`,
      {
        todo: code === 'EADDRINUSE' ? `stop what uses the port, or set \`${door.key}\` to another one` : `check \`${door.key}\``,
        cause: thrown,
      },
    );
  }
  return (server.address() as AddressInfo).port; // because a TCP server that listens has such an address
}

/** Connections that are open at the listeners of a door. */
export async function openConnections(servers: readonly Server[]): Promise<number> {
  const counts = servers.map(
    (server) => new Promise<number>((resolve) => server.getConnections((fault, count) => resolve(fault === null ? count : 0))),
  );
  return (await Promise.all(counts)).reduce((all, count) => all + count, 0);
}

/** An IP literal as it stands before a port. */
export function displayHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
