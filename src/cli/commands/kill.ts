/** `postern kill`: ends one running operation, and nothing else. */
import { askKill } from '../../daemon/admin.js';
import type { RunningOperation } from '../../daemon/status.js';
import { ProxyError } from '../../model/errors.js';
import { bytesText, columns, spanText } from '../amounts.js';
import type { Context } from '../context.js';
import { visible, visibleAll } from '../visible.js';
import { RUNNING_HEADINGS, runningCells } from './status-lines.js';
import { notRunning } from './stop.js';

/** @throws ProxyError `usage`, `not-running`, `operation-not-running` */
export async function kill({ places, printer }: Context, operation: unknown, { json }: { json: boolean }): Promise<number> {
  const text = String(operation);
  if (!/^[1-9][0-9]{0,14}$/.test(text)) {
    throw new ProxyError('usage', `Not the number of an operation: ${JSON.stringify(visible(text))}`, {
      todo: '`postern status` shows the numbers',
    });
  }
  const answer = await askKill(places.adminSocket, Number(text));
  if (answer === undefined) throw notRunning(places.adminSocket);
  const { killed, running } = answer;
  if (killed === undefined) throw nothingEnded(text, visibleAll(running));
  if (json) printer.json(killed);
  else printer.line(`Ended ${operationText(visibleAll(killed))}`);
  return 0;
}

/** `operation 17: fetch of dev.azure.com/contoso/web by uid 1000 (118 MiB down, 1.2 KiB up, 42 s)`. */
function operationText(operation: RunningOperation): string {
  const { id, kind, repository, bytesDown, bytesUp, ageMs, lease, uid, caller } = operation;
  const who = lease ?? (uid === undefined ? caller : `uid ${uid}`);
  const what = repository === '' ? kind : `${kind} of ${repository}`;
  return `operation ${id}: ${what} by ${who} (${bytesText(bytesDown)} down, ${bytesText(bytesUp)} up, ${spanText(ageMs)})`;
}

function nothingEnded(id: string, running: readonly RunningOperation[]): ProxyError {
  const what = `No operation ${id} is running`;
  if (running.length === 0) return new ProxyError('operation-not-running', `${what}, nor any other`, { todo: 'nothing: it has ended' });
  return new ProxyError('operation-not-running', `${what}; these are`, {
    details: columns([RUNNING_HEADINGS, ...running.map(runningCells)]).map((line) => line.slice(2)),
    todo: 'give the ID of one of them',
  });
}
