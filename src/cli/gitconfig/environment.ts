/**
 * The same configuration as environment variables, for a container, a job or one command: git reads
 * GIT_CONFIG_COUNT and GIT_CONFIG_KEY_n / GIT_CONFIG_VALUE_n since 2.31 (git-config(1), "ENVIRONMENT"). They beat every
 * file and lose to `git -c`.
 */
import { ProxyError } from '../../model/errors.js';
import { type DoorAddress, settingsBesideRules, writeOwnedFile } from './owned-file.js';
import type { Rule } from './rules.js';

export interface Variable {
  readonly name: string;
  readonly value: string;
}

export const ENVIRONMENT_FORMATS = ['sh', 'dotenv', 'json', 'fish', 'powershell', 'gitconfig'] as const;

/** `sh` for eval, `dotenv` for `docker run --env-file`, `gitconfig` for a file to include. */
export type EnvironmentFormat = (typeof ENVIRONMENT_FORMATS)[number];

/** Any environment, read only: `process.env` fits. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The variables that make git go through the door, in order. Pairs that `env` already holds are kept: ours are
 * numbered after them and the count covers both. For an environment that does not inherit `env`, hand in none.
 *
 * @throws ProxyError `git-config` when GIT_CONFIG_COUNT in `env` is not a count; git itself would die of it.
 */
export function environmentFor(rules: readonly Rule[], door: DoorAddress, env: Environment = {}): Variable[] {
  // Last, so that a shell that cannot hold an empty variable can leave it off (see powershell below).
  return variablesOf([...rulePairs(rules), ...settingsBesideRules(door)], env);
}

/** One setting of git's, as `git -c` knows it. */
export interface Pair {
  readonly key: string;
  readonly value: string;
}

/** The rules as settings, in their order. */
export function rulePairs(rules: readonly Rule[]): Pair[] {
  return rules.map((rule) => ({ key: `url.${rule.base}.insteadOf`, value: rule.insteadOf }));
}

/** Settings as variables, numbered after those that `env` holds. @throws ProxyError `git-config` as `environmentFor` */
export function variablesOf(pairs: readonly Pair[], env: Environment = {}): Variable[] {
  const first = countIn(env);
  return [
    { name: 'GIT_CONFIG_COUNT', value: String(first + pairs.length) },
    ...pairs.flatMap(({ key, value }, index) => [
      { name: `GIT_CONFIG_KEY_${first + index}`, value: key },
      { name: `GIT_CONFIG_VALUE_${first + index}`, value },
    ]),
    // A prompt for a password at the door's address could only mislead; fail at once instead.
    { name: 'GIT_TERMINAL_PROMPT', value: '0' },
  ];
}

/**
 * The configuration in one of the formats, as text that ends in a newline.
 *
 * @throws ProxyError as `environmentFor`, and `usage` for a value that `dotenv` cannot hold (a newline).
 */
export function writeEnvironment(format: EnvironmentFormat, rules: readonly Rule[], door: DoorAddress, env: Environment = {}): string {
  return format === 'gitconfig' ? writeOwnedFile(rules, door) : writeVariables(format, environmentFor(rules, door, env));
}

/** Variables in one of the formats that hold variables, as text that ends in a newline. @throws as `writeEnvironment`. */
export function writeVariables(format: Exclude<EnvironmentFormat, 'gitconfig'>, variables: readonly Variable[]): string {
  switch (format) {
    case 'sh':
      return lines(variables, ({ name, value }) => `export ${name}=${quoteForSh(value)}`);
    case 'dotenv':
      return lines(variables, ({ name, value }) => `${name}=${onOneLine(name, value)}`);
    case 'json':
      return `${JSON.stringify(Object.fromEntries(variables.map(({ name, value }) => [name, value])), undefined, 2)}\n`;
    case 'fish':
      return lines(variables, ({ name, value }) => `set -gx ${name} '${value.replace(/[\\']/g, '\\$&')}'`);
    case 'powershell':
      return powershell(variables);
  }
}

function countIn(env: Environment): number {
  const text = env['GIT_CONFIG_COUNT'];
  if (text === undefined || text === '') return 0;
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new ProxyError('git-config', `GIT_CONFIG_COUNT is ${JSON.stringify(text)}, which git cannot read`, {
    todo: 'Unset it, or set it to the number of GIT_CONFIG_KEY_n',
  });
}

function lines(variables: readonly Variable[], line: (variable: Variable) => string): string {
  return variables.map((variable) => `${line(variable)}\n`).join('');
}

/** A text as one word of a POSIX shell: everything is literal between single quotes but the quote itself (POSIX, Shell Command Language 2.2.2). */
export function quoteForSh(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`;
}

/** A command as a person types it: words that a shell would read otherwise are quoted. */
export function wordsLine(words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : quoteForSh(word))).join(' ');
}

/** An env-file takes the rest of the line as it is: there are no quotes and no escapes in it. */
function onOneLine(name: string, value: string): string {
  if (!/[\n\r\0]/.test(value)) return value;
  throw new ProxyError('usage', `The value of ${name} has more than one line, which an env-file cannot hold`, {
    todo: 'Choose another format: sh, json',
  });
}

/**
 * In PowerShell `$env:X = ''` removes the variable, and git dies of a missing GIT_CONFIG_VALUE_n. The empty pairs
 * stand last: they are left off, and NO_PROXY does what the empty proxy would have done.
 * PowerShell takes typographic quotes for quotes too (about_Quoting_Rules), so they are doubled as well.
 */
function powershell(variables: readonly Variable[]): string {
  const kept = [...variables];
  const hosts: string[] = [];
  for (;;) {
    const last = kept.findLastIndex(({ name }) => name.startsWith('GIT_CONFIG_VALUE_'));
    if (last === -1 || kept[last]?.value !== '') break;
    const door = /^http\.(.*)\.proxy$/.exec(kept[last - 1]?.value ?? '')?.[1];
    if (door !== undefined) hosts.push(new URL(door).hostname);
    kept.splice(last - 1, 2);
    const count = kept.findIndex(({ name }) => name === 'GIT_CONFIG_COUNT');
    kept[count] = { name: 'GIT_CONFIG_COUNT', value: String(Number(kept[count]?.value) - 1) };
  }
  const text = lines(kept, ({ name, value }) => `$env:${name} = '${value.replace(/['\u2018-\u201b]/g, '$&$&')}'`);
  return hosts.reduce((all, host) => `${all}$env:NO_PROXY = (@($env:NO_PROXY, '${host}') | Where-Object { $_ }) -join ','\n`, text);
}
