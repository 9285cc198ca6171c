/** `postern doctor --fix`: shows what would be run for what is wrong, asks before each, does it, and says what was done. */
import type { CheckRow } from '../../model/check.js';
import { messageOf, ProxyError } from '../../model/errors.js';
import { Interrupted } from '../first-run/asker.js';
import { visible } from '../visible.js';
import type { Fix } from './check.js';

/** What became of one. */
export interface Mended {
  readonly fix: string;
  readonly commands: readonly string[];
  readonly outcome: 'done' | 'declined' | 'failed';
  /** What was done, or why not. */
  readonly lines: readonly string[];
}

/** Says yes or no to a question. */
export type Ask = (question: string) => Promise<boolean>;

/**
 * Goes through the fixes that rows offer, in their order and each once. `tried`: those of earlier rounds, which are not offered again.
 * Never throws: what a fix throws is told in its lines.
 */
export async function mend(
  rows: readonly CheckRow[],
  fixes: ReadonlyMap<string, Fix>,
  { ask, tried, note }: { readonly ask: Ask; readonly tried: Set<string>; readonly note: (line: string) => void },
): Promise<Mended[]> {
  const done: Mended[] = [];
  // Commands and what programs say hold names from outside.
  const tell = (line: string): void => note(visible(line));
  for (const row of rows) {
    if ((row.verdict !== 'failed' && row.verdict !== 'warning') || row.fix === undefined || tried.has(row.fix)) continue;
    const fix = fixes.get(row.fix);
    if (fix === undefined) continue;
    tried.add(row.fix);
    tell(`To mend "${row.name}":`);
    for (const command of fix.commands) tell(`  ${command}`);
    const mended = await tryFix(row.fix, fix, ask);
    for (const line of mended.lines) tell(`  ${line}`);
    done.push(mended);
  }
  return done;
}

async function tryFix(name: string, { commands, mend: carryOut }: Fix, ask: Ask): Promise<Mended> {
  if (!(await ask('Do that?'))) return { fix: name, commands, outcome: 'declined', lines: ['left as it is'] };
  try {
    return { fix: name, commands, outcome: 'done', lines: await carryOut() };
  } catch (thrown) {
    const todo = thrown instanceof ProxyError && thrown.todo !== undefined ? [`what to do: ${thrown.todo}`] : [];
    const details = thrown instanceof ProxyError ? thrown.details : [];
    return { fix: name, commands, outcome: 'failed', lines: [`it did not work: ${messageOf(thrown)}`, ...details, ...todo] };
  }
}

/** Asks on the terminal; Enter alone is no, and so is Ctrl-C. */
export const askOnTerminal: Ask = async (question) => {
  const { terminalAsker } = await import('../first-run/terminal-asker.js');
  try {
    return await terminalAsker().confirm(question, false);
  } catch (thrown) {
    if (thrown instanceof Interrupted) return false;
    throw thrown;
  }
};
