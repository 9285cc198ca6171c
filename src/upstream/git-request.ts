/**
 * One smart-HTTP request that Postern makes by itself, for a caller that speaks another protocol: sent on a pooled connection,
 * its answer given back unread.
 */
import { type Agent, type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { pipeline, type Readable } from 'node:stream';
import { systemCodeOf } from '../model/errors.js';
import { CallerGone, closedEarly, silent, StaleConnection } from '../model/send-faults.js';
import type { Phase } from '../model/time-spent.js';

export interface GitRequest {
  readonly method: 'GET' | 'HEAD' | 'POST';
  /** Scheme, host and port of the upstream. */
  readonly origin: URL;
  /** Path and query, sent as they are. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly agent: Agent;
  /** Whole, or a stream that is sent chunked; none for a GET or HEAD. */
  readonly body: Buffer | Readable | undefined;
  /** ms of silence after which the exchange counts as dead. */
  readonly stallMs: number;
  /** Aborted when nobody waits for the answer any more; then everything is let go of, also after this has resolved. */
  readonly over: AbortSignal;
  /** Told what is waited for, until there is an answer. */
  readonly enter: (phase: Phase) => void;
}

/**
 * Sends a request and gives the head of its answer.
 * @throws ProxyError as dial.ts, `upstream-timeout`, `upstream-broken` (Unanswered when it may have arrived); StaleConnection; CallerGone
 */
export function sendGitRequest(plan: GitRequest): Promise<IncomingMessage> {
  const { origin, body, over, enter } = plan;
  return new Promise((resolve, reject) => {
    if (over.aborted) {
      reject(new CallerGone());
      return;
    }
    let answer: IncomingMessage | undefined;
    let isSent = false;
    const headers: Record<string, string> = { ...plan.headers, host: origin.host };
    if (Buffer.isBuffer(body)) headers['content-length'] = String(body.length);
    else if (body !== undefined) headers['transfer-encoding'] = 'chunked';
    const send = origin.protocol === 'https:' ? httpsRequest : httpRequest;
    const request = send({
      protocol: origin.protocol,
      host: origin.hostname.replace(/^\[|\]$/g, ''),
      port: origin.port === '' ? undefined : Number(origin.port),
      method: plan.method,
      path: plan.path,
      headers,
      agent: plan.agent,
      setHost: false,
    });
    const letGo = (): void => {
      request.destroy();
      answer?.destroy();
      reject(new CallerGone());
    };
    over.addEventListener('abort', letGo, { once: true });
    enter('connect');
    request.once('socket', () => {
      isSent = true;
      enter('transfer');
    });
    request.once('finish', () => {
      if (answer === undefined) enter('upstream');
    });
    request.setTimeout(plan.stallMs, () => (answer ?? request).destroy(silent(plan.stallMs)));
    request.on('error', (fault) => {
      const code = systemCodeOf(fault);
      if (over.aborted) reject(new CallerGone());
      else if (request.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE')) reject(new StaleConnection(fault));
      else reject(fault.name === 'ProxyError' ? fault : closedEarly(fault, isSent));
    });
    request.once('response', (response) => {
      answer = response;
      enter('own');
      // One that came before the request was complete takes the connection with it: nothing else would ever free it.
      response.once('end', () => {
        if (!request.writableFinished) request.destroy();
      });
      response.once('close', () => over.removeEventListener('abort', letGo));
      resolve(response);
    });
    request.once('close', () => {
      if (answer === undefined) over.removeEventListener('abort', letGo);
      reject(closedEarly(new Error('no answer came'), isSent));
    });
    if (body === undefined || Buffer.isBuffer(body)) request.end(body);
    // What goes wrong is told by the request's own events; a source that breaks must not look like the end of the body.
    else pipeline(body, request, () => undefined);
  });
}
