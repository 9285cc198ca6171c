/**
 * What setup is about to do, written down before it does it: a plan, not a log. Whether it was carried out is told by
 * the files themselves, so a crash at any point leaves something that setup and undo can go on from. It never holds
 * a copy of the user's configuration, which may hold secrets: fingerprints and our own bytes only.
 */
import { readFile, rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';

import { messageOf, ProxyError, systemCodeOf } from '../../model/errors.js';
import { makeDirectory, removeFileDurably, writeFileAtomic } from '../../store/atomic-file.js';
import { isKnownHostsJournal, type KnownHostsJournal } from '../known-hosts/entry.js';
import type { Fingerprint } from './insertion.js';

export interface Journal {
  readonly version: 1;
  /** The configuration file as named; symlinks are followed again at undo. */
  readonly file: string;
  /** Whether it was there. */
  readonly existed: boolean;
  readonly before: Fingerprint;
  readonly after: Fingerprint;
  /** The exact text that was added; empty where an include of our file stood there already. */
  readonly inserted: string;
  /** Where, in bytes from the start. */
  readonly offset: number;
  /** Our own file and the digests of what we wrote: the newest, and the one before in case of a crash in between. */
  readonly owned: { readonly path: string; readonly sha256: readonly string[] };
  /** The SSH door's line in a known_hosts file; undefined where it has none. */
  readonly knownHosts?: KnownHostsJournal | undefined;
  /** Directories that setup made, outermost first: taken away again when empty. */
  readonly madeDirectories: readonly string[];
}

/** The journal at a path, or undefined if there is none. @throws ProxyError `git-config` for one that cannot be read. */
export async function readJournal(path: string): Promise<Journal | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw new ProxyError('git-config', `Cannot read the journal of setup, ${path}: ${messageOf(error)}`, { cause: error });
  }
  const journal = parseJournal(text);
  if (journal !== undefined) return journal;
  throw new ProxyError('git-config', `The journal of setup is damaged: ${path}`, {
    todo: 'Remove that file and run postern setup --undo: it then goes by the lines themselves',
  });
}

/** Writes the journal, 0600, and makes its directory. Returns it with the directories made for it. */
export async function writeJournal(path: string, journal: Journal): Promise<Journal> {
  const made = await makeDirectory(dirname(path));
  const whole = { ...journal, madeDirectories: [...journal.madeDirectories, ...made] };
  await writeFileAtomic(path, `${JSON.stringify(whole, undefined, 2)}\n`, { mode: 0o600, force: true });
  return whole;
}

/** Removes the journal and those directories of setup that are empty. The last step of undo. */
export async function removeJournal(path: string, journal: Journal | undefined): Promise<void> {
  await removeFileDurably(path);
  for (const directory of [...(journal?.madeDirectories ?? [])].reverse()) {
    await rmdir(directory).catch((error: unknown) => {
      // Something else lives there by now, or it is gone.
      if (!['ENOTEMPTY', 'EEXIST', 'ENOENT', 'EBUSY'].includes(systemCodeOf(error) ?? '')) throw error;
    });
  }
}

function parseJournal(text: string): Journal | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isJournal(value) ? value : undefined;
}

function isJournal(value: unknown): value is Journal {
  return (
    isRecord(value) &&
    value['version'] === 1 &&
    typeof value['file'] === 'string' &&
    typeof value['existed'] === 'boolean' &&
    isFingerprint(value['before']) &&
    isFingerprint(value['after']) &&
    typeof value['inserted'] === 'string' &&
    Number.isSafeInteger(value['offset']) &&
    isRecord(value['owned']) &&
    typeof value['owned']['path'] === 'string' &&
    isTexts(value['owned']['sha256']) &&
    (value['knownHosts'] === undefined || isKnownHostsJournal(value['knownHosts'])) &&
    isTexts(value['madeDirectories'])
  );
}

function isFingerprint(value: unknown): value is Fingerprint {
  return isRecord(value) && Number.isSafeInteger(value['bytes']) && typeof value['sha256'] === 'string';
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
