/**
 * The few bytes that setup adds to a configuration file and undo takes out again, as a pure matter of bytes: the file
 * is never parsed and written anew, so whatever stands in it (comments, blanks, CRLF, other encodings) stays as it is.
 */
import { createHash } from 'node:crypto';

import { writeValue } from './quoting.js';

const COMMENT = '# Added by `postern setup`; `postern setup --undo` takes these lines out.\n';

/** Length and digest of a content: enough to recognise it, nothing to learn from it. */
export interface Fingerprint {
  readonly bytes: number;
  readonly sha256: string;
}

export function fingerprintOf(content: Uint8Array | string): Fingerprint {
  return { bytes: Buffer.byteLength(content), sha256: createHash('sha256').update(content).digest('hex') };
}

/** The lines that include our file. */
export function includeBlock(owned: string): string {
  return `${COMMENT}[include]\n\tpath = ${writeValue(owned)}\n`;
}

/** What is to be appended to a content: the block, after a newline if the last line has none. */
export function insertionFor(content: Buffer, block: string): string {
  const open = content.length > 0 && content[content.length - 1] !== 0x0a;
  return (open ? '\n' : '') + block;
}

/** What became of an insertion: the content without it, or why it cannot be taken out. */
export type Removal =
  { readonly kind: 'removed'; readonly content: Buffer } | { readonly kind: 'absent' } | { readonly kind: 'many'; readonly times: number };

/**
 * Takes an include out of a configuration, as `removeLines`; the heading `[include]` is left if settings follow that belong to it.
 */
export function removeInsertion(content: Buffer, inserted: string, offset: number): Removal {
  return removeLines(content, inserted, offset, (after) => (headingStaysFor(after) ? '[include]\n' : ''));
}

/**
 * Takes an insertion out of a content. It is looked for at `offset` first and then anywhere, where it must stand
 * exactly once. What was written after it stays whole: the newline that ended the line before ours is left if
 * something follows. `instead` tells what has to stand in its place, from what follows.
 */
export function removeLines(content: Buffer, inserted: string, offset: number, instead: (after: Buffer) => string = () => ''): Removal {
  const block = Buffer.from(inserted.replace(/^\n/, ''));
  const opening = inserted.startsWith('\n') ? 1 : 0;
  if (block.length === 0) return { kind: 'absent' };
  let start = offset + opening;
  const places = placesOf(block, content);
  if (!places.includes(start)) {
    if (places.length > 1) return { kind: 'many', times: places.length };
    if (places[0] === undefined) return { kind: 'absent' };
    start = places[0];
  }
  const after = content.subarray(start + block.length);
  const newline = opening === 1 && after.length === 0 && content[start - 1] === 0x0a ? 1 : 0;
  return { kind: 'removed', content: Buffer.concat([content.subarray(0, start - newline), Buffer.from(instead(after)), after]) };
}

/** Where a block stands, as whole lines. */
function placesOf(block: Buffer, content: Buffer): number[] {
  const places: number[] = [];
  for (let at = content.indexOf(block); at !== -1; at = content.indexOf(block, at + block.length)) {
    if (at === 0 || content[at - 1] === 0x0a) places.push(at);
  }
  return places;
}

/** Whether the next line that is neither blank nor comment is a setting, not a heading. */
function headingStaysFor(after: Buffer): boolean {
  const text = after.toString('latin1');
  const next = text.split('\n').find((line) => /^\s*[^\s#;]/.test(line));
  return next !== undefined && !/^\s*\[/.test(next);
}
