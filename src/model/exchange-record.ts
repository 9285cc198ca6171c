/**
 * The document of `postern doctor record`: what was asked of an upstream for one address and what came back, as shapes. It is meant to be
 * given to others, so that nothing stands in it that names anybody, opens anything, or comes out of a repository.
 *
 * Values that are not repeated stand in angle brackets: `<guid>`, `<date>`, `<url>`, `<text 120>` (characters), `<base64 44>`; behind a colon the
 * codes of Azure that a text holds (`<text 120: TF401019>`). Names in addresses are `<name-1>`, `<name-2>`, ... the same one for the same name.
 */
import type { HostKind } from './address.js';
import type { CheckClass, CheckRow } from './check.js';
import type { ErrorCode } from './errors.js';
import type { Permission } from './operation.js';

export const RECORD_FORMAT = 'postern-exchange';
/** Raised when a reader of an earlier version would misread it. */
export const RECORD_VERSION = 1;

/** What is asked, in the order in which it is. */
export const EXCHANGE_STEPS = [
  /** Without a credential, as git begins. */
  'anonymous',
  'fetch-refs-v2',
  'fetch-refs-v0',
  'upload-pack',
  'push-refs',
  'lfs-download',
  'lfs-upload',
  'lfs-locks',
  'rest-repository',
] as const;
export type ExchangeStep = (typeof EXCHANGE_STEPS)[number];

/** `name: value`, the name in lower case; either may be a shape. */
export type HeaderShape = `${string}: ${string}`;

/** A packet of git's (gitprotocol-common, gitprotocol-v2), or several that are alike. */
export type PacketShape =
  | { readonly kind: 'flush' | 'delimiter' | 'response-end' }
  | { readonly kind: 'service'; readonly name: string }
  | { readonly kind: 'version'; readonly version: number }
  | { readonly kind: 'command'; readonly name: string }
  | { readonly kind: 'capability'; readonly name: string; readonly value?: string }
  | { readonly kind: 'refs'; readonly count: number; readonly capabilities: readonly string[] }
  | { readonly kind: 'error'; readonly text: string }
  | { readonly kind: 'other'; readonly count: number; readonly bytes: number };

/** Key structure of JSON: texts and numbers are shapes, an array is its first element and how many more there are. */
export type JsonShape = string | boolean | null | readonly JsonShape[] | { readonly [key: string]: JsonShape };

/** `bytes` as they came, as far as they were read. */
export type BodyShape =
  | { readonly kind: 'none' }
  | { readonly kind: 'packets'; readonly bytes: number; readonly packets: readonly PacketShape[] }
  | { readonly kind: 'json'; readonly bytes: number; readonly json: JsonShape }
  /** `title` only where it is one that is known; `isSignIn`: it speaks of signing in. */
  | { readonly kind: 'html'; readonly bytes: number; readonly title: string; readonly isSignIn: boolean }
  | { readonly kind: 'text' | 'binary'; readonly bytes: number; readonly text: string };

export interface TlsShape {
  /** `TLSv1.3` */
  readonly protocol: string;
  /** Certificates that the host showed, its own among them. */
  readonly chainLength: number;
  /** Whether the authority is one that every system trusts. */
  readonly isPublicAuthority: boolean;
  /** Whole days for which the host's certificate is still good. */
  readonly daysLeft: number;
}

export interface Exchange {
  readonly step: ExchangeStep;
  readonly request: {
    readonly method: string;
    /** `https://<host>/<name-1>/<name-2>/_git/<name-3>/info/refs?service=git-upload-pack` */
    readonly url: string;
    readonly headers: readonly HeaderShape[];
    readonly body: BodyShape;
  };
  /** Undefined where there was no connection. */
  readonly tls?: TlsShape | undefined;
  /** Undefined where none came. */
  readonly response?:
    | {
        readonly status: number;
        readonly headers: readonly HeaderShape[];
        readonly body: BodyShape;
        /** It broke off before its end. */
        readonly isCut?: true;
      }
    | undefined;
  /** Why there is no answer. `system`: the code of the system's error, such as `ECONNREFUSED`. */
  readonly fault?: { readonly code: ErrorCode; readonly system?: string | undefined } | undefined;
  /** Until the connection was there, and until the answer was whole. */
  readonly connectMs: number;
  readonly ms: number;
}

/** A row of doctor's list, without its words, which name things. */
export interface RowShape extends Pick<CheckRow, 'id' | 'verdict' | 'ms'> {
  readonly class: CheckClass;
  readonly code?: ErrorCode | undefined;
}

/** What the daemon knows of the road and has asked on it. */
export interface RoadRecord {
  readonly road: {
    readonly hostKind: HostKind;
    /** As it was asked for. */
    readonly spelling: 'https' | 'ssh';
    readonly ssh: 'bridge' | 'agent';
    readonly allow: readonly Permission[];
    /** Kind of the identity. */
    readonly identity: string;
    /** What the route sets. */
    readonly hasUpstream: boolean;
    readonly hasCa: boolean;
    readonly hasProxy: boolean;
  };
  readonly credential:
    | { readonly outcome: 'made'; readonly kind: string; readonly ms: number }
    | {
        readonly outcome: 'failed';
        readonly code: ErrorCode;
        /** Of Entra (`AADSTS7000215`). */ readonly codes: readonly string[];
        readonly ms: number;
      };
  readonly exchanges: readonly Exchange[];
  /** Why the list ends before its end; undefined where it does not. */
  readonly endedBy?: 'throttled' | 'unreachable' | 'no-credential' | 'not-over-https' | undefined;
}

export interface ExchangeRecord extends RoadRecord {
  readonly format: typeof RECORD_FORMAT;
  readonly version: typeof RECORD_VERSION;
  readonly made: {
    /** A day: `2026-11-21`. */
    readonly on: string;
    readonly postern: string;
    readonly node: string;
    readonly platform: string;
  };
  /** What doctor found on the same walk. */
  readonly rows: readonly RowShape[];
}

/**
 * A document as the text of one, checked as far as a reader relies on it.
 * @throws SyntaxError for what is none, or of a version that is not known here
 */
export function readExchangeRecord(text: string): ExchangeRecord {
  const value: unknown = JSON.parse(text);
  const record = value as Partial<ExchangeRecord> | null; // each member that is relied on is looked at
  if (typeof value !== 'object' || record?.format !== RECORD_FORMAT) throw new SyntaxError('This is no record of `postern doctor record`');
  if (record.version !== RECORD_VERSION) throw new SyntaxError(`Version ${String(record.version)} of the record is not known here`);
  if (!Array.isArray(record.exchanges) || !Array.isArray(record.rows)) throw new SyntaxError('The record is damaged');
  return value as ExchangeRecord; // a record of this version is written in one place
}
