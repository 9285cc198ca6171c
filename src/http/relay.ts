/**
 * The last leg of an answer that was found good: its body to the caller, as it comes. A break upstream becomes a break
 * to the caller, never an end; and since git cannot be told the cause any more, the ending says it for log and status.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Ending } from '../gate/ledger.js';
import { refusalFor } from '../upstream/journey.js';
import { brokenOff } from '../model/send-faults.js';
import type { Trip } from './trip.js';

/**
 * Passes `answer` on under `headers` (name and value in turn) and tells how it ended. Never rejects.
 *
 * @param stallMs the limit of silence, for the text of a break
 * @param through what the body goes through on its way, in this order
 */
export async function relay(
  trip: Trip,
  answer: IncomingMessage,
  headers: string[],
  stallMs: number,
  through: readonly Duplex[] = [],
): Promise<Ending> {
  const { response, record } = trip;
  // When one end breaks, the other is broken off by us: who was first is the only way to tell whose fault it was.
  let first: 'upstream' | 'caller' | undefined;
  answer.once('error', () => (first ??= 'upstream'));
  answer.once('close', () => {
    if (!answer.complete) first ??= 'upstream';
  });
  response.once('close', () => {
    if (!response.writableFinished) first ??= 'caller';
  });
  response.writeHead(answer.statusCode ?? 502, headers);
  // A head says that there will be an answer: an upstream that has yet to count objects sends it at once.
  record.spent.enter('upstream');
  answer.once('data', () => record.spent.enter('transfer'));
  answer.on('data', (chunk: Buffer) => {
    record.bytesDown += chunk.length;
  });
  try {
    await pipeline([answer, ...through, response]);
    return { verdict: 'passed' };
  } catch (thrown) {
    response.destroy();
    if (first === 'caller') return { verdict: 'client-gone' };
    return { verdict: 'broken', refusal: refusalFor(trip, brokenOff(thrown, record.bytesDown, stallMs)) };
  }
}
