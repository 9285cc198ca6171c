/** What the scripts of scripts.ts ask for while somebody types. */
import type { Context } from '../context.js';
import { visible } from '../visible.js';
import { commandTable } from './command-table.js';
import { complete } from './complete.js';
import { FILES_LINE } from './scripts.js';
import { valuesOf } from './values.js';

/** A few words, not a page: a shell shows them beside the word. */
const LONGEST_ABOUT = 60;

/** Answers a script: `words` are the shell's name and then all that was typed behind `postern`, the last one perhaps empty. */
export async function completeLine(context: Context, [name = '', ...words]: readonly string[]): Promise<number> {
  const system = words.includes('--system');
  const at = words.indexOf('--config');
  const config = at < 0 ? undefined : words[at + 1];
  const found = await complete(commandTable(), words, valuesOf(context, { system, ...(config === undefined ? {} : { config }) }));
  const { line } = context.printer;
  if (found.kind === 'files') line(FILES_LINE);
  else
    for (const { value, about } of found.words)
      // A name from outside could hold a line feed, and begin another candidate.
      line(name === 'bash' ? forBash(visible(value)) : visible(value) + (about === '' ? '' : `\t${visible(short(about))}`));
  return 0;
}

/** Bash puts a candidate on the line as it is, where the others quote it: an address from somebody's repository could be a command there. */
function forBash(value: string): string {
  return value.replace(/[^\p{L}\p{N}_@%+=:,./-]/gu, '\\$&');
}

function short(about: string): string {
  return about.length <= LONGEST_ABOUT ? about : `${about.slice(0, LONGEST_ABOUT - 3)}...`;
}
