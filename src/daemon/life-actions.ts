/** The actions of the admin socket on the daemon's life, by their paths, and how the command line asks for them. */
import { ProxyError } from '../model/errors.js';
import { LOG_LEVELS, type LogLevel } from '../model/ports.js';
import { askAction } from './admin.js';
import type { JsonAction } from './admin-json.js';
import type { ReloadCause, ReloadState } from './reloads.js';

const RELOAD = '/reload';
const LOG_LEVEL = '/log-level';

/** A reload may open connections and read secrets' files; a disk of the network that has gone takes longer than this. */
const RELOAD_MS = 60_000;

/** What the actions act on. */
export interface Life {
  reload(cause: ReloadCause): Promise<ReloadState>;
  setLogLevel(level: LogLevel): void;
}

export function lifeActions(life: Life): ReadonlyMap<string, JsonAction> {
  return new Map<string, JsonAction>([
    [RELOAD, () => life.reload('admin')],
    [
      LOG_LEVEL,
      (body) => {
        const level = LOG_LEVELS.find((each) => each === body);
        if (level === undefined)
          throw new ProxyError('usage', 'This is no level of the log', { todo: `give one of ${LOG_LEVELS.join(', ')}` });
        life.setLogLevel(level);
        return { level };
      },
    ],
  ]);
}

/* Each gives undefined when no daemon answers. */

export async function askReload(socket: string): Promise<ReloadState | undefined> {
  return (await askAction(socket, RELOAD, {}, RELOAD_MS)) as ReloadState | undefined; // because the same program wrote it
}

/** @throws ProxyError `usage` for what is no level */
export async function askLogLevel(socket: string, level: string): Promise<{ readonly level: LogLevel } | undefined> {
  return (await askAction(socket, LOG_LEVEL, level)) as { readonly level: LogLevel } | undefined; // because the same program wrote it
}
