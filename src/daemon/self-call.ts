/** A request to a door of our own, for the watchdog: the door answers it without taking it for an operation (http/self-calls.ts). */
import { request as plainRequest, type RequestOptions } from 'node:http';
import { request as secureRequest } from 'node:https';
import { systemCodeOf } from '../model/errors.js';

/** What this process or this machine lacks for another connection, whoever is at its other end. */
const LACKS: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EAGAIN', 'EADDRNOTAVAIL']);
/** A door at its limit of connections closes what comes. That is an answer, and the loop has turned for it. */
const CLOSED: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE']);

/**
 * Resolves when the door has answered anything, or this process cannot ask for the want of something.
 * @param headers what has the door know the request
 * @throws Error when nobody listens there, or there is no answer within `withinMs`
 */
export function callDoor(
  door: { readonly scheme: 'http' | 'https'; readonly host: string; readonly port: number },
  headers: Readonly<Record<string, string>>,
  withinMs: number,
): Promise<void> {
  const host = door.host === '0.0.0.0' ? '127.0.0.1' : door.host === '::' ? '::1' : door.host;
  return new Promise((resolve, reject) => {
    const options: RequestOptions = { host, port: door.port, path: '/', headers: { ...headers }, agent: false };
    // Whose certificate it shows does not matter: nobody else has the port, and nothing is told or believed here.
    const call = door.scheme === 'https' ? secureRequest({ ...options, rejectUnauthorized: false }) : plainRequest(options);
    const late = setTimeout(() => call.destroy(new Error(`no answer within ${withinMs} ms`)), withinMs);
    call.once('response', (response) => {
      response.resume();
      resolve();
    });
    call.once('error', (fault) => {
      const code = systemCodeOf(fault);
      if (code !== undefined && (LACKS.has(code) || CLOSED.has(code))) resolve();
      else reject(fault);
    });
    call.once('close', () => clearTimeout(late));
    call.end();
  });
}
