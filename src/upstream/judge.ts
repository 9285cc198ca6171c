/** What an upstream's answer is, by the kind of request that it answers. */
import type { IncomingMessage } from 'node:http';
import { isGit } from '../model/operation.js';
import type { Journey } from './journey.js';
import { judgeGit } from './judge-git.js';
import { judgePlain } from './judge-plain.js';
import type { Judgement, JudgeOptions } from './judgement.js';

/** Reads an answer's head and, where it is a failure, its text. */
export function judge(journey: Journey, answer: IncomingMessage, options: JudgeOptions): Promise<Judgement> {
  const { operation } = journey;
  return isGit(operation) ? judgeGit(journey, operation, answer, options) : judgePlain(journey, answer, options);
}
