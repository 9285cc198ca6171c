/**
 * The tree of commands as values: builds it without running it, and writes down what it is told. It has those methods of yargs that the
 * tree uses; another one is an error that names it, so that nothing is left out of what is made of this.
 */
import type { Tree } from '../../src/cli/tree/words.js';
import { addAll } from '../../src/cli/tree/tree.js';

export interface CommandOption {
  readonly name: string;
  readonly describe: string;
  readonly type: string;
  readonly isList: boolean;
  readonly isRequired: boolean;
  /** As someone would write it; undefined where it has none. */
  readonly fallback: string | undefined;
  readonly choices: readonly string[];
  readonly aliases: readonly string[];
  /** Heading that help puts it under. */
  readonly group: string | undefined;
}

export interface Command {
  /** Words after `postern`; empty for the program itself. */
  readonly path: readonly string[];
  /** How its words behind the path are written, such as `<id> [organization]`. */
  readonly words: string;
  readonly describe: string;
  /** What its usage says beside that. */
  readonly usage: string | undefined;
  readonly positionals: readonly CommandOption[];
  readonly options: readonly CommandOption[];
  readonly examples: readonly Example[];
  /** What stands below its help. */
  readonly notes: readonly string[];
  /** Whether it does something without one of the commands below it. */
  readonly isRunnable: boolean;
}

/** A command line and what it is for. */
export interface Example {
  readonly line: string;
  readonly about: string;
}

/** What yargs is given for an option. */
interface Given {
  readonly type?: string;
  readonly array?: boolean;
  readonly describe?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly defaultDescription?: string;
  readonly demandOption?: boolean | string;
  readonly choices?: readonly unknown[];
  readonly alias?: string | readonly string[];
  readonly group?: string;
  readonly hidden?: boolean;
}

/** Every command, in the order in which help shows them, each before those below it. The first is the program itself. */
export function recordTree(): Command[] {
  const root = new Recorder([], '', '');
  addAll(root.asTree(), () => Promise.resolve(), undefined);
  return root.all();
}

const CHAINED = [
  'strict',
  'strictCommands',
  'strictOptions',
  'scriptName',
  'version',
  'help',
  'wrap',
  'conflicts',
  'implies',
  'check',
  'parserConfiguration',
  'completion',
  'recommendCommands',
  'fail',
  'exitProcess',
  'showHelpOnFail',
  'coerce',
  'requiresArg',
  'locale',
  'group',
  'nargs',
  'middleware',
];

class Recorder {
  readonly #path: readonly string[];
  readonly #words: string;
  #describe: string;
  #usage: string | undefined;
  #isRunnable: boolean;
  readonly #positionals: CommandOption[] = [];
  readonly #options: CommandOption[] = [];
  readonly #examples: Example[] = [];
  readonly #notes: string[] = [];
  readonly #below: Recorder[] = [];

  constructor(path: readonly string[], words: string, describe: string) {
    this.#path = path;
    this.#words = words;
    this.#describe = describe;
    // The program itself does something alone only where the tree has `$0`.
    this.#isRunnable = path.length > 0;
  }

  all(): Command[] {
    return [
      {
        path: this.#path,
        words: this.#words,
        describe: this.#describe,
        usage: this.#usage,
        positionals: this.#positionals,
        options: this.#options,
        examples: this.#examples,
        notes: this.#notes,
        isRunnable: this.#isRunnable,
      },
      ...this.#below.flatMap((command) => command.all()),
    ];
  }

  /** Itself in the form that the tree is written for. */
  asTree(): Tree {
    const methods: Record<string, (...given: never[]) => unknown> = {
      command: (line: string | readonly string[], describe: string | false, build?: unknown) => {
        this.#command(typeof line === 'string' ? line : (line[0] ?? ''), describe, build);
        return tree;
      },
      option: (name: string, given: Given) => {
        if (given.hidden !== true) this.#options.push(optionOf(name, given));
        return tree;
      },
      options: (all: Readonly<Record<string, Given>>) => {
        for (const [name, given] of Object.entries(all)) if (given.hidden !== true) this.#options.push(optionOf(name, given));
        return tree;
      },
      positional: (name: string, given: Given) => {
        this.#positionals.push(optionOf(name, given));
        return tree;
      },
      example: (line: string, about: string) => {
        this.#examples.push({ line: line.replaceAll('$0', 'postern'), about });
        return tree;
      },
      usage: (text: string) => {
        this.#usage = text.replaceAll('$0', 'postern');
        return tree;
      },
      epilogue: (text: string) => {
        this.#notes.push(text.replaceAll('$0', 'postern'));
        return tree;
      },
      demandCommand: () => {
        this.#isRunnable = false;
        return tree;
      },
    };
    for (const name of CHAINED) methods[name] = () => tree;
    const tree = new Proxy(methods, {
      get(target, name) {
        const method = typeof name === 'string' ? target[name] : undefined;
        if (method === undefined) throw new TypeError(`the recorder of commands does not know the method ${String(name)} of yargs`);
        return method;
      },
    }) as unknown as Tree; // the part of it that the tree of commands uses
    return tree;
  }

  #command(line: string, describe: string | false, build: unknown): void {
    if (describe === false) return;
    const [name = '', ...words] = line.split(/\s+/);
    // `$0` is what the program does without a command.
    const path = name === '$0' || name === '*' ? this.#path : [...this.#path, name];
    const below = new Recorder(path, words.join(' '), describe);
    if (typeof build === 'function') (build as (tree: Tree) => unknown)(below.asTree());
    if (path === this.#path) [this.#isRunnable, this.#describe] = [true, describe];
    else this.#below.push(below);
  }
}

function optionOf(name: string, given: Given): CommandOption {
  return {
    name,
    describe: given.describe ?? given.description ?? '',
    type: given.type ?? 'string',
    isList: given.array === true,
    isRequired: given.demandOption !== undefined && given.demandOption !== false,
    fallback: given.defaultDescription ?? writtenDefault(given.default),
    choices: (given.choices ?? []).map(String),
    aliases: typeof given.alias === 'string' ? [given.alias] : (given.alias ?? []),
    group: given.group?.replace(/:$/, ''),
  };
}

/** @throws TypeError for one that nobody could write */
function writtenDefault(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  return values
    .map((each) => {
      if (typeof each === 'string' || typeof each === 'number' || typeof each === 'boolean') return String(each);
      throw new TypeError('a default that is no word');
    })
    .join(',');
}
