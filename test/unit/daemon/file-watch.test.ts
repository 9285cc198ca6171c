import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { watchFile } from '../../../src/daemon/file-watch.js';
import { FakeClock } from '../../fakes/clock.js';

const LOOK_MS = 1_000;
const directory = mkdtempSync(join(tmpdir(), 'postern-watch-'));
afterAll(() => rmSync(directory, { recursive: true }));

/** Watches a new file and gives what moves on by one look, and how often it was told. */
async function watched(name: string, text: string | undefined) {
  const file = join(directory, name);
  if (text !== undefined) writeFileSync(file, text);
  const clock = new FakeClock();
  let told = 0;
  const { end, note } = watchFile(file, clock, () => (told += 1), LOOK_MS);
  const look = async (): Promise<void> => {
    const before = clock.waiting;
    await clock.advance(LOOK_MS);
    // The look is a real one at a real file.
    const until = performance.now() + 10_000;
    while (clock.waiting < before && performance.now() < until) await new Promise((resolve) => setImmediate(resolve));
  };
  while (clock.waiting === 0) await new Promise((resolve) => setImmediate(resolve));
  return { file, look, told: () => told, end, note, clock };
}

it('tells of a change once it has stayed so for one look', async () => {
  const { file, look, told, end } = await watched('a', 'one');
  await look();
  writeFileSync(file, 'half of tw');
  await look();
  expect(told()).toBe(0);
  writeFileSync(file, 'half of two, and the other half');
  await look();
  expect(told()).toBe(0);
  await look();
  expect(told()).toBe(1);
  await look();
  expect(told()).toBe(1);
  end();
});

it('that a file is gone is no change; that it is there again, as another one, is', async () => {
  const { file, look, told, end } = await watched('b', 'one');
  rmSync(file);
  await look();
  await look();
  expect(told()).toBe(0);
  writeFileSync(file, 'another');
  await look();
  await look();
  expect(told()).toBe(1);
  end();
});

it('a file that comes where there was none is told of', async () => {
  const { file, look, told, end } = await watched('c', undefined);
  writeFileSync(file, 'first');
  await look();
  await look();
  expect(told()).toBe(1);
  end();
});

it('ends when told to', async () => {
  const { clock, end } = await watched('d', 'one');
  end();
  expect(clock.waiting).toBe(0);
});

it('what was noted is not told of; what comes after it is', async () => {
  const { file, look, told, note, end } = await watched('e', 'one');
  writeFileSync(file, 'the second');
  await note();
  await look();
  await look();
  expect(told()).toBe(0);
  writeFileSync(file, 'and a third one');
  await look();
  await look();
  expect(told()).toBe(1);
  end();
});
