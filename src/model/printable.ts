/** Words that came from outside, made fit to be printed: nothing in them acts on a terminal, turns text around, or hides. */

/** Sequences of ECMA-48 that a terminal acts on: control sequences (colours, cursor) and command strings (titles, links). */
const ESCAPE_SEQUENCES =
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|(?:\u001b[\]P^_X]|[\u009d\u0090\u009e\u009f\u0098])[^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c|$)/g;
/** Characters that are not shown as themselves: controls, directions, separators of lines, nothing visible. */
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** The text with `instead` in the place of each escape sequence. */
export function withoutSequences(text: string, instead = ' '): string {
  return text.replace(ESCAPE_SEQUENCES, instead);
}

/** The text with a blank in the place of each character that is not shown as itself, line breaks too. */
export function withoutUnprintable(text: string): string {
  return text.replace(UNPRINTABLE, ' ');
}

/** One line: sequences and what is not shown out, white space folded, at most `longest` characters and then `...`. */
export function printableLine(text: string, longest: number): string {
  const plain = withoutUnprintable(withoutSequences(text)).replace(/\s+/g, ' ').trim();
  // Half of a character that the cut went through is left out.
  return plain.length > longest ? `${plain.slice(0, longest).replace(/[\ud800-\udbff]$/, '')}...` : plain;
}
