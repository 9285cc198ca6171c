/**
 * How this door says no. git shows a refusal in three ways and loses it in all others:
 *
 *   info/refs           a status with exactly text/plain: each line as `remote: ...`
 *   POST upload-pack    200 and an ERR packet: `fatal: remote error: ...`
 *   POST receive-pack   200 and a report-status: `! [remote rejected] main -> main (...)`
 *
 * There is no 401 for trouble of ours: git would ask for a user name and drop the text. The one that is said asks for a lease.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { CommandList } from '../git/receive-pack.js';
import { writeRefusedPush } from '../git/report-status.js';
import { answerMediaType } from '../git/smart-http.js';
import { writeErrorPacket } from '../git/upload-pack.js';
import { systemCodeOf } from '../model/errors.js';
import { type HttpOperation, serviceOf } from '../model/operation.js';
import { type Refusal, refusalLines, refusalSentence } from '../model/refusal.js';

/** Says a refusal as plain text with its status. For anything that is not the exchange step of git. */
export function sayPlain(response: ServerResponse, refusal: Refusal, options: { isHead?: boolean; close?: boolean } = {}): void {
  const body = Buffer.from(`${refusalLines(refusal).join('\n')}\n`, 'utf8');
  const isChallenge = refusal.asksForLease === true;
  response.writeHead(isChallenge ? 401 : refusal.status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': body.length,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(isChallenge ? { 'www-authenticate': 'Basic realm="Postern lease", charset="UTF-8"' } : {}),
    ...(refusal.retryAfterSeconds === undefined ? {} : { 'retry-after': String(Math.ceil(refusal.retryAfterSeconds)) }),
    ...(refusal.activityId === undefined ? {} : { activityid: refusal.activityId }),
    ...(options.close === true ? { connection: 'close' } : {}),
  });
  response.end(options.isHead === true ? undefined : body);
}

/**
 * Says a refusal of a git operation in the way that its step is shown. `commands` is what a push asked for, if its
 * command list has been read.
 */
export function sayGit(
  response: ServerResponse,
  operation: HttpOperation,
  refusal: Refusal,
  commands: CommandList | undefined,
  options: { close?: boolean } = {},
): void {
  if (operation.step === 'advertisement') {
    sayPlain(response, refusal);
    return;
  }
  const body = exchangeBody(operation, refusal, commands);
  if (body === undefined) {
    sayPlain(response, refusal, { close: true });
    return;
  }
  response.writeHead(200, {
    'content-type': answerMediaType(serviceOf(operation), 'exchange'),
    'content-length': body.length,
    'cache-control': 'no-store',
    ...(options.close === true ? { connection: 'close' } : {}),
  });
  response.end(body);
}

function exchangeBody(operation: HttpOperation, refusal: Refusal, commands: CommandList | undefined): Buffer | undefined {
  switch (operation.kind) {
    case 'fetch':
      return writeErrorPacket(refusalLines(refusal).join('\n'));
    case 'push':
      if (commands === undefined) return undefined;
      // git's probe asks for nothing, and of the answer git reads the status alone: with any but 200 the text is lost.
      // The push that follows meets the refusal again, or no longer.
      if (commands.commands.length === 0) return Buffer.alloc(0);
      return writeRefusedPush(commands, reasonsOf(refusal, commands), refusalLines(refusal));
  }
}

/** What is said of each ref: its own reason, or the refusal if that is about the push as a whole. */
function reasonsOf(refusal: Refusal, { commands }: CommandList): readonly string[] {
  if (refusal.refs !== undefined) return refusal.refs.map(({ reason }) => `postern: ${reason}`);
  const sentence = refusalSentence({ ...refusal, upstreamText: undefined });
  return commands.map(() => sentence);
}

/** A request that Node's parser refuses (both lengths, two lengths, a head too large or too slow, no HTTP): said in plain text, and closed. */
export function sayUnreadable(fault: Error, socket: Duplex): void {
  const code = systemCodeOf(fault);
  if (!socket.writable || code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  let status = '400 Bad Request';
  if (code === 'HPE_HEADER_OVERFLOW') status = '431 Request Header Fields Too Large';
  else if (code === 'ERR_HTTP_REQUEST_TIMEOUT') status = '408 Request Timeout';
  sayUnasked(socket, status, `The request cannot be read as HTTP/1.1 (${code ?? 'malformed'})`);
}

/** What a connection is told before it has said anything. */
export function unheard({ what, todo }: Pick<Refusal, 'what' | 'todo'>): string {
  return unasked('503 Service Unavailable', what, todo);
}

/** Says no to CONNECT. Node has taken the connection out of HTTP, so there is no response object. */
export function sayNoTunnel(_request: IncomingMessage, socket: Duplex): void {
  sayUnasked(socket, '405 Method Not Allowed', 'This is no forward proxy: CONNECT is not served');
}

/** Plain HTTP on a port that speaks TLS: said in the plain, because who asks cannot read anything else. */
export function sayUseTls(socket: Socket): void {
  const { localAddress = '', localPort = 0 } = socket;
  const host = localAddress.includes(':') ? `[${localAddress}]` : localAddress;
  sayUnasked(
    socket,
    '400 Bad Request',
    'This port speaks TLS, and the request came without',
    `use https://${host}:${localPort} as the address; \`postern setup\` writes it, and which authority to trust`,
  );
  // Unread bytes would turn the end into a reset, and the text would be lost.
  socket.resume();
}

const USE_GIT = 'use a git client, with url.<base>.insteadOf as `postern setup` writes it';

function sayUnasked(socket: Duplex, status: string, what: string, todo = USE_GIT): void {
  socket.on('error', () => socket.destroy());
  socket.end(unasked(status, what, todo));
}

function unasked(status: string, what: string, todo: string): string {
  const text = `postern: ${what}\n  what to do: ${todo}\n`;
  return `HTTP/1.1 ${status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`;
}
