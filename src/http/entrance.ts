/** Room for one more: a connection that was just accepted, and an operation that was admitted. */
import type { Socket } from 'node:net';
import { callerOf } from '../gate/callers-seen.js';
import type { Ledger } from '../gate/ledger.js';
import { STOPPING } from '../gate/listening.js';
import { ownerOf, type Peers } from '../gate/peers.js';
import { CLOSED_TEXT, type Traffic } from '../gate/traffic.js';
import type { OperationRecord } from '../model/record.js';
import type { Limits } from '../model/settings.js';
import { no, type Walked } from './ask-gate.js';
import { unheard } from './speech.js';

/** What the limits are kept with. */
export interface EntranceParts {
  readonly ledger: Ledger;
  readonly peers: Peers;
  readonly traffic: Traffic;
  readonly limits: Limits;
}

/** Looks at a connection that was just accepted; one that there is no room for is told so, where it can be, and closed. */
export function letIn(socket: Socket, scheme: 'http' | 'https', { peers, traffic, limits }: EntranceParts): boolean {
  if (traffic.enter(socket, 'http', limits) === 'closed') {
    // At once, and not when it has said what it wants: the next one needs the descriptor.
    if (scheme === 'http') socket.write(unheard(CLOSED_TEXT));
    socket.destroy();
    return false;
  }
  peers.accepted(socket);
  void peers.of(socket).then((peer) => {
    if (peer !== undefined) traffic.belongs(socket, 'http', ownerOf(peer), limits);
  });
  return true;
}

/** Has what was admitted belong to an operation that has begun, or begin one if that may be now. */
export function place(
  walked: Walked,
  { ledger, peers, traffic, limits }: EntranceParts,
  { record, socket, isStopping }: { readonly record: OperationRecord; readonly socket: Socket; readonly isStopping: boolean },
): Walked {
  if (walked.kind !== 'pass') return walked;
  const { conversations } = ledger;
  const accepted = peers.acceptedOf(socket);
  if (conversations.join(record, socket)) {
    traffic.keep(accepted);
    return walked;
  }
  if (isStopping) return no(STOPPING, walked.operation);
  const begun = traffic.refuse(accepted, limits) ?? traffic.begin(callerOf(record).key, limits);
  if (typeof begun !== 'function') return no(begun, walked.operation);
  conversations.begin(record, socket, begun);
  return walked;
}
