/**
 * Tokens of people through `@azure/msal-node`, the only file that imports it, and only when one is first needed. The library knows the
 * protocol; every request goes the way that `SendSignIn` knows, so that trust, outgoing proxy and the text of each fault are ours.
 *
 * A client is made anew for every token: the library's own cache would hand out the token that was refused, and after a 5xx it
 * throws for a minute without asking anyone. What has to last is the refresh token, in a LoginRecord.
 */
import type {
  AuthenticationResult,
  INetworkModule,
  NetworkRequestOptions,
  NetworkResponse,
  PublicClientApplication,
} from '@azure/msal-node';
import type { ProxyError } from '../model/errors.js';
import { Secret } from '../model/secret.js';
import type { LoginLabel, SendSignIn } from '../model/sign-in.js';
import { PUBLIC_AUTHORITY } from './authority.js';
import { type AuthorityTalk, authorityTalk } from './authority-talk.js';
import { explainLogin, explainRenewal } from './login-failure.js';
import { DEFAULT_CLIENT, keptCache, type Login, type LoginRecord, type PersonIdentity } from './login-record.js';
import type { FetchedToken, TokenFailure } from './token-source.js';

/** What a client says that can answer a claims challenge; only then does Entra give a token that satisfies one. */
const UNDERSTANDS_CLAIMS = ['CP1'];

export interface PersonWay {
  readonly identity: PersonIdentity;
  /** The sign-in service, an https origin. */
  readonly authority: string;
  /** An id, a domain, or `organizations`. */
  readonly tenant: string;
  readonly send: SendSignIn;
  /** Wall-clock time, ms since the epoch. */
  readonly now: () => number;
  /** Claims that an upstream wants to see satisfied, JSON. */
  readonly claims: string | undefined;
}

/** What the sign-in page is asked with (RFC 6749 section 4.1.1, RFC 7636 section 4.3). */
export interface CodeRequest {
  readonly redirectUri: string;
  readonly state: string;
  readonly nonce: string;
  readonly challenge: string;
}

/** What the person is told of a device code. */
export interface DevicePrompt {
  readonly address: string;
  readonly code: string;
  readonly expiresInSeconds: number;
}

export class PersonClient {
  readonly #way: PersonWay;
  readonly #network: Network;
  readonly #talk: AuthorityTalk;
  readonly #application: PublicClientApplication;

  /** `record`: an earlier sign-in that fits the identity. */
  static async open(way: PersonWay, record?: LoginRecord): Promise<PersonClient> {
    const { PublicClientApplication: Application } = await import('@azure/msal-node');
    const { identity, authority, tenant, claims, send, now } = way;
    const talk = authorityTalk({ send, way: identity, authority, now });
    const network = new Network(talk);
    const application = new Application({
      auth: {
        clientId: identity.clientId ?? DEFAULT_CLIENT,
        authority: `${authority}/${tenant}`,
        // Otherwise the library asks the public cloud whether it knows this one.
        knownAuthorities: authority === PUBLIC_AUTHORITY ? [] : [new URL(authority).host],
        clientCapabilities: claims === undefined ? [] : UNDERSTANDS_CLAIMS,
      },
      system: { networkClient: network },
    });
    if (record !== undefined) application.getTokenCache().deserialize(record.cache);
    return new PersonClient(way, { talk, network, application });
  }

  private constructor(way: PersonWay, parts: { talk: AuthorityTalk; network: Network; application: PublicClientApplication }) {
    const { talk, network, application } = parts;
    this.#way = way;
    this.#talk = talk;
    this.#network = network;
    this.#application = application;
  }

  /**
   * A new token with what a sign-in left, and what is to be kept in its place. Always asks the service.
   * @throws TokenFailure
   */
  async renew(record: LoginRecord, label: LoginLabel): Promise<{ readonly token: FetchedToken; readonly login: Login }> {
    try {
      const account = (await this.#application.getTokenCache().getAllAccounts()).find(
        ({ homeAccountId }) => homeAccountId === record.homeAccountId,
      );
      if (account === undefined) throw new Error('no_tokens_found');
      const { scopes, claims } = this.#ask();
      const result = await this.#application.acquireTokenSilent({ account, scopes, forceRefresh: true, ...claims });
      return { token: fetched(result), login: this.#login(result, label.signedInAt) };
    } catch (thrown) {
      throw explainRenewal(this.#way, record.account, thrown, this.#talk.seen) satisfies TokenFailure | ProxyError;
    }
  }

  /** The address of the sign-in page. @throws ProxyError `login-failed` */
  async pageFor({ redirectUri, state, nonce, challenge }: CodeRequest): Promise<string> {
    const { user } = this.#way.identity;
    const { scopes, claims } = this.#ask();
    return this.#explained(false, () =>
      this.#application.getAuthCodeUrl({
        scopes,
        ...claims,
        redirectUri,
        state,
        nonce,
        codeChallenge: challenge,
        codeChallengeMethod: 'S256',
        // Whoever has several accounts is asked which one; the browser would take the one that it used last.
        ...(user === undefined ? { prompt: 'select_account' } : { loginHint: user }),
      }),
    );
  }

  /** The sign-in for a code that the page gave. @throws ProxyError `login-failed` */
  async redeem(code: string, verifier: string, { redirectUri, nonce }: CodeRequest): Promise<Login> {
    const { scopes, claims } = this.#ask();
    return this.#explained(false, async () =>
      this.#login(
        await this.#application.acquireTokenByCode({ code, codeVerifier: verifier, redirectUri, nonce, scopes, ...claims }),
        new Date(),
      ),
    );
  }

  /**
   * The sign-in of whoever enters a code elsewhere (RFC 8628). `wait` lets so many ms pass between two questions, and ends it all by
   * rejecting.
   * @throws ProxyError `login-failed`
   */
  async byDeviceCode(show: (prompt: DevicePrompt) => void, wait: (ms: number) => Promise<void>): Promise<Login> {
    this.#network.wait = wait;
    const { scopes, claims } = this.#ask();
    return this.#explained(true, async () => {
      const result = await this.#application.acquireTokenByDeviceCode({
        scopes,
        ...claims,
        deviceCodeCallback: ({ verificationUri, userCode, expiresIn }) =>
          show({ address: verificationUri, code: userCode, expiresInSeconds: expiresIn }),
      });
      if (result === null) throw new Error('the library returned no token');
      return this.#login(result, new Date());
    });
  }

  #ask(): { readonly scopes: string[]; readonly claims: { claims?: string } } {
    const { identity, claims } = this.#way;
    return { scopes: [`${identity.resource}/.default`], claims: claims === undefined ? {} : { claims } };
  }

  async #explained<T>(isByCode: boolean, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      throw explainLogin(this.#way, isByCode, thrown, this.#talk.seen);
    }
  }

  #login({ account }: AuthenticationResult, signedInAt: Date): Login {
    if (account === null) throw new Error('the sign-in service told nothing of the account');
    const { identity, authority } = this.#way;
    const { homeAccountId, username } = account;
    return {
      record: {
        authority,
        clientId: identity.clientId ?? DEFAULT_CLIENT,
        account: username,
        homeAccountId,
        cache: keptCache(this.#application.getTokenCache().serialize()),
      },
      // An account id of the library's is OBJECT.TENANT, both of where the account is at home.
      label: { account: username, tenant: homeAccountId.split('.')[1] ?? '', signedInAt },
    };
  }
}

function fetched({ accessToken, expiresOn, refreshOn }: AuthenticationResult): FetchedToken {
  if (expiresOn === null) throw new Error('the token does not say when it ends');
  return { token: new Secret(accessToken), expiresAt: expiresOn, refreshAfter: refreshOn };
}

/** Seconds that are added to the wait when the service asks for it, or does not answer (RFC 8628 section 3.5). */
const SLOWER_SECONDS = 5;
/** The wait where the service names none (RFC 8628 section 3.2). */
const USUAL_WAIT_SECONDS = 5;
/** Questions in a row that may stay without an answer while a person is typing a code. */
const MOST_SILENCES = 3;

/** The library's way out. */
class Network implements INetworkModule {
  /** Given for a device code: the library would wait by itself, and could not be interrupted. */
  wait: ((ms: number) => Promise<void>) | undefined;
  readonly #talk: AuthorityTalk;
  #waitSeconds = USUAL_WAIT_SECONDS;
  #silences = 0;

  constructor(talk: AuthorityTalk) {
    this.#talk = talk;
  }

  sendGetRequestAsync<T>(url: string, options?: NetworkRequestOptions): Promise<NetworkResponse<T>> {
    return this.#exchange('GET', url, options);
  }

  async sendPostRequestAsync<T>(url: string, options?: NetworkRequestOptions): Promise<NetworkResponse<T>> {
    if (this.wait === undefined) return this.#exchange('POST', url, options);
    if (new URL(url).pathname.endsWith('/devicecode')) {
      const answer = await this.#exchange<T & { interval?: unknown }>('POST', url, options);
      // The library would go on with a code that is not there.
      if (answer.status >= 400) throw new Error('no device code was given');
      const { interval } = answer.body;
      if (typeof interval === 'number' && interval > 0) this.#waitSeconds = interval;
      return { ...answer, body: { ...answer.body, interval: 0 } };
    }
    return this.#poll(url, options);
  }

  /** Asks whether the code was entered; what may pass by itself is to the library an answer that it was not yet. */
  async #poll<T>(url: string, options?: NetworkRequestOptions): Promise<NetworkResponse<T>> {
    const pending = { headers: {}, status: 400, body: { error: 'authorization_pending' } as T };
    try {
      await this.wait?.(this.#waitSeconds * 1000);
    } catch (thrown) {
      this.#talk.seen.fault = thrown;
      throw thrown;
    }
    try {
      const answer = await this.#exchange<T & { error?: unknown }>('POST', url, options);
      if (answer.status < 500 && answer.status !== 429) {
        this.#silences = 0;
        if (answer.body.error !== 'slow_down') return answer;
        this.#waitSeconds += SLOWER_SECONDS;
        return pending;
      }
      if (++this.#silences >= MOST_SILENCES) return answer;
    } catch (thrown) {
      if (++this.#silences >= MOST_SILENCES) throw thrown;
    }
    this.#waitSeconds += SLOWER_SECONDS;
    return pending;
  }

  async #exchange<T>(method: string, url: string, { headers = {}, body }: NetworkRequestOptions = {}): Promise<NetworkResponse<T>> {
    const answer = await this.#talk.exchange({ method, url: new URL(url), headers, body });
    return { headers: { ...answer.headers }, status: answer.status, body: JSON.parse(answer.body) as T };
  }
}
