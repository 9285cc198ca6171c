/**
 * Sockets that a service manager opened for us and keeps open while we are away: the descriptors from 3 on. Which listener one
 * is for is told by its address, so their order in the unit means nothing.
 *
 * Source: sd_listen_fds(3). Limit: the kernel tells addresses of our own network namespace only, so a socket that was opened in
 * another one (PrivateNetwork=) is not recognised.
 */
import { close as closeDescriptor } from 'node:fs';
import { readlink } from 'node:fs/promises';
import { displayHost } from '../gate/listening.js';
import { listeningSockets, type SocketPlace } from '../gate/listening-rows.js';
import { messageOf, ProxyError } from '../model/errors.js';
import type { Logger } from '../model/ports.js';

/** SD_LISTEN_FDS_START. */
const FIRST_DESCRIPTOR = 3;
/** More than any unit has; a number from outside must not become a loop without end. */
const MOST_DESCRIPTORS = 1024;
const VARIABLES = ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES', 'LISTEN_PIDFDID'] as const;

interface Inherited {
  readonly descriptor: number;
  /** FileDescriptorName= of its unit; the name of the unit by default. */
  readonly name: string;
  /** Undefined when it is no TCP socket that listens. */
  readonly place: SocketPlace | undefined;
}

export class InheritedSockets {
  #unclaimed: Inherited[];

  /**
   * Takes what was handed to this process, and the variables that say so out of `environment`: they are not for children.
   * @throws ProxyError `listen-failed` when it cannot be found out what the descriptors are
   */
  static async take(environment: Record<string, string | undefined>, pid: number = process.pid): Promise<InheritedSockets> {
    const [forPid, count = '', names = ''] = VARIABLES.map((variable) => environment[variable]);
    // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- because the names are those above
    for (const variable of VARIABLES) delete environment[variable];
    // They are a parent's when the pid is not ours.
    if (forPid !== String(pid) || !/^[0-9]{1,4}$/.test(count) || Number(count) === 0) return new InheritedSockets([]);
    const labels = names.split(':');
    const descriptors = Array.from({ length: Math.min(Number(count), MOST_DESCRIPTORS) }, (_, at) => FIRST_DESCRIPTOR + at);
    try {
      const places = await listeningSockets();
      return new InheritedSockets(
        await Promise.all(
          descriptors.map(async (descriptor, at) => {
            const inode = /^socket:\[([0-9]+)\]$/.exec(await readlink(`/proc/self/fd/${descriptor}`))?.[1];
            return { descriptor, name: labels[at] ?? 'unknown', place: inode === undefined ? undefined : places.get(inode) };
          }),
        ),
      );
    } catch (thrown) {
      throw new ProxyError('listen-failed', `The sockets of the service manager cannot be looked at (${messageOf(thrown)})`, {
        todo: 'start it without its socket unit, and report this',
        cause: thrown,
      });
    }
  }

  private constructor(sockets: Inherited[]) {
    this.#unclaimed = sockets;
  }

  /** The descriptor of the socket at that address, once; undefined when there is none. Whoever takes it closes it. */
  claim({ host, port }: SocketPlace): number | undefined {
    const found = this.#unclaimed.find(({ place }) => place?.host === host && place.port === port);
    this.#unclaimed = this.#unclaimed.filter((each) => each !== found);
    return found?.descriptor;
  }

  /** Closes what no listener of the configuration has claimed, and says so. `configured`: the addresses that it has. */
  closeUnused(logger: Logger, configured: readonly SocketPlace[]): void {
    for (const { descriptor, name, place } of this.#unclaimed) {
      const asked = configured.map((each) => `${displayHost(each.host)}:${each.port}`).join(', ');
      logger.log('warn', 'socket-unused', {
        socket: place === undefined ? `descriptor ${descriptor}, no TCP socket that listens` : `${displayHost(place.host)}:${place.port}`,
        unit: name,
        configured: asked,
        todo: 'write the same address as `ListenStream=` of the socket unit and as `listen.http` or `listen.ssh` of the configuration, then restart both',
      });
      closeDescriptor(descriptor, () => undefined);
    }
    this.#unclaimed = [];
  }
}
