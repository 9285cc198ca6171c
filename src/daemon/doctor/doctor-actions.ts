/** The actions of the admin socket that `postern doctor` asks for, and how the command line asks. */
import { isSshSpelling } from '../../hosts/repo-spelling.js';
import type { CheckOutcome } from '../../model/check.js';
import type { RoadRecord } from '../../model/exchange-record.js';
import { ProxyError } from '../../model/errors.js';
import { askAction } from '../admin.js';
import { asMap, type JsonAction, wrongShape } from '../admin-json.js';
import { DAEMON_CHECKS, type DaemonCheckId } from './doctor-desk.js';
import { type RoadFacts, roadFacts } from './road-facts.js';
import { type DaemonCheck, type DoctorParts, type DoctorQuestion, roadOf } from './doctor-parts.js';

/** One check may wait for a sign-in and for a slow upstream, each with a limit of its own in the daemon. */
const ANSWER_MS = 180_000;

const FACTS = '/doctor/facts';
const RECORD = '/doctor/record';
/** Eight requests, each with limits of its own, and a sign-in. */
const RECORD_MS = 600_000;

const pathOf = (id: string): string => `/doctor/${id}`;

export function doctorActions(parts: DoctorParts): ReadonlyMap<string, JsonAction> {
  return new Map<string, JsonAction>([
    ...Object.entries(DAEMON_CHECKS).map(([id, check]: [string, DaemonCheck]): [string, JsonAction] => [
      pathOf(id),
      (body: unknown): Promise<CheckOutcome> | CheckOutcome => check(readQuestion(body), parts),
    ]),
    [RECORD, (body): Promise<RoadRecord> => recordOf(readQuestion(body), parts)],
    [FACTS, (body): Promise<RoadFacts> => roadFacts(readQuestion(body), parts)],
  ]);
}

/** Undefined when no daemon answers. @throws ProxyError what Recorder throws */
export async function askRecord(socket: string, address: string): Promise<RoadRecord | undefined> {
  return (await askAction(socket, RECORD, { address }, RECORD_MS)) as RoadRecord | undefined; // because the same program wrote it
}

function recordOf(question: DoctorQuestion, parts: DoctorParts): Promise<RoadRecord> {
  const { address, route, identity, isSigned } = roadOf(question, parts);
  return parts.recorder.record({ address, route, identityKind: identity.kind, isSsh: isSshSpelling(question.address), isSigned });
}

/** @throws ProxyError `not-running`, and what roadFacts throws */
export async function askRoadFacts(socket: string, address: string): Promise<RoadFacts> {
  const answer = await askAction(socket, FACTS, { address }, ANSWER_MS);
  if (answer === undefined) throw new ProxyError('not-running', 'The daemon has gone', { todo: '`postern status` shows whether it runs' });
  return answer as RoadFacts; // because the same program wrote it
}

/** @throws ProxyError `not-running`, and what the check threw */
export async function askCheck(socket: string, id: DaemonCheckId, question: DoctorQuestion): Promise<CheckOutcome> {
  const answer = await askAction(socket, pathOf(id), question, ANSWER_MS);
  if (answer === undefined) return { verdict: 'untried', text: 'not tried: the daemon has gone' };
  return answer as CheckOutcome; // because the same program wrote it
}

function readQuestion(body: unknown): DoctorQuestion {
  const { address, since } = asMap(body);
  if (typeof address !== 'string' || (since !== undefined && typeof since !== 'number')) throw wrongShape();
  return { address, since };
}
