/** What can stand at the end of a line that somebody types: commands, options, and values of either. */
import type { CommandEntry, OptionEntry } from './command-table.js';

export interface Candidate {
  readonly value: string;
  /** A few words about it; empty where there is nothing to say. */
  readonly about: string;
}

/** `files`: the shell knows the files better. */
export type Completion = { readonly kind: 'words'; readonly words: readonly Candidate[] } | { readonly kind: 'files' };

/** What a value is of: an option of a command, or a word behind it. `command`: its names, such as `lease revoke`. */
export interface ValuePlace {
  readonly command: string;
  /** Name of the option without dashes, or of the positional. */
  readonly name: string;
  readonly isOption: boolean;
  /** What has been typed of it. */
  readonly begun: string;
}

/** Undefined where nothing is known of such values. */
export type Values = (place: ValuePlace) => Promise<Completion | undefined> | Completion | undefined;

const NOTHING: Completion = { kind: 'words', words: [] };
/** Options of every command; yargs adds them by itself. */
const EVERYWHERE: readonly OptionEntry[] = [{ name: 'help', describe: 'Show help', takesValue: false, hasNo: false }];

/** `words`: those behind `postern`, the last one being typed, and perhaps empty. */
export async function complete(table: CommandEntry, words: readonly string[], values: Values): Promise<Completion> {
  const begun = words.at(-1) ?? '';
  const { command, path, positionals, pending, isBehindDashes } = walked(table, words.slice(0, -1));
  // What stands there is another command's business.
  if (isBehindDashes) return { kind: 'files' };
  const at = { command: path.join(' '), begun };
  if (pending !== undefined) return fitting(await values({ ...at, name: pending.name, isOption: true }), begun);
  const equals = /^--([a-z-]+)=(.*)$/s.exec(begun);
  if (equals !== null) {
    const [, name = '', rest = ''] = equals;
    const found = fitting(await values({ ...at, begun: rest, name, isOption: true }), rest);
    return found.kind === 'files'
      ? found
      : { kind: 'words', words: found.words.map((each) => ({ ...each, value: `--${name}=${each.value}` })) };
  }
  if (begun.startsWith('-')) return fitting({ kind: 'words', words: optionWords(command, words) }, begun);
  const inner = positionals === 0 ? command.commands.map(({ name, describe }) => ({ value: name, about: describe })) : [];
  const name = command.positionals[Math.min(positionals, command.positionals.length - 1)];
  if (name === undefined || (positionals >= command.positionals.length && name !== 'id'))
    return fitting({ kind: 'words', words: inner }, begun);
  const found = fitting(await values({ ...at, name, isOption: false }), begun);
  // `doctor` takes an address, and has a command of its own besides.
  return found.kind === 'files' ? found : fitting({ kind: 'words', words: [...inner, ...found.words] }, begun);
}

interface Walked {
  readonly command: CommandEntry;
  readonly path: readonly string[];
  /** How many words stand behind the command that are no options. */
  readonly positionals: number;
  /** The option whose value comes next. */
  readonly pending: OptionEntry | undefined;
  readonly isBehindDashes: boolean;
}

function walked(table: CommandEntry, words: readonly string[]): Walked {
  let command = table;
  const path: string[] = [];
  let positionals = 0;
  let pending: OptionEntry | undefined;
  for (const word of words) {
    if (pending !== undefined) {
      pending = undefined;
    } else if (word === '--') {
      return { command, path, positionals, pending, isBehindDashes: true };
    } else if (word.startsWith('-')) {
      pending = command.options.find(({ name, takesValue }) => takesValue && word === `--${name}`);
    } else {
      const next = command.commands.find(({ name }) => name === word);
      if (next === undefined) positionals += 1;
      else {
        command = next;
        path.push(word);
      }
    }
  }
  return { command, path, positionals, pending, isBehindDashes: false };
}

/** Settings stand at the end: there are dozens of them. */
function optionWords(command: CommandEntry, typed: readonly string[]): Candidate[] {
  const given = new Set(typed.slice(0, -1));
  return [...command.options, ...EVERYWHERE]
    .flatMap(({ name, describe, hasNo }) => [
      { value: `--${name}`, about: describe },
      ...(hasNo ? [{ value: `--no-${name}`, about: describe }] : []),
    ])
    .filter(({ value }) => !given.has(value));
}

function fitting(found: Completion | undefined, begun: string): Completion {
  if (found === undefined) return NOTHING;
  return found.kind === 'files' ? found : { kind: 'words', words: found.words.filter(({ value }) => value.startsWith(begun)) };
}
