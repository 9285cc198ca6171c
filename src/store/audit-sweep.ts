/**
 * Chains whose writers have ended for good, such as those of `postern exec`: they are removed whole when their last record is
 * past its age, and another chain says so.
 */
import type { KeyObject } from 'node:crypto';
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { AuditNote, Unnumbered } from '../model/audit.js';
import { removeFileDurably } from './atomic-file.js';
import { type AuditPlaces, chainNames, fileName, fileNumbers, headPath } from './audit-files.js';
import { readHead } from './audit-head.js';
import { isChainHeld } from './audit-lock.js';

/** Removes what is past its age; gives a note for each chain that went. Rejects with the system's error. */
export async function removeEndedChains(options: {
  readonly places: AuditPlaces;
  readonly key: KeyObject;
  /** The chain of who asks, which has not ended. */
  readonly own: string;
  /** ms. */
  readonly maxAge: number;
  readonly now: number;
}): Promise<Unnumbered<AuditNote>[]> {
  const { places, key, own, maxAge, now } = options;
  const notes: Unnumbered<AuditNote>[] = [];
  for (const chain of await chainNames(places)) {
    if (chain === own) continue;
    const found = await readHead(headPath(places, chain), key, chain);
    // Without a head of ours it is somebody else's, or something to be looked at.
    if (found.kind !== 'head' || !(now - Date.parse(found.head.time) > maxAge)) continue;
    if (await isChainHeld(places.directory, chain)) continue;
    for (const number of await fileNumbers(places.directory, chain)) await unlink(join(places.directory, fileName(chain, number)));
    await removeFileDurably(headPath(places, chain));
    notes.push({
      kind: 'chain-removed',
      time: new Date(now).toISOString(),
      chain,
      count: found.head.seq,
      last: found.head.mac,
    });
  }
  return notes;
}
