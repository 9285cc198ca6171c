/**
 * The end of a daemon's work: how long it waits for what has begun, and what it says of what it cuts.
 *
 * An operation runs from its `info/refs` until its last request is answered and git has closed its connection, or a grace after
 * that (gate/conversations.ts). Only when nothing has begun any more, or `drain.max` has passed, are connections closed.
 */
import type { Ledger } from '../gate/ledger.js';
import type { LogFields } from '../model/ports.js';
import type { OperationRecord } from '../model/record.js';
import type { Settings } from '../model/settings.js';
import type { DaemonLog } from './log.js';

/** How often a stopping daemon looks whether the last operation has ended. */
export const DRAIN_LOOK_MS = 50;

/** A door, as far as it matters here. */
interface Door {
  readonly awaited: number;
  stopAccepting(): void;
  drain(): void;
}

export interface DrainParts {
  readonly doors: readonly Door[];
  readonly ledger: Ledger;
  readonly drain: Settings['drain'];
  readonly log: DaemonLog;
  /** Whether nothing is to be waited for any longer. */
  readonly isCut: () => boolean;
}

/** Waits as configured; gives how many operations have to be cut, which it has named in the log. */
export async function drainDoors({ doors, ledger, drain, log, isCut }: DrainParts): Promise<number> {
  // Not the wall clock, which may be set while we wait.
  const startedAt = performance.now();
  const isOver = (ms: number): boolean => isCut() || performance.now() - startedAt >= ms;
  for (const door of doors) door.stopAccepting();
  while (!isOver(Math.min(drain.min, drain.max))) await pause(DRAIN_LOOK_MS);
  for (const door of doors) door.drain();
  const isBusy = (): boolean =>
    ledger.running().length > 0 || ledger.conversations.open.length > 0 || doors.some(({ awaited }) => awaited > 0);
  while (isBusy() && !isOver(drain.max)) await pause(DRAIN_LOOK_MS);
  const running = ledger.running();
  const between = ledger.conversations.between.map(({ record }) => record);
  for (const record of running) log.log('warn', 'transfer-cut', cutFields(record));
  // git is at work and would have gone on.
  for (const record of between) log.log('warn', 'transfer-cut', { ...cutFields(record), betweenRequests: true });
  return running.length + between.length;
}

/** Waits, and keeps the process alive meanwhile. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function cutFields({ id, kind, repository, caller, bytesUp, bytesDown }: OperationRecord): LogFields {
  return { id, operation: kind, repository, caller, bytesUp, bytesDown };
}
