/**
 * One new connection to an upstream: TCP, a tunnel through an outgoing proxy if there is one, TLS with the upstream's
 * name checked. Every way in which this can fail has its own text, in dial-texts.ts.
 *
 * Source: RFC 9110 section 9.3.6 (CONNECT), RFC 7617 (Basic, for the proxy).
 */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { lookup as systemLookup } from 'node:dns';
import { connect as tcpConnect, isIP, type LookupFunction, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as tlsConnect, type PeerCertificate, type SecureContext } from 'node:tls';
import { ProxyError } from '../model/errors.js';
import {
  closedInHandshake,
  type Destination,
  notPublic,
  proxyRefusal,
  proxyUnusable,
  tlsFault,
  tooLate,
  unreachable,
} from './dial-texts.js';
import { isPublicAddress, publicLookup } from './public-address.js';
import { OLDEST_TLS } from './trust.js';

/** `timeoutMs` is for all steps together. */
export interface DialPlan extends Destination {
  /** Finds the addresses of a name; undefined is the system's. */
  readonly lookup?: LookupFunction | undefined;
  readonly trust: SecureContext | undefined;
  /** TLS session of an earlier connection, to resume. */
  readonly session: Buffer | undefined;
  readonly onSession: (session: Buffer) => void;
  /** It ends before TLS: for those who look at the steps one by one. */
  readonly isPlain?: boolean;
}

/**
 * Opens a connection ready for a request; `done` is called once.
 * Errors are ProxyError `upstream-unreachable`, `upstream-tls`, `upstream-timeout` or `proxy-refused`; `target-refused` for an address that
 * `isPublicOnly` excludes, of which nothing is then sent anywhere.
 */
export function dial(plan: DialPlan, done: (fault: Error | null, socket?: Duplex) => void): void {
  const { origin, lookup = systemLookup } = plan;
  const hostname = bare(origin.hostname);
  if (plan.isPublicOnly === true && isKnownPrivate(hostname)) {
    done(notPublic(plan));
    return;
  }
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
    if (plan.origin.protocol === 'http:' || plan.isPlain === true) {
      finish(null, socket);
      return;
    }
    current = startTls(plan, socket, finish);
  };
  if (plan.proxy === undefined) {
    const socket = tcpConnect({
      host: hostname,
      port: portOf(origin),
      noDelay: true,
      autoSelectFamily: true,
      lookup: plan.isPublicOnly === true ? publicLookup(lookup, () => notPublic(plan)) : lookup,
    });
    current = socket;
    socket.once('connect', () => secure(socket));
    socket.once('error', (fault) => finish(fault instanceof ProxyError ? fault : unreachable(plan, fault)));
  } else {
    current = openTunnel(plan, plan.proxy, finish, secure);
  }
}

/**
 * Whether a host is known not to be in the internet before its name is looked up. Through an outgoing proxy no more than this can be
 * known: it is the proxy that looks names up, and its own rules have to keep it out of the network behind it.
 */
function isKnownPrivate(hostname: string): boolean {
  return isIP(hostname) === 0 ? /(?:^|\.)localhost$/.test(hostname) : !isPublicAddress(hostname);
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
  let shown: PeerCertificate | undefined;
  // Before Node looks at the certificate: of one that it refuses, the error says nothing. Without this event texts say less.
  secured.prependOnceListener('secure', () => (shown = secured.getPeerCertificate()));
  secured.on('session', plan.onSession);
  secured.once('secureConnect', () => finish(null, secured));
  secured.once('error', (fault: Error) => finish(tlsFault(plan, fault, shown, Date.now())));
  secured.once('close', () => finish(closedInHandshake(plan)));
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
      finish(proxyRefusal(plan, proxy, response.statusCode ?? 0));
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
    finish(proxyRefusal(plan, proxy, response.statusCode ?? 0));
  });
  request.once('error', (fault) => finish(proxyUnusable(plan, proxy, fault)));
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

function bare(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
}

function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port);
  return url.protocol === 'https:' ? 443 : 80;
}
