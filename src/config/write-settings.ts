/**
 * Adds values to a configuration file, and leaves every byte of the rest as it is: comments, order and spelling are the user's. A value that
 * is there is never changed, and what cannot be added in this way is left to the user, who is told which lines.
 */
import { isDeepStrictEqual } from 'node:util';
import { isMap, isScalar, parseDocument, stringify } from 'yaml';
import type { Document, ParsedNode, YAMLMap } from 'yaml';
import { asMap, ownValue, writeFaults, writeKeyPath } from './fault.js';
import { fileFaults } from './file-schema.js';
import { readSettingsSource } from './settings-source.js';
import { wholeFaults } from './whole-faults.js';

/** A key of the file, or one of a section, with the plain value that it gets. */
export interface SettingsAddition {
  readonly path: readonly [section: string, key?: string];
  readonly value: unknown;
}

export type SettingsEdit =
  | { readonly kind: 'text'; readonly bytes: Buffer }
  /** What could not be added: it has a value already, or stands where no line can be put. */
  | { readonly kind: 'by-hand'; readonly addition: SettingsAddition };

/**
 * What a file with these bytes becomes; `undefined` is a file that is not there. `why`: lines of comment above what is put at its end.
 * The outcome was read again: it says what the file said, and the additions.
 */
export function addToSettings(
  former: Uint8Array | undefined,
  additions: readonly SettingsAddition[],
  why: readonly string[] = [],
): SettingsEdit {
  let bytes: Buffer = Buffer.from(former ?? new Uint8Array());
  let comment = why;
  for (const addition of additions) {
    const edited = added(bytes, addition, comment);
    if (edited === undefined) return { kind: 'by-hand', addition };
    if (edited.isAtEnd) comment = [];
    bytes = edited.bytes;
  }
  return { kind: 'text', bytes };
}

/** The lines of an addition as they can stand in a file. */
export function additionLines({ path: [section, key], value }: SettingsAddition): string[] {
  if (key !== undefined) return [`${section}:`, `  ${entry(key, value)}`];
  if (!Array.isArray(value)) return [entry(section, value)];
  return [`${section}:`, ...value.map((each) => `  - ${flow(each)}`)];
}

function added(before: Buffer, addition: SettingsAddition, comment: readonly string[]): { bytes: Buffer; isAtEnd: boolean } | undefined {
  const old = readSettingsSource(before, '');
  const root = asMap(old.raw);
  if (!old.readable || root === undefined) return undefined;
  const [section, key] = addition.path;
  const isAtEnd = !Object.hasOwn(root, section);
  const text = before.toString('utf8');
  const bytes = Buffer.from(isAtEnd ? text + atEnd(text, addition, comment) : (inSection(text, addition) ?? text));
  const now = readSettingsSource(bytes, '');
  // The proof: a document that ends in a flow map, a block of text or `...` takes no lines more, and aliases may be anywhere.
  const wanted =
    key === undefined
      ? { ...root, [section]: addition.value }
      : { ...root, [section]: { ...asMap(ownValue(root, section)), [key]: addition.value } };
  const isOneMore = key === undefined ? isAtEnd : !Object.hasOwn(asMap(ownValue(root, section)) ?? {}, key);
  return isOneMore && now.readable && isDeepStrictEqual(now.raw, wanted) ? { bytes, isAtEnd } : undefined;
}

function atEnd(text: string, addition: SettingsAddition, comment: readonly string[]): string {
  const gap = text === '' ? '' : text.endsWith('\n') ? '\n' : '\n\n';
  const lines = [...comment.map((line) => (line === '' ? '#' : `# ${line}`)), ...additionLines(addition)];
  return `${gap}${lines.join('\n')}\n`;
}

/** The text with one more key in a section that is there; undefined where the section is no map. */
function inSection(text: string, { path: [section, key], value }: SettingsAddition): string | undefined {
  if (key === undefined) return undefined;
  const document: Document.Parsed = parseDocument(text, { prettyErrors: false, logLevel: 'error' });
  if (!isMap<ParsedNode, ParsedNode | null>(document.contents)) return undefined;
  const pair = document.contents.items.find((item) => isScalar(item.key) && item.key.value === section);
  if (pair === undefined) return undefined;
  const map = pair.value;
  if (isMap<ParsedNode, ParsedNode | null>(map)) return map.flow === true ? inFlow(text, map, key, value) : inBlock(text, map, key, value);
  // `identities:` with nothing behind it.
  if (map !== null && !(isScalar(map) && map.value === null)) return undefined;
  const lineEnd = text.indexOf('\n', pair.key.range[1]);
  const at = lineEnd < 0 ? text.length : lineEnd;
  return `${text.slice(0, at)}\n  ${entry(key, value)}${text.slice(at)}`;
}

/** Behind the bracket. */
function inFlow(text: string, map: YAMLMap.Parsed, key: string, value: unknown): string {
  const at = map.range[0] + 1;
  return `${text.slice(0, at)} ${entry(key, value)}${map.items.length === 0 ? ' ' : ','}${text.slice(at)}`;
}

/** Before the first key, with its indentation. */
function inBlock(text: string, map: YAMLMap.Parsed, key: string, value: unknown): string | undefined {
  const at = map.items[0]?.key.range[0];
  if (at === undefined) return undefined;
  const lineStart = text.lastIndexOf('\n', at - 1) + 1;
  const indentation = text.slice(lineStart, at);
  if (indentation.trim() !== '') return undefined;
  return `${text.slice(0, lineStart)}${indentation}${entry(key, value)}\n${text.slice(lineStart)}`;
}

function entry(key: string, value: unknown): string {
  return `${flow(key)}: ${flow(value)}`;
}

/** On one line. */
function flow(value: unknown): string {
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trimEnd();
}

/** What would be wrong with a file of these bytes, one line each; empty when nothing is. */
export function faultsIn(bytes: Uint8Array, file: string): string[] {
  const source = readSettingsSource(bytes, file);
  if (!source.readable) return writeFaults(source.faults);
  const shape = fileFaults(source.raw).map(({ path, on, text }) => ({ place: source.place(path, on), path: writeKeyPath(path), text }));
  return writeFaults([...source.faults, ...shape, ...wholeFaults(source).faults]);
}
