import { expect, test } from 'vitest';
import { LoopLag } from '../../../src/daemon/loop-lag.js';
import { FakeClock } from '../../fakes/clock.js';
import { FakeLogger } from '../../fakes/logger.js';

/** Longer than what is told, by less than a test may take. */
const BLOCKED_MS = 700;

/** Takes the event loop for that long. */
function block(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** Has the measure be taken before and after. */
const wakeUp = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 60));

test('a loop that was blocked is told once a minute, and is shown', async () => {
  const [clock, logger] = [new FakeClock(), new FakeLogger()];
  const lag = new LoopLag({ clock, logger });
  lag.start();
  for (let round = 0; round < 2; round += 1) {
    await wakeUp();
    block(BLOCKED_MS);
    await wakeUp();
    await clock.advance(10_000);
    expect(lag.read().max).toBeGreaterThanOrEqual(BLOCKED_MS - 100);
  }
  const lines = logger.lines.filter(({ event }) => event === 'event-loop-late');
  expect(lines).toMatchObject([{ level: 'warn', fields: { ms: expect.any(Number) as number } }]);
  await wakeUp();
  await clock.advance(10_000);
  expect(lag.read().max).toBeLessThan(BLOCKED_MS / 2);
  expect(lag.read().worst).toBeGreaterThanOrEqual(BLOCKED_MS - 100);
  lag.stop();
  expect(clock.waiting).toBe(0);
});
