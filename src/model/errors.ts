/**
 * The one family of errors. Broken things throw a `ProxyError`; things that are not allowed are a `Refusal`
 * (refusal.ts) and are never thrown. Every code has a section in docs/ERRORS.md, and a test holds the two together.
 */

/** Stable codes; documentation, `--json` output and tests name them. */
export const ERROR_CODES = [
  // the request that came to a door
  'request-malformed',
  'request-not-ours',
  'request-from-browser',
  'operation-unknown',
  'no-route',
  'name-unknown',
  'not-allowed',
  'call-refused',
  'redirect-elsewhere',
  'target-refused',
  // who asks
  'caller-refused',
  'caller-forwarded',
  'page-closed',
  'lease-required',
  'lease-invalid',
  'lease-insufficient',
  'push-unreadable',
  'ref-refused',
  'operation-killed',
  'overloaded',
  'audit-unwritable',
  // credentials
  'identity-unavailable',
  'identity-rejected',
  'identity-timeout',
  'login-failed',
  'login-unreadable',
  'secret-unreadable',
  'agent-unavailable',
  'host-key-refused',
  // upstream
  'upstream-unreachable',
  'upstream-tls',
  'upstream-timeout',
  'upstream-broken',
  'upstream-unauthenticated',
  'upstream-claims',
  'upstream-forbidden',
  'upstream-not-found',
  'upstream-throttled',
  'upstream-unavailable',
  'upstream-not-git',
  'upstream-error',
  'proxy-refused',
  // the process
  'config-invalid',
  'config-unreadable',
  'listen-failed',
  'caller-unknown',
  'state-unusable',
  'certificate-unusable',
  'already-running',
  'not-running',
  'operation-not-running',
  'service-failed',
  'git-config',
  'usage',
  'internal',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/**
 * Something is broken. `message` says what happened (sentence case, no full stop), `todo` what the reader can do.
 * Neither ever holds a secret.
 */
export class ProxyError extends Error {
  readonly code: ErrorCode;
  readonly todo: string | undefined;
  /** More lines for a reader, e.g. one per fault of a configuration. */
  readonly details: readonly string[];

  constructor(code: ErrorCode, message: string, options: { todo?: string | undefined; cause?: unknown; details?: readonly string[] } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'ProxyError';
    this.code = code;
    this.todo = options.todo;
    this.details = options.details ?? [];
  }
}

/** The text of anything that was thrown, without its stack. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof AggregateError && thrown.message === '') {
    return thrown.errors.map(messageOf).join('; ');
  }
  if (thrown instanceof Error) return thrown.message === '' ? thrown.name : thrown.message;
  return String(thrown);
}

/** The `code` of a system error (`ECONNREFUSED`, `ENOENT`, ...), or undefined. */
export function systemCodeOf(thrown: unknown): string | undefined {
  if (typeof thrown === 'object' && thrown !== null && 'code' in thrown && typeof thrown.code === 'string') {
    return thrown.code;
  }
  return undefined;
}
