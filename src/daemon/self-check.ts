/**
 * Whether this system tells who is at the other end of a connection: asked once at the start, by the road that every request
 * takes, with the daemon as its own caller. A door that could not tell would refuse everyone, and say so only to them.
 */
import { readFile } from 'node:fs/promises';
import { connect, createServer, isIPv6, type AddressInfo } from 'node:net';
import type { Peers } from '../gate/peers.js';
import type { Peer } from '../model/caller.js';
import { messageOf, ProxyError } from '../model/errors.js';
import type { Logger } from '../model/ports.js';
import type { AccessSettings } from '../model/settings.js';

/** Far longer than it takes; for a host that drops packets to itself. */
const LONGEST_MS = 5_000;

/**
 * Looks this process up as a caller on one of `hosts` of each version of IP; they are loopback addresses that can be listened on.
 * @throws ProxyError `caller-unknown` when its own uid is not what comes of it
 */
export async function checkCallers(peers: Peers, hosts: readonly string[]): Promise<void> {
  const ownUid = process.getuid?.();
  const one = [hosts.find((host) => !isIPv6(host)), hosts.find((host) => isIPv6(host))];
  await Promise.all(
    one.map(async (host) => {
      if (host === undefined) return;
      const peer = await callOnce(peers, host).catch((thrown: unknown) => messageOf(thrown));
      const fault = typeof peer === 'string' ? peer : faultOf(peer, ownUid);
      if (fault === undefined) return;
      throw new ProxyError('caller-unknown', `It cannot be told here which local user opens a connection to ${host}: ${fault}`, {
        todo:
          'set `access.local: lease` and give callers leases (`postern lease create`), or `access.local: anyone` if every user and ' +
          'program of this machine may use the identities of the routes',
      });
    }),
  );
}

/**
 * Those of `uids` that the kernel shows to this process as nobody, because its user namespace (`PrivateUsers=` of a unit) does not map
 * them: they are refused, whatever the configuration says. Empty where that cannot be told.
 *
 * Source: user_namespaces(7), /proc/PID/uid_map.
 */
export async function unmappedUids(uids: readonly number[], map = '/proc/self/uid_map'): Promise<readonly number[]> {
  const text = await readFile(map, 'utf8').catch(() => undefined);
  if (text === undefined) return [];
  const ranges = text
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  return uids.filter((uid) => !ranges.some(([first = 0, , count = 0]) => uid >= first && uid < first + count));
}

/** Warns of users of the configuration who are refused all the same. */
export async function warnOfUids({ local, uids }: Pick<AccessSettings, 'local' | 'uids'>, logger: Logger): Promise<void> {
  const unmapped = local === 'uid' ? await unmappedUids(uids) : [];
  if (unmapped.length === 0) return;
  const what = `\`access.uids\` has no effect for ${unmapped.join(', ')}: the user namespace of this process does not show who they are; give them leases, or run the service of the system`;
  logger.log('warn', 'config-warning', { what });
}

function faultOf(peer: Peer | undefined, ownUid: number | undefined): string | undefined {
  if (peer === undefined) return 'Node.js does not tell whether a connection is still open';
  const { uid } = peer;
  if (uid.kind === 'remote') return 'the connection does not come from loopback';
  if (uid.kind === 'unknown') return uid.why;
  return uid.uid === ownUid ? undefined : `the kernel shows uid ${uid.uid} for this process, which has uid ${ownUid ?? 'none'}`;
}

/** The peer of a connection of our own to a listener that is there for nothing else. */
function callOnce(peers: Peers, host: string): Promise<Peer | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      peers.accepted(socket);
      void peers.of(socket).then((peer) => {
        settle(() => resolve(peer));
        socket.destroy();
      });
    });
    const settle = (how: () => void): void => {
      clearTimeout(timer);
      how();
      caller?.destroy();
      server.close();
    };
    const fail = (thrown: unknown): void => settle(() => reject(thrown instanceof Error ? thrown : new Error(String(thrown))));
    const timer = setTimeout(() => fail(new Error('a connection to itself was not opened')), LONGEST_MS);
    let caller: ReturnType<typeof connect> | undefined;
    server.on('error', fail);
    server.listen({ host, port: 0, exclusive: true }, () => {
      const { port } = server.address() as AddressInfo; // because a TCP server that listens has such an address
      caller = connect({ host, port }).on('error', fail);
    });
  });
}
