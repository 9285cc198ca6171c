/**
 * What is said with a sign-in service for one token. The libraries that speak OAuth hand their requests in here and get answers;
 * what came and went is noted, because their errors drop status, body and cause. Nothing goes to any other host than was named:
 * a request may carry a secret, and where it is sent is for the configuration to say, not for an answer.
 */
import { messageOf } from '../model/errors.js';
import { readRetryAfter } from '../model/retry-after.js';
import type { SendSignIn, SignInAnswer, SignInRequest, SignInWay } from '../model/sign-in.js';
import { TokenFailure } from './token-source.js';

/** Form fields of a request that prove who asks (RFC 6749, RFC 7521 section 4.2, RFC 7636, RFC 8628). */
const PROOF_FIELDS = ['client_secret', 'client_assertion', 'refresh_token', 'code', 'code_verifier', 'device_code', 'password'];
/** Longest part of an answer that is kept to be read for a cause. */
const LONGEST_KEPT = 64 * 1024;

/** An answer that may say why there is no token. */
export interface SeenAnswer {
  readonly url: string;
  readonly status: number;
  /** Empty after success: it would hold tokens. */
  readonly body: string;
  /** Whether the body is an object in JSON, as all answers of a sign-in service are. */
  readonly isJson: boolean;
  /** How long it asks to be left alone, ms. */
  readonly retryAfterMs?: number | undefined;
}

/** What was seen of the last exchange, and of the whole talk. */
export interface SeenExchange {
  answer: SeenAnswer | undefined;
  /** Why there is none. */
  fault: unknown;
  /** How far the clock of this machine is ahead of the service's, ms; negative: behind. Undefined until it told its time. */
  aheadMs: number | undefined;
  /** Proofs that were sent: a service that says back what it was sent must not be quoted with them. */
  readonly proofs: Set<string>;
}

export interface AuthorityTalk {
  readonly seen: SeenExchange;
  /**
   * Sends a request and gives the answer, whatever its status.
   * @throws ProxyError as SendSignIn does; TokenFailure for a host that is not meant, and for a redirect
   */
  exchange(request: SignInRequest): Promise<SignInAnswer>;
}

export interface TalkOptions {
  readonly send: SendSignIn;
  readonly way: SignInWay;
  /** The sign-in service, an https origin. */
  readonly authority: string;
  /** Further origins that are meant. */
  readonly others?: readonly string[];
  /** Wall-clock time, ms since the epoch. */
  readonly now: () => number;
}

/** Before anything was said; for sources that ask somebody else than a sign-in service. */
export function nothingSeen(): SeenExchange {
  return { answer: undefined, fault: undefined, aheadMs: undefined, proofs: new Set() };
}

/** Begins a talk. */
export function authorityTalk({ send, way, authority, others = [], now }: TalkOptions): AuthorityTalk {
  const seen = nothingSeen();
  const origins = [authority, ...others];
  return {
    seen,
    async exchange(request) {
      noteProofs(seen.proofs, request);
      seen.answer = undefined;
      seen.fault = undefined;
      try {
        if (!origins.includes(request.url.origin)) throw elsewhere(authority, request.url);
        const answer = await send(request, way);
        noteAnswer(seen, request.url.href, answer, now());
        // A redirect would have the library send everything again, to wherever it says.
        if (answer.status >= 300 && answer.status < 400) throw redirected(request.url, answer);
        return answer;
      } catch (thrown) {
        seen.fault = thrown;
        throw thrown;
      }
    },
  };
}

function noteAnswer(seen: SeenExchange, url: string, { status, headers, body }: SignInAnswer, now: number): void {
  const isJson = isObject(body);
  const retryAfter = readRetryAfter(headers['retry-after'], headers['date'] ?? new Date(now).toUTCString());
  seen.answer = {
    url,
    status,
    isJson,
    body: status >= 200 && status < 300 ? '' : body.slice(0, LONGEST_KEPT),
    retryAfterMs: retryAfter === undefined ? undefined : retryAfter * 1000,
  };
  const told = Date.parse(headers['date'] ?? '');
  if (isJson && !Number.isNaN(told)) seen.aheadMs = now - told;
}

function noteProofs(proofs: Set<string>, { headers, body }: SignInRequest): void {
  const form = new URLSearchParams(body ?? '');
  for (const field of PROOF_FIELDS) for (const proof of form.getAll(field)) proofs.add(proof);
  for (const [name, value] of Object.entries(headers)) if (name.toLowerCase() === 'authorization') proofs.add(value.replace(/^\S+\s+/, ''));
}

function elsewhere(authority: string, { origin }: URL): TokenFailure {
  return new TokenFailure(`The sign-in service ${authority} sends on to ${origin}, and nothing is sent there`, {
    isDefinite: true,
    todo: `if the tenant belongs to another cloud, set \`authority\` of the identity to its sign-in service (${origin}); else check \`authority\``,
  });
}

function redirected(url: URL, answer: SignInAnswer): TokenFailure {
  return new TokenFailure(
    `What answers at ${url.origin} is not a sign-in service: it redirects to ${placeOf(answer.headers['location'], url)} (status ${answer.status})`,
    {
      isDefinite: false,
      todo: 'check `authority` of the identity, and what stands between here and it (HTTPS_PROXY, a portal that wants a sign-in)',
    },
  );
}

/** Where a redirect leads, without what it may carry. */
function placeOf(location: string | undefined, base: URL): string {
  try {
    return new URL(location ?? '', base).origin;
  } catch (thrown) {
    return `nowhere (${messageOf(thrown)})`;
  }
}

function isObject(body: string): boolean {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null;
  } catch {
    // Something else than a sign-in service answers; whoever explains the failure says so.
    return false;
  }
}
