/** Our own parser, without what a command does: whether a command line is one of Postern's. */
import yargs from 'yargs';
import { splitLine } from '../../src/cli/tree/line.js';
import { addAll } from '../../src/cli/tree/tree.js';

/** What the parser has against the words behind `postern`; undefined when it takes them. */
export async function faultOfLine(words: readonly string[]): Promise<string | undefined> {
  if (words.includes('--help') || words.includes('--version')) return undefined;
  const { own, command } = splitLine(words);
  let fault: string | undefined;
  const tree = addAll(yargs(own), () => Promise.resolve(), command)
    .strict()
    .help(false)
    .version(false)
    .exitProcess(false)
    .fail((message, thrown) => {
      fault ??= message || String(thrown);
    });
  await tree.parseAsync();
  return fault;
}
