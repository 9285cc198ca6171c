/** `postern stop`: asks the daemon to end and waits until it has. */
import { setTimeout as sleep } from 'node:timers/promises';
import { askStatus, askStop } from '../../daemon/admin.js';
import { ProxyError, systemCodeOf } from '../../model/errors.js';
import type { Context } from '../context.js';

const LOOK_MS = 50;
/** A daemon drains for as long as it is configured to; past this something is wrong with it. */
const LONGEST_WAIT_MS = 24 * 60 * 60 * 1000;

/** @throws ProxyError `not-running` */
export async function stop({ places, printer }: Context): Promise<number> {
  const status = await askStatus(places.adminSocket);
  if (status === undefined || !(await askStop(places.adminSocket))) throw notRunning(places.adminSocket);
  if (status.running.length > 0)
    printer.note(`Waiting for ${status.running.length} running operation${status.running.length === 1 ? '' : 's'} to end`);
  const until = Date.now() + LONGEST_WAIT_MS;
  while (Date.now() < until && isAlive(status.pid)) await sleep(LOOK_MS);
  printer.line(`Stopped (pid ${status.pid})`);
  return 0;
}

export function notRunning(socket: string): ProxyError {
  const todo = socket.startsWith('/run/postern/')
    ? 'start it with `systemctl start postern-system.service`'
    : 'start it with `postern start`';
  return new ProxyError('not-running', `No postern is running (nothing answers on ${socket})`, { todo });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    // ESRCH: it has ended. EPERM: the daemon of the system, asked by one of its group.
    return systemCodeOf(thrown) === 'EPERM';
  }
}
