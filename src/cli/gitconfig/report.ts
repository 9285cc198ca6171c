/**
 * What setup says: the plan of a dry run and the findings, as lines for a person. Nothing here touches a file.
 */
import type { KnownHostsPlan } from '../known-hosts/entry.js';
import type { Journal } from './journal.js';
import type { Places } from './places.js';
import type { Plan } from './plan.js';
import type { Finding } from './proof.js';

type Print = (line: string) => void;

export interface DryRun {
  readonly plan: Plan;
  readonly places: Places;
  readonly target: string;
  /** An earlier setup in other files, which would be undone first. */
  readonly moved: Journal | undefined;
  readonly print: Print;
}

/** Prints exactly what would be written and where. */
export function printDryRun({ plan, places, target, moved, print }: DryRun): void {
  if (moved !== undefined) print(`Would first undo the earlier setup in ${moved.file} and ${moved.owned.path}`);
  if (plan.owned === undefined) {
    print(`Would leave ${places.owned} as it is: it is up to date`);
  } else {
    if (plan.edited !== undefined) print(`Would keep a copy of the edited ${places.owned} as ${places.owned}.saved`);
    print(`Would write ${places.owned} (${Buffer.byteLength(plan.owned)} bytes):`);
    printText(plan.owned, print);
  }
  const name = target === places.config ? target : `${places.config} (a link to ${target})`;
  if (plan.config === undefined) {
    print(`Would leave ${name} as it is: it includes that file already`);
  } else {
    const { existed, before, inserted } = plan.journal;
    const newline = inserted.startsWith('\n') ? ', after a newline, which its last line lacks' : '';
    print(`Would ${existed ? `append to ${name}, ${before.bytes} bytes long${newline}` : `create ${name}`}:`);
    printText(inserted.replace(/^\n/, ''), print);
  }
  if (plan.knownHosts !== undefined) printKnownHosts(plan.knownHosts, print);
  if (plan.journalChanges) print(`Would note in ${places.journal} how to undo that`);
  print('Nothing was changed');
}

function printKnownHosts({ journal, content }: KnownHostsPlan, print: Print): void {
  const { file, existed, before, inserted } = journal;
  if (content === undefined) {
    print(`Would leave ${file} as it is: it has the key of the SSH door already`);
    return;
  }
  const newline = inserted.startsWith('\n') ? ', after a newline, which its last line lacks' : '';
  print(`Would ${existed ? `append to ${file}, ${before.bytes} bytes long${newline}` : `create ${file}`}:`);
  printText(inserted.replace(/^\n/, ''), print);
}

/** Prints each finding as a warning with what to do. */
export function printFindings(findings: readonly Finding[], print: Print): void {
  for (const { lines } of findings) {
    print(`warning: ${lines[0]}`);
    print(`  what to do: ${lines[1]}`);
  }
}

function printText(text: string, print: Print): void {
  for (const line of text.replace(/\n$/, '').split('\n')) print(`  | ${line}`);
}
