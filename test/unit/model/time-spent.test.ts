import { describe, expect, it } from 'vitest';
import { TimeSpent } from '../../../src/model/time-spent.js';

function watch(): { spent: TimeSpent; pass: (ms: number) => void } {
  let now = 1000;
  return { spent: new TimeSpent(() => now), pass: (ms) => void (now += ms) };
}

describe('TimeSpent', () => {
  it('gives each moment to one phase, so that the phases add up to the whole', () => {
    const { spent, pass } = watch();
    pass(1);
    spent.enter('token');
    pass(20);
    spent.enter('own');
    pass(2);
    spent.enter('upstream');
    pass(300);
    spent.enter('transfer');
    pass(4000);
    spent.end();
    expect(spent.byPhase).toEqual({ own: 3, token: 20, upstream: 300, transfer: 4000 });
    expect(spent.wholeMs).toBe(4323);
  });

  it('stays as it was when it has ended, whoever is still at work', () => {
    const { spent, pass } = watch();
    pass(5);
    spent.end();
    spent.enter('upstream');
    pass(5);
    spent.end();
    expect([spent.wholeMs, spent.byPhase]).toEqual([5, { own: 5 }]);
  });

  it('counts a wait to its phase and what follows to ours, however the wait ends', async () => {
    const { spent, pass } = watch();
    const slow = Promise.resolve().then(() => pass(30));
    await spent.during('token', slow);
    pass(1);
    const failing = Promise.resolve().then(() => {
      pass(7);
      throw new Error('no');
    });
    await expect(spent.during('connect', failing, 'upstream')).rejects.toThrow('no');
    pass(2);
    spent.end();
    expect(spent.byPhase).toEqual({ own: 1, token: 30, connect: 7, upstream: 2 });
  });

  it('is shown as numbers that a person reads', () => {
    const { spent, pass } = watch();
    pass(1.2345);
    spent.end();
    expect(JSON.stringify({ spent })).toBe('{"spent":{"own":1.2}}');
  });
});
