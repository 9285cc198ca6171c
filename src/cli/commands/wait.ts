/** `postern wait`: ends when the daemon is ready, so that a script can go on. */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseTimeLimit, writeDuration } from '../../config/duration.js';
import { askStatus } from '../../daemon/admin.js';
import type { DaemonStatus } from '../../daemon/status.js';
import { messageOf, ProxyError } from '../../model/errors.js';
import type { Context } from '../context.js';

/** Between two looks: a start takes a fifth of a second. */
const LOOK_MS = 50;

/**
 * Waits for a daemon that is not there yet, too.
 * @throws ProxyError `usage` for a time limit that is none; `not-running` when it is not ready within it, or is stopping
 */
export async function wait({ places, printer }: Context, { timeout }: { readonly timeout: string }): Promise<number> {
  const limit = limitOf(timeout);
  const waiting = printer.progress('Waiting for the daemon to be ready');
  try {
    const status = await readyWithin(places.adminSocket, limit);
    printer.line(`Ready (pid ${status.pid}, ${[...status.listen.http, ...status.listen.ssh].join(', ')})`);
    return 0;
  } finally {
    waiting.end();
  }
}

/**
 * The status of the daemon once it is ready.
 * @throws ProxyError `not-running` when it is not within so many ms, or is stopping
 */
export async function readyWithin(socket: string, limitMs: number): Promise<DaemonStatus> {
  const until = performance.now() + limitMs;
  for (;;) {
    const status = await askStatus(socket);
    if (status?.state === 'ready') return status;
    if (status?.state === 'draining')
      throw new ProxyError('not-running', `The daemon is stopping (pid ${status.pid})`, { todo: 'start it when it has ended' });
    if (performance.now() >= until) throw tooLate(status, socket, limitMs);
    await sleep(LOOK_MS);
  }
}

function limitOf(text: string): number {
  try {
    return parseTimeLimit(text);
  } catch (thrown) {
    throw new ProxyError('usage', `--timeout: ${messageOf(thrown)}`, { todo: 'give a time such as `--timeout 10s`', cause: thrown });
  }
}

function tooLate(status: DaemonStatus | undefined, socket: string, limit: number): ProxyError {
  const time = writeDuration(limit);
  return status === undefined
    ? new ProxyError('not-running', `No postern is running after ${time} (nothing answers on ${socket})`, {
        todo: 'start it with `postern start`, or `systemctl --user start postern` where it is a service, and read what it logs',
      })
    : new ProxyError('not-running', `The daemon is not ready after ${time} (pid ${status.pid}, ${status.state})`, {
        todo: 'read what it logs',
      });
}
