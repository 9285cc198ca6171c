/**
 * What `git credential fill` prints, read with suspicion: the lines come from helpers, which anybody may have written.
 *
 *   answer  = *( key "=" value LF )
 *
 * Source: git-credential(1), "INPUT/OUTPUT FORMAT".
 */
import { Secret } from '../model/secret.js';
import { TokenFailure } from './token-source.js';

export interface Answer {
  /** All of it, as git wants it back. */
  readonly text: Secret;
  /** Empty where there is none. */
  readonly user: string;
  readonly password: Secret;
  /** Instead of user and password: a token that is sent as a bearer. */
  readonly token: Secret | undefined;
  readonly expiresAt: Date | undefined;
}

/** What git was asked for. */
export interface Question {
  readonly protocol: string;
  readonly host: string;
  readonly user: string | undefined;
}

/** @throws TokenFailure for an answer that is of no use, or is for something else than was asked */
export function parseAnswer(text: string, asked: Question, url: URL): Answer {
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const at = line.indexOf('=');
    if (at <= 0 || /[\0\r]/.test(line)) throw unusable('what git printed is no credential', url);
    fields.set(line.slice(0, at), line.slice(at + 1));
  }
  // A helper may change what it was asked for, and git passes that on.
  if (fields.get('protocol') !== asked.protocol || fields.get('host')?.toLowerCase() !== asked.host.toLowerCase())
    throw unusable('a helper answered for another host', url);
  const user = fields.get('username') ?? '';
  if (asked.user !== undefined && user !== asked.user)
    throw unusable(`a helper answered for another user than ${asked.user}`, url, 'check `user` of the identity, and what the helpers hold');
  const expiresAt = endOf(fields.get('password_expiry_utc'));
  const whole = { text: new Secret(text), expiresAt };
  const scheme = fields.get('authtype')?.toLowerCase();
  const value = fields.get('credential') ?? '';
  if (scheme === undefined) return { ...whole, ...pair(user, fields.get('password'), url), token: undefined };
  if (scheme === 'bearer') {
    if (!/^[\x21-\x7e]+$/.test(value)) throw unusable('the token of a helper is none', url);
    return { ...whole, user: '', password: new Secret(''), token: new Secret(value) };
  }
  if (scheme === 'basic') {
    const [name = '', ...rest] = Buffer.from(value, 'base64').toString('utf8').split(':');
    return { ...whole, ...pair(name, rest.join(':'), url), token: undefined };
  }
  throw unusable('a helper gave a credential for a way of signing in that is not served here (only Basic and Bearer are)', url);
}

function pair(user: string, password: string | undefined, url: URL): { user: string; password: Secret } {
  if (password === undefined || password === '') throw unusable('they gave no password', url);
  // RFC 7617 section 2: everything before the first colon is the user.
  if (user.includes(':') || /[\0\r\n]/.test(`${user}${password}`))
    throw unusable('the user name or password of a helper cannot be sent', url);
  return { user, password: new Secret(password) };
}

function endOf(seconds: string | undefined): Date | undefined {
  if (seconds === undefined || !/^[0-9]{1,12}$/.test(seconds)) return undefined;
  return new Date(Number(seconds) * 1000);
}

/** A failure of the helpers for an address. */
export function unusable(what: string, { origin }: URL, todo?: string): TokenFailure {
  return new TokenFailure(`The credential helpers of git have nothing usable for ${origin}: ${what}`, {
    isDefinite: true,
    todo:
      todo ?? 'look at `git config --show-origin --get-all credential.helper` as the user of the daemon, and mend or replace the helper',
  });
}
