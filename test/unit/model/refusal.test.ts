import { describe, expect, it } from 'vitest';
import { type Refusal, refusalLines, refusalSentence } from '../../../src/model/refusal.js';

const LEAST: Refusal = { kind: 'refusal', code: 'no-route', status: 403, what: 'No route matches x', todo: 'add one' };
const MOST: Refusal = {
  ...LEAST,
  route: 'dev.azure.com/**',
  identity: 'me',
  upstreamText: 'first\nsecond',
  upstreamStatus: 404,
  activityId: 'a-1',
  retryAfterSeconds: 5,
};

describe('refusalLines()', () => {
  it('says what and what to do', () => {
    expect(refusalLines(LEAST)).toEqual(['postern: No route matches x', '  what to do: add one', '  more: postern explain no-route']);
  });

  it('says everything in reading order', () => {
    expect(refusalLines(MOST)).toEqual([
      'postern: No route matches x',
      '  upstream said: first',
      '  upstream said: second',
      '  route dev.azure.com/**, identity me, upstream status 404, ActivityId a-1',
      '  what to do: add one',
      '  more: postern explain no-route',
    ]);
  });

  it('leaves out what is not known', () => {
    expect(refusalLines({ ...LEAST, identity: 'me', upstreamText: '' })).toEqual([
      'postern: No route matches x',
      '  identity me',
      '  what to do: add one',
      '  more: postern explain no-route',
    ]);
  });
});

it('refusalSentence() is the same in one line, but for where to read on', () => {
  expect(refusalSentence(MOST)).toBe(
    'postern: No route matches x | upstream said: first | upstream said: second | ' +
      'route dev.azure.com/**, identity me, upstream status 404, ActivityId a-1 | what to do: add one',
  );
});
