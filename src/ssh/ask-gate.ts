/**
 * What a command over SSH is asked at the gate: who asks, what for, may they. The same questions as over HTTP, in the same order
 * (http/ask-gate.ts); a web page cannot come this way.
 */
import { admit } from '../gate/admit.js';
import type { RouteTable } from '../gate/route-table.js';
import type { Caller } from '../model/caller.js';
import type { Pass } from '../model/decision.js';
import type { LfsOperation, SessionOperation } from '../model/operation.js';
import type { AuditTrail, Clock } from '../model/ports.js';
import type { OperationRecord } from '../model/record.js';
import type { Refusal } from '../model/refusal.js';
import type { GuidNames } from '../upstream/guid-names.js';
import { type Listener, listenerOf, readCommand } from './read-command.js';
import type { Asked } from './server.js';

/** How far a command came. */
export type Walked =
  | {
      readonly kind: 'pass';
      readonly operation: SessionOperation | LfsOperation;
      readonly path: string;
      readonly pass: Pass;
      readonly caller: Caller;
    }
  | { readonly kind: 'no'; readonly refusal: Refusal; readonly listener: Listener }
  | { readonly kind: 'gone' };

/** Whom the questions are put to. */
export interface GateParts {
  readonly routes: RouteTable;
  readonly guids: GuidNames;
  readonly audit: AuditTrail;
  readonly clock: Clock;
}

interface Question {
  readonly parts: GateParts;
  /** Who asks, looked up; undefined when they have gone. `uid` where that is known. */
  readonly caller: () => Promise<{ readonly caller: Caller | Refusal; readonly uid: number | undefined } | undefined>;
  /** What is understood on the way is noted there. */
  readonly record: OperationRecord;
}

/** Asks the questions that a command has to pass. */
export async function askGate({ command }: Asked, { parts, caller: lookUp, record }: Question): Promise<Walked> {
  const { routes, audit, clock } = parts;
  const askedAt = performance.now();
  const found = await lookUp();
  record.lookUpMs = performance.now() - askedAt;
  if (found === undefined) return { kind: 'gone' };
  const { caller, uid } = found;
  record.uid = uid;
  if (caller.kind === 'refusal') return no(forSsh(caller), command);
  if (caller.kind === 'lease') record.lease = caller.lease;
  if (caller.kind === 'key') record.key = caller.fingerprint;
  const read = readCommand(command, routes, record);
  if (read.kind === 'no') return read;
  const unrecorded = audit.refusal();
  if (unrecorded !== undefined) return no(unrecorded, command);
  const operation = await parts.guids.name(read.operation, { caller, routes, record });
  if (operation.kind === 'refusal') return no(operation, command);
  const decision = admit(operation, caller, routes, clock.now());
  return decision.kind === 'refusal' ? no(decision, command) : { kind: 'pass', operation, path: read.path, pass: decision, caller };
}

/** A refusal, for whoever reads what is said of the command. */
export function no(refusal: Refusal, command: string): Extract<Walked, { kind: 'no' }> {
  return { kind: 'no', refusal, listener: listenerOf(command) };
}

/** A lease comes as a variable here, and ssh sends none that it was not told to. */
function forSsh(refusal: Refusal): Refusal {
  if (refusal.code !== 'lease-required' && refusal.code !== 'caller-refused') return refusal;
  return { ...refusal, todo: `${refusal.todo}; ssh passes a lease on with \`SendEnv POSTERN_LEASE\`` };
}
