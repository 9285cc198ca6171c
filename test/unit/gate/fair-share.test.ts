import { expect, test } from 'vitest';
import { FairShare } from '../../../src/gate/fair-share.js';

const MINUTE_MS = 60_000;

function shared() {
  let now = 0;
  const share = new FairShare(() => now);
  const back: Record<string, (() => void)[]> = {};
  const take = (who: string, limit: number): string => {
    const place = share.take(who, limit);
    if (place.kind === 'taken') (back[who] ??= []).push(place.giveBack);
    return place.kind;
  };
  /** How many more one gets until it is refused. */
  const fill = (who: string, limit: number): number => {
    let count = 0;
    while (take(who, limit) === 'taken') count += 1;
    return count;
  };
  return { share, take, fill, giveBack: (who: string) => back[who]?.pop()?.(), pass: (ms: number) => (now += ms) };
}

test('one that is alone may have all of it', () => {
  for (const limit of [1, 2, 3, 100]) expect(shared().fill('a', limit)).toBe(limit);
});

test('as long as another asks, one has three quarters at most, and there is room for whoever comes', () => {
  const { fill, take, share } = shared();
  take('b', 100);
  expect(fill('a', 100)).toBe(75);
  for (const who of ['c', 'd', 'e', 'f']) expect(take(who, 100)).toBe('taken');
  expect(take('a', 100)).toBe('share');
  expect(share.taken).toBe(80);
});

test('one that had all before another asked gets no more until it is down to its share', () => {
  const { fill, take, giveBack, pass } = shared();
  expect(fill('a', 8)).toBe(8);
  expect(take('b', 8)).toBe('full');
  giveBack('a');
  expect(take('a', 8)).toBe('share');
  expect(take('b', 8)).toBe('taken');
  // Nobody else has asked for long: all of it is its own again.
  pass(11 * MINUTE_MS);
  giveBack('b');
  expect(take('a', 8)).toBe('taken');
});

test('the last place is had by one that has none', () => {
  const { take } = shared();
  expect(take('a', 1)).toBe('taken');
  expect(take('b', 1)).toBe('full');
  expect(take('b', 2)).toBe('taken');
});

test('what is given back twice counts once', () => {
  const { share } = shared();
  const [one] = [share.take('a', 2), share.take('a', 2)];
  if (one.kind === 'taken') for (let times = 0; times < 2; times += 1) one.giveBack();
  expect(share.taken).toBe(1);
});
