/** `postern stop`: asks the daemon to end and waits until it has. */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseTimeLimit, writeDuration } from '../../config/duration.js';
import { askStatus, askStop } from '../../daemon/admin.js';
import type { DaemonStatus } from '../../daemon/status.js';
import { messageOf, ProxyError, systemCodeOf } from '../../model/errors.js';
import { countText } from '../amounts.js';
import type { Context } from '../context.js';

const LOOK_MS = 100;
/** A daemon that has closed its admin socket ends at once; its process may not be one that can be seen from here (a container). */
const LAST_MS = 5_000;

export interface StopOptions {
  /** Whether to wait until it has ended. */
  readonly isWaiting: boolean;
  /** How long at most, as written; undefined: for as long as it drains. */
  readonly timeout: string | undefined;
}

/** @throws ProxyError `not-running`; `usage` for a time limit that is none; `already-running` when it has not ended within it */
export async function stop({ places, printer }: Context, { isWaiting, timeout }: StopOptions): Promise<number> {
  const limit = timeout === undefined ? Number.POSITIVE_INFINITY : limitOf(timeout);
  const status = await askStatus(places.adminSocket);
  if (status === undefined || !(await askStop(places.adminSocket))) throw notRunning(places.adminSocket);
  const { pid } = status;
  if (!isWaiting) {
    printer.line(`Stopping (pid ${pid})`);
    return 0;
  }
  if (begunOf(status) > 0) printer.note(`Waiting for ${countText(begunOf(status), 'operation')} to end`);
  const until = performance.now() + limit;
  const waiting = printer.progress('Waiting for the daemon to end');
  let latest = status;
  let closedAt = Number.POSITIVE_INFINITY;
  try {
    while (isAlive(pid) && performance.now() - closedAt < LAST_MS) {
      const now = await askStatus(places.adminSocket).catch(() => undefined);
      if (now?.pid === pid) latest = now;
      else closedAt = Math.min(closedAt, performance.now());
      const left = begunOf(latest);
      waiting.say(left === 0 ? 'Waiting for the daemon to end' : `Waiting for the daemon to end: ${countText(left, 'operation')} left`);
      if (performance.now() >= until) throw tooLate(latest, limit);
      await sleep(LOOK_MS);
    }
  } finally {
    waiting.end();
  }
  printer.line(`Stopped (pid ${pid})`);
  return 0;
}

function begunOf({ running, betweenRequests }: DaemonStatus): number {
  return running.length + betweenRequests.length;
}

function limitOf(text: string): number {
  try {
    return parseTimeLimit(text);
  } catch (thrown) {
    throw new ProxyError('usage', `--timeout: ${messageOf(thrown)}`, { todo: 'give a time such as `--timeout 10s`', cause: thrown });
  }
}

function tooLate(status: DaemonStatus, limit: number): ProxyError {
  const left = countText(begunOf(status), 'operation');
  return new ProxyError('already-running', `The daemon has not ended after ${writeDuration(limit)} (pid ${status.pid}): ${left} left`, {
    todo: '`postern status` shows what runs, `postern kill` ends one; a SIGTERM now cuts all of them',
  });
}

export function notRunning(socket: string): ProxyError {
  const todo = socket.startsWith('/run/postern/')
    ? 'start it with `systemctl start postern-system.service`'
    : 'start it with `postern start`, or `systemctl --user start postern` where it is a service';
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
