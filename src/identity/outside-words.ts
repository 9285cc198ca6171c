/** Words that came from outside, made fit for a text that git prints: without tokens, and without what a terminal would act on. */

/** Longest piece that is quoted, in characters. */
const LONGEST_QUOTE = 300;
/** Control sequences of ECMA-48, which colour what is printed. */
const SEQUENCES = /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]/g;

/** The first line of a text that says something, at most 300 characters. */
export function quotedLine(text: string): string {
  const line = text
    .replace(SEQUENCES, '')
    .split('\n')
    .map((each) => each.replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ').trim())
    .find((each) => each !== '');
  return (line ?? '').replace(/\beyJ[\w-]{8,}(?:\.[\w-]*){0,2}/g, '[token]').slice(0, LONGEST_QUOTE);
}
