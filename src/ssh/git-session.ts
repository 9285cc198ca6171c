/**
 * One admitted git command on its way, as whoever carries it upstream sees it: the client's ends, and what became of them. The
 * door (ssh-door.ts) makes it, a carrier (bridge.ts, agent.ts) brings it to its end and tells how that was; the door then says
 * what there is to say and closes.
 */
import type { Readable, Writable } from 'node:stream';
import type { CommandList } from '../git/receive-pack.js';
import type { Pass } from '../model/decision.js';
import type { SessionOperation } from '../model/operation.js';
import type { OperationRecord } from '../model/record.js';
import type { Refusal } from '../model/refusal.js';

export interface GitSession {
  readonly operation: SessionOperation;
  readonly pass: Pass;
  /** A push's refs are noted here; the bytes are counted by the door. */
  readonly record: OperationRecord;
  /** The repository's path as the client wrote it behind the real host, bytes as latin1: `/team/tools` (ssh://) or `team/tools` (scp form). */
  readonly path: string;
  /** What the client sends, until its EOF. */
  readonly input: Readable;
  /** What it gets. A carrier writes and never ends it. */
  readonly output: Writable;
  readonly errors: Writable;
  /** The client's GIT_PROTOCOL, undefined when it sent none. */
  readonly gitProtocol: string | undefined;
  /** Aborted when the client is gone or the operation is ended from outside: whoever carries it lets go of everything at once. */
  readonly over: AbortSignal;
}

/** How a carrier left a session. */
export type Carried =
  /** All that the upstream had to say stands in `output`. */
  | { readonly kind: 'passed'; readonly exitCode: number }
  /** `over` was aborted, or the client closed before it was done. */
  | { readonly kind: 'over' }
  | {
      readonly kind: 'failed';
      readonly verdict: 'refused' | 'failed' | 'broken';
      readonly refusal: Refusal;
      /**
       * Where `output` stands. `between`: the client reads a packet next that may be an error or a report of ours; `inside`: an
       * answer of the upstream has begun, and nothing more may be written there.
       */
      readonly where: 'between' | 'inside';
      /** What a push asked for, when it was read. */
      readonly commands?: CommandList | undefined;
    };

/** Brings a session to its end. Never rejects. */
export type Carrier = (session: GitSession) => Promise<Carried>;
