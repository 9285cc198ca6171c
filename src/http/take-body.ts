/**
 * What comes first with an admitted operation, before a credential is asked for and before anything goes upstream: its body,
 * and for a push its command list, which is judged by the rules for refs.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { CROWDED, noteRefs, refuseByRefs } from '../gate/ref-policy.js';
import type { OperationRecord } from '../model/record.js';
import type { RefPolicy } from '../model/refs.js';
import type { Refusal } from '../model/refusal.js';
import { type KeptBodies, type RequestBody, TooManyLists } from './body.js';
import { CallerGone } from '../model/send-faults.js';
import type { PushList } from './push-list.js';

/** A request as far as its body goes. */
export interface Carried {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly record: OperationRecord;
  /** What a push asks for; undefined for everything else. */
  readonly commands: PushList | undefined;
}

/**
 * Takes the body and notes what a push asks for in its record. Refusals: `push-unreadable`, `ref-refused`; what is left of the
 * body has not been read then.
 * @throws CallerGone
 */
export async function takeBody(bodies: KeptBodies, carried: Carried, policies: readonly RefPolicy[]): Promise<RequestBody | Refusal> {
  const { request, response, record, commands } = carried;
  let body: RequestBody;
  try {
    const taking = bodies.take(
      request,
      response,
      (chunk) => {
        record.bytesUp += chunk.length;
      },
      commands,
    );
    body = await record.spent.during('caller', taking);
  } catch (thrown) {
    if (thrown instanceof TooManyLists) return CROWDED;
    throw new CallerGone();
  }
  if (commands === undefined) return body;
  const { list } = commands;
  if (list === undefined) return commands.refusal() ?? body;
  noteRefs(record, list.commands);
  return refuseByRefs(list.commands, policies) ?? body;
}
