/**
 * Tells that a file is another one than before. It is looked at from time to time, by its name: that also notices a file that was
 * replaced, one behind a link that was turned elsewhere (as volumes of Kubernetes are changed), and one on a network's disk, of
 * which the kernel would tell nothing.
 */
import { stat } from 'node:fs/promises';
import type { Clock } from '../model/ports.js';

/** As often as someone who has just saved a file would wait; one look costs microseconds. */
const LOOK_MS = 1_000;

export interface FileWatch {
  /** What is there now is known: it is about to be read. */
  readonly note: () => Promise<void>;
  readonly end: () => void;
}

/**
 * Calls `changed` when the file at `path` has become another one and stayed so for one look more: an editor may write it in
 * pieces. That it is gone is no change: something is about to come, or the last one stays in force.
 */
export function watchFile(path: string, clock: Clock, changed: () => void, lookMs = LOOK_MS): FileWatch {
  let known: string | undefined;
  let seen: string | undefined;
  let cancel: () => void = () => undefined;
  let isEnded = false;
  const look = async (): Promise<void> => {
    const now = await stampOf(path);
    if (isEnded) return;
    known ??= now;
    const isSettled = now === seen;
    seen = now;
    if (now !== '' && now !== known && isSettled) {
      known = now;
      changed();
    }
    cancel = clock.after(lookMs, () => void look());
  };
  void look();
  return {
    note: async () => {
      known = await stampOf(path);
    },
    end: () => {
      isEnded = true;
      cancel();
    },
  };
}

/** What is different when the file is; empty when there is none. */
async function stampOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
  } catch {
    return '';
  }
}
