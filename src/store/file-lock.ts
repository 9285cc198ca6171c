/**
 * One writer at a time of a file that several daemons write, also from several machines. The lock is a file that is made with
 * its content in one step (link(2)) and held for the milliseconds that a read and a write take. How old it is, is told by the
 * clock of its file system: that of a machine which mounts it may be minutes off.
 *
 * Limits: a lock that has stood for `DEAD_MS` is taken for that of a killed process and broken. Whoever was stopped for that
 * long while it held the lock (SIGSTOP, a suspended machine) writes beside another then.
 */
import { randomBytes } from 'node:crypto';
import { link, readFile, rename, stat, unlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { temporaryBeside } from './atomic-file.js';
import { linkOrMake, writeNew } from './new-file.js';

const LOOK_MS = 10;
/** A hundred times what the longest write takes here. */
const DEAD_MS = 10_000;
const LONGEST_WAIT_MS = 20_000;

/**
 * Runs `work` while holding the lock `path`, and gives it back whatever happens.
 * Rejects with the system's error when the lock cannot be made, and with `EBUSY` when others hold it for too long.
 */
export async function withFileLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const mark = randomBytes(12).toString('hex');
  const until = performance.now() + LONGEST_WAIT_MS;
  for (;;) {
    const { isTaken, triedAtMs } = await take(path, mark);
    if (isTaken) break;
    if (performance.now() > until) throw Object.assign(new Error(`${path} is held by another process`), { code: 'EBUSY' });
    await breakDead(path, triedAtMs);
    await sleep(LOOK_MS);
  }
  try {
    return await work();
  } finally {
    // Broken by someone who took us for dead: then it is no longer ours to remove.
    if ((await readFile(path, 'utf8').catch(() => '')) === mark) await unlink(path).catch(() => undefined);
  }
}

/** One try; `triedAtMs` is when, by the clock of the file system. */
async function take(path: string, mark: string): Promise<{ readonly isTaken: boolean; readonly triedAtMs: number }> {
  const written = temporaryBeside(path);
  await writeNew(written, mark);
  try {
    const { mtimeMs: triedAtMs } = await stat(written);
    return { isTaken: await linkOrMake(written, path, mark), triedAtMs };
  } finally {
    await unlink(written);
  }
}

/** Takes a dead lock away. Of several who do so at once one moves it; what another has taken meanwhile is put back. */
async function breakDead(path: string, nowMs: number): Promise<void> {
  try {
    if (nowMs - (await stat(path)).mtimeMs < DEAD_MS) return;
    const dead = await readFile(path, 'utf8');
    const aside = temporaryBeside(path);
    await rename(path, aside);
    if ((await readFile(aside, 'utf8')) !== dead) await link(aside, path).catch(() => undefined);
    await unlink(aside);
  } catch {
    // Given back, or moved by another meanwhile: the next try will tell.
  }
}
