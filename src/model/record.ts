/** One operation as it is remembered: for the log, `status` and the audit. */
import type { RepoAddress } from './address.js';
import type { ErrorCode } from './errors.js';
import type { Lease } from './lease.js';
import type { RefCommand } from './refs.js';
import type { TimeSpent } from './time-spent.js';
import type { TraceContext } from './trace-context.js';

export type Verdict = 'running' | 'passed' | 'refused' | 'failed' | 'broken' | 'client-gone' | 'killed';

export interface OperationRecord {
  readonly id: number;
  readonly startedAt: Date;
  /** `fetch`, `push`, or what little is known of a request that was none. */
  kind: string;
  step: string;
  repository: string;
  /** Once it has been read. */
  address: RepoAddress | undefined;
  route: string | undefined;
  identity: string | undefined;
  /** The peer, `ip:port`. */
  readonly caller: string;
  /** The door that it came by. */
  readonly door: 'http' | 'ssh';
  /** Fingerprint of the key that the caller signed with, where that is what let it in. */
  key: string | undefined;
  /** The local user at the other end, where that is known. */
  uid: number | undefined;
  /** The lease that was used, without its seal. */
  lease: Lease | undefined;
  /** What a push asked for. */
  refs: readonly RefCommand[];
  /** How many more it asked for than are in `refs`. */
  refsLeftOut: number;
  verdict: Verdict;
  upstreamStatus: number | undefined;
  activityId: string | undefined;
  /** Bytes of body from the caller and to the caller. */
  bytesUp: number;
  bytesDown: number;
  /** ms from the request's first byte to its end; 0 while it runs. */
  ms: number;
  /** Where that time went. */
  readonly spent: TimeSpent;
  /** ms that finding out who asks took of Postern's own time; undefined until that is known. */
  lookUpMs: number | undefined;
  /** The trace that the caller counts it to. */
  trace: TraceContext | undefined;
  replays: number;
  failure: { readonly code: ErrorCode; readonly what: string; readonly todo: string } | undefined;
}
