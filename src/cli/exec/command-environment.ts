/**
 * The environment in which `postern exec` runs its command: what was there, and git's rules for a door that nobody else knows.
 *
 * Where two rules have the same spelling git takes the one that it reads first, and it reads the environment last. Rules that
 * `postern setup` wrote for a service would win, so where there are such rules ours are also put in front of everything, in a file that
 * stands in for the system's configuration and includes it (git(1), GIT_CONFIG_SYSTEM, since 2.32; measured with 2.39).
 */
import { isAbsolute, join, resolve } from 'node:path';
import type { Route } from '../../model/settings.js';
import { writeFileAtomic } from '../../store/atomic-file.js';
import { discover } from '../gitconfig/discovery.js';
import { rulePairs, type Variable, variablesOf } from '../gitconfig/environment.js';
import { type Git, subsectionOf } from '../gitconfig/git.js';
import { ruleLines, settingsBesideRules } from '../gitconfig/owned-file.js';
import { writeValue } from '../gitconfig/quoting.js';
import { doorBase, type Rule } from '../gitconfig/rules.js';
import { rulesWithoutSsh } from '../gitconfig/rules-without-ssh.js';

export interface CommandSurroundings {
  /** git as the command will see it, without our rules. */
  readonly git: Git;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory: string;
  /** The door's own address. */
  readonly base: string;
  /** The command, in which addresses tell organisations. */
  readonly argv: readonly string[];
  /** Organisations as typed. */
  readonly organisations: readonly string[];
  readonly routes: readonly Pick<Route, 'match' | 'hostKind' | 'ssh'>[];
  /** The lease that the command is to show; undefined where it needs none. */
  readonly lease: string | undefined;
  /** The file of rules that `postern setup` may have written. */
  readonly owned: string;
  /** Where a file may be written that lives as long as the command. */
  readonly directory: string;
}

export interface CommandEnvironment {
  readonly variables: readonly Variable[];
  /** Rules of others that win all the same: their spelling, and where it leads. */
  readonly lost: readonly Rule[];
}

/** @throws ProxyError `git-config`, `usage` as `discover`, `rulesWithoutSsh` and `variablesOf` */
export async function commandEnvironment(around: CommandSurroundings): Promise<CommandEnvironment> {
  const { git, base, workingDirectory, environment } = around;
  const found = await discover({
    git,
    named: around.organisations,
    addresses: around.argv.flatMap(addressesIn),
    repositories: [workingDirectory],
    owned: around.owned,
  });
  const rules = rulesWithoutSsh({ base, organisations: found.organisations, users: found.users, routes: around.routes });
  const variables = variablesOf([...leasePairs(around), ...rulePairs(rules), ...settingsBesideRules({ base })], environment);
  const rivals = await rivalsOf(rules, git);
  if (rivals.length === 0) return { variables, lost: [] };
  const all = [...variables, ...(await inFront(rules, around))];
  return { variables: all, lost: await stillLeading(rivals, git.with(all)) };
}

/** The header that carries the lease. The empty one takes back what would be sent to every address. */
function leasePairs({ base, lease }: CommandSurroundings): { key: string; value: string }[] {
  if (lease === undefined) return [];
  const key = `http.${doorBase(base)}.extraHeader`;
  return [
    { key, value: '' },
    { key, value: `X-Postern-Lease: ${lease}` },
  ];
}

/** Whatever may be an address in one word of a command, which may be a whole script. */
function addressesIn(word: string): string[] {
  return word.match(/(?:https?:\/\/|ssh:\/\/|[\w.-]+@)[^\s'"`;|&<>()]+/gi) ?? [];
}

/** Rules that have the same spelling as one of ours. */
async function rivalsOf(rules: readonly Rule[], git: Git): Promise<Rule[]> {
  const spellings = new Set(rules.map(({ insteadOf }) => insteadOf));
  return (await git.entries()).flatMap(({ key, value }) => {
    const base = subsectionOf(key, 'url', 'insteadof');
    return base !== undefined && value !== undefined && spellings.has(value) ? [{ base, insteadOf: value }] : [];
  });
}

/** Variables that make git read our rules before any others. */
async function inFront(
  rules: readonly Rule[],
  { git, environment, workingDirectory, directory }: CommandSurroundings,
): Promise<Variable[]> {
  const file = join(directory, 'gitconfig');
  const isWithout = isTrue(environment['GIT_CONFIG_NOSYSTEM']);
  const system = isWithout ? undefined : await systemFile(git, workingDirectory);
  const include = system === undefined ? [] : ['[include]', `\tpath = ${writeValue(system)}`];
  await writeFileAtomic(file, `${[...ruleLines(rules), ...include].join('\n')}\n`, { mode: 0o600 });
  const variables = [{ name: 'GIT_CONFIG_SYSTEM', value: file }];
  // What it keeps out is not included either.
  if (isWithout) variables.push({ name: 'GIT_CONFIG_NOSYSTEM', value: '0' });
  return variables;
}

/** The system's configuration, if anything stands in it: what is listed first of a file stands in that file itself. */
async function systemFile(git: Git, workingDirectory: string): Promise<string | undefined> {
  const answer = await git.run(['config', '--system', '--list', '--show-origin', '-z']);
  const origin = /^file:([^\0]+)\0/.exec(answer.stdout.toString())?.[1];
  if (answer.status !== 0 || origin === undefined) return undefined;
  return isAbsolute(origin) ? origin : resolve(workingDirectory, origin);
}

async function stillLeading(rivals: readonly Rule[], git: Git): Promise<Rule[]> {
  const leading: Rule[] = [];
  for (const rival of rivals) {
    const answer = await git.run(['ls-remote', '--get-url', rival.insteadOf]);
    if (answer.stdout.toString().startsWith(rival.base)) leading.push(rival);
  }
  return leading;
}

/** A truth of git's own (git-config(1), "boolean"); anything else that is set counts as one too, and git says what it thinks of it. */
function isTrue(text: string | undefined): boolean {
  return text !== undefined && !/^(?:|0+|false|no|off)$/i.test(text);
}
