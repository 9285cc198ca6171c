/** `postern status`: what is wrong, what runs, who the daemon can be, and what went wrong lately. */
import { askStatus } from '../../daemon/admin.js';
import type { Context } from '../context.js';
import { visibleAll } from '../visible.js';
import { statusLines } from './status-lines.js';
import { watchStatus } from './status-watch.js';
import { notRunning } from './stop.js';

export interface StatusOptions {
  readonly json: boolean;
  /** Shows long lists to their end. */
  readonly all: boolean;
  /** Goes on showing it until it is told to stop. */
  readonly watch: boolean;
}

/** @throws ProxyError `not-running` */
export async function status(context: Context, options: StatusOptions): Promise<number> {
  const { places, printer } = context;
  if (options.watch) return watchStatus(context, options);
  const found = await askStatus(places.adminSocket);
  if (found === undefined) throw notRunning(places.adminSocket);
  if (options.json) printer.json(found);
  else for (const line of statusLines(visibleAll(found), Date.now(), { bold: printer.bold, all: options.all })) printer.line(line);
  return 0;
}
