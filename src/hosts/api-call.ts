/**
 * A call of the REST API as the tables beside this file see it: its path from `_apis` (or `_packaging`) on, as words.
 *
 *   pattern = word *( "/" word )       word = a name | name "*" (begins so) | "*" (any one) | "**" (any number, also none)
 *
 * There are two readings. By the exact one something is granted: a word counts only where it is spelled as every server spells it, but
 * for its case. By the wide one something is refused: a word counts also in a spelling that some server or something on the way could
 * take for it (full-width letters, invisible ones, `name;parameter`, a dot or a blank at the end, which Windows drops).
 */
import { caselessName, foldName } from '../model/fold.js';

/** Names of a path from its mark on, decoded, in the caller's own case. */
export type ApiCall = readonly string[];

/** Words that some calls have before their area (`_apis/public/gallery/...`). */
const BEFORE_AREA: ReadonlySet<string> = new Set(['public', 'internal']);

/** Whether a call is surely one of `pattern`. */
export function isCall(call: ApiCall, pattern: string): boolean {
  return matches(pattern.split('/'), call.map(caselessName));
}

/** Whether a call is, or could be taken for, one of `pattern`. */
export function mayBeCall(call: ApiCall, pattern: string): boolean {
  const words = call.map(wideWord);
  const wanted = pattern.split('/');
  if (matches(wanted, words)) return true;
  const [mark = '', before = '', ...rest] = words;
  return BEFORE_AREA.has(before) && matches(wanted, [mark, ...rest]);
}

/** A word in the form in which all that may be the same is equal. */
export function wideWord(name: string): string {
  return foldName(name)
    .replace(/[\p{Cf}\p{Default_Ignorable_Code_Point}]/gu, '')
    .replace(/;.*$/s, '')
    .replace(/^\s+|[\s.]+$/gu, '');
}

function matches(pattern: readonly string[], words: readonly string[]): boolean {
  const [wanted, ...rest] = pattern;
  if (wanted === undefined) return words.length === 0;
  if (wanted === '**') {
    if (rest.length === 0) return true;
    return words.some((_, at) => matches(rest, words.slice(at)));
  }
  const [word, ...others] = words;
  if (word === undefined) return false;
  const fits = wanted.endsWith('*') ? word.startsWith(wanted.slice(0, -1)) : word === wanted;
  return fits && matches(rest, others);
}
