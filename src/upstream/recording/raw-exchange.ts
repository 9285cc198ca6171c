/**
 * One request and its answer as bytes, for a record: sent once, on a connection of its own, by the road of every other; whatever comes is taken as
 * it comes. What is read is bounded.
 */
import { request as httpRequest } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { messageOf, ProxyError, systemCodeOf } from '../../model/errors.js';
import type { Route } from '../../model/settings.js';
import { dial, type DialPlan } from '../dial.js';
import { silent, unanswered } from '../dial-texts.js';
import { type Environment, outgoingProxyFor } from '../outgoing-proxy.js';
import { factsOf, type TlsFacts } from '../probes.js';
import { trustContext } from '../trust.js';

/** Of a list of refs that is as long as any, the beginning tells its form. */
const MOST_BYTES = 256 * 1024;

export interface RawRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
}

export interface RawAnswer {
  readonly status: number;
  /** As they came, in their order. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The beginning, when it is longer than what is read. */
  readonly body: Buffer;
  /** It broke off. */
  readonly isCut: boolean;
}

export interface RawExchange {
  readonly tls: TlsFacts | undefined;
  readonly answer: RawAnswer | undefined;
  /** Why there is none. */
  readonly fault: ProxyError | undefined;
  readonly system: string | undefined;
  readonly connectMs: number;
  readonly ms: number;
}

export interface RawLimits {
  readonly environment: Environment;
  /** For a connection, and for each silence behind it. */
  readonly connectMs: number;
  readonly silentMs: number;
}

/** Never rejects. */
export async function rawExchange(asked: RawRequest, route: Pick<Route, 'ca' | 'proxy'>, limits: RawLimits): Promise<RawExchange> {
  const began = performance.now();
  const since = (): number => Math.round(performance.now() - began);
  let tls: TlsFacts | undefined;
  let connectMs = 0;
  try {
    const plan = planOf(asked.url, route, limits);
    const socket = await opened(plan);
    connectMs = since();
    if (socket instanceof TLSSocket) tls = factsOf(socket, asked.url);
    const answer = await answered(asked, socket, plan, limits.silentMs);
    return { tls, answer, fault: undefined, system: undefined, connectMs, ms: since() };
  } catch (thrown) {
    const fault = thrown instanceof ProxyError ? thrown : new ProxyError('internal', messageOf(thrown), { cause: thrown });
    return { tls, answer: undefined, fault, system: systemCodeOf(fault.cause), connectMs, ms: since() };
  }
}

function planOf(url: URL, route: Pick<Route, 'ca' | 'proxy'>, { environment, connectMs }: RawLimits): DialPlan {
  return {
    origin: new URL(url.origin),
    trust: trustContext(route.ca),
    proxy: outgoingProxyFor(route, url, environment),
    timeoutMs: connectMs,
    // A session that is resumed shows no certificates.
    session: undefined,
    onSession: () => undefined,
  };
}

function opened(plan: DialPlan): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    dial(plan, (fault, socket) => {
      if (socket === undefined) reject(fault ?? new Error('no connection'));
      else resolve(socket.on('error', () => socket.destroy()));
    });
  });
}

function answered({ method, url, headers, body }: RawRequest, socket: Duplex, plan: DialPlan, silentMs: number): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    // Once an answer has begun, what there is of it is the answer.
    let fail = (fault: ProxyError): void => {
      reject(fault);
      socket.destroy();
    };
    // Node's own option is for sockets that Node opens.
    if (socket instanceof Socket) socket.setTimeout(silentMs);
    socket.on('timeout', () => fail(silent(plan, silentMs)));
    const sent = httpRequest(
      {
        createConnection: () => socket,
        method,
        path: `${url.pathname}${url.search}`,
        headers: { ...headers, host: url.host, connection: 'close', ...(body === undefined ? {} : { 'content-length': body.length }) },
      },
      (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        const end = (isCut: boolean): void => {
          const whole = Buffer.concat(chunks).subarray(0, MOST_BYTES);
          resolve({ status: response.statusCode ?? 0, headers: pairs(response.rawHeaders), body: whole, isCut });
          socket.destroy();
        };
        fail = () => end(true);
        response.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          bytes += chunk.length;
          if (bytes >= MOST_BYTES) end(false);
        });
        response.on('end', () => end(false));
        response.on('error', () => end(true));
      },
    );
    sent.on('error', (fault) => fail(fault instanceof ProxyError ? fault : unanswered(plan, fault)));
    // Another protocol is no answer, and Node tells of it in this way alone.
    sent.on('upgrade', () => fail(unanswered(plan, new Error('it changed to another protocol'))));
    sent.end(body);
  });
}

function pairs(raw: readonly string[]): (readonly [string, string])[] {
  return raw.flatMap((name, index) => (index % 2 === 0 ? [[name, raw[index + 1] ?? ''] as const] : []));
}
