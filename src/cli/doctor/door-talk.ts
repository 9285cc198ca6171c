/**
 * How the door is tried from where git stands: whether something listens, whether it is a Postern, and what it says to git itself,
 * which brings its own proxies, trust and leases.
 */
import { connect } from 'node:net';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { ERROR_CODES, type ErrorCode, systemCodeOf } from '../../model/errors.js';
import { GIT_TIMED_OUT, type Git } from '../gitconfig/git.js';
import { hideCredentials } from '../gitconfig/names.js';

/** On this machine it takes a millisecond; a door elsewhere in a network is given time as well. */
const CONNECT_MS = 5_000;
/** A daemon that is started by this very request takes a second or two. */
const ANSWER_MS = 20_000;
/** The first words of the door's answer are enough to know it. */
const MOST_BYTES = 4096;

/** No repository can have this host (RFC 2606, section 2): whatever the door says of it is said by the door, and nothing goes up. */
const NOBODY = 'postern.invalid/doctor/_git/doctor';

/** Whether a connection can be opened: undefined when it can, else the system's code, such as ECONNREFUSED. */
export function connectFault(base: string): Promise<string | undefined> {
  const { hostname, port, protocol } = new URL(base);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || (protocol === 'https:' ? 443 : 80)) });
    const end = (fault: string | undefined): void => {
      socket.destroy();
      resolve(fault);
    };
    socket.setTimeout(CONNECT_MS, () => end('ETIMEDOUT'));
    socket.once('connect', () => end(undefined));
    socket.once('error', (thrown) => end(systemCodeOf(thrown) ?? thrown.message));
  });
}

/** Whether what listens there speaks as a Postern does. It is told nothing; its certificate is git's to judge, and is not looked at. */
export function isPostern(base: string): Promise<boolean> {
  return new Promise((resolve) => {
    const url = new URL(`/${NOBODY}/info/refs?service=git-upload-pack`, base);
    const options = { timeout: CONNECT_MS, agent: false } as const;
    const answered = (response: IncomingMessage): void => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString('utf8');
        if (text.length > MOST_BYTES) response.destroy();
      });
      response.on('close', () => resolve(text.startsWith('postern: ')));
      response.on('error', () => undefined);
    };
    const request = base.startsWith('https:')
      ? httpsRequest(url, { ...options, rejectUnauthorized: false }, answered)
      : httpRequest(url, options, answered);
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
    request.end();
  });
}

/** What came of git's going to the door. */
export type DoorTalk =
  /** The door refused, which it has to; `code` tells whether it knew who asked. */
  | { readonly kind: 'answered'; readonly code: ErrorCode | undefined; readonly what: string; readonly todo: string | undefined }
  /** A user name was wanted: the door takes leases alone. */
  | { readonly kind: 'wants-lease' }
  /** git does not trust its certificate. */
  | { readonly kind: 'untrusted'; readonly what: string }
  | { readonly kind: 'silent' }
  /** Whatever it was, it was no Postern. */
  | { readonly kind: 'strange'; readonly what: string };

/** Nobody is asked anything: not on the terminal, not by a window, not by Git Credential Manager. */
const QUIET = [
  { name: 'GIT_TERMINAL_PROMPT', value: '0' },
  { name: 'GIT_ASKPASS', value: '' },
  { name: 'GCM_INTERACTIVE', value: 'never' },
];

/** Has git ask the door for a repository that nobody has. `door` ends in `/`. */
export async function talkToDoor(git: Git, door: string): Promise<DoorTalk> {
  const { status, stderr } = await git.with(QUIET).run(['ls-remote', door + NOBODY], '', { timeoutMs: ANSWER_MS });
  const lines = hideLines(stderr);
  const first = lines.findIndex((line) => line.startsWith('remote: postern: '));
  if (first >= 0) {
    const told = lines.slice(first).flatMap((line) => (line.startsWith('remote: ') ? [line.slice('remote: '.length)] : []));
    const code = /^ *more: postern explain (\S+)$/m.exec(told.join('\n'))?.[1];
    return {
      kind: 'answered',
      code: ERROR_CODES.find((known) => known === code),
      what: (told[0] ?? '').slice('postern: '.length),
      todo: told.find((line) => /^ *what to do: /.test(line))?.replace(/^ *what to do: /, ''),
    };
  }
  const said = lines.filter((line) => /^(?:fatal|error): /.test(line)).at(-1) ?? lines.at(-1) ?? `git ended with ${status}`;
  if (status === GIT_TIMED_OUT) return { kind: 'silent' };
  if (/could not read (?:Username|Password)|Authentication failed/.test(said)) return { kind: 'wants-lease' };
  if (/SSL|certificate|CAfile|TLS|schannel/i.test(said)) return { kind: 'untrusted', what: said };
  return { kind: 'strange', what: said };
}

function hideLines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => hideCredentials(line).trimEnd())
    .filter((line) => line !== '');
}
