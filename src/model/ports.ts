/**
 * The outside things that the house asks for by name, so that a test can hand in its own: time, the log, the kernel's table
 * of connections, what is remembered of leases, and the audit.
 */
import type { PeerUid } from './caller.js';
import type { OperationRecord } from './record.js';
import type { Refusal } from './refusal.js';
import type { Secret } from './secret.js';

export interface Clock {
  /** Wall-clock time, ms since the epoch: what expiry is compared with, also after a suspend. */
  now(): number;
  /** Calls back once after `ms`; the returned function cancels. Never keeps the process alive by itself. */
  after(ms: number, run: () => void): () => void;
}

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

export const LOG_LEVELS: readonly LogLevel[] = ['error', 'warn', 'info', 'debug'];

/** Every event that may be logged. A line is one of these and its fields, never a sentence. */
export const LOG_EVENTS = [
  'listening',
  'listener-skipped',
  'ready',
  'stopping',
  'transfer-cut',
  'stopped',
  'access-open',
  'sign-in-refused',
  'caller-unknown',
  'audit-failed',
  'audit-recovered',
  'operation-killed',
  'certificate-renewed',
  'certificate-failed',
  'token-obtained',
  'token-failed',
  'token-invalidated',
  'tenant-discovered',
  'tenant-unknown',
  'tenant-differs',
  'secret-read',
  'pat-created',
  'pat-listed',
  'pat-revoked',
  'pat-refused',
  'pat-doubtful',
  'pat-lookup-failed',
  'pat-ends-soon',
  'pat-ended',
  'pat-missing',
  'pat-global',
  'repos-listed',
  'repos-refused',
  'request-finished',
  'request-refused',
  'request-failed',
  'request-replayed',
  'throttle-waiting',
  'page-opened',
  'page-refused',
  'transfer-broken',
  'client-gone',
  'config-warning',
  'reloaded',
  'reload-failed',
  'log-level',
  'overloaded',
  'event-loop-late',
  'socket-unused',
  'notify-failed',
  'unexpected',
] as const;

export type LogEvent = (typeof LOG_EVENTS)[number];

/** Values that a log line may carry. There is no way to hand in an object that might hold a secret. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Logger {
  log(level: LogLevel, event: LogEvent, fields?: LogFields): void;
}

/** The ends of a TCP connection as this process sees it: IP literals without brackets or zone. */
export interface ConnectionEnds {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
}

/** Tells which local user is at the other end of a loopback connection. */
export interface PeerTable {
  uidOf(ends: ConnectionEnds): Promise<PeerUid>;
}

/** What is remembered of leases. */
export interface LeaseRegister {
  /** The root key of that id; undefined when there is none, or no longer. */
  keyOf(keyId: string): Secret | undefined;
  isRevoked(id: string): boolean;
  /** Whether it cannot be told now what is revoked; asked before `isRevoked`, for each lease. */
  isUnknown?(): boolean;
}

/** Where finished operations are written down. */
export interface AuditTrail {
  /** Takes one finished operation or refusal; never throws and never waits. */
  write(record: OperationRecord): void;
  /** Why nothing may begin now: the last record could not be written, and it is configured that this matters. */
  refusal(): Refusal | undefined;
}

/** What a TLS listener shows, PEM; the key is not encrypted. */
export interface DoorCertificate {
  readonly certificate: string;
  readonly key: Secret;
}

/** Hands out the certificate of the doors, and another one when it was renewed. */
export interface CertificateSource {
  /** Makes it or reads it; from the first call on it is kept fresh. @throws ProxyError `certificate-unusable` */
  current(): Promise<DoorCertificate>;
  /** Calls back with every later one, until `close`. */
  onRenewal(use: (certificate: DoorCertificate) => void): void;
  close(): void;
}
