/**
 * The admin socket: a unix socket in a directory that only its owner can enter, for the command line alone; that of the system's
 * daemon is open to a group. It speaks HTTP with JSON, because both ends have that already.
 */
import { chmod, chown, lstat, unlink } from 'node:fs/promises';
import { createServer, request as httpRequest, type Server } from 'node:http';
import { dirname } from 'node:path';
import { messageOf, ProxyError, systemCodeOf } from '../model/errors.js';
import { makeDirectory } from '../store/atomic-file.js';
import { groupId } from './groups.js';
import { ADMIN_GROUP, SYSTEM_DIRECTORY } from './places.js';
import { type JsonAction, readAnswer, runAction } from './admin-json.js';
import type { DaemonStatus, RunningOperation } from './status.js';

/** sun_path of a unix socket holds 108 bytes with its final NUL (unix(7)). */
const LONGEST_SOCKET_PATH = 107;
/** What the socket is made without: a right that it had for a moment somebody could use in that moment. */
const NOT_FOR_OTHERS = 0o077;
/** A daemon that does not answer its own socket by then is stuck. */
const ANSWER_MS = 5_000;

export interface AdminActions {
  readonly status: () => DaemonStatus;
  readonly stop: () => void;
  /** The action that takes and gives JSON at a path; undefined when there is none. */
  readonly json?: (path: string) => JsonAction | undefined;
  /** Ends one operation; undefined when none of that id runs. */
  readonly kill: (id: number) => RunningOperation | undefined;
}

/** What was ended, if anything was, and what runs now. */
export interface KillAnswer {
  readonly killed: RunningOperation | undefined;
  readonly running: readonly RunningOperation[];
}

const KILL = /^\/operations\/([0-9]{1,15})\/kill$/;

export interface AdminSocket {
  close(): Promise<void>;
}

/**
 * Opens the socket. A socket that a dead daemon left is taken over; one of a living daemon is not. `group`: the name of the one
 * that may use it too.
 * @throws ProxyError `already-running`, `listen-failed`
 */
export async function openAdmin(path: string, actions: AdminActions, { group }: { group?: string | undefined } = {}): Promise<AdminSocket> {
  // Before anything else: some versions of Node cut such a path silently, and others report it as they please.
  if (!fitsSocket(path)) throw failed(path, undefined);
  await holdDirectory(dirname(path), group === undefined ? 0o700 : 0o755);
  const server: Server = createServer((request, response) => {
    const answer = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
      response.end(`${JSON.stringify(body)}\n`);
    };
    const operation = KILL.exec(request.url ?? '')?.[1];
    const action = request.method === 'POST' ? actions.json?.(request.url ?? '') : undefined;
    if (action !== undefined) void runAction(request, action).then(({ status, body }) => answer(status, body));
    else if (request.method === 'GET' && request.url === '/status') answer(200, actions.status());
    else if (request.method === 'POST' && request.url === '/stop') {
      answer(202, { stopping: true });
      actions.stop();
    } else if (request.method === 'POST' && operation !== undefined) {
      const killed = actions.kill(Number(operation));
      answer(killed === undefined ? 404 : 200, { killed, running: actions.status().running } satisfies KillAnswer);
    } else answer(404, { error: 'no such action' });
  });
  // Of two daemons that start at once the kernel lets one have the path. Where a dead daemon left its socket both may still
  // take it over, and the one that did so first cannot be asked any more.
  await listenOn(server, path).catch(async (thrown: unknown) => {
    if (systemCodeOf(thrown) !== 'EADDRINUSE') throw failed(path, thrown);
    await refuseSecond(path);
    await unlink(path).catch((fault: unknown) => {
      if (systemCodeOf(fault) !== 'ENOENT') throw failed(path, fault);
    });
    await listenOn(server, path).catch((fault: unknown) => {
      throw failed(path, fault);
    });
  });
  await chmod(path, 0o600);
  if (group !== undefined) {
    await openToGroup(path, group).catch((thrown: unknown) => {
      server.close();
      throw thrown;
    });
  }
  return {
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/**
 * The status of the daemon behind a socket, or undefined when there is none.
 * @throws ProxyError `not-running` when something is there that does not answer
 */
export async function askStatus(path: string): Promise<DaemonStatus | undefined> {
  const text = await ask(path, 'GET', '/status');
  return text === undefined ? undefined : (JSON.parse(text) as DaemonStatus); // because the same program wrote it
}

/** Asks the daemon to stop; false when there is none. */
export async function askStop(path: string): Promise<boolean> {
  return (await ask(path, 'POST', '/stop')) !== undefined;
}

/**
 * Asks the daemon for an action that takes and gives JSON; undefined when there is no daemon. `signal`: gives up waiting.
 * @throws ProxyError what the action threw; `not-running`
 */
export async function askAction(path: string, url: string, body: unknown, answerMs = ANSWER_MS, signal?: AbortSignal): Promise<unknown> {
  const text = await ask(path, 'POST', url, { body: JSON.stringify(body), answerMs, signal });
  return text === undefined ? undefined : readAnswer(text);
}

/** Asks the daemon to end one operation; undefined when there is no daemon. */
export async function askKill(path: string, id: number): Promise<KillAnswer | undefined> {
  const text = await ask(path, 'POST', `/operations/${id}/kill`);
  return text === undefined ? undefined : (JSON.parse(text) as KillAnswer); // because the same program wrote it
}

function ask(
  path: string,
  method: string,
  url: string,
  {
    body,
    answerMs = ANSWER_MS,
    signal,
  }: { readonly body?: string; readonly answerMs?: number; readonly signal?: AbortSignal | undefined } = {},
): Promise<string | undefined> {
  // No daemon can have opened it.
  if (!fitsSocket(path)) return Promise.resolve(undefined);
  return new Promise((resolve, reject) => {
    const request = httpRequest({ socketPath: path, path: url, method, timeout: answerMs, agent: false, signal }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
      response.on('error', reject);
    });
    request.once('timeout', () => request.destroy(new Error(`no answer within ${answerMs / 1000} s`)));
    request.once('error', (thrown) => {
      const code = systemCodeOf(thrown);
      if (code === 'ENOENT' || code === 'ECONNREFUSED') resolve(undefined);
      else if (code === 'EACCES') {
        reject(
          new ProxyError('not-running', `The admin socket ${path} belongs to another user`, {
            todo: path.startsWith(SYSTEM_DIRECTORY)
              ? `ask an administrator to put you into the group ${ADMIN_GROUP} (\`usermod -aG ${ADMIN_GROUP} NAME\`), then log in anew`
              : 'run the command as the user of the daemon',
            cause: thrown,
          }),
        );
      } else
        reject(
          new ProxyError('not-running', `The daemon does not answer on ${path} (${messageOf(thrown)})`, {
            todo: 'end its process and start it again',
            cause: thrown,
          }),
        );
    });
    request.end(body);
  });
}

function listenOn(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // Node binds before it returns. What another thread makes meanwhile is closed to others too, and no worse.
    const before = process.umask(NOT_FOR_OTHERS);
    try {
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      process.umask(before);
    }
  });
}

/** First whose it is, then what they may: nobody else has it in between. */
async function openToGroup(path: string, group: string): Promise<void> {
  try {
    const id = await groupId(group);
    if (id === undefined) throw new Error(`there is no group ${group}`);
    await chown(path, process.getuid?.() ?? -1, id);
    await chmod(path, 0o660);
  } catch (thrown) {
    throw new ProxyError(
      'listen-failed',
      `The admin socket ${path} cannot be given to the group ${group} (${systemCodeOf(thrown) ?? messageOf(thrown)})`,
      {
        todo: `\`postern service install --system\` makes the group, and its unit puts the daemon into it (SupplementaryGroups=${group})`,
        cause: thrown,
      },
    );
  }
}

async function refuseSecond(path: string): Promise<void> {
  const other = await askStatus(path);
  if (other === undefined) return;
  throw new ProxyError('already-running', `A postern is already running (pid ${other.pid}, ${other.listen.http.join(', ')})`, {
    todo: '`postern status` shows it, `postern stop` ends it',
  });
}

/** Makes the directory if need be, and makes sure that nobody else can reach into it, or with 0755 that nobody else can write there. */
async function holdDirectory(directory: string, mode: 0o700 | 0o755): Promise<void> {
  try {
    await makeDirectory(directory, mode);
    const found = await lstat(directory);
    const isOurs = process.getuid === undefined || found.uid === process.getuid();
    if (!found.isDirectory() || !isOurs) throw new Error('it is not a directory of this user');
    // Not mended here: it may be a directory that has to be open, such as /tmp or a home, named by mistake.
    if ((found.mode & ~mode & 0o777) !== 0)
      throw new Error(
        `other users can ${mode === 0o700 ? 'enter' : 'write in'} it: its mode is ${(found.mode & 0o777).toString(8)}, not ${mode.toString(8)}`,
      );
  } catch (thrown) {
    if (systemCodeOf(thrown) === 'EROFS')
      throw new ProxyError(
        'listen-failed',
        `The directory ${directory} for the admin socket cannot be made: its file system is read-only`,
        {
          todo: `mount something that can be written at ${dirname(directory)}, such as a volume or a tmpfs, or set POSTERN_STATE_DIRECTORY to a directory elsewhere`,
          cause: thrown,
        },
      );
    throw new ProxyError(
      'listen-failed',
      `The directory ${directory} for the admin socket cannot be used (${systemCodeOf(thrown) ?? messageOf(thrown)})`,
      {
        todo: `close it with \`chmod ${mode.toString(8)} ${directory}\` if it is Postern's own, or set XDG_RUNTIME_DIR or POSTERN_STATE_DIRECTORY to another`,
        cause: thrown,
      },
    );
  }
}

/** Whether a socket can have that path. */
export function fitsSocket(path: string): boolean {
  return Buffer.byteLength(path) <= LONGEST_SOCKET_PATH;
}

function failed(path: string, thrown: unknown): ProxyError {
  const isLong = !fitsSocket(path);
  return new ProxyError(
    'listen-failed',
    `The admin socket ${path} cannot be opened (${isLong ? 'its path is too long' : (systemCodeOf(thrown) ?? messageOf(thrown))})`,
    {
      todo: isLong ? 'set XDG_RUNTIME_DIR or POSTERN_STATE_DIRECTORY to a shorter path' : 'check the rights of its directory',
      cause: thrown,
    },
  );
}
