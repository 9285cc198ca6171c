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
  /** Bytes above which an answer is not read on; default 4 MiB. */
  readonly longestBytes?: number | undefined;
  /** Ends the request where it is; it then rejects with the reason. */
  readonly over?: AbortSignal | undefined;
}

/** Whose sign-in it is. Nothing of it is secret. */
export interface LoginLabel {
  /** As Entra writes it: `dana@contoso.com`. */
  readonly account: string;
  /** Id of the account's own tenant. */
  readonly tenant: string;
  /** When the person was last asked. */
  readonly signedInAt: Date;
}

/** What holds the key that a sign-in is sealed with. Whoever can read the key can read the sign-in. */
export type LoginKeeper =
  | { readonly kind: 'systemd-credential'; readonly name: string }
  /** That of the desktop (Secret Service). */
  | { readonly kind: 'keyring' }
  | { readonly kind: 'key-file'; readonly path: string };

/** A sign-in that is kept, as it looks from outside. */
export interface KeptLogin {
  readonly label: LoginLabel;
  readonly keptBy: LoginKeeper;
}

/** A person's sign-in as it is kept, and which one of several in a row it is. */
export interface StoredLogin extends KeptLogin {
  readonly text: Secret;
  readonly version: number;
}

/** Where sign-ins of people outlast the process; one for each identity, shared by every process of the user. */
export interface LoginStore {
  /** The sign-in that is kept; undefined when there is none. @throws ProxyError `login-unreadable` */
  read(identity: string): Promise<StoredLogin | undefined>;
  /**
   * Puts a sign-in in the place of version `after` (undefined: of whatever is there). Undefined, and nothing is written, when that
   * is not the latest any more. @throws ProxyError `state-unusable`, `login-unreadable` (of the key that is to seal it)
   */
  write(
    identity: string,
    login: { readonly text: Secret; readonly label: LoginLabel },
    after: number | undefined,
  ): Promise<KeptLogin | undefined>;
  /**
   * Takes it away for good; a write that began before it cannot bring it back. Undefined when there was none, and nothing in it when
   * there was something that does not tell whose it is. @throws ProxyError `state-unusable`
   */
  forget(identity: string): Promise<Partial<KeptLogin> | undefined>;
  /** What is kept, without opening it: it may yet be unreadable. Undefined when there is none, or what is there tells nothing. */
  look(identity: string): KeptLogin | undefined;
}
