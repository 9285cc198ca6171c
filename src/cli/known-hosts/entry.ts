/**
 * The door's line in a known_hosts file: worked out, written, and taken out again, without touching another byte. setup.ts and
 * undo.ts call this under their lock and between their journal's being written and removed.
 *
 * Limit: ssh locks nothing. A line that ssh adds in the moment between our reading and writing is lost, and ssh asks again.
 */
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { messageOf, ProxyError, systemCodeOf } from '../../model/errors.js';
import { makeDirectory, realTarget, removeFileDurably, removeLeftovers, writeFileAtomic } from '../../store/atomic-file.js';
import { readConfig } from '../gitconfig/config-file.js';
import { fingerprintOf, insertionFor, removeLines, type Fingerprint } from '../gitconfig/insertion.js';
import type { Finding } from '../gitconfig/proof.js';
import { type DoorLine, isKnownBesides, ourLines, rivalsIn, writeDoorLine } from './lines.js';

/** What setup does to a known_hosts file, as its journal has it. */
export interface KnownHostsJournal {
  /** As named; symlinks are followed again at undo. */
  readonly file: string;
  /** Whether it was there. */
  readonly existed: boolean;
  readonly before: Fingerprint;
  /** Our line as it is to stand there. */
  readonly line: string;
  /** The exact text that was added; empty where the user had accepted the key before. */
  readonly inserted: string;
  /** Where, in bytes from the start. */
  readonly offset: number;
}

export interface KnownHostsPlan {
  readonly journal: KnownHostsJournal;
  /** The new content; undefined when nothing is to be written. */
  readonly content: Buffer | undefined;
  readonly findings: readonly Finding[];
}

export interface KnownHostsWish {
  readonly file: string;
  readonly door: DoorLine;
}

/**
 * Works out what has to be written. `earlier` is what the journal says of the same line; `gone` one that is taken out before.
 * @throws ProxyError `git-config` when the file cannot be read
 */
export async function planKnownHosts(
  { file, door }: KnownHostsWish,
  earlier: KnownHostsJournal | undefined,
  gone?: KnownHostsJournal,
): Promise<KnownHostsPlan> {
  const found = await contentOf(file);
  const content = withoutGone(found ?? Buffer.alloc(0), file, gone);
  const line = writeDoorLine(door);
  const findings = rivalsIn(content, door).map(({ line: number, kind }) => rivalFinding(file, number, kind, door));
  const base = { file, existed: found !== undefined, line };
  const standing = removeLines(content, line, earlier?.offset ?? 0);
  if (standing.kind === 'many') throw standsOften(file, standing.times, line);
  if (standing.kind === 'removed') {
    // Ours, and the journal may be lost.
    const offset = content.indexOf(line, 0, 'latin1');
    const adopted = { ...base, before: fingerprintOf(standing.content), inserted: line, offset };
    return { journal: earlier ?? adopted, content: undefined, findings };
  }
  if (isKnownBesides(content, door)) {
    return { journal: { ...base, before: fingerprintOf(content), inserted: '', offset: content.length }, content: undefined, findings };
  }
  const inserted = insertionFor(content, line);
  return {
    journal: { ...base, before: fingerprintOf(content), inserted, offset: content.length },
    content: Buffer.concat([content, Buffer.from(inserted)]),
    findings,
  };
}

/**
 * Makes the directory that a plan needs, and returns what was made, outermost first.
 * @throws ProxyError `git-config` when nothing can be written there
 */
export async function readyDirectory({ journal: { file }, content }: KnownHostsPlan, mode: number): Promise<string[]> {
  if (content === undefined) return [];
  return writing(file, async () => {
    const made = (await stat(dirname(file)).catch(absent)) === undefined ? await makeDirectory(dirname(file), mode) : [];
    await access(dirname(await realTarget(file)), constants.W_OK);
    return made;
  });
}

/** Writes what was planned; the directory is there. A new file is for its owner alone, unless all users are to read it. */
export async function writeKnownHosts({ journal, content }: KnownHostsPlan, isForAll: boolean): Promise<void> {
  if (content === undefined) return;
  await writing(journal.file, async () => {
    const target = await realTarget(journal.file);
    await removeLeftovers(target);
    await writeFileAtomic(target, content, { mode: isForAll ? 0o644 : 0o600 });
  });
}

export interface TakeOut {
  readonly journal: KnownHostsJournal | undefined;
  /** Where the file is if there is no journal. */
  readonly usual: string;
  readonly isDry: boolean;
  readonly print: (line: string) => void;
}

/**
 * Takes the line out, or says what that would do. What was `restored` is byte for byte as before setup.
 * @throws ProxyError `git-config` when the file cannot be read or written, or the line stands there more than once
 */
export async function takeOutKnownHosts(options: TakeOut): Promise<'nothing' | 'restored' | 'line-removed' | 'already-gone'> {
  const { journal, isDry, print } = options;
  const file = journal?.file ?? options.usual;
  const content = await contentOf(file);
  const inserted = journal?.inserted ?? (content === undefined ? '' : (ourLines(content)[0] ?? ''));
  if (inserted === '') return 'nothing';
  if (content === undefined) {
    print(`${file} is not there${journal?.existed === false ? ', as before setup' : ' any more'}`);
    return journal?.existed === false ? 'restored' : 'already-gone';
  }
  const target = await realTarget(file);
  const removal = removeLines(content, inserted, journal?.offset ?? 0);
  if (removal.kind === 'many') throw standsOften(file, removal.times, inserted);
  if (removal.kind === 'absent') {
    print(`The door's line is not in ${file} any more; it stays as it is`);
    const isBefore = journal !== undefined && isSame(fingerprintOf(content), journal.before);
    return isBefore ? 'restored' : 'already-gone';
  }
  const goes = removal.content.length === 0 && journal?.existed === false;
  if (!isDry) {
    await writing(file, async () => {
      await removeLeftovers(target);
      if (goes) await removeFileDurably(target);
      else await writeFileAtomic(target, removal.content, { mode: 0o600 });
    });
    const now = await contentOf(file);
    if (goes ? now !== undefined : now?.equals(removal.content) !== true) throw changedMeanwhile(file);
  }
  if (journal !== undefined && isSame(fingerprintOf(removal.content), journal.before)) {
    const how = journal.existed ? 'byte for byte' : 'byte for byte: it was not there before setup, and is not now';
    print(`${isDry ? 'Would restore' : 'Restored'} ${file} ${how} (sha256 ${journal.before.sha256})`);
    return 'restored';
  }
  const why = journal === undefined ? 'there is no journal to compare with' : 'the file has changed since setup';
  print(`${isDry ? "Would remove only the door's line from" : "Only the door's line was removed from"} ${file}; ${why}`);
  return 'line-removed';
}

/** Whether there is a line of ours that no journal tells of. */
export async function hasDoorLine(file: string): Promise<boolean> {
  const content = await contentOf(file);
  return content !== undefined && ourLines(content).length > 0;
}

export function isKnownHostsJournal(value: unknown): value is KnownHostsJournal {
  if (typeof value !== 'object' || value === null) return false;
  const { file, existed, before, line, inserted, offset } = value as Readonly<Record<string, unknown>>; // any record; each field is looked at
  return (
    [file, line, inserted].every((each) => typeof each === 'string') &&
    typeof existed === 'boolean' &&
    Number.isSafeInteger(offset) &&
    typeof before === 'object' &&
    before !== null &&
    'bytes' in before &&
    'sha256' in before &&
    Number.isSafeInteger(before.bytes) &&
    typeof before.sha256 === 'string'
  );
}

/** The content; undefined where the file or its directory is not there. */
async function contentOf(file: string): Promise<Buffer | undefined> {
  return readConfig(file).catch((thrown: unknown) => {
    if (thrown instanceof ProxyError && systemCodeOf(thrown.cause) === 'ENOTDIR') return undefined;
    throw thrown;
  });
}

function withoutGone(content: Buffer, file: string, gone: KnownHostsJournal | undefined): Buffer {
  if (gone?.file !== file) return content;
  const removal = removeLines(content, gone.inserted, gone.offset);
  return removal.kind === 'removed' ? removal.content : content;
}

function rivalFinding(file: string, number: number, kind: 'other-key' | 'revoked', { names }: DoorLine): Finding {
  const name = names[0] ?? '';
  const removal = `ssh-keygen -R '${name}' -f ${file}`;
  if (kind === 'revoked') {
    return {
      kind: 'ssh-host-key',
      lines: [`line ${number} of ${file} revokes the door's key, so ssh refuses the door`, `remove that line if it is wrong: ${removal}`],
    };
  }
  return {
    kind: 'ssh-host-key',
    lines: [
      `line ${number} of ${file} has another key for the door's address, ${name}: ssh believes whoever has that key`,
      `remove that line if it is old: ${removal}, then run postern setup again`,
    ],
  };
}

function standsOften(file: string, times: number, line: string): ProxyError {
  return new ProxyError('git-config', `The line of the door stands ${times} times in ${file}`, {
    todo: `Leave one of them and run this again: ${line.split(' ')[0] ?? ''}`,
  });
}

async function writing<Result>(file: string, work: () => Promise<Result>): Promise<Result> {
  return work().catch((thrown: unknown) => {
    throw new ProxyError('git-config', `Cannot write ${file}: ${messageOf(thrown)}`, {
      todo: 'Run as a user who may change the file and its directory, or switch the SSH door off: `listen: { ssh: off }`',
      cause: thrown,
    });
  });
}

function changedMeanwhile(file: string): ProxyError {
  return new ProxyError('git-config', `${file} was changed by another program while the door's line was taken out`, {
    todo: 'Look at the file, then run postern setup --undo again',
  });
}

function isSame(one: Fingerprint, other: Fingerprint): boolean {
  return one.bytes === other.bytes && one.sha256 === other.sha256;
}

function absent(thrown: unknown): undefined {
  if (systemCodeOf(thrown) === 'ENOENT' || systemCodeOf(thrown) === 'ENOTDIR') return undefined;
  throw thrown;
}
