/**
 * The configuration as values, after it was read and checked. Key names are the ones users write; durations
 * are milliseconds here. Rooms take the part they need, never the whole.
 */
import type { HostKind } from './address.js';
import type { Entry } from './caller.js';
import type { Permission } from './operation.js';
import type { LogLevel } from './ports.js';
import type { RefRules } from './refs.js';

/** Where a secret is to be read from. There is no form that holds the secret itself. */
export type SecretReference =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'env'; readonly name: string }
  | { readonly kind: 'command'; readonly argv: readonly string[] }
  | { readonly kind: 'credential'; readonly name: string };

/** Entra settings that every token kind shares. */
export interface EntraSettings {
  readonly tenant: string | undefined;
  readonly clientId: string | undefined;
  /** Sign-in service, an https origin; undefined is the public cloud. */
  readonly authority: string | undefined;
  /** The resource a token is for: a bare application id or URI, without `/.default`. */
  readonly resource: string;
  /** PEM file trusted for the authority besides the system's. */
  readonly ca: string | undefined;
  /** Outgoing proxy to the authority; undefined is what the environment says. */
  readonly proxy: URL | 'none' | undefined;
}

/** Where the lifecycle API tells of a personal access token. */
export interface PatLifecycle {
  /** Name of an Entra identity, that of the token's owner, who alone may ask. */
  readonly identity: string;
  readonly organization: string;
  /** The token's authorizationId, a GUID: what names a token without being it. */
  readonly id: string;
}

export type IdentitySettings = { readonly name: string } & (
  | ({ readonly kind: 'azure-cli' } & EntraSettings)
  | ({ readonly kind: 'client-secret'; readonly secret: SecretReference } & EntraSettings)
  | ({ readonly kind: 'client-certificate'; readonly certificate: string } & EntraSettings)
  | ({ readonly kind: 'workload-identity'; readonly tokenFile: string | undefined } & EntraSettings)
  | ({ readonly kind: 'managed-identity'; readonly resourceId: string | undefined; readonly objectId: string | undefined } & EntraSettings)
  | ({ readonly kind: 'azure-developer-cli' } & EntraSettings)
  | ({ readonly kind: 'azure-powershell' } & EntraSettings)
  /** `secret` is the job's own token: what asks for the connection's, or, without a connection, what is sent itself. */
  | ({ readonly kind: 'azure-pipelines'; readonly serviceConnection: string | undefined; readonly secret: SecretReference } & EntraSettings)
  /** `user` is the account that has to sign in, as Entra writes it (`dana@contoso.com`). */
  | ({ readonly kind: 'browser' | 'device-code'; readonly user: string | undefined } & EntraSettings)
  | { readonly kind: 'pat'; readonly secret: SecretReference; readonly lifecycle: PatLifecycle | undefined }
  | { readonly kind: 'basic'; readonly user: string; readonly secret: SecretReference }
  /** Whatever the credential helpers of git on this machine hold; `user` chooses among several. */
  | { readonly kind: 'git-credential'; readonly user: string | undefined }
  | { readonly kind: 'none' }
  | { readonly kind: 'passthrough' }
);

/** Kinds that hold an Entra token, which expires. */
export type EntraIdentity = Extract<IdentitySettings, EntraSettings>;

/** How the SSH remotes of a route are served. */
export type RouteSsh =
  /** Over HTTPS, with the route's identity. */
  | { readonly kind: 'bridge' }
  /** Over SSH, signed by an agent. */
  | ({ readonly kind: 'agent' } & AgentRoute);

export interface AgentRoute {
  /** Fingerprint of the one key that is offered, `SHA256:` and base64 without padding; undefined: the agent must hold exactly one that can be used. */
  readonly key: string | undefined;
  /** Socket of the agent, an absolute path; undefined is SSH_AUTH_SOCK. */
  readonly socket: string | undefined;
  /** known_hosts files that are read; undefined: the user's and the system's. */
  readonly knownHosts: readonly string[] | undefined;
  /** Whether key exchange, ciphers and signatures with SHA-1 are allowed, which old servers need. */
  readonly isLegacyAllowed: boolean;
  /** Where to connect instead of the host that the client named. */
  readonly upstream: SshUpstream | undefined;
}

/** `ssh://[user@]host[:port]` as values. */
export interface SshUpstream {
  readonly user: string | undefined;
  /** Name or IP literal without brackets. */
  readonly host: string;
  readonly port: number;
}

export interface Route {
  /** The pattern as written; also the route's name in texts. */
  readonly match: string;
  /** Name of the identity. */
  readonly identity: string;
  readonly allow: readonly Permission[];
  readonly hostKind: HostKind;
  /** Where requests go instead of the matched host: an https URL (http for loopback only), may have a path. */
  readonly upstream: URL | undefined;
  /** PEM file trusted for the upstream besides the system's. */
  readonly ca: string | undefined;
  /** Outgoing proxy; `none` overrides the environment. */
  readonly proxy: URL | 'none' | undefined;
  /** What pushes through this route may touch; undefined when nothing is limited. */
  readonly refs: RefRules | undefined;
  readonly ssh: RouteSsh;
}

/** One address to listen on. */
export interface ListenAddress {
  /** IP literal without brackets. */
  readonly host: string;
  readonly port: number;
  /** A default that may be missing on this system (`[::1]`); an explicit address that cannot open is fatal. */
  readonly optional: boolean;
}

/** TLS on the HTTP door. */
export type DoorTls =
  /** Off on loopback, `auto` on every other listener. */
  | { readonly kind: 'default' }
  | { readonly kind: 'off' }
  /** A certificate of Postern's own authority, made and renewed in the state directory. */
  | { readonly kind: 'auto' }
  /** PEM files; read again when they change. */
  | { readonly kind: 'files'; readonly certificate: string; readonly key: string };

/** A public key as authorized_keys has it. */
export interface AccessKey {
  /** `ssh-ed25519`, ... */
  readonly type: string;
  /** The key's own bytes (RFC 4253 section 6.6), base64. */
  readonly blob: string;
  /** `SHA256:` and base64 without padding. */
  readonly fingerprint: string;
  /** What stands behind the key: whose it is. */
  readonly comment: string;
}

/** Who may use the doors. */
export interface AccessSettings {
  /** On loopback: by uid, by lease alone, or anyone on this machine. */
  readonly local: Entry;
  /** On every other listener. */
  readonly remote: Exclude<Entry, 'uid'>;
  /** Local users besides the daemon's own. */
  readonly uids: readonly number[];
  /** Public keys whose holders may use the SSH door. */
  readonly keys: readonly AccessKey[];
  /** Where the keys that seal leases are; undefined is a file of the state directory. */
  readonly leaseKey: SecretReference | undefined;
  /** File of the revoked leases, which several daemons share; undefined when the state directory alone has them. */
  readonly revocations: string | undefined;
}

/** The record of what was done. */
export interface AuditSettings {
  readonly isOn: boolean;
  /** Where its files are; undefined is in the state directory. */
  readonly directory: string | undefined;
  /** When a record cannot be written: refuse operations, or go on and count. */
  readonly onFailure: 'refuse' | 'continue';
  /** Bytes after which a file is closed and the next one begun. */
  readonly maxSizeBytes: number;
  /** ms after which closed files are removed. */
  readonly maxAge: number;
}

export interface Timeouts {
  /** ms to open a connection upstream, TLS and tunnel included. */
  readonly connect: number;
  /** ms without a byte in either direction before a transfer counts as dead. */
  readonly stall: number;
  /** ms for one token request. */
  readonly token: number;
}

/** How much at once. */
export interface Limits {
  /** Connections that are open at each door. */
  readonly connections: number;
  /** Operations that run, of all doors together. */
  readonly operations: number;
}

export interface Settings {
  /** Path of the file these came from; undefined when there was none. */
  readonly file: string | undefined;
  readonly listen: {
    readonly http: readonly ListenAddress[];
    /** Empty when the SSH door is off. */
    readonly ssh: readonly ListenAddress[];
    /** More values of the Host header that are ours, such as `host.containers.internal`; lower case, without port. */
    readonly names: readonly string[];
    readonly tls: DoorTls;
  };
  readonly access: AccessSettings;
  readonly audit: AuditSettings;
  readonly identities: readonly IdentitySettings[];
  readonly routes: readonly Route[];
  /** ms: `min` before new operations are refused, `max` before running transfers are cut. */
  readonly drain: { readonly min: number; readonly max: number };
  readonly timeouts: Timeouts;
  readonly limits: Limits;
  readonly lfs: {
    /** Hosts besides upstreams and their known storage to which objects may lead: `host` or `host:port` as a URL has them. */
    readonly hosts: readonly string[];
  };
  /** Where measurements and probes are answered; nowhere when empty. */
  readonly telemetry: { readonly listen: readonly ListenAddress[] };
  readonly log: {
    readonly level: LogLevel;
    readonly format: 'auto' | 'human' | 'json';
    /** The level at which an operation that went well is logged, one line each. */
    readonly operations: 'info' | 'debug';
  };
}
