/**
 * Requests to sign-in services, and to APIs beside git: few, small and held whole. They take the road of git's own, so that
 * trust, outgoing proxy and the text of each fault are the same.
 */
import { type IncomingHttpHeaders, request as httpRequest } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { ProxyError } from '../model/errors.js';
import type { SendSignIn, SignInAnswer, SignInRequest } from '../model/sign-in.js';
import { dial, type DialPlan } from './dial.js';
import { silent, tooLong, unanswered } from './dial-texts.js';
import { type Environment, outgoingProxyFor } from './outgoing-proxy.js';
import { trustContext } from './trust.js';

/** Longest answer that is read: tokens and lists of them have some kilobytes. */
const LONGEST_ANSWER_BYTES = 4 * 1024 * 1024;

/**
 * @param connectMs for the connection
 * @param timeoutMs for each silence after it
 */
export function signInHttp({
  environment,
  connectMs,
  timeoutMs,
}: {
  environment: Environment;
  connectMs: number;
  timeoutMs: number;
}): SendSignIn {
  return async (request, { ca, proxy, of, longestBytes = LONGEST_ANSWER_BYTES, over }) => {
    over?.throwIfAborted();
    const plan: DialPlan = {
      origin: new URL(request.url.origin),
      trust: trustContext(ca, of ?? 'identity'),
      proxy: outgoingProxyFor({ proxy }, request.url, environment),
      timeoutMs: connectMs,
      isSignIn: of !== 'route',
      session: undefined,
      onSession: () => undefined,
    };
    const socket = await new Promise<Duplex>((resolve, reject) => {
      dial(plan, (fault, opened) => {
        if (opened === undefined) reject(fault ?? new Error('no connection'));
        else resolve(opened);
      });
    });
    return exchange(request, socket, plan, { silentMs: timeoutMs, longestBytes, over });
  };
}

interface Bounds {
  readonly silentMs: number;
  readonly longestBytes: number;
  readonly over: AbortSignal | undefined;
}

function exchange(
  { method, url, headers, body }: SignInRequest,
  socket: Duplex,
  plan: DialPlan,
  { silentMs, longestBytes, over }: Bounds,
): Promise<SignInAnswer> {
  return new Promise<SignInAnswer>((resolve, reject) => {
    const end = (): void => {
      socket.destroy();
      reject(over?.reason as Error); // what the caller ends it with
    };
    const fail = (fault: Error): void => {
      over?.removeEventListener('abort', end);
      socket.destroy();
      reject(fault instanceof ProxyError ? fault : unanswered(plan, fault));
    };
    over?.addEventListener('abort', end, { once: true });
    if (over?.aborted === true) {
      end();
      return;
    }
    // Node's own option is for sockets that Node opens.
    if (socket instanceof Socket) socket.setTimeout(silentMs);
    const sent = httpRequest(
      {
        createConnection: () => socket,
        method,
        path: `${url.pathname}${url.search}`,
        headers: {
          ...headers,
          host: url.host,
          connection: 'close',
          ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        let length = 0;
        response.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          length += chunk.length;
          if (length > longestBytes) fail(tooLong(plan, longestBytes));
        });
        response.on('end', () => {
          over?.removeEventListener('abort', end);
          socket.destroy();
          resolve({ status: response.statusCode ?? 0, headers: joined(response.headers), body: Buffer.concat(chunks).toString('utf8') });
        });
        response.on('error', fail);
      },
    );
    socket.on('timeout', () => fail(silent(plan, silentMs)));
    sent.on('error', fail);
    sent.end(body);
  });
}

function joined(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value]],
    ),
  );
}
