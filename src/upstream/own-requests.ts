/**
 * Requests that the daemon makes for itself to the API of an organisation or a collection: with the identity and by the road of a
 * route, held whole, a refused credential renewed once. What an answer means is its API's own.
 */
import { type FailedAnswer, type Failure, isSignInPage, readFailure } from '../hosts/failure.js';
import { Vault } from '../identity/vault.js';
import type { HostKind } from '../model/address.js';
import type { Credential, CredentialTarget } from '../model/credential.js';
import { ProxyError } from '../model/errors.js';
import { caselessName } from '../model/fold.js';
import { DEV_AZURE_HOST } from '../model/host-name.js';
import type { PatWitness } from '../model/pat.js';
import type { Clock } from '../model/ports.js';
import { readRetryAfter } from '../model/retry-after.js';
import type { Route } from '../model/settings.js';
import type { SendSignIn, SignInAnswer } from '../model/sign-in.js';
import { authorizationOf, claimsOf } from './authorization.js';
import { challengedClaims, isClaimsChallenge } from './claims-challenge.js';
import { type ChallengeState, claimsText } from './claims-texts.js';
import { withoutCredential } from './echo.js';
import { throttled } from './journey.js';
import { explainRefusedPat } from './refused-pat.js';
import type { Tenants } from './tenants.js';
import { DEFAULT_WAIT_MS, LONGEST_WAIT_MS, MOST_TRIES, type Throttle } from './throttle.js';

export type Json = Readonly<Record<string, unknown>>;

/** Who asks, of what, and by which road. */
export interface OwnPlace {
  readonly identity: string;
  readonly route: Route;
  readonly hostKind: Exclude<HostKind, 'generic'>;
  /** Of Azure DevOps Services; undefined for a collection of a server. */
  readonly organisation: string | undefined;
}

/** The same for any kind of host. */
export type CredentialPlace = Omit<OwnPlace, 'hostKind'> & { readonly hostKind: HostKind };

export interface OwnRequest {
  readonly method: string;
  readonly url: URL;
  readonly body?: Json | undefined;
  /** Bytes above which an answer is not read on; 4 MiB when left out. */
  readonly longestBytes?: number | undefined;
  /** Ends it where it is. */
  readonly over?: AbortSignal | undefined;
  /** Looks at what would be sent. @throws ProxyError when it is of no use */
  readonly accepts?: ((credential: Credential) => void) | undefined;
}

export interface OwnAnswer {
  readonly status: number;
  /** By lower-case name, without the credential if it was said back; so is the text. */
  readonly header: (name: string) => string | undefined;
  readonly text: string;
  /** Undefined when it is no JSON. */
  readonly json: unknown;
  /** What the answer is when it is a no, in the words of every other. */
  readonly failure: () => Failure;
}

export interface OwnRequestsParts {
  readonly vault: Vault;
  readonly tenants: Pick<Tenants, 'tenantOf'>;
  readonly send: SendSignIn;
  readonly throttle: Throttle;
  readonly clock: Clock;
  /** What is known of personal access tokens, for the text of a refusal; asked for when there is one. */
  readonly pats?: (() => PatWitness) | undefined;
}

export class OwnRequests {
  readonly #parts: OwnRequestsParts;

  constructor(parts: OwnRequestsParts) {
    this.#parts = parts;
  }

  /**
   * The last answer of as many tries as it takes: once more with a renewed credential, and, of a request that changes nothing, after
   * a throttle that is short.
   * @throws ProxyError what the vault and SendSignIn throw, `upstream-throttled` while the upstream wants no request of the identity,
   *   what `accepts` throws
   */
  async ask(place: OwnPlace, request: OwnRequest): Promise<OwnAnswer> {
    const { vault, throttle } = this.#parts;
    const { identity, route } = place;
    const { method, url, body, over } = request;
    const target = await this.#targetOf(place, url);
    const isRepeatable = method === 'GET';
    const throttleKey = `${url.host} ${place.organisation ?? ''} ${identity}`;
    let credential = await vault.credentialFor(identity, { target });
    let isRenewed = false;
    for (let attempt = 1; ; attempt++) {
      request.accepts?.(credential);
      await this.#waitForThrottle(place, throttleKey, over);
      const authorization = authorizationOf(credential);
      const answer = withoutEcho(
        await this.#parts.send(
          {
            method,
            url,
            headers: {
              accept: 'application/json',
              ...(authorization === undefined ? {} : { authorization }),
              // Otherwise what is refused is sent to a page for browsers.
              'x-tfs-fedauthredirect': 'Suppress',
              ...(body === undefined ? {} : { 'content-type': 'application/json' }),
            },
            body: body === undefined ? undefined : JSON.stringify(body),
          },
          { ca: route.ca, proxy: route.proxy, of: 'route', longestBytes: request.longestBytes, over },
        ),
        authorization,
      );
      const failed: FailedAnswer = { status: answer.status, header: (name) => answer.headers[name], text: answer.body };
      let challenge: ChallengeState | undefined;
      if (failed.status === 401 || isSignInPage(failed)) {
        const header = credential.kind === 'bearer' ? failed.header('www-authenticate') : undefined;
        const claims = challengedClaims(header);
        if (isClaimsChallenge(header)) challenge = claims === undefined ? 'unreadable' : 'refused';
        if (!isRenewed && (credential.kind === 'bearer' || credential.kind === 'basic')) {
          isRenewed = true;
          vault.invalidate(identity, credential, claims);
          const renewed = await vault.credentialFor(identity, { target });
          const isSame = Vault.isSame(renewed, credential);
          credential = renewed;
          if (!isSame) continue;
          if (claims !== undefined) challenge = 'unchanged';
        }
      } else if (failed.status === 429 || failed.status === 503) {
        const seconds = readRetryAfter(failed.header('retry-after'), failed.header('date'));
        const waitMs = seconds === undefined ? DEFAULT_WAIT_MS * 2 ** (attempt - 1) : seconds * 1000;
        if (failed.status === 429 || seconds !== undefined) throttle.hold(throttleKey, waitMs);
        if (isRepeatable && attempt < MOST_TRIES && waitMs <= LONGEST_WAIT_MS) {
          await this.#wait(waitMs, over);
          continue;
        }
      }
      const json = parsed(failed.text);
      // A page of whatever stands in between says nothing of the credential.
      if (failed.status < 300 && json !== undefined) vault.accepted(identity, credential);
      const sent = credential;
      return { ...failed, json, failure: () => this.#explain(place, failed, sent, challenge) };
    }
  }

  /** What a request to a place carries, of which somebody else makes the rest. @throws ProxyError what the vault throws */
  async credentialFor(place: CredentialPlace, url: URL): Promise<Credential> {
    return this.#parts.vault.credentialFor(place.identity, { target: await this.#targetOf(place, url) });
  }

  async #targetOf(place: CredentialPlace, url: URL): Promise<CredentialTarget> {
    return { url: new URL(url.pathname, url), hostKind: place.hostKind, tenant: await this.#tenantOf(place) };
  }

  #explain({ identity, hostKind }: OwnPlace, failed: FailedAnswer, sent: Credential, challenge: ChallengeState | undefined): Failure {
    const { vault } = this.#parts;
    const failure = readFailure(hostKind, failed, {
      claims: claimsOf(sent),
      challenge: challenge && claimsText(challenge, { name: identity, kind: vault.kindOf(identity) }),
    });
    const words = failure.code === 'upstream-unauthenticated' ? vault.refusedWords(identity) : undefined;
    if (words !== undefined) return { ...failure, ...words };
    const pats = sent.kind === 'basic' ? this.#parts.pats?.() : undefined;
    const known = pats?.knownOf(identity);
    if (known === undefined) return failure;
    if (failure.code === 'upstream-unauthenticated') pats?.refused(identity);
    return explainRefusedPat(failure, hostKind, known);
  }

  /** As for git: looked up for identities that name none. */
  async #tenantOf({ identity, organisation, route }: CredentialPlace): Promise<string | undefined> {
    if (organisation === undefined || !this.#parts.vault.wantsTenant(identity)) return undefined;
    const origin = route.upstream ?? new URL(`https://${DEV_AZURE_HOST}`);
    const path = `${origin.pathname.replace(/\/$/, '')}/${encodeURIComponent(organisation)}`;
    return this.#parts.tenants.tenantOf({ origin, path, organisation: caselessName(organisation), route });
  }

  async #waitForThrottle({ route }: OwnPlace, key: string, over: AbortSignal | undefined): Promise<void> {
    const waitMs = this.#parts.throttle.waitFor(key);
    if (waitMs > LONGEST_WAIT_MS) {
      const { code, what, todo } = throttled({ route }, waitMs);
      throw new ProxyError(code, what, { todo });
    }
    if (waitMs > 0) await this.#wait(waitMs, over);
  }

  /** @throws the reason of `over` when that comes first */
  #wait(ms: number, over: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        cancel();
        reject(over?.reason as Error); // what the caller ends it with
      };
      const cancel = this.#parts.clock.after(ms, () => {
        over?.removeEventListener('abort', end);
        resolve();
      });
      if (over?.aborted === true) end();
      else over?.addEventListener('abort', end, { once: true });
    });
  }
}

/** A value of JSON as a map; undefined for anything else. */
export function asMap(raw: unknown): Json | undefined {
  return typeof raw === 'object' && raw !== null ? (raw as Json) : undefined; // because any object may be read so
}

/** An upstream that says back what it was sent is not repeated. */
function withoutEcho(answer: SignInAnswer, authorization: string | undefined): SignInAnswer {
  if (authorization === undefined) return answer;
  const { status, headers, body } = answer;
  const clean = (text: string): string => withoutCredential(authorization, text);
  return { status, headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, clean(value)])), body: clean(body) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A page, or nothing: what it means is told by its status.
    return undefined;
  }
}
