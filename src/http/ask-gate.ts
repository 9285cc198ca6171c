/** What a request over HTTP is asked at the gate, in which order: is it a web page, who asks, what for, may they. */
import type { IncomingMessage } from 'node:http';
import { admit } from '../gate/admit.js';
import { refuseBrowser } from '../gate/browser.js';
import type { Callers } from '../gate/callers.js';
import { isLoopbackAddress, type Peers } from '../gate/peers.js';
import type { RouteTable } from '../gate/route-table.js';
import type { Caller } from '../model/caller.js';
import type { Pass } from '../model/decision.js';
import type { DoorOperation } from '../model/operation.js';
import type { AuditTrail, Clock } from '../model/ports.js';
import type { OperationRecord } from '../model/record.js';
import type { Refusal } from '../model/refusal.js';
import type { AccessSettings } from '../model/settings.js';
import type { GuidNames } from '../upstream/guid-names.js';
import { type DoorNames, sharedName } from './door-names.js';
import { forwardedBy } from './forwarded.js';
import { isKnock } from './knock.js';
import { takeLease } from './presented-lease.js';
import { readOperation } from './read-operation.js';

/** How far a request came. */
export type Walked =
  | { readonly kind: 'pass'; readonly operation: DoorOperation; readonly pass: Pass; readonly caller: Caller }
  | { readonly kind: 'no'; readonly refusal: Refusal; readonly operation: DoorOperation | undefined }
  /** Somebody whom the door serves wanted to know just that. */
  | { readonly kind: 'knock' }
  | { readonly kind: 'gone' };

interface Asked {
  readonly parts: GateParts;
  readonly names: DoorNames;
  /** What the listener listens on. */
  readonly host: string;
  /** What is understood on the way is noted there. */
  readonly record: OperationRecord;
}

/** Whom the questions are put to. */
export interface GateParts {
  readonly routes: RouteTable;
  readonly audit: AuditTrail;
  readonly clock: Clock;
  readonly peers: Peers;
  readonly callers: Callers;
  readonly guids: GuidNames;
  readonly access: Pick<AccessSettings, 'local' | 'remote'>;
}

/** Asks the questions that a request has to pass. */
export async function askGate(request: IncomingMessage, { parts, names, host, record }: Asked): Promise<Walked> {
  const { routes, audit, clock } = parts;
  const browser = refuseBrowser((name) => request.headersDistinct[name]?.join(', '), names.on(request.socket, host));
  if (browser !== undefined) return no(browser);
  const caller = await callerOf(request, host, parts, record);
  if (caller === undefined) return { kind: 'gone' };
  if (caller.kind === 'refusal') return no(caller);
  if (isKnock(request)) return { kind: 'knock' };
  const read = readOperation(request, routes, record);
  if (read.kind === 'refusal') return no(read);
  const unrecorded = audit.refusal();
  if (unrecorded !== undefined) return no(unrecorded, read.operation);
  const operation = await parts.guids.name(read.operation, { caller, routes, record });
  if (operation.kind === 'refusal') return no(operation, read.operation);
  const decision = admit(operation, caller, routes, clock.now());
  return decision.kind === 'refusal' ? no(decision, operation) : { kind: 'pass', operation, pass: decision, caller };
}

export function no(refusal: Refusal, operation?: DoorOperation): Walked {
  return { kind: 'no', refusal, operation };
}

/** Who asks; undefined when they have gone. */
async function callerOf(
  request: IncomingMessage,
  host: string,
  { peers, callers, access }: GateParts,
  record: OperationRecord,
): Promise<Caller | Refusal | undefined> {
  // Before anything is waited for: what holds a lease must be gone from the headers whatever comes of it.
  const presented = takeLease(request);
  const askedAt = performance.now();
  const peer = await peers.of(request.socket);
  record.lookUpMs = performance.now() - askedAt;
  if (peer === undefined || request.socket.destroyed) return undefined;
  record.uid = peer.uid.kind === 'known' ? peer.uid.uid : undefined;
  const second = { forwardedBy: forwardedBy(request), calledBy: sharedName(request) };
  const entry = isLoopbackAddress(host) ? access.local : access.remote;
  const caller = callers.identify({ peer, ...presented, entry, ...second });
  if (caller.kind === 'lease') record.lease = caller.lease;
  return caller;
}
