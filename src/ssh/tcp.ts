/**
 * The connection below SSH: opened by us and not by ssh2, so that it has no delay, tries all addresses of the host, and can be given
 * up. What the server calls itself is read as it passes.
 */
import { connect, type Socket } from 'node:net';
import { type Dialled, tooLate, unreachable } from './client-faults.js';

/** How much of a server's greeting is looked through for its name (RFC 4253 section 4.2: 255 bytes, after other lines). */
const LONGEST_GREETING = 4096;

/** Whoever wanted it does not want it any more. */
export class Abandoned extends Error {}

/**
 * Opens a connection within `connectMs`.
 * @throws ProxyError `upstream-unreachable`, `upstream-timeout`; Abandoned when `over` was aborted
 */
export function connectTcp(dial: Dialled & { readonly connectMs: number }, over: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: dial.host, port: dial.port, noDelay: true, autoSelectFamily: true });
    const done = (fault?: Error): void => {
      clearTimeout(timer);
      over.removeEventListener('abort', aborted);
      socket.removeAllListeners();
      socket.on('error', () => undefined);
      if (fault === undefined) {
        resolve(socket);
        return;
      }
      socket.destroy();
      reject(fault);
    };
    const aborted = (): void => done(new Abandoned());
    const timer = setTimeout(() => done(tooLate(dial, 'tcp', dial.connectMs)), dial.connectMs);
    over.addEventListener('abort', aborted);
    socket.once('connect', () => done());
    socket.once('error', (fault) => done(unreachable(dial, fault)));
    if (over.aborted) aborted();
  });
}

/** Reads the name of the server in what comes over a socket from now on; the returned function stops and gives it, `OpenSSH_9.2p1` or so. */
export function serverName(socket: Socket): () => string {
  let greeting = '';
  let name: string | undefined;
  const listen = (chunk: Buffer): void => {
    greeting += chunk.toString('latin1', 0, LONGEST_GREETING);
    name = /^SSH-[0-9.]+-([^\r\n]*)/m.exec(greeting)?.[1];
    if (name !== undefined || greeting.length >= LONGEST_GREETING) socket.off('data', listen);
  };
  socket.on('data', listen);
  return () => {
    socket.off('data', listen);
    return name ?? '';
  };
}
