import { describe, expect, it } from 'vitest';
import { type Ending, Ledger } from '../../../src/gate/ledger.js';
import type { OperationRecord } from '../../../src/model/record.js';
import type { Refusal } from '../../../src/model/refusal.js';
import { FakeClock } from '../../fakes/clock.js';
import { FakeLogger } from '../../fakes/logger.js';

const REFUSAL: Refusal = {
  kind: 'refusal',
  code: 'upstream-broken',
  status: 502,
  what: 'It broke',
  todo: 'try again',
  upstreamStatus: 200,
  activityId: 'a-1',
};

function book(): { ledger: Ledger; clock: FakeClock; logger: FakeLogger } {
  const clock = new FakeClock();
  const logger = new FakeLogger();
  return { ledger: new Ledger({ clock, logger, audit: { write: () => undefined, refusal: () => undefined } }), clock, logger };
}

describe('Ledger', () => {
  it('knows what runs, from begin to finish', () => {
    const { ledger, clock } = book();
    const first = ledger.begin('127.0.0.1:1');
    const second = ledger.begin('127.0.0.1:2');
    expect(first).toMatchObject({
      id: 1,
      verdict: 'running',
      kind: 'unknown',
      ms: 0,
      bytesUp: 0,
      bytesDown: 0,
      startedAt: new Date(clock.now()),
    });
    expect(ledger.running().map(({ id, caller }) => [id, caller])).toEqual([
      [1, '127.0.0.1:1'],
      [2, '127.0.0.1:2'],
    ]);
    clock.jump(250);
    ledger.finish(first, { verdict: 'passed' });
    expect(first).toMatchObject({ verdict: 'passed', ms: 250, failure: undefined });
    expect(ledger.running()).toEqual([second]);
  });

  it('counts and logs each operation once, whoever else finishes it again', () => {
    const { ledger, logger } = book();
    const record = ledger.begin('c');
    ledger.finish(record, { verdict: 'client-gone' });
    ledger.finish(record, { verdict: 'failed', refusal: REFUSAL });
    expect(record).toMatchObject({ verdict: 'client-gone', failure: undefined });
    expect(ledger.counts()).toEqual({ passed: 0, refused: 0, failed: 0, broken: 0, 'client-gone': 1, killed: 0 });
    expect(logger.lines).toHaveLength(1);
  });

  it('logs what went well at the level that is asked for, from the next operation on', () => {
    const { ledger, logger } = book();
    const finish = (verdict: Ending['verdict']): void => ledger.finish(ledger.begin('c'), { verdict });
    ledger.operationLevel = 'info';
    finish('passed');
    finish('client-gone');
    finish('failed');
    ledger.operationLevel = 'debug';
    finish('passed');
    expect(logger.lines.map(({ level, event }) => `${level} ${event}`)).toEqual([
      'info request-finished',
      'info client-gone',
      'warn request-failed',
      'debug request-finished',
    ]);
  });

  it('tells whoever counts along of each operation once, when all is noted', () => {
    const { ledger } = book();
    const told: string[] = [];
    ledger.observers.add({
      began: ({ id, verdict }) => told.push(`${id} ${verdict}`),
      finished: ({ id, verdict, failure }) => told.push(`${id} ${verdict} ${failure?.code ?? ''}`),
    });
    const record = ledger.begin('c');
    ledger.finish(record, { verdict: 'broken', refusal: REFUSAL });
    ledger.finish(record, { verdict: 'passed' });
    expect(told).toEqual(['1 running', '1 broken upstream-broken']);
  });

  it.each<[Ending['verdict'], level: string, event: string, isKept: boolean]>([
    ['passed', 'debug', 'request-finished', false],
    ['client-gone', 'debug', 'client-gone', false],
    ['refused', 'warn', 'request-refused', true],
    ['failed', 'warn', 'request-failed', true],
    ['broken', 'warn', 'transfer-broken', true],
    ['killed', 'warn', 'operation-killed', true],
  ])('tells one that is %s at level %s as %s', (verdict, level, event, isKept) => {
    const { ledger, logger } = book();
    const record = ledger.begin('c');
    Object.assign(record, { kind: 'fetch', step: 'exchange', repository: 'h/r', route: 'h/**', identity: 'me', bytesDown: 7 });
    ledger.finish(record, { verdict });
    expect(logger.lines).toMatchObject([
      {
        level,
        event,
        fields: {
          id: 1,
          operation: 'fetch',
          step: 'exchange',
          repository: 'h/r',
          route: 'h/**',
          identity: 'me',
          caller: 'c',
          bytesDown: 7,
        },
      },
    ]);
    expect(ledger.counts()[verdict]).toBe(1);
    expect(ledger.failures()).toEqual(isKept ? [record] : []);
  });

  it('keeps the cause, and what the upstream said of itself unless that is known already', () => {
    const { ledger, logger } = book();
    const record = ledger.begin('c');
    record.upstreamStatus = 206;
    ledger.finish(record, { verdict: 'broken', refusal: REFUSAL });
    expect(record).toMatchObject({
      upstreamStatus: 206,
      activityId: 'a-1',
      failure: { code: 'upstream-broken', what: 'It broke', todo: 'try again' },
    });
    expect(logger.lines[0]?.fields).toMatchObject({ code: 'upstream-broken', what: 'It broke', todo: 'try again' });
  });

  it('keeps the last twenty failures', () => {
    const { ledger } = book();
    for (let count = 0; count < 25; count++) ledger.finish(ledger.begin('c'), { verdict: 'failed', refusal: REFUSAL });
    expect(ledger.failures().map(({ id }) => id)).toEqual(Array.from({ length: 20 }, (_, index) => index + 6));
    expect(ledger.counts().failed).toBe(25);
  });

  it('has no negative time when the wall clock was set back', () => {
    const { ledger, clock } = book();
    const record = ledger.begin('c');
    clock.jump(-60_000);
    ledger.finish(record, { verdict: 'passed' });
    expect(record.ms).toBe(0);
  });

  it('ends the operation that is named, once, and tells its door', () => {
    const { ledger, logger } = book();
    const first = ledger.begin('c');
    const second = ledger.begin('c');
    Object.assign(second, { route: 'h/**', identity: 'me', bytesDown: 7 });
    const signals = [ledger.killSignal(first), ledger.killSignal(second)];
    expect(ledger.kill(second.id)).toBe(second);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, true]);
    expect(signals[1]?.reason).toMatchObject({ kind: 'refusal', code: 'operation-killed', status: 503 });
    expect(second).toMatchObject({
      verdict: 'killed',
      failure: { code: 'operation-killed', what: 'The operation was ended by `postern kill`' },
    });
    expect(ledger.running()).toEqual([first]);
    expect(ledger.kill(second.id)).toBeUndefined();
    expect(ledger.kill(99)).toBeUndefined();
    // What the door makes of it afterwards changes nothing.
    ledger.finish(second, { verdict: 'client-gone' });
    expect(ledger.counts()).toMatchObject({ killed: 1, 'client-gone': 0 });
    expect(logger.lines.map(({ event }) => event)).toEqual(['operation-killed']);
  });

  it('tells a door that asks late that its operation was ended', () => {
    const { ledger } = book();
    const killed = ledger.begin('c');
    ledger.kill(killed.id);
    expect(ledger.killSignal(killed).aborted).toBe(true);
    const passed = ledger.begin('c');
    ledger.finish(passed, { verdict: 'passed' });
    expect(ledger.killSignal(passed).aborted).toBe(false);
  });

  it('writes an ended operation into the audit, and every other one, once', () => {
    const written: string[] = [];
    const audit = { write: ({ verdict }: OperationRecord) => written.push(verdict), refusal: () => undefined };
    const ledger = new Ledger({ clock: new FakeClock(), logger: new FakeLogger(), audit });
    const record = ledger.begin('c');
    ledger.kill(record.id);
    ledger.finish(record, { verdict: 'broken' });
    ledger.finish(ledger.begin('c'), { verdict: 'passed' });
    expect(written).toEqual(['killed', 'passed']);
  });
});
