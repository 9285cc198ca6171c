/** A request to the HTTP door, as a program of this user makes it: small, held whole, and past every proxy, as git's own have to be. */
import { readFile } from 'node:fs/promises';
import { type IncomingMessage, request as httpRequest, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { CheckOutcome } from '../../model/check.js';
import { isLoopbackAddress } from '../../gate/peers.js';
import { messageOf, ProxyError } from '../../model/errors.js';
import type { DaemonStatus } from '../../daemon/status.js';
import type { Git } from '../gitconfig/git.js';
import { httpSetting } from '../gitconfig/proof.js';
import { refusalIn } from './git-words.js';

/** An answer waits for a sign-in and for a slow upstream; each of them has a limit of its own in the daemon. */
const ANSWER_MS = 120_000;
/** A batch of one object and the entry of one repository have a few kilobytes. */
const LONGEST_BYTES = 1024 * 1024;
/** Longest of the upstream's own words that are shown. */
const LONGEST_WORDS = 400;

export interface DoorRequest {
  readonly method: 'GET' | 'POST';
  /** Behind the base of the door, percent-encoded, with its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
}

export interface DoorAnswer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
  /** Undefined when it is no JSON. */
  readonly json: Readonly<Record<string, unknown>> | undefined;
}

/**
 * Asks the HTTP door of the running daemon, with the lease that `git` would show there, if it has one.
 * @throws ProxyError `not-running` when it cannot be reached there, `certificate-unusable`, `internal` for an answer that has no end
 */
export async function askDoor({ listen }: Pick<DaemonStatus, 'listen'>, asked: DoorRequest, git: Git): Promise<DoorAnswer> {
  // As `setup` leads git: to the listener of this machine alone where there is one, which may want no lease.
  const first = listen.http.find((each) => isLoopbackAddress(new URL(each).hostname.replace(/^\[|\]$/g, ''))) ?? listen.http[0];
  if (first === undefined)
    throw new ProxyError('not-running', 'The daemon has no HTTP door', { todo: 'give `listen.http` an address, then `postern reload`' });
  // A listener on all addresses is no address to be called by.
  const base = first.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:');
  const isTls = base.startsWith('https:');
  const ca =
    isTls && listen.certificate?.ca !== undefined ? await readFile(listen.certificate.ca, 'utf8').catch(() => undefined) : undefined;
  const { hostname, port } = new URL(base);
  const options: RequestOptions = {
    host: hostname.replace(/^\[|\]$/g, ''),
    port,
    method: asked.method,
    path: asked.path,
    headers: {
      host: new URL(base).host,
      connection: 'close',
      ...(await leaseOf(git, base)),
      ...asked.headers,
      ...(asked.body === undefined ? {} : { 'content-length': Buffer.byteLength(asked.body) }),
    },
    timeout: ANSWER_MS,
    agent: false,
  };
  return new Promise((resolve, reject) => {
    const answered = (response: IncomingMessage): void => {
      wholeText(response).then((text) => {
        const type = response.headers['content-type'] ?? '';
        resolve({ status: response.statusCode ?? 0, type, text, json: mapIn(text) });
      }, fail);
    };
    const fail = (thrown: unknown): void =>
      reject(
        thrown instanceof ProxyError
          ? thrown
          : new ProxyError('not-running', `The door at ${base} did not answer (${messageOf(thrown)})`, {
              todo: 'look into the log of the daemon; `postern status` shows what it listens on',
              cause: thrown,
            }),
      );
    const request = isTls ? httpsRequest({ ...options, ...(ca === undefined ? {} : { ca }) }, answered) : httpRequest(options, answered);
    request.once('timeout', () => request.destroy(new Error(`nothing within ${ANSWER_MS / 1000} s`)));
    request.once('error', fail);
    request.end(asked.body);
  });
}

/** The header in which leases are handed out for git, as its configuration has it for this address. */
async function leaseOf(git: Git, base: string): Promise<Readonly<Record<string, string>>> {
  const header = await httpSetting(git, 'extraHeader', `${base}/`);
  const [, lease] = /^x-postern-lease:\s*(\S+)\s*$/i.exec(header ?? '') ?? [];
  return lease === undefined ? {} : { 'x-postern-lease': lease };
}

async function wholeText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > LONGEST_BYTES) {
      response.destroy();
      throw new ProxyError('upstream-error', `The answer is longer than ${LONGEST_BYTES} bytes, which no answer to this is`, {
        todo: 'see what answers in the place of the upstream',
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function mapIn(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : undefined; // because any object may be read so
  } catch {
    // A page or plain text: its status tells.
    return undefined;
  }
}

/**
 * What an answer that is a no comes to: the door's own refusal with its cause and its remedy, or the upstream's words as the door passed
 * them on. `todo`: what to do about words of the upstream's own.
 */
export function refusedBy({ status, json, text }: DoorAnswer, todo: string): CheckOutcome {
  const message = typeof json?.['message'] === 'string' ? json['message'] : text;
  const refusal = refusalIn(message);
  if (refusal !== undefined) return refusal;
  const [first = ''] = message.trim().split('\n');
  return {
    verdict: 'failed',
    text: `The upstream answered ${status}${first === '' ? ' without a word' : `: ${first.slice(0, LONGEST_WORDS)}`}`,
    todo,
    code: status === 403 ? 'upstream-forbidden' : status === 404 ? 'upstream-not-found' : 'upstream-error',
  };
}
