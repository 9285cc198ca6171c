/** When the watchdog is fed: after an answer, whatever time it took, and not by a loop that is held up every time. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Watchdog } from '../../../src/daemon/watchdog.js';

const PATIENCE_MS = 16_000;

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => void vi.useRealTimers());

function made(callSelf: () => Promise<void>) {
  const seen = { pings: 0, events: [] as string[] };
  const watchdog = new Watchdog({
    patienceMs: PATIENCE_MS,
    callSelf,
    ping: () => void (seen.pings += 1),
    logger: { log: (_level, event) => void seen.events.push(event) },
  });
  return { watchdog, seen };
}

test('a daemon that answers is fed four times within the patience', async () => {
  const { watchdog, seen } = made(() => Promise.resolve());
  watchdog.start();
  await vi.advanceTimersByTimeAsync(PATIENCE_MS - 1);
  expect(seen).toEqual({ pings: 4, events: [] });
  watchdog.stop();
  await vi.advanceTimersByTimeAsync(PATIENCE_MS);
  expect(seen.pings).toBe(4);
});

test('a slow answer feeds it as well, and no second question is asked meanwhile', async () => {
  let asked = 0;
  const { watchdog, seen } = made(() => {
    asked += 1;
    return new Promise((resolve) => setTimeout(resolve, PATIENCE_MS - 1_000));
  });
  watchdog.start();
  await vi.advanceTimersByTimeAsync(PATIENCE_MS - 500);
  expect([asked, seen.pings]).toEqual([1, 1]);
  watchdog.stop();
});

test('no answer is no food, and the log says so', async () => {
  const { watchdog, seen } = made(() => Promise.reject(new Error('nobody there')));
  watchdog.start();
  await vi.advanceTimersByTimeAsync(PATIENCE_MS / 2 - 1);
  expect(seen).toEqual({ pings: 0, events: ['unexpected', 'unexpected'] });
  watchdog.stop();
});

test('a loop that was held up once is fed again soon; one that is held up every time is not', async () => {
  const { watchdog, seen } = made(() => Promise.resolve());
  watchdog.start();
  await vi.advanceTimersByTimeAsync(0);
  expect(seen.pings).toBe(1);
  /** The timer that is due comes `ms` too late. */
  const holdUp = async (ms: number, dueInMs: number): Promise<void> => {
    const now = performance.now();
    vi.spyOn(performance, 'now').mockReturnValueOnce(now + dueInMs + ms);
    await vi.advanceTimersByTimeAsync(dueInMs);
    vi.restoreAllMocks();
  };
  await holdUp(5_000, PATIENCE_MS / 4);
  expect(seen).toEqual({ pings: 1, events: ['event-loop-late'] });
  await holdUp(5_000, PATIENCE_MS / 16);
  await holdUp(5_000, PATIENCE_MS / 16);
  expect(seen).toEqual({ pings: 1, events: ['event-loop-late', 'event-loop-late', 'event-loop-late'] });
  await vi.advanceTimersByTimeAsync(PATIENCE_MS / 16);
  expect(seen.pings).toBe(2);
  watchdog.stop();
});
