/** Words that came from outside, made fit for a text that git prints: without tokens, and without what a terminal would act on. */

import { withoutSequences, withoutUnprintable } from '../model/printable.js';

/** Longest piece that is quoted, in characters. */
const LONGEST_QUOTE = 300;
/** The first line of a text that says something, at most 300 characters. */
export function quotedLine(text: string): string {
  const line = withoutSequences(text, '')
    .split('\n')
    .map((each) => withoutUnprintable(each).trim())
    .find((each) => each !== '');
  return (line ?? '').replace(/\beyJ[\w-]{8,}(?:\.[\w-]*){0,2}/g, '[token]').slice(0, LONGEST_QUOTE);
}
