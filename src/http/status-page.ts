/**
 * The status page: the one thing on the HTTP door that a browser may have. It is apart from everything else there: it leads to no
 * route, asks for no credential, changes nothing, and is no operation (no record, no place, nothing that a stop waits for).
 *
 * Each request is asked, in this order: is it for an address of ours, on this machine's own loopback; which local user, by the
 * kernel; did our own page begin it; and then for the session. The code that makes a session comes once, from a file that only
 * its user can read (`postern dashboard`).
 *
 * Source: Content Security Policy Level 3; RFC 6265bis for the cookie. A SameSite=Strict cookie is not sent when a redirect follows a
 * POST from elsewhere, so the answer to the code is a page that moves on by itself.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import type { OwnNames } from '../gate/browser.js';
import { refuseName } from '../gate/browser.js';
import type { PageSessions, Visitor } from '../gate/page-sessions.js';
import { SESSION_MS } from '../gate/page-sessions.js';
import { isLoopbackAddress, type Peers } from '../gate/peers.js';
import { messageOf } from '../model/errors.js';
import type { Logger } from '../model/ports.js';
import type { Refusal } from '../model/refusal.js';
import { forwardedBy } from './forwarded.js';
import { CODE_PATH, PAGE_PATH, refusePageRequest } from './page-requests.js';
import { sayPlain } from './speech.js';

/** A form with one code, several times over. */
const LARGEST_FORM_BYTES = 512;
/** A browser on the same machine sends it in one piece. */
const FORM_MS = 5_000;

/** Nothing from elsewhere, nothing inline, in no frame; forms go nowhere, and text never becomes script. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': POLICY,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
} as const;

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
  json: 'application/json; charset=utf-8',
};

/** The answer to a code: moves on by itself, and has a link for where that is switched off. */
const MOVING_ON = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=${PAGE_PATH}"><title>Postern</title></head>
<body><p><a href="${PAGE_PATH}">Go on to the status page</a></p></body></html>
`;

export interface StatusPageParts {
  readonly sessions: PageSessions;
  readonly peers: Peers;
  readonly logger: Logger;
  /** What the page shows, as plain data without any secret. */
  readonly view: () => unknown;
  /** The files that the page is made of: page.html, page.css, page.js, icon.svg. @throws Error when they are not there */
  readonly file: (name: string) => Promise<Buffer>;
}

export class StatusPage {
  readonly #parts: StatusPageParts;

  constructor(parts: StatusPageParts) {
    this.#parts = parts;
  }

  /** Answers a request below `/-/`; never rejects. `host`: what the listener listens on. */
  async answer(request: IncomingMessage, response: ServerResponse, names: OwnNames): Promise<void> {
    try {
      const visitor = await this.#visitorOf(request, names);
      if (visitor === undefined) request.socket.destroy();
      else if ('code' in visitor) this.#refuse(request, response, visitor);
      else await this.#serve(request, response, visitor);
    } catch (thrown) {
      const { logger } = this.#parts;
      logger.log('error', 'unexpected', { what: `the status page: ${messageOf(thrown)}` });
      this.#refuse(request, response, {
        kind: 'refusal',
        code: 'internal',
        status: 500,
        what: 'The status page cannot be shown',
        todo: 'see the log of the daemon; `postern status` tells the same',
      });
    }
  }

  /** Whose request it is, once nothing speaks against answering it at all; undefined when they have gone. */
  async #visitorOf(request: IncomingMessage, names: OwnNames): Promise<Visitor | Refusal | undefined> {
    const { socket } = request;
    const foreign = refuseName((name) => request.headersDistinct[name]?.join(', '), names);
    if (foreign !== undefined) return foreign;
    const host = (request.headers.host ?? '').toLowerCase();
    // A name can be made to lead here by whoever owns it, and a browser tells less of a request for one.
    if (!isLoopbackHost(host)) return refusal('request-not-ours', 'The status page is shown at 127.0.0.1 and [::1] alone');
    const peer = await this.#parts.peers.of(socket);
    if (peer === undefined || socket.destroyed) return undefined;
    const via = forwardedBy(request);
    if (via !== undefined)
      return refusal(
        'caller-forwarded',
        `The request carries the header ${via}, so it came through something else, and the user at the other end of the connection is not who asks`,
      );
    if (peer.uid.kind !== 'known') {
      const why = peer.uid.kind === 'remote' ? 'the connection is not from this machine' : peer.uid.why;
      return refusal(
        'caller-refused',
        `It cannot be told which local user asks: ${why}`,
        'use `postern status --watch`, which needs no browser',
      );
    }
    const origin = `${socket instanceof TLSSocket ? 'https' : 'http'}://${host}`;
    return refusePageRequest(request, origin) ?? { uid: peer.uid.uid, host };
  }

  async #serve(request: IncomingMessage, response: ServerResponse, visitor: Visitor): Promise<void> {
    const { sessions, logger, view, file } = this.#parts;
    const path = request.url ?? '';
    const isSecure = request.socket instanceof TLSSocket;
    if (path === CODE_PATH) {
      const code = await codeIn(request);
      const session = code === undefined ? undefined : sessions.open(code, visitor);
      if (session === undefined) {
        this.#refuse(
          request,
          response,
          closed('This code opens nothing: it was used, its minute is over, or it was given to another user'),
        );
        return;
      }
      logger.log('info', 'page-opened', { uid: visitor.uid });
      const cookie = `${cookieName(visitor.host)}=${session.reveal()}; Path=${PAGE_PATH}; Max-Age=${SESSION_MS / 1000}; HttpOnly; SameSite=Strict${isSecure ? '; Secure' : ''}`;
      send(response, 'html', Buffer.from(MOVING_ON), { 'set-cookie': cookie, connection: 'close' });
      return;
    }
    const session = sessionIn(request, visitor.host);
    if (session === undefined || !sessions.isOpen(session, visitor)) {
      this.#refuse(request, response, closed('There is no session of the status page, or it has ended'));
      return;
    }
    const name = path === PAGE_PATH ? 'page.html' : path.slice(PAGE_PATH.length);
    const body = name === 'status.json' ? Buffer.from(JSON.stringify(view())) : await file(name);
    send(response, name.replace(/^.*\./, ''), body);
  }

  #refuse(request: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
    const { remoteAddress = 'gone', remotePort = 0 } = request.socket;
    this.#parts.logger.log('warn', 'page-refused', { caller: `${remoteAddress}:${remotePort}`, code: refusal.code, what: refusal.what });
    if (response.headersSent) response.destroy();
    else sayPlain(response, refusal, { close: true });
  }
}

function send(response: ServerResponse, kind: string, body: Buffer, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(200, {
    ...HEADERS,
    'content-type': MEDIA_TYPES[kind] ?? MEDIA_TYPES['html'],
    'content-length': body.length,
    ...headers,
  });
  response.end(body);
}

function isLoopbackHost(host: string): boolean {
  return isLoopbackAddress(host.replace(/:[0-9]*$/, '').replace(/^\[(.*)\]$/, '$1'));
}

/** Cookies know no ports: two daemons of one user have different ones by name. */
function cookieName(host: string): string {
  return `postern-${/:([0-9]+)$/.exec(host)?.[1] ?? 'page'}`;
}

/** The session that a request brings; undefined where there is not exactly one. */
function sessionIn({ headers }: IncomingMessage, host: string): string | undefined {
  const name = `${cookieName(host)}=`;
  const found = (headers.cookie ?? '').split(/; */).filter((each) => each.startsWith(name));
  return found.length === 1 ? found[0]?.slice(name.length) : undefined;
}

/** The code of the form, undefined when there is none that can be read in one way. */
async function codeIn(request: IncomingMessage): Promise<string | undefined> {
  const { 'content-type': type = '', 'content-length': length = '' } = request.headers;
  // Before anything is read: with a length there is no more than that, and no other way to tell the end.
  if (!/^application\/x-www-form-urlencoded(?:$|;)/i.test(type) || !/^[0-9]+$/.test(length) || Number(length) > LARGEST_FORM_BYTES)
    return undefined;
  const late = setTimeout(() => request.destroy(), FORM_MS);
  try {
    let text = '';
    for await (const chunk of request as AsyncIterable<Buffer>) text += chunk.toString('latin1');
    return /^code=([A-Za-z0-9_-]+)$/.exec(text)?.[1];
  } finally {
    clearTimeout(late);
  }
}

function closed(what: string): Refusal {
  return refusal('page-closed', what);
}

function refusal(code: Refusal['code'], what: string, todo = 'open the page with `postern dashboard`'): Refusal {
  return { kind: 'refusal', code, status: 403, what, todo };
}
