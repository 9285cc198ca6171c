/** docs/CLI.md, made from the tree of commands: each with its words, options, examples and exit codes. */
import { type Command, type CommandOption, type Example, recordTree } from './command-tree.js';
import { FIRST, SHOWN, STAGED } from './cli-stage.js';
import { prose } from './markdown.js';
import { type ExitCode, EXIT_CODES, OWN_EXIT_CODES } from './exit-codes.js';

/** Options that are the settings of the configuration: said once. */
const SETTINGS_GROUP = 'Settings';

/** The page. @throws Error naming a command or option that says nothing of itself, or an exit code of a command that is none */
export function writeCliReference(commands: readonly Command[] = recordTree()): string {
  const [program, ...all] = commands;
  const names = new Set(all.map(nameOf));
  for (const name of Object.keys(OWN_EXIT_CODES))
    if (!names.has(name)) throw new Error(`there is no command \`${name}\` to have exit codes`);
  for (const name of [...Object.keys(STAGED), ...Object.keys(SHOWN)])
    if (!names.has(name)) throw new Error(`there is no command \`${name}\` to show examples of`);
  const settings = all.flatMap(({ options }) => options).find(({ name }) => name === 'config');
  const runnable = all.filter(({ isRunnable }) => isRunnable);
  return [
    '# Commands\n',
    'Made by `npm run docs` from the program itself; `postern --help` and `postern COMMAND --help` show the same.\n',
    program?.isRunnable === true
      ? `\`postern\` without a command: ${lowerFirst(program.describe || 'says what state things are in')}.\n`
      : '',
    '| command | |\n|---|---|',
    ...runnable.map((command) => `| [\`postern ${nameOf(command)}\`](#${anchorOf(command)}) | ${prose(command.describe)} |`),
    '\n## What all have in common\n',
    '`--help` says what a command does, `--version` which Postern it is. What a command prints as its result goes to stdout, everything else to',
    'stderr. Colour is for terminals, and not with `NO_COLOR`. What `--json` prints is stable: keys may come, none goes or changes its meaning.\n',
    exitTable(EXIT_CODES),
    '\nA failure ends with a line `more: postern explain CODE`; [ERRORS.md](ERRORS.md) has every code.\n',
    '### Settings\n',
    settings === undefined ? '' : `\`--config FILE\`: ${settings.describe}. `,
    'Commands that read the configuration take it, and a flag for each setting that holds one value:',
    'they are listed in [CONFIGURATION.md](CONFIGURATION.md#flags-and-variables). A flag wins over the environment, and that over the file.\n',
    hidden(FIRST),
    ...all.map((command) => section(command, all)),
  ]
    .filter((part) => part !== '')
    .join('\n');
}

function section(command: Command, all: readonly Command[]): string {
  const name = nameOf(command);
  if (command.describe === '') throw new Error(`the command \`${name}\` does not say what it is for`);
  const depth = command.path.length === 1 ? '##' : '###';
  const below = all.filter(
    ({ path }) => path.length === command.path.length + 1 && command.path.every((word, index) => path[index] === word),
  );
  const parts = [`${depth} postern ${name}\n`, `${command.describe}.\n`];
  if (below.length > 0 && !command.isRunnable)
    return [...parts, `Below it: ${below.map((each) => `[\`${nameOf(each)}\`](#${anchorOf(each)})`).join(', ')}.\n`].join('\n');
  const own = [...command.positionals, ...command.options.filter(({ group }) => group !== SETTINGS_GROUP)];
  const takesSettings = command.options.some(({ group }) => group === SETTINGS_GROUP);
  parts.push('```text', usageOf(command, takesSettings), '```\n');
  if (own.length > 0) parts.push(table(command, own));
  if (takesSettings) parts.push('Takes the [settings](#settings) too.\n');
  if (command.examples.length > 0) parts.push(examples(command));
  if (command.notes.length > 0) parts.push(...command.notes.map((note) => `${note}\n`));
  const codes = OWN_EXIT_CODES[name];
  if (codes !== undefined) parts.push('Exit codes of its own:\n', exitTable(codes), '');
  return parts.join('\n');
}

function usageOf({ path, words, usage, options }: Command, takesSettings: boolean): string {
  // A usage of its own stands before what the command is for.
  const [written = ''] = (usage ?? '').split('\n');
  if (written !== '') return written;
  const own = options.filter(({ group }) => group !== SETTINGS_GROUP);
  const required = own.filter(({ isRequired }) => isRequired).map((option) => flagOf(option));
  const others = own.length > required.length || takesSettings ? ['[options]'] : [];
  return ['postern', ...path, ...(words === '' ? [] : [words]), ...required, ...others].join(' ');
}

function table(command: Command, options: readonly CommandOption[]): string {
  const rows = options.map((option) => {
    const isPositional = command.positionals.includes(option);
    if (option.describe === '') throw new Error(`\`${nameOf(command)}\` does not say what ${option.name} is for`);
    const notes = [
      ...(option.choices.length > 0 ? [`one of ${option.choices.map((word) => `\`${word}\``).join(', ')}`] : []),
      ...(option.isList ? ['may be given more than once'] : []),
      ...(option.isRequired && !isPositional ? ['**required**'] : []),
      ...(option.fallback === undefined || option.fallback === 'false'
        ? []
        : [`default: ${option.fallback === 'true' ? 'yes' : `\`${option.fallback}\``}`]),
    ].filter((note) => !option.describe.includes(note));
    return `| \`${isPositional ? wordOf(command, option) : flagOf(option)}\` | ${prose([option.describe, ...notes].join('; '))} |`;
  });
  return ['| | |', '|---|---|', ...rows, ''].join('\n');
}

/** A positional as the usage writes it. */
function wordOf({ words }: Command, { name }: CommandOption): string {
  return words.split(' ').find((word) => word.replace(/[<>[\].]/g, '') === name) ?? name;
}

function flagOf({ name, type, aliases, fallback }: CommandOption): string {
  const value = type === 'boolean' ? '' : ` ${valueOf(name)}`;
  const shown = type === 'boolean' && fallback === 'true' ? `--[no-]${name}` : `--${name}`;
  return [...aliases.map((alias) => (alias.length === 1 ? `-${alias}` : `--${alias}`)), `${shown}${value}`].join(', ');
}

/** What stands for the value of an option. */
function valueOf(name: string): string {
  if (/^(?:config|output|file|ca-path|ca-output)$/.test(name)) return 'FILE';
  if (/^(?:timeout|for|since|until)$/.test(name)) return 'TIME';
  return name === 'limit' ? 'NUMBER' : name.replace(/^.*-/, '').toUpperCase();
}

/** Those that can are executed; the parser takes each of the others. */
function examples(command: Command): string {
  const name = nameOf(command);
  const staging = STAGED[name];
  const reasonOf = ({ line }: Example): string | undefined =>
    staging === undefined
      ? (SHOWN[name] ?? 'an example of the help')
      : Object.entries(staging.except ?? {}).find(([part]) => line.includes(part))?.[1];
  const width = Math.max(...command.examples.map(({ line }) => line.length));
  const blocks: string[] = staging?.prepare === undefined ? [] : [hidden(staging.prepare)];
  let open: { readonly info: string; readonly lines: string[] } | undefined;
  const close = (): void => {
    if (open !== undefined) blocks.push(['```' + open.info, ...open.lines, '```\n'].join('\n'));
  };
  for (const example of command.examples) {
    const reason = reasonOf(example);
    const info = reason === undefined ? 'sh run' : `sh shown: ${reason}`;
    if (open?.info !== info) {
      close();
      open = { info, lines: [] };
    }
    open.lines.push(example.about === '' ? example.line : `${example.line.padEnd(width)}   # ${example.about}`);
  }
  close();
  return blocks.join('\n');
}

function hidden(shell: string): string {
  return `<!-- run\n${shell}\n-->\n`;
}

function exitTable(codes: readonly ExitCode[]): string {
  return ['| exit code | |', '|---|---|', ...codes.map(({ code, meaning }) => `| ${code} | ${prose(meaning)} |`)].join('\n');
}

function nameOf({ path }: Command): string {
  return path.join(' ');
}

function anchorOf(command: Command): string {
  return `postern-${command.path.join('-')}`;
}

function lowerFirst(text: string): string {
  return `${text.charAt(0).toLowerCase()}${text.slice(1)}`;
}
