/**
 * http-proxy, the only file that imports it, with the guards that it needs:
 *
 *  - headers are decided before the call and handed in, because the library's own event for that does not fire for every
 *    request (not with Expect);
 *  - a caller that goes away takes the upstream request with it (the library keeps the socket otherwise);
 *  - what is left of a request that was answered early is dropped (Node would carry it no further);
 *  - the answer comes back to us first, so that it is judged before a byte of it is passed on;
 *  - an answer that ends before its request is sent takes the connection with it (nothing else would ever free it);
 *  - a request that ends without answer or error (an unasked 101) is told as broken (the library says nothing);
 *  - DELETE and OPTIONS are given to it with a body of known length only: it would drop their Transfer-Encoding and pass the body
 *    as a new request;
 *  - limits are on silence, not on the whole.
 */
import type { Agent, ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import httpProxy from 'http-proxy';
import { ProxyError, systemCodeOf } from '../model/errors.js';
import { CallerGone, closedEarly, silent, StaleConnection } from '../model/send-faults.js';
import type { Phase } from '../model/time-spent.js';
import type { RequestBody } from './body.js';

export interface SendPlan {
  /** Scheme, host and port of the upstream. */
  readonly origin: URL;
  /** Path and query, sent as they are. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly agent: Agent;
  readonly body: RequestBody;
  /** ms of silence after which the exchange counts as dead. */
  readonly stallMs: number;
  /** Aborted when the operation is ended from outside: the upstream is let go of at once. */
  readonly killed: AbortSignal;
  /** Told what is waited for, until there is an answer. */
  readonly enter: (phase: Phase) => void;
}

interface Attempt {
  readonly stallMs: number;
  readonly enter: (phase: Phase) => void;
  readonly resolve: (answer: IncomingMessage) => void;
  readonly reject: (fault: Error) => void;
  upstream: ClientRequest | undefined;
  answer: IncomingMessage | undefined;
  isGone: boolean;
}

/** The library takes a `http:/` in a path for a URL that has lost a slash, and puts one in: another path than the gate saw. */
const ENCODED_COLON = '$1%3A';

const attempts = new WeakMap<IncomingMessage, Attempt>();

const proxy = httpProxy.createProxyServer({
  // The Host header is set here: the library would write an IPv6 literal without brackets.
  changeOrigin: false,
  xfwd: false,
  followRedirects: false,
  selfHandleResponse: true,
  // The path is given to the library in full; it must not parse and join it.
  toProxy: true,
});

proxy.on('proxyReq', (upstream, request) => {
  const attempt = attempts.get(request);
  if (attempt === undefined) return;
  attempt.upstream = upstream;
  if (attempt.isGone) {
    upstream.destroy();
    return;
  }
  attempt.enter('transfer');
  upstream.once('finish', () => {
    if (attempt.answer === undefined) attempt.enter('upstream');
  });
  upstream.setTimeout(attempt.stallMs, () => {
    const fault = silent(attempt.stallMs);
    // Once there is an answer, a request that is destroyed lets it end with a cause of its own.
    (attempt.answer ?? upstream).destroy(fault);
  });
  upstream.once('close', () => attempt.reject(named(new Error('no answer came'), attempt)));
});
proxy.on('proxyRes', (answer, request) => {
  const attempt = attempts.get(request);
  if (attempt === undefined) return;
  attempt.answer = answer;
  attempt.enter('own');
  answer.once('end', () => {
    if (attempt.upstream?.writableFinished === false) attempt.upstream.destroy();
  });
  attempt.resolve(answer);
});
proxy.on('econnreset', (_fault, request) => attempts.get(request)?.reject(new CallerGone()));

/**
 * Sends one request upstream and gives the head of its answer; the body has not been read. When the caller closes or the
 * operation is killed, the upstream request is destroyed, also after this has resolved.
 * @throws ProxyError `upstream-unreachable`, `upstream-tls`, `upstream-timeout`, `upstream-broken`, `proxy-refused`;
 *   StaleConnection; CallerGone
 */
export function send(request: IncomingMessage, response: ServerResponse, plan: SendPlan): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const { stallMs, enter } = plan;
    const attempt: Attempt = { stallMs, enter, resolve, reject, upstream: undefined, answer: undefined, isGone: false };
    attempts.set(request, attempt);
    enter('connect');
    response.once('close', () => {
      if (response.writableFinished) {
        dropRest(request, attempt.upstream);
        return;
      }
      attempt.isGone = true;
      attempt.upstream?.destroy();
      reject(new CallerGone());
    });
    plan.killed.addEventListener('abort', () => {
      attempt.isGone = true;
      attempt.upstream?.destroy();
      reject(new CallerGone());
    });
    if (response.destroyed || request.socket.destroyed || plan.killed.aborted) {
      reject(new CallerGone());
      return;
    }
    const headers: Record<string, string> = { ...plan.headers, host: plan.origin.host };
    let body: Readable;
    if (plan.body.kind === 'whole') {
      // A GET goes up without a body, whatever came: Node would write one unframed, as the beginning of a next request.
      const isRead = request.method === 'GET' || request.method === 'HEAD';
      const isEmpty = plan.body.bytes.length === 0 || isRead;
      body = Readable.from(isEmpty ? [] : [plan.body.bytes]);
      if (!isRead) headers['content-length'] = String(plan.body.bytes.length);
    } else {
      if (request.method === 'DELETE' || request.method === 'OPTIONS')
        throw new TypeError('a body without an end cannot go with this method');
      body = plan.body.stream;
      if (plan.body.length === undefined) headers['transfer-encoding'] = 'chunked';
      else headers['content-length'] = String(plan.body.length);
    }
    // The library takes its headers and path from the request; these are ours from here on.
    request.headers = headers;
    request.url = plan.path.replace(/(https?):(?=\/)/g, ENCODED_COLON);
    const target = { protocol: plan.origin.protocol, hostname: hostOf(plan.origin), host: hostOf(plan.origin), port: portOf(plan.origin) };
    proxy.web(request, response, { target, agent: plan.agent, buffer: body }, (fault: unknown) => reject(named(fault, attempt)));
  });
}

/**
 * An upstream may answer before the request is complete (a push that it will not have). Node carries no more of such a
 * request than fits its buffers, so the rest would keep both connections for good: it is read and dropped, as a server
 * would, and the upstream's connection is closed.
 */
function dropRest(request: IncomingMessage, upstream: ClientRequest | undefined): void {
  if (upstream === undefined || upstream.writableFinished || upstream.destroyed) return;
  upstream.destroy();
  request.unpipe();
  request.resume();
}

function named(fault: unknown, attempt: Attempt): Error {
  if (attempt.isGone) return new CallerGone();
  if (fault instanceof ProxyError) return fault;
  const code = systemCodeOf(fault);
  if (attempt.upstream?.reusedSocket === true && (code === 'ECONNRESET' || code === 'EPIPE')) return new StaleConnection(fault);
  // The library tells of the request once it has a connection.
  return closedEarly(fault, attempt.upstream !== undefined);
}

function hostOf(origin: URL): string {
  return origin.hostname.startsWith('[') ? origin.hostname.slice(1, -1) : origin.hostname;
}

function portOf(origin: URL): string {
  if (origin.port !== '') return origin.port;
  return origin.protocol === 'https:' ? '443' : '80';
}
