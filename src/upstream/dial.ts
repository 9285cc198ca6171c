/**
 * One new connection to an upstream: TCP, a tunnel through an outgoing proxy if there is one, TLS with the upstream's
 * name checked. Every way in which this can fail has its own text, because to the user they all look like "no network".
 *
 * Source: RFC 9110 section 9.3.6 (CONNECT), RFC 7617 (Basic, for the proxy).
 */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect as tcpConnect, isIP, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as tlsConnect, type SecureContext } from 'node:tls';
import { messageOf, ProxyError, systemCodeOf } from '../model/errors.js';
import { outOfFiles } from '../model/send-faults.js';
import { OLDEST_TLS } from './trust.js';

export interface DialPlan {
  readonly origin: URL;
  readonly trust: SecureContext | undefined;
  readonly proxy: URL | undefined;
  /** ms for all steps together. */
  readonly timeoutMs: number;
  /** TLS session of an earlier connection, to resume. */
  readonly session: Buffer | undefined;
  readonly onSession: (session: Buffer) => void;
}

/**
 * Opens a connection ready for a request; `done` is called once.
 * Errors are ProxyError `upstream-unreachable`, `upstream-tls`, `upstream-timeout` or `proxy-refused`.
 */
export function dial(plan: DialPlan, done: (fault: Error | null, socket?: Duplex) => void): void {
  let isOver = false;
  let current: { destroy(): void } | undefined;
  const finish = (fault: Error | null, socket?: Duplex): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    if (fault !== null) current?.destroy();
    done(fault, socket);
  };
  let isTunnelling = plan.proxy !== undefined;
  const timer = setTimeout(() => {
    finish(tooLate(plan, isTunnelling));
  }, plan.timeoutMs);
  const secure = (socket: Socket): void => {
    isTunnelling = false;
    current = socket;
    if (plan.origin.protocol === 'http:') {
      finish(null, socket);
      return;
    }
    current = startTls(plan, socket, finish);
  };
  if (plan.proxy === undefined) {
    const socket = tcpConnect({ host: bare(plan.origin.hostname), port: portOf(plan.origin), noDelay: true, autoSelectFamily: true });
    current = socket;
    socket.once('connect', () => secure(socket));
    socket.once('error', (fault) => finish(unreachable(plan.origin, fault)));
  } else {
    current = openTunnel(plan, plan.proxy, finish, secure);
  }
}

function tooLate({ origin, proxy, timeoutMs }: DialPlan, isTunnelling: boolean): ProxyError {
  if (isTunnelling && proxy !== undefined) {
    return new ProxyError(
      'proxy-refused',
      `The outgoing proxy ${proxy.host} opened no connection to ${origin.host} within ${timeoutMs / 1000} s`,
      {
        todo: 'check HTTPS_PROXY or `proxy` of the route and whoever runs that proxy, or raise timeouts.connect; `proxy: none` goes around it',
      },
    );
  }
  return new ProxyError('upstream-timeout', `No connection to ${origin.host} within ${timeoutMs / 1000} s`, {
    todo: 'check the network and the name of the upstream, or raise timeouts.connect',
  });
}

function startTls(plan: DialPlan, socket: Socket, finish: (fault: Error | null, socket?: Duplex) => void): Duplex {
  const hostname = bare(plan.origin.hostname);
  const secured = tlsConnect({
    socket,
    // An IP address is no server name (RFC 6066), but it is still checked against the certificate.
    ...(isIP(hostname) === 0 ? { servername: hostname } : { servername: '', host: hostname }),
    ...(plan.trust === undefined ? {} : { secureContext: plan.trust }),
    ...(plan.session === undefined ? {} : { session: plan.session }),
    minVersion: OLDEST_TLS,
    ALPNProtocols: ['http/1.1'],
    rejectUnauthorized: true,
  });
  secured.on('session', plan.onSession);
  secured.once('secureConnect', () => finish(null, secured));
  secured.once('error', (fault: Error) => finish(tlsFault(plan.origin, fault)));
  secured.once('close', () =>
    finish(
      new ProxyError('upstream-tls', `${plan.origin.host} closed the connection during the TLS handshake`, {
        todo: 'check that the upstream speaks TLS 1.2 or newer on this port',
      }),
    ),
  );
  return secured;
}

function openTunnel(
  plan: DialPlan,
  proxy: URL,
  finish: (fault: Error | null) => void,
  secure: (socket: Socket) => void,
): { destroy(): void } {
  const authority = `${plan.origin.hostname}:${portOf(plan.origin)}`;
  const send = proxy.protocol === 'https:' ? httpsRequest : httpRequest;
  const headers: Record<string, string> = { host: authority };
  if (proxy.username !== '') {
    const user = `${decoded(proxy.username)}:${decoded(proxy.password)}`;
    headers['proxy-authorization'] = `Basic ${Buffer.from(user, 'utf8').toString('base64')}`;
  }
  const request = send({
    // As for the upstream: NODE_TLS_REJECT_UNAUTHORIZED must not show the proxy's password to whoever answers.
    rejectUnauthorized: true,
    host: bare(proxy.hostname),
    port: proxy.port === '' ? (proxy.protocol === 'https:' ? 443 : 80) : Number(proxy.port),
    method: 'CONNECT',
    path: authority,
    headers,
    agent: false,
    timeout: plan.timeoutMs,
  });
  request.once('timeout', () => request.destroy(new Error('the proxy did not answer')));
  request.once('connect', (response, socket: Socket, head: Buffer) => {
    if (response.statusCode !== 200) {
      socket.destroy();
      finish(proxyRefusal(proxy, plan.origin, response.statusCode ?? 0));
      return;
    }
    if (head.length > 0) {
      socket.destroy();
      finish(
        new ProxyError('proxy-refused', `The outgoing proxy ${proxy.host} sent data before the tunnel was used`, {
          todo: 'check what answers at that address',
        }),
      );
      return;
    }
    socket.setNoDelay(true);
    socket.setTimeout(0);
    secure(socket);
  });
  request.once('response', (response) => {
    response.destroy();
    finish(proxyRefusal(proxy, plan.origin, response.statusCode ?? 0));
  });
  request.once('error', (fault) =>
    finish(
      new ProxyError('proxy-refused', `The outgoing proxy ${proxy.host} cannot be used (${reasonOf(fault)})`, {
        todo: 'check HTTPS_PROXY or `proxy` of the route; `proxy: none` goes around it',
        cause: fault,
      }),
    ),
  );
  request.end();
  return request;
}

/** Percent-decoded where it is an encoding; a password may hold a bare `%`, which a URL lets pass. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function proxyRefusal(proxy: URL, origin: URL, status: number): ProxyError {
  return new ProxyError('proxy-refused', `The outgoing proxy ${proxy.host} refused a connection to ${origin.host} (status ${status})`, {
    todo:
      status === 407
        ? 'the proxy wants a user name and password: put them in HTTPS_PROXY in the environment of the daemon'
        : 'ask whoever runs the proxy to allow the host, or set `proxy` of the route',
  });
}

function unreachable(origin: URL, fault: Error): ProxyError {
  const short = outOfFiles(fault, origin.host);
  if (short !== undefined) return short;
  const code = systemCodeOf(fault);
  const todo =
    code === 'ENOTFOUND' || code === 'EAI_AGAIN'
      ? 'check the host name and the DNS of this machine'
      : 'check the network and that the upstream is running; behind a corporate proxy set HTTPS_PROXY for the daemon';
  return new ProxyError('upstream-unreachable', `${origin.host} cannot be reached (${reasonOf(fault)})`, { todo, cause: fault });
}

function tlsFault(origin: URL, fault: Error): ProxyError {
  const code = systemCodeOf(fault) ?? '';
  if (code === 'ECONNRESET' || code === 'EPIPE' || code === 'ECONNREFUSED') return unreachable(origin, fault);
  let todo = 'check that the upstream speaks TLS 1.2 or newer on this port';
  if (/UNABLE_TO|SELF_SIGNED|UNTRUSTED|ISSUER/.test(code)) {
    todo =
      'if the certificate is from a company authority, name its PEM file in `ca` of the route; if a proxy intercepts TLS, name that one';
  } else if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') todo = 'the certificate is for another name: check `upstream` of the route';
  else if (code === 'CERT_HAS_EXPIRED') todo = 'renew the certificate of the upstream, or check the clock of this machine';
  return new ProxyError('upstream-tls', `The TLS connection to ${origin.host} failed (${reasonOf(fault)})`, { todo, cause: fault });
}

function reasonOf(fault: Error): string {
  const code = systemCodeOf(fault);
  const message = messageOf(fault);
  return code === undefined || message.includes(code) ? message : `${code}: ${message}`;
}

function bare(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
}

function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port);
  return url.protocol === 'https:' ? 443 : 80;
}
