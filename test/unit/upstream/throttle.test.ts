import { describe, expect, it } from 'vitest';
import { DEFAULT_WAIT_MS, LONGEST_WAIT_MS, MOST_TRIES, Throttle } from '../../../src/upstream/throttle.js';
import { FakeClock } from '../../fakes/clock.js';

function held(...waits: number[]): { throttle: Throttle; clock: FakeClock } {
  const clock = new FakeClock();
  const throttle = new Throttle(clock);
  for (const ms of waits) throttle.hold('a', ms);
  return { throttle, clock };
}

describe('Throttle', () => {
  it('lets everyone ask who was not told to wait', () => {
    expect(held(1000).throttle.waitFor('b')).toBe(0);
  });

  it('says how long is left, for all callers alike, until it is over', () => {
    const { throttle, clock } = held(1000);
    expect([throttle.waitFor('a'), throttle.waitFor('a')]).toEqual([1000, 1000]);
    clock.jump(400);
    expect(throttle.waitFor('a')).toBe(600);
    clock.jump(599);
    expect(throttle.waitFor('a')).toBe(1);
    clock.jump(1);
    expect(throttle.waitFor('a')).toBe(0);
  });

  it('keeps the longest wish', () => {
    expect(held(1000, 5000, 200).throttle.waitFor('a')).toBe(5000);
  });

  it('takes no wish for nothing', () => {
    expect(held(0, -5, Number.NaN).throttle.waitFor('a')).toBe(0);
  });

  it('shows who is held, and forgets who is not', () => {
    const { throttle, clock } = held(1000);
    throttle.hold('b', 3000);
    expect(throttle.states()).toEqual([
      { key: 'a', waitMs: 1000 },
      { key: 'b', waitMs: 3000 },
    ]);
    clock.jump(1000);
    expect(throttle.states()).toEqual([{ key: 'b', waitMs: 2000 }]);
  });

  it('is over at once when the clock was set back, or has jumped past it', () => {
    for (const ms of [-25 * 60 * 60 * 1000, -1, 25 * 60 * 60 * 1000]) {
      const { throttle, clock } = held(1000);
      clock.jump(ms);
      expect(throttle.waitFor('a')).toBe(0);
    }
  });

  it("waits on a caller's behalf for less than a minute in all", () => {
    expect(LONGEST_WAIT_MS * (MOST_TRIES - 1)).toBeLessThanOrEqual(60_000);
    expect(DEFAULT_WAIT_MS * 2 ** MOST_TRIES).toBeLessThan(LONGEST_WAIT_MS);
  });
});
