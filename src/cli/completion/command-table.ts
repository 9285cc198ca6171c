/**
 * The tree of commands as data: what is said to yargs when it is built, noted instead of acted upon. So that what the shell completes
 * is what there is, and nothing has to be written twice.
 */
import { addAll } from '../tree/tree.js';
import type { Tree } from '../tree/words.js';

export interface OptionEntry {
  /** Without dashes. */
  readonly name: string;
  readonly describe: string;
  /** Whether a value follows. */
  readonly takesValue: boolean;
  /** Whether its `--no-` form says something that leaving it out does not. */
  readonly hasNo: boolean;
}

export interface CommandEntry {
  /** The word that names it; empty for the root. */
  readonly name: string;
  readonly describe: string;
  /** Names of what stands behind it, in order: `identity`, `url`. The last one may come more than once. */
  readonly positionals: readonly string[];
  readonly options: readonly OptionEntry[];
  readonly commands: readonly CommandEntry[];
}

/** The whole tree. Cheap: no command is loaded. */
export function commandTable(): CommandEntry {
  return noted('', '', (tree) => {
    addAll(tree, () => Promise.resolve(), undefined);
  });
}

function noted(usage: string, describe: string, build: (tree: Tree) => void): CommandEntry {
  const [name = '', ...rest] = usage.split(' ');
  const options = new Map<string, OptionEntry>();
  const commands: CommandEntry[] = [];
  const note = (option: string, about: unknown): void => {
    const describe = textOf(about, 'describe');
    const hasNo = describe.includes(`--no-${option}`) || member(about, 'default') === true;
    options.set(option, { name: option, describe, takesValue: textOf(about, 'type') === 'string', hasNo });
  };
  const calls: Readonly<Record<string, (...words: readonly unknown[]) => void>> = {
    option: (first, about) => note(String(first), about),
    options: (all) => {
      for (const [option, about] of Object.entries(all as Record<string, unknown>)) note(option, about); // as yargs takes it
    },
    command: (use, about, builder) => {
      commands.push(noted(String(use), String(about), typeof builder === 'function' ? (builder as (tree: Tree) => void) : () => undefined));
    },
  };
  // Whatever else is said to yargs does not matter here.
  const recorder: unknown = new Proxy(
    {},
    {
      get: (_, called) =>
        typeof called !== 'string'
          ? undefined
          : (...words: readonly unknown[]) => {
              calls[called]?.(...words);
              return recorder;
            },
    },
  );
  build(recorder as Tree); // because it is spoken to as one
  return { name, describe, positionals: rest.map((word) => word.replace(/[^a-z-]/g, '')), options: [...options.values()], commands };
}

function member(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
}

function textOf(value: unknown, key: string): string {
  const found = member(value, key);
  return typeof found === 'string' ? found : '';
}
