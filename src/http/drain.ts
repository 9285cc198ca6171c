/** The rest of a request that is refused. git does not read an answer before it has sent everything, and a push of which the rest is not taken sees a broken connection in place of the refusal. */
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../model/ports.js';

/** How long the rest may take: on this machine a gigabyte takes seconds, and git packs it meanwhile. Then the connection is cut. */
const LONGEST_DRAIN_MS = 10 * 60_000;

/** Reads and drops what is left of `request`. False when the caller went away before its end, or took too long and was cut. */
export async function drain(request: IncomingMessage, clock: Clock): Promise<boolean> {
  if (request.readableEnded || request.destroyed) return request.complete;
  await new Promise<void>((resolve) => {
    const cancel = clock.after(LONGEST_DRAIN_MS, () => request.socket.destroy());
    const done = (): void => {
      cancel();
      resolve();
    };
    request.once('end', done).once('close', done).once('error', done);
    request.unpipe();
    request.resume();
  });
  return request.complete;
}
