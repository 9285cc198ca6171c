/** What signing in needs of the outside: a way to the sign-in service, and a place where a person's sign-in outlasts the process. */
import type { Secret } from './secret.js';
import type { EntraSettings } from './settings.js';

/** A request to a sign-in service or to an API beside git, small enough to be held whole. */
export interface SignInRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
}

export interface SignInAnswer {
  readonly status: number;
  /** By lower-case name, repeated ones joined with ", ". */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * Sends such a request, over TLS that is verified, through the outgoing proxy if there is one.
 * @throws ProxyError `upstream-unreachable`, `upstream-tls`, `upstream-timeout`, `upstream-broken`, `proxy-refused`, `config-invalid`
 */
export type SendSignIn = (request: SignInRequest, way: SignInWay) => Promise<SignInAnswer>;

/** Whose settings lead there; texts of faults name them. */
export interface SignInWay extends Pick<EntraSettings, 'ca' | 'proxy'> {
  /** Default `identity`: it is the sign-in service of one. `route`: it is an upstream, or an API beside one. */
  readonly of?: 'identity' | 'route';
}

/** A person's sign-in as it is kept, and which one of several in a row it is. */
export interface StoredLogin {
  readonly text: Secret;
  readonly version: number;
}

/** Where sign-ins of people outlast the process; one for each identity, shared by every process of the user. */
export interface LoginStore {
  /** The sign-in that is kept; undefined when there is none. @throws ProxyError `login-unreadable` */
  read(identity: string): Promise<StoredLogin | undefined>;
  /**
   * Puts a sign-in in the place of version `after` (undefined: of whatever is there). False, and nothing is written, when that is
   * not the latest any more. @throws ProxyError `state-unusable`
   */
  write(identity: string, text: Secret, after: number | undefined): Promise<boolean>;
  /** Takes it away for good; false when there was none. */
  forget(identity: string): Promise<boolean>;
}
