/**
 * A lease made ready for where it is used: git's configuration as variables or as a file, with the rules for the hosts of the
 * lease's repositories and the header that carries it. It stands in no address, so not in `git remote -v` nor in a
 * repository's own configuration. What each format is for is in docs/LEASES.md.
 */
import { ProxyError } from '../model/errors.js';
import type { RepoPattern } from '../model/lease.js';
import { type Environment, type Pair, rulePairs, type Variable, variablesOf, writeVariables } from './gitconfig/environment.js';
import { leaseRulesFor } from './gitconfig/lease-rules.js';
import { ruleLines, settingsBesideRules } from './gitconfig/owned-file.js';
import { writeSubsection, writeValue } from './gitconfig/quoting.js';
import { doorBase } from './gitconfig/rules.js';

/**
 * `text` the lease alone; `env` for eval in a POSIX shell; `dotenv` for `docker run --env-file`; `gitconfig` for a file to
 * include; `json` the variables for programs; `azure-pipelines` logging commands; `devcontainer` a part of devcontainer.json.
 */
export const LEASE_FORMATS = ['text', 'env', 'dotenv', 'gitconfig', 'json', 'azure-pipelines', 'devcontainer'] as const;
export type LeaseFormat = (typeof LEASE_FORMATS)[number];

export interface LeaseEnvironment {
  /** The lease itself. */
  readonly lease: string;
  /** The door's address as the holder reaches it: `https://host.containers.internal:8417`. */
  readonly base: string;
  /** What the lease is for; the hosts of these get rules. */
  readonly repos: readonly RepoPattern[];
  /** Path, where the lease is used, of the certificates that the door's is checked with; undefined for those of the system. */
  readonly caFile: string | undefined;
  /** Organisations as they were typed, where that is not in lower case: addresses hold them before an `@`, and git compares text. */
  readonly organisations?: readonly string[];
}

/** The variable that holds the lease itself, for SSH and for `postern lease narrow`. */
const LEASE_VARIABLE = 'POSTERN_LEASE';
/** Where Azure Pipelines keeps the count until a step asks for it. */
const PIPELINE_COUNT = 'POSTERN_GIT_CONFIG_COUNT';

/**
 * The lease in one of the formats, as text that ends in a newline. `env` is the environment in which the format `env` will be
 * evaluated: pairs of git's configuration that it already holds are kept.
 *
 * @throws ProxyError `usage` for a text that can be no lease, and for a value that the format cannot hold; otherwise as
 *   `leaseRulesFor` and `variablesOf`
 */
export function writeLease(format: LeaseFormat, given: LeaseEnvironment, env: Environment = {}): string {
  // No sign that any format would have to quote.
  if (!/^[A-Za-z0-9._~+/=:-]+$/.test(given.lease)) {
    throw new ProxyError('usage', 'The lease is empty or has signs that no lease has', { todo: 'Copy it whole, without line breaks' });
  }
  switch (format) {
    case 'text':
      return `${given.lease}\n`;
    case 'env':
      return writeVariables('sh', variablesFor(given, env));
    case 'dotenv':
      return writeVariables('dotenv', variablesFor(given, {}).map(readAlike));
    case 'json':
      return writeVariables('json', variablesFor(given, {}));
    case 'gitconfig':
      return gitconfig(given);
    case 'azure-pipelines':
      return azurePipelines(given);
    case 'devcontainer':
      return devcontainer(variablesFor(given, {}));
  }
}

/** The organisations of `repos`, which are folded, in the case in which they stand in what was typed. */
export function organisationsAsWritten(repos: readonly RepoPattern[], written: readonly string[]): string[] {
  const found = new Set<string>();
  for (const { hostKind, parts } of repos) {
    const [, organisation = ''] = parts;
    if (hostKind !== 'azure-services' || !/^[a-z0-9-]+$/.test(organisation)) continue;
    const name = new RegExp(`(?<![a-z0-9-])${organisation}(?![a-z0-9-])`, 'gi');
    for (const text of written) for (const [spelled] of text.matchAll(name)) found.add(spelled);
  }
  return [...found];
}

/**
 * git's settings, the header first so that its number is always the same. The empty one takes back whatever was to be sent
 * here before: a lease that this one replaces, or somebody's `http.extraHeader`.
 */
function pairsFor({ lease, base, repos, caFile, organisations = [] }: LeaseEnvironment): Pair[] {
  const key = `http.${doorBase(base)}.extraHeader`;
  return [
    { key, value: '' },
    { key, value: `X-Postern-Lease: ${lease}` },
    ...rulePairs(leaseRulesFor({ base, repos, organisations })),
    ...settingsBesideRules({ base, ca: caFile }),
  ];
}

function variablesFor(given: LeaseEnvironment, env: Environment): Variable[] {
  return [...variablesOf(pairsFor(given), env), { name: LEASE_VARIABLE, value: given.lease }];
}

/** Readers of env-files differ in what quotes, `$`, `\` and ` #` mean (Docker takes them as they are, Compose and others do not). */
function readAlike(variable: Variable): Variable {
  if (!/["'`$\\]|\s#|^#|^\s|\s$/.test(variable.value)) return variable;
  throw new ProxyError('usage', `The value of ${variable.name} has signs that env-files are read differently for: ${variable.value}`, {
    todo: 'Use a path of letters, digits, dots, slashes and hyphens, or another format: json, gitconfig',
  });
}

function gitconfig(given: LeaseEnvironment): string {
  const door = doorBase(given.base);
  const beside = [...pairsFor(given).slice(0, 2), ...settingsBesideRules({ base: given.base, ca: given.caFile })];
  const lines = [
    '# A lease for Postern. Whoever can read this file can use the lease until it ends, so keep it to yourself (mode 0600) and',
    '# out of images and repositories. It takes effect by GIT_CONFIG_GLOBAL, or by an include.path in the configuration.',
    '# Set GIT_TERMINAL_PROMPT=0 beside it, so that git fails rather than ask for a password.',
    '',
    ...ruleLines(leaseRulesFor(given)),
    '',
    '# The first, empty extraHeader takes back what was to be sent to the door before.',
    `[http "${writeSubsection(door)}"]`,
    ...beside.map(({ key, value }) => `\t${key.slice(key.lastIndexOf('.') + 1)} = ${writeValue(value)}`.trimEnd()),
  ];
  return `${lines.join('\n')}\n`;
}

/**
 * Logging commands, which the agent reads in what a step prints. A secret variable reaches no step by itself, and without its
 * value git would die of the header's pair in every step, the agent's own too. So the count has a name of its own, and the
 * steps that are to use the lease map both (docs/LEASES.md): GIT_CONFIG_COUNT and GIT_CONFIG_VALUE_1.
 */
function azurePipelines(given: LeaseEnvironment): string {
  const lines = [setVariable({ name: LEASE_VARIABLE, value: given.lease }, true)];
  for (const { name, value } of variablesOf(pairsFor(given))) {
    if (value.includes(given.lease)) continue;
    lines.push(setVariable({ name: name === 'GIT_CONFIG_COUNT' ? PIPELINE_COUNT : name, value }, false));
  }
  return `${lines.join('\n')}\n`;
}

/** Escapes are those of the agent (microsoft/azure-pipelines-agent, docs/design/percentEncoding.md). */
function setVariable({ name, value }: Variable, isSecret: boolean): string {
  const data = value
    .replaceAll('%', '%AZP25')
    .replaceAll('\r', '%0D')
    .replaceAll('\n', '%0A')
    .replaceAll(']', '%5D')
    .replaceAll(';', '%3B');
  return `##vso[task.setvariable variable=${name}${isSecret ? ';issecret=true' : ''}]${data}`;
}

/** `remoteEnv` rather than `containerEnv`: a new lease needs no new container, and `docker inspect` does not show it. */
function devcontainer(variables: readonly Variable[]): string {
  const odd = variables.find(({ value }) => value.includes('${'));
  if (odd !== undefined) {
    throw new ProxyError('usage', `The value of ${odd.name} holds \${, which devcontainer.json replaces: ${odd.value}`, {
      todo: 'Use another path for the certificates',
    });
  }
  return `${JSON.stringify({ remoteEnv: Object.fromEntries(variables.map(({ name, value }) => [name, value])) }, undefined, 2)}\n`;
}
