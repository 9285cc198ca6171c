/**
 * Who listens on a port, for the text of a busy one. Linux only, and only as far as the kernel lets us look: processes
 * of other users stay unnamed.
 *
 * Source: proc(5), /proc/net/tcp and /proc/PID/fd.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { ProxyError } from '../model/errors.js';

const LISTENING = '0A';

/** The key of the configuration that a listener's text of failure is about. */
function keyOf(text: string): string {
  if (text.includes('telemetry listener')) return 'telemetry.listen';
  return text.includes('SSH door') ? 'listen.ssh' : 'listen.http';
}

/** Says more of a port that cannot be had: which process holds it, where the kernel tells, or whose right is missing. */
export async function withHolder(thrown: unknown): Promise<unknown> {
  if (!(thrown instanceof ProxyError) || thrown.code !== 'listen-failed') return thrown;
  if (/:[0-9]{1,3} \(EACCES\)|:10[0-2][0-9] \(EACCES\)/.test(thrown.message)) {
    return new ProxyError('listen-failed', thrown.message, {
      todo: `set \`${keyOf(thrown.message)}\` to a port from 1024 on: those below need rights that Postern should not have`,
      cause: thrown,
    });
  }
  if (!thrown.message.includes('EADDRINUSE')) return thrown;
  const port = /:([0-9]+) \(EADDRINUSE\)/.exec(thrown.message)?.[1];
  const holder = port === undefined ? undefined : await portHolder(Number(port)).catch(() => undefined);
  if (holder === undefined) return thrown;
  return new ProxyError('listen-failed', thrown.message.replace('EADDRINUSE', `in use by ${holder}`), {
    todo: thrown.todo,
    cause: thrown,
  });
}

/** `name (pid N)` of the process that listens on a TCP port, or undefined where that cannot be known. */
export async function portHolder(port: number): Promise<string | undefined> {
  const inodes = new Set([...(await listeningInodes('/proc/net/tcp', port)), ...(await listeningInodes('/proc/net/tcp6', port))]);
  if (inodes.size === 0) return undefined;
  for (const pid of await list('/proc')) {
    if (!/^[0-9]+$/.test(pid)) continue;
    for (const fd of await list(`/proc/${pid}/fd`)) {
      const link = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '');
      const inode = /^socket:\[([0-9]+)\]$/.exec(link)?.[1];
      if (inode === undefined || !inodes.has(inode)) continue;
      const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => 'unknown')).trim();
      return `${name} (pid ${pid})`;
    }
  }
  return undefined;
}

async function listeningInodes(table: string, port: number): Promise<string[]> {
  const text = await readFile(table, 'utf8').catch(() => '');
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[3] === LISTENING && columns[1]?.endsWith(wanted) === true)
    .flatMap((columns) => (columns[9] === undefined ? [] : [columns[9]]));
}

function list(directory: string): Promise<string[]> {
  return readdir(directory).catch(() => []);
}
