/** `postern completion SHELL`, and what the script that it prints asks for while somebody types. */
import { ProxyError } from '../../model/errors.js';
import type { Context } from '../context.js';
import { commandTable } from '../completion/command-table.js';
import { complete } from '../completion/complete.js';
import { FILES_LINE, SCRIPTS, type Shell, SHELLS } from '../completion/scripts.js';
import { valuesOf } from '../completion/values.js';
import { visible } from '../visible.js';

/** A few words, not a page: a shell shows them beside the word. */
const LONGEST_ABOUT = 60;

/** @throws ProxyError `usage` */
export function completion({ printer }: Context, name: string): number {
  const shell = shellOf(name);
  if (shell === undefined)
    throw new ProxyError('usage', 'There is no completion for that shell', { todo: `name one of ${SHELLS.join(', ')}` });
  printer.line(SCRIPTS[shell].trimEnd());
  return 0;
}

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
      line(visible(value) + (name === 'bash' || about === '' ? '' : `\t${visible(short(about))}`));
  return 0;
}

function short(about: string): string {
  return about.length <= LONGEST_ABOUT ? about : `${about.slice(0, LONGEST_ABOUT - 3)}...`;
}

function shellOf(name: string): Shell | undefined {
  return SHELLS.find((known) => known === name);
}
