/**
 * Asks the credential helpers of git on this machine, for any host: what `git credential fill` gives is sent, and git is told
 * afterwards whether it was good, exactly as if git itself had signed in. No person is ever asked: a helper that would have to
 * is one that holds nothing.
 *
 *   fill     <- protocol, host, path, username, capability[]      -> the same, and username, password, ... or authtype, credential
 *   approve  <- everything that fill gave                            the upstream took it
 *   reject   <- everything that fill gave                            the upstream answered 401
 *
 * Source: git-credential(1), "INPUT/OUTPUT FORMAT"; gitcredentials(7).
 */
import { createHash } from 'node:crypto';
import type { Credential, CredentialTarget } from '../model/credential.js';
import { Secret } from '../model/secret.js';
import { type Answer, parseAnswer, unusable } from './git-credential-text.js';
import { fillFailure } from './git-credential-failure.js';
import { childEnvironment, type ProgramEnd, runProgram } from './run-program.js';
import type { AskedSource } from './vault-entry.js';

/** git processes at once, for all repositories: a helper is often a large program, and a thousand submodules come at once. */
const MOST_AT_ONCE = 4;
/** What is remembered of settled credentials; more than one identity has at once (MOST_VARIANTS), twice over. */
const MOST_SETTLED = 512;
/** A token without an end is asked for again after this long: whoever keeps it may have a newer one by then. */
const ENDLESS_TOKEN_MS = 60 * 60 * 1000;

export interface GitCredentialSurroundings {
  /** The daemon's. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** ms for one run of git. */
  readonly timeoutMs: number;
}

/** A source that asks git. `user`: the user name to ask for, when helpers hold several. */
export function createGitCredentialSource(user: string | undefined, around: GitCredentialSurroundings): AskedSource {
  return new GitCredentials(user, around);
}

class GitCredentials implements AskedSource {
  readonly #user: string | undefined;
  readonly #around: GitCredentialSurroundings;
  /** What git gave, by the credential that was made of it. */
  readonly #answers = new WeakMap<Credential, Answer>();
  /** How each was settled, by its hash: repositories of one host have the same, and git is told once. */
  readonly #settled = new Map<string, 'good' | 'bad'>();
  /** What is being told to git; a question waits for it, or it would be answered with what was just refused. */
  #telling: Promise<void> = Promise.resolve();
  /** Addresses whose credential was refused last. */
  readonly #refused = new Set<string>();
  #free = MOST_AT_ONCE;
  readonly #waiting: (() => void)[] = [];

  constructor(user: string | undefined, around: GitCredentialSurroundings) {
    this.#user = user;
    this.#around = around;
  }

  /** Protocol, host and whole path: settings of git and its helpers can depend on any part of them (`credential.<url>.*`, `useHttpPath`). */
  variantOf({ url }: CredentialTarget): string {
    return url === undefined ? '' : `${url.protocol}//${url.host}${url.pathname}`;
  }

  async ask(target: CredentialTarget): Promise<Credential> {
    const { url } = target;
    if (url === undefined || !/^https?:$/.test(url.protocol)) throw new TypeError('git-credential is asked without an address');
    const path = plain(url.pathname.replace(/^\/+/, '').replace(/\/+$/, ''));
    if (path === undefined) throw unusable(`the path of the address cannot be told to git`, url);
    const asked = { protocol: url.protocol.slice(0, -1), host: url.host, path, user: this.#user };
    await this.#telling;
    const end = await this.#run('fill', writeQuestion(asked));
    const variant = this.variantOf(target);
    const failure = fillFailure(end, { url, timeoutMs: this.#around.timeoutMs, wasRefused: this.#refused.has(variant) });
    if (failure !== undefined) throw failure;
    const answer = parseAnswer(end.kind === 'ended' ? end.stdout : '', asked, url);
    const credential = credentialOf(answer, Date.now(), url);
    this.#answers.set(credential, answer);
    // It was refused once and has come back: somebody keeps it still, or again.
    if (this.#settled.get(hash(answer.text)) === 'bad') this.#settled.delete(hash(answer.text));
    return credential;
  }

  settle(target: CredentialTarget, credential: Credential, isGood: boolean): Promise<void> {
    const answer = this.#answers.get(credential);
    if (answer === undefined) return Promise.resolve();
    const variant = this.variantOf(target);
    if (isGood) this.#refused.delete(variant);
    else remember(this.#refused, variant);
    const verdict = isGood ? 'good' : 'bad';
    const key = hash(answer.text);
    if (this.#settled.get(key) === verdict) return this.#telling;
    this.#settled.delete(key);
    this.#settled.set(key, verdict);
    const [oldest] = this.#settled.keys();
    if (this.#settled.size > MOST_SETTLED && oldest !== undefined) this.#settled.delete(oldest);
    // Like git, that goes on when its helpers cannot keep something.
    this.#telling = this.#telling.then(async () => {
      await this.#run(isGood ? 'approve' : 'reject', answer.text.reveal());
    });
    return this.#telling;
  }

  async #run(action: 'fill' | 'approve' | 'reject', input: string): Promise<ProgramEnd> {
    if (this.#free === 0) await new Promise<void>((resume) => this.#waiting.push(resume));
    else this.#free -= 1;
    try {
      const { environment, timeoutMs } = this.#around;
      return await runProgram({ program: 'git', args: ['credential', action], environment: quiet(environment), timeoutMs, input });
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}

/** The environment in which git and its helpers ask nobody, and are about no repository. */
function quiet(environment: Readonly<Record<string, string | undefined>>): Record<string, string | undefined> {
  return {
    ...childEnvironment(environment),
    GIT_TERMINAL_PROMPT: '0',
    // Set and empty: goes before core.askPass and SSH_ASKPASS, and is none.
    GIT_ASKPASS: '',
    SSH_ASKPASS: undefined,
    GCM_INTERACTIVE: 'never',
    GIT_DIR: undefined,
    GIT_WORK_TREE: undefined,
    // The messages of git are known in one language.
    LANGUAGE: 'C',
  };
}

function writeQuestion({ protocol, host, path, user }: { protocol: string; host: string; path: string; user: string | undefined }): string {
  const lines = [`protocol=${protocol}`, `host=${host}`, `path=${path}`];
  if (user !== undefined) lines.push(`username=${user}`);
  // What git itself understands since 2.46; older ones pass over it.
  return `capability[]=authtype\ncapability[]=state\n${lines.join('\n')}\n\n`;
}

function credentialOf(answer: Answer, now: number, url: URL): Credential {
  const { user, password, token, expiresAt } = answer;
  if (expiresAt !== undefined && expiresAt.getTime() <= now)
    throw unusable(`what they hold ended at ${expiresAt.toISOString()}`, url, 'sign in again with the helper, or store a new one');
  if (token !== undefined)
    return { kind: 'bearer', token, expiresAt: expiresAt ?? new Date(now + ENDLESS_TOKEN_MS), obtainedAt: new Date(now) };
  return { kind: 'basic', user, password, expiresAt };
}

/** A path as git has it, decoded; undefined for one that cannot be a line. */
function plain(path: string): string | undefined {
  try {
    const text = decodeURIComponent(path);
    return /[\0\r\n]/.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

function remember(names: Set<string>, name: string): void {
  names.delete(name);
  names.add(name);
  const [oldest] = names;
  if (names.size > MOST_SETTLED && oldest !== undefined) names.delete(oldest);
}

function hash(text: Secret): string {
  return createHash('sha256').update(text.reveal()).digest('base64');
}
