import { describe, expect, it } from 'vitest';
import { Ledger } from '../../../src/gate/ledger.js';
import { Pace, SECONDS_KEPT } from '../../../src/gate/pace.js';
import { FakeClock } from '../../fakes/clock.js';
import { FakeLogger } from '../../fakes/logger.js';

function book(): { clock: FakeClock; ledger: Ledger; pace: Pace } {
  const clock = new FakeClock();
  const audit = { write: () => undefined, refusal: () => undefined };
  const ledger = new Ledger({ clock, logger: new FakeLogger(), audit });
  const pace = new Pace({ clock, book: ledger });
  ledger.observers.add(pace);
  return { clock, ledger, pace };
}

describe('Pace', () => {
  it('counts the bytes of each second once, also those of an operation that ends in it', async () => {
    const { clock, ledger, pace } = book();
    const record = ledger.begin('c');
    record.bytesDown = 700;
    await clock.advance(1_000);
    record.bytesDown = 1_000;
    record.bytesUp = 50;
    await clock.advance(1_000);
    record.bytesDown = 1_200;
    ledger.finish(record, { verdict: 'passed' });
    await clock.advance(1_000);
    expect(pace.seconds.map(({ up, down, running, ended, bad }) => [up, down, running, ended, bad])).toEqual([
      [0, 700, 1, 0, 0],
      [50, 300, 1, 0, 0],
      [0, 200, 0, 1, 0],
    ]);
    expect(pace.seconds.at(-1)?.waitLongest).toBeGreaterThanOrEqual(0);
    expect(pace.seconds[0]?.waitLongest).toBeUndefined();
  });

  it('counts what was refused or broke off, and not who went away', async () => {
    const { clock, ledger, pace } = book();
    for (const verdict of ['refused', 'broken', 'failed', 'killed', 'client-gone', 'passed'] as const)
      ledger.finish(ledger.begin('c'), { verdict });
    await clock.advance(1_000);
    expect(pace.seconds).toMatchObject([{ ended: 6, bad: 4 }]);
  });

  it('rests while nothing happens', async () => {
    const { clock, ledger, pace } = book();
    expect(clock.waiting).toBe(0);
    ledger.finish(ledger.begin('c'), { verdict: 'passed' });
    await clock.advance(1_000);
    expect(pace.seconds).toHaveLength(1);
    expect(clock.waiting).toBe(0);
  });

  it('keeps five minutes, and of a second that was long says how long it was', async () => {
    const { clock, ledger, pace } = book();
    ledger.begin('c');
    for (let second = 0; second < SECONDS_KEPT + 20; second++) await clock.advance(1_000);
    expect(pace.seconds.length).toBeLessThanOrEqual(SECONDS_KEPT);
    clock.jump(5_000);
    await clock.advance(1_000);
    expect(pace.seconds.at(-1)?.ms).toBe(6_000);
    clock.jump(SECONDS_KEPT * 1_000);
    expect(pace.seconds).toEqual([]);
  });
});
