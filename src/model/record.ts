/** One operation as it is remembered: for the log, `status`, and later the audit. */
import type { ErrorCode } from './errors.js';

export type Verdict = 'running' | 'passed' | 'refused' | 'failed' | 'broken' | 'client-gone';

export interface OperationRecord {
  readonly id: number;
  readonly startedAt: Date;
  /** `fetch`, `push`, or what little is known of a request that was none. */
  kind: string;
  step: string;
  repository: string;
  route: string | undefined;
  identity: string | undefined;
  readonly caller: string;
  verdict: Verdict;
  upstreamStatus: number | undefined;
  activityId: string | undefined;
  /** Bytes of body from the caller and to the caller. */
  bytesUp: number;
  bytesDown: number;
  /** ms from the request's first byte to its end; 0 while it runs. */
  ms: number;
  replays: number;
  failure: { readonly code: ErrorCode; readonly what: string; readonly todo: string } | undefined;
}
