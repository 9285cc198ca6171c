/**
 * How this door says no. git shows a refusal in three ways and loses it in all others:
 *
 *   info/refs           a status with exactly text/plain: each line as `remote: ...`
 *   POST upload-pack    200 and an ERR packet: `fatal: remote error: ...`
 *   POST receive-pack   200 and a report-status: `! [remote rejected] main -> main (...)`
 *
 * git-lfs shows the `message` of an LFS error, clients of the REST API that of Azure's.
 *
 * There is no 401 for trouble of ours: git would ask for a user name and drop the text. The one that is said asks for a lease.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { CommandList } from '../git/receive-pack.js';
import { writeRefusedPush } from '../git/report-status.js';
import { LFS_MEDIA_TYPE } from '../git/lfs-request.js';
import { answerMediaType } from '../git/smart-http.js';
import { writeErrorPacket } from '../git/upload-pack.js';
import { systemCodeOf } from '../model/errors.js';
import { type DoorOperation, type HttpOperation, isGit, serviceOf } from '../model/operation.js';
import { moreOf, type Refusal, refusalLines, refusalSentence } from '../model/refusal.js';

/** Whose errors a caller reads. */
export type Dialect = 'git' | 'lfs' | 'api';

/** Says a refusal in a dialect, as far as it needs nothing of the operation. The connection is closed where `close` says so. */
export function sayIn(
  dialect: Dialect,
  response: ServerResponse,
  refusal: Refusal,
  options: { isHead?: boolean; close?: boolean } = {},
): void {
  if (dialect === 'git') sayPlain(response, refusal, options);
  else sayJson(dialect, response, refusal, options);
}

/** Statuses in which LFS and REST clients read something that is not meant: a sign-in that they would ask for. */
const NOT_TOLD: ReadonlySet<number> = new Set([401, 407]);

/**
 * Of a 429 git-lfs shows no word, and where it has no Retry-After git-lfs 3.3 falls over. It tries again after a 503 as well, whose text
 * it shows when it gives up.
 */
const LFS_LATER = 503;

function sayJson(
  dialect: Exclude<Dialect, 'git'>,
  response: ServerResponse,
  refusal: Refusal,
  options: { isHead?: boolean; close?: boolean },
): void {
  const { upstreamStatus = 0, activityId, retryAfterSeconds } = refusal;
  // What the upstream answered decides what the client does next.
  const told = upstreamStatus >= 400 && !NOT_TOLD.has(upstreamStatus) ? upstreamStatus : refusal.status;
  const status = dialect === 'lfs' && told === 429 ? LFS_LATER : told;
  const message = refusalLines(refusal).join('\n');
  const body =
    dialect === 'lfs'
      ? { message, request_id: activityId }
      : {
          $id: '1',
          innerException: null,
          message,
          typeName: 'Postern.Refusal, Postern',
          typeKey: refusal.code,
          errorCode: 0,
          eventId: 0,
        };
  const bytes = Buffer.from(JSON.stringify(body), 'utf8');
  // git-lfs must never meet a 401: it writes into the repository's configuration that it has to sign in from now on.
  const isChallenge = refusal.asksForLease === true && dialect === 'api';
  response.writeHead(isChallenge ? 401 : status, {
    'content-type': dialect === 'lfs' ? LFS_MEDIA_TYPE : 'application/json; charset=utf-8',
    'content-length': bytes.length,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(isChallenge ? { 'www-authenticate': CHALLENGE } : {}),
    ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(Math.ceil(retryAfterSeconds)) }),
    ...(activityId === undefined ? {} : { activityid: activityId }),
    ...(options.close === true ? { connection: 'close' } : {}),
  });
  response.end(options.isHead === true ? undefined : bytes);
}

const CHALLENGE = 'Basic realm="Postern lease", charset="UTF-8"';

/** Says a refusal as plain text with its status. For anything that is not the exchange step of git. */
export function sayPlain(response: ServerResponse, refusal: Refusal, options: { isHead?: boolean; close?: boolean } = {}): void {
  const body = Buffer.from(`${refusalLines(refusal).join('\n')}\n`, 'utf8');
  const isChallenge = refusal.asksForLease === true;
  response.writeHead(isChallenge ? 401 : refusal.status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': body.length,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(isChallenge ? { 'www-authenticate': CHALLENGE } : {}),
    ...(refusal.retryAfterSeconds === undefined ? {} : { 'retry-after': String(Math.ceil(refusal.retryAfterSeconds)) }),
    ...(refusal.activityId === undefined ? {} : { activityid: refusal.activityId }),
    ...(options.close === true ? { connection: 'close' } : {}),
  });
  response.end(options.isHead === true ? undefined : body);
}

/**
 * Says a refusal of an operation in the way in which its caller is shown it. `commands` is what a push asked for, if its
 * command list has been read.
 */
export function sayTo(
  response: ServerResponse,
  operation: DoorOperation,
  refusal: Refusal,
  commands: CommandList | undefined,
  options: { isHead?: boolean; close?: boolean } = {},
): void {
  if (!isGit(operation)) {
    sayIn(operation.kind, response, refusal, options);
    return;
  }
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
export function unheard({ what, todo, code }: Pick<Refusal, 'what' | 'todo' | 'code'>): string {
  return unasked('503 Service Unavailable', { what, todo, code });
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
  socket.end(unasked(status, { what, todo, code: 'request-malformed' }));
}

function unasked(status: string, { what, todo, code }: Pick<Refusal, 'what' | 'todo' | 'code'>): string {
  const text = `postern: ${what}\n  what to do: ${todo}\n  ${moreOf(code)}\n`;
  return `HTTP/1.1 ${status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`;
}
