/**
 * The doors at the addresses of the configuration: opened at the start, all of them or none, and brought to other addresses while
 * the daemon runs. A listener that stays as it is keeps its socket.
 */
import { displayHost } from '../gate/listening.js';
import type { HttpDoor } from '../http/http-door.js';
import { hasTls } from '../http/listener-tls.js';
import { ProxyError } from '../model/errors.js';
import type { Logger } from '../model/ports.js';
import type { ListenAddress, Settings } from '../model/settings.js';
import type { SshDoor } from '../ssh/ssh-door.js';
import { isLoopback } from '../upstream/outgoing-proxy.js';
import type { House } from './assemble.js';
import type { InheritedSockets } from './inherited-sockets.js';

type Listen = Settings['listen'];

/** What one door has to do. */
interface Moves {
  readonly leave: readonly ListenAddress[];
  readonly open: readonly ListenAddress[];
}

/** Listeners that were moved, as long as it is open whether they stay so. */
export interface ListenerMoves {
  readonly commit: () => void;
  readonly undo: () => Promise<void>;
}

/**
 * Opens every listener of the configuration; where `inherited` has its socket, that is taken.
 * @throws ProxyError `listen-failed`, `certificate-unusable`, `state-unusable`; what was opened before is still open then
 */
export async function openListeners(
  { door, sshDoor }: House,
  { http, ssh }: Listen,
  { logger, inherited }: { logger: Logger; inherited?: InheritedSockets | undefined },
): Promise<void> {
  for (const address of http) if (!(await door.listen(address, { descriptor: inherited?.claim(address) }))) tellSkipped(address, logger);
  for (const address of ssh) if (!(await sshDoor.listen(address, { descriptor: inherited?.claim(address) }))) tellSkipped(address, logger);
  inherited?.closeUnused(logger, [...http, ...ssh]);
}

/**
 * Opens what `wanted` has and is not open, with the parts of `next`; what comes in there waits for `when`. What is not wanted any more
 * is left by `commit`; `undo` has everything as it was, and so it is when something cannot be opened.
 * @throws ProxyError `listen-failed`, `certificate-unusable`, `state-unusable`
 */
export async function moveListeners(
  { doorParts: now }: House,
  next: House,
  { wanted, had, when, logger }: { wanted: Listen; had: Listen; when: Promise<void>; logger: Logger },
): Promise<ListenerMoves> {
  const { door, sshDoor, doorParts } = next;
  const speaksAlike = ({ host }: ListenAddress): boolean => hasTls(had.tls, host) === hasTls(wanted.tls, host);
  const http = movesOf(door.addresses, wanted.http, speaksAlike);
  const ssh = movesOf(sshDoor.addresses, wanted.ssh, () => true);
  const left: (readonly [HttpDoor | SshDoor, ListenAddress])[] = [];
  const opened: (readonly [HttpDoor | SshDoor, ListenAddress])[] = [];
  const open = async (one: HttpDoor | SshDoor, address: ListenAddress): Promise<void> => {
    const isOpen = one === door ? await door.listen(address, { parts: doorParts, when }) : await sshDoor.listen(address, { when });
    if (isOpen) opened.push([one, address]);
    else tellSkipped(address, logger);
  };
  const wantedPorts = [...http.open, ...ssh.open];
  const leaving = [
    ...http.leave.map((address): [HttpDoor | SshDoor, ListenAddress] => [door, address]),
    ...ssh.leave.map((address): [HttpDoor | SshDoor, ListenAddress] => [sshDoor, address]),
  ];
  const inTheWay = leaving.filter(([, each]) => wantedPorts.some((other) => isInTheWay(each, other)));
  for (const [one, address] of inTheWay) if (one.isInherited(address)) throw notOurs(address);
  const undo = async (): Promise<void> => {
    for (const [one, address] of opened) one.leave(address);
    for (const [one, address] of left) await (one === door ? door.listen(address, { parts: now }) : sshDoor.listen(address));
  };
  try {
    // Only what is in the way, and only for the moment that it takes.
    for (const [one, address] of inTheWay) {
      one.leave(address);
      left.push([one, address]);
    }
    for (const address of http.open) await open(door, address);
    for (const address of ssh.open) await open(sshDoor, address);
  } catch (thrown) {
    await undo();
    throw thrown;
  }
  return {
    commit: () => {
      for (const [one, address] of leaving) one.leave(address);
    },
    undo,
  };
}

/** Ports that an address leaves out. */
const USUAL_PORT = { http: '80', https: '443' } as const;

/** A route whose upstream is this very door would ask itself until all connections are used up. @throws ProxyError `config-invalid` */
export function refuseLoops({ door, sshDoor }: House, { routes, listen }: Pick<Settings, 'routes' | 'listen'>): void {
  const ports = new Set(door.bound.map(({ port }) => String(port)));
  const sshPorts = new Set(sshDoor.bound.map(({ port }) => port));
  const own = new Set([...door.bound.map(({ host }) => host), ...sshDoor.bound.map(({ host }) => host), ...listen.names]);
  const isOwn = (hostname: string): boolean => isLoopback(hostname) || own.has(hostname.replace(/^\[|\]$/g, ''));
  const loop = routes.find(({ match, upstream, ssh }) => {
    const { hostname, port, protocol } = upstream ?? new URL(`https://${match.split('/')[0] ?? ''}`);
    if (isOwn(hostname) && ports.has(port === '' ? USUAL_PORT[protocol === 'http:' ? 'http' : 'https'] : port)) return true;
    return ssh.kind === 'agent' && ssh.upstream !== undefined && isOwn(ssh.upstream.host) && sshPorts.has(ssh.upstream.port);
  });
  if (loop === undefined) return;
  throw new ProxyError('config-invalid', `The route ${loop.match} leads back to this daemon: its upstream is the door itself`, {
    todo: 'write the address of the real server as `upstream` or `sshUpstream` of the route',
  });
}

function movesOf(open: readonly ListenAddress[], wanted: readonly ListenAddress[], isAlike: (address: ListenAddress) => boolean): Moves {
  const same = (a: ListenAddress, b: ListenAddress): boolean => a.host === b.host && a.port === b.port && isAlike(a);
  return {
    leave: open.filter((each) => !wanted.some((other) => same(each, other))),
    open: wanted.filter((each) => !open.some((other) => same(each, other))),
  };
}

/** Whoever opened it keeps it open, so that it cannot be opened anew, and once let go of it does not come back. */
function notOurs({ host, port }: ListenAddress): ProxyError {
  return new ProxyError(
    'listen-failed',
    `${displayHost(host)}:${port} is held by the service manager, and cannot change while the daemon runs`,
    {
      todo: 'restart the service (`systemctl restart`); its sockets stay open meanwhile',
    },
  );
}

/** Whether one has to go before the other can be opened. */
function isInTheWay(a: ListenAddress, b: ListenAddress): boolean {
  const isAll = ({ host }: ListenAddress): boolean => host === '0.0.0.0' || host === '::';
  return a.port !== 0 && a.port === b.port && (a.host === b.host || isAll(a) || isAll(b));
}

function tellSkipped(address: ListenAddress, logger: Logger): void {
  logger.log('info', 'listener-skipped', {
    address: `${displayHost(address.host)}:${address.port}`,
    why: 'this system has no such address',
  });
}
