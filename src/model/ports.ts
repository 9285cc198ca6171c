/**
 * The outside things that the house asks for by name, so that a test can hand in its own: time and the log.
 */

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
  'any-local-user',
  'token-obtained',
  'token-failed',
  'token-invalidated',
  'secret-read',
  'request-finished',
  'request-refused',
  'request-failed',
  'request-replayed',
  'throttle-waiting',
  'transfer-broken',
  'client-gone',
  'config-warning',
  'unexpected',
] as const;

export type LogEvent = (typeof LOG_EVENTS)[number];

/** Values that a log line may carry. There is no way to hand in an object that might hold a secret. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Logger {
  log(level: LogLevel, event: LogEvent, fields?: LogFields): void;
}
