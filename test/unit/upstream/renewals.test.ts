import { expect, it } from 'vitest';
import { MOST_FRUITLESS, Renewals } from '../../../src/upstream/renewals.js';
import { FakeClock } from '../../fakes/clock.js';

it('mayTry() believes a place for half a minute after a renewed token was refused there, and no other place', () => {
  const clock = new FakeClock();
  const renewals = new Renewals(clock);
  expect(renewals.mayTry('me', 'a')).toBe(true);
  renewals.wasFruitless('me', 'a');
  expect(renewals.mayTry('me', 'a')).toBe(false);
  expect(renewals.mayTry('me', 'b')).toBe(true);
  clock.jump(29_999);
  expect(renewals.mayTry('me', 'a')).toBe(false);
  clock.jump(1);
  expect(renewals.mayTry('me', 'a')).toBe(true);
});

it('mayTry() bounds the renewals of an identity, however many places refuse it, and lets it recover', () => {
  const clock = new FakeClock();
  const renewals = new Renewals(clock);
  let tries = 0;
  for (let place = 0; place < 1000; place++) {
    if (!renewals.mayTry('me', `place ${place}`)) continue;
    tries += 1;
    renewals.wasFruitless('me', `place ${place}`);
  }
  expect(tries).toBe(MOST_FRUITLESS);
  expect(renewals.mayTry('someone else', 'anywhere')).toBe(true);
  clock.jump(6_001);
  expect(renewals.mayTry('me', 'anywhere')).toBe(true);
});

it('mayTry() is not held up by a clock that was set back', () => {
  const clock = new FakeClock();
  const renewals = new Renewals(clock);
  for (let place = 0; place < MOST_FRUITLESS; place++) renewals.wasFruitless('me', `place ${place}`);
  clock.jump(-60_000);
  expect(renewals.mayTry('me', 'place 0')).toBe(true);
});
