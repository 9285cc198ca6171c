/**
 * Asks the real git whether the rules hold, and looks for what would beat or spoil them. `git ls-remote --get-url` prints
 * the address git would go to, and touches no network.
 *
 * What beats a rule: a longer insteadOf, or an equal one that git read first; for pushes any pushInsteadOf that fits,
 * however short, unless the remote has a pushurl (git-config(1), url.<base>.pushInsteadOf).
 */
import type { Discovery } from './discovery.js';
import { quoteForSh } from './environment.js';
import { subsectionOf, type ConfigEntry, type Git } from './git.js';
import { hideCredentials } from './names.js';
import type { Rule } from './rules.js';

/** Something that keeps requests from the door, or spoils them. `lines` holds no credentials. */
export interface Finding {
  readonly kind:
    | 'rule-ignored'
    | 'foreign-rule'
    | 'foreign-push-rule'
    | 'proxy'
    | 'remote-proxy'
    | 'protocol'
    | 'proactive-auth'
    | 'tls-variable'
    | 'ssh-detour'
    | 'ssh-program'
    | 'ssh-known-hosts'
    | 'ssh-host-key'
    | 'secret-in-address'
    | 'uncaught-address'
    | 'lfs-access';
  /** What was found, then what to do. */
  readonly lines: readonly [what: string, todo: string];
}

export interface Proof {
  /** How many example addresses led to the door. */
  readonly proven: number;
  readonly findings: readonly Finding[];
}

/** What stands behind a prefix in the examples; no organisation can be named like it. */
const EXAMPLE = '-/project/_git/repository';

const AT_ONCE = 8;

/** Variables that git takes before any `http.<url>.ssl...` (git(1); http.c reads them after the configuration). */
const TLS_VARIABLES = [
  ['GIT_SSL_CAINFO', "git trusts the authorities in that file and not the door's"],
  ['GIT_SSL_NO_VERIFY', "git does not check the door's certificate, so whoever holds its port is believed"],
] as const;

/**
 * Proves rules with a git that is tied to no repository (`Git.neutral`). `doors` are the beginnings of the doors' addresses, the HTTP
 * door's first; `owned` is our file, whose lines are not foreign.
 */
export async function prove(git: Git, rules: readonly Rule[], doors: readonly [string, ...string[]], owned: string): Promise<Proof> {
  const [door] = doors;
  const entries = await git.entries();
  const isOurs = ({ origin, key }: ConfigEntry) =>
    origin === `file:${owned}` || (origin === 'command line:' && doors.some((each) => key.includes(each)));
  const foreign = entries.filter((entry) => !isOurs(entry));
  const [rewrites, answers, proxied, set] = await Promise.all([
    foreignRewrites(git, foreign, rules, doors),
    mapAtOnce(rules, (rule) => addressOf(git, rule.insteadOf + EXAMPLE)),
    proxies(git, entries, rules, door),
    settings(git, door),
  ]);
  const astray = rules.flatMap((rule, index) => (answers[index] === rule.base + EXAMPLE ? [] : [{ rule, found: answers[index] ?? '' }]));
  const ignored = astray.filter(({ rule }) => !rewrites.some(({ value }) => value === rule.insteadOf));
  return {
    proven: rules.length - astray.length,
    findings: [
      ...ignored.map(({ rule, found }) => ignoredRule(rule, found)),
      ...rewrites.map(({ finding }) => finding),
      ...pushRewrites(foreign, rules),
      ...proxied,
      ...protocols(git, entries, doors),
      ...set,
    ],
  };
}

/** Remotes that no rule fits: with a credential in the address, where none can be written, or spelled in a way of their own. */
export function addressFindings(found: Pick<Discovery, 'remotes' | 'sshRemotes' | 'withSecrets'>, rules: readonly Rule[]): Finding[] {
  const isSsh = rules.some((rule) => rule.insteadOf.startsWith('ssh:'));
  const remotes = [...found.remotes, ...(isSsh ? found.sshRemotes : [])];
  const uncaught = remotes.filter((address) => !rules.some((rule) => address.startsWith(rule.insteadOf)));
  return [
    ...found.withSecrets.map((address): Finding => ({
      kind: 'secret-in-address',
      lines: [
        `${address} has a credential in it and slips past: a rule for it would have to hold the credential`,
        'take the credential out of the address (git remote set-url) and revoke it',
      ],
    })),
    ...uncaught.map((address): Finding => ({
      kind: 'uncaught-address',
      lines: [
        `${hideCredentials(address)} slips past: it is spelled unlike any rule, and git compares text`,
        `write it as ${/^https?:/i.test(address) ? 'https://dev.azure.com/ORG/...' : 'git@ssh.dev.azure.com:v3/ORG/...'} (git remote set-url)`,
      ],
    })),
  ];
}

/** Where git would go for an address; what it asks first is a name of a remote. */
export async function addressOf(git: Git, url: string): Promise<string> {
  const answer = await git.run(['ls-remote', '--get-url', url]);
  return answer.stdout.toString().replace(/\n$/, '');
}

async function foreignRewrites(git: Git, foreign: readonly ConfigEntry[], rules: readonly Rule[], doors: readonly string[]) {
  const longer = foreign.flatMap((entry) => {
    const value = entry.value;
    if (subsectionOf(entry.key, 'url', 'insteadof') === undefined || value === undefined) return [];
    return rules.some((rule) => value.startsWith(rule.insteadOf)) ? [{ entry, value }] : [];
  });
  // An equal one may win or lose by its place, and one that leads to the door does no harm: git decides.
  const answers = await mapAtOnce(longer, ({ value }) => addressOf(git, value + EXAMPLE));
  return longer
    .filter((_, index) => !doors.some((door) => answers[index]?.startsWith(door) === true))
    .map(({ entry, value }): { value: string; finding: Finding } => ({
      value,
      finding: {
        kind: 'foreign-rule',
        lines: [`addresses that begin with ${hideCredentials(value)} slip past: ${told(entry)}`, removal(entry)],
      },
    }));
}

function pushRewrites(foreign: readonly ConfigEntry[], rules: readonly Rule[]): Finding[] {
  return foreign.flatMap((entry): Finding[] => {
    const value = entry.value;
    if (subsectionOf(entry.key, 'url', 'pushinsteadof') === undefined || value === undefined) return [];
    const longer = rules.some((rule) => value.startsWith(rule.insteadOf));
    const covered = rules.filter((rule) => rule.insteadOf.startsWith(value)).map((rule) => rule.insteadOf);
    if (!longer && covered.length === 0) return [];
    const which = longer ? hideCredentials(value) : `${covered[0] ?? ''}${covered.length > 1 ? ` and ${covered.length - 1} more` : ''}`;
    return [
      { kind: 'foreign-push-rule', lines: [`pushes to addresses that begin with ${which} slip past: ${told(entry)}`, removal(entry)] },
    ];
  });
}

function ignoredRule(rule: Rule, found: string): Finding {
  return {
    kind: 'rule-ignored',
    lines: [
      `git does not apply the rule for ${rule.insteadOf} : it goes to ${hideCredentials(found)}`,
      'see which files git reads: git config --list --show-origin (GIT_CONFIG_GLOBAL, GIT_CONFIG_SYSTEM and GIT_CONFIG_NOSYSTEM change that)',
    ],
  };
}

/** The proxy that git would use for the door, asked of git itself; and proxies of single remotes, which beat all. */
async function proxies(git: Git, entries: readonly ConfigEntry[], rules: readonly Rule[], door: string): Promise<Finding[]> {
  const findings = new Map<string, Finding>();
  const bases = [...new Set([door, ...rules.map((rule) => rule.base).filter((each) => each.startsWith('http'))])];
  const found = await mapAtOnce(bases, (base) => httpSettingFor(git, 'proxy', base));
  for (const [index, base] of bases.entries()) {
    const proxy = found[index] ?? '';
    if (proxy === '') continue;
    const source = entries.findLast((entry) => entry.value === proxy && /^http\.(?:.*\.)?proxy$/s.test(entry.key));
    const where = source === undefined ? 'http.proxy' : told(source);
    // One wrong line may hit every base: it is told once.
    if (findings.has(where)) continue;
    findings.set(where, {
      kind: 'proxy',
      lines: [`requests to ${base} go to a proxy: ${where}`, source === undefined ? 'remove that setting' : removal(source)],
    });
  }
  const ofRemotes = entries.filter((entry) => subsectionOf(entry.key, 'remote', 'proxy') !== undefined && (entry.value ?? '') !== '');
  return [
    ...findings.values(),
    ...ofRemotes.map((entry): Finding => ({
      kind: 'remote-proxy',
      lines: [`a remote has a proxy of its own, also for the door: ${told(entry)}`, removal(entry)],
    })),
  ];
}

/** The protocols of the doors, where git may not use them. */
function protocols(git: Git, entries: readonly ConfigEntry[], doors: readonly string[]): Finding[] {
  const allowed = git.variable('GIT_ALLOW_PROTOCOL');
  const last = (key: string) => entries.findLast((entry) => entry.key === key);
  // The scp-like form is SSH too.
  const schemes = new Set(doors.map((door) => /^(https?):/.exec(door)?.[1] ?? 'ssh'));
  return [...schemes].flatMap((scheme): Finding[] => {
    const protocol = last(`protocol.${scheme}.allow`) ?? last('protocol.allow');
    if (allowed !== undefined) {
      if (allowed.split(':').includes(scheme)) return [];
      const what = `git may not use ${scheme}, which the door speaks: GIT_ALLOW_PROTOCOL = ${hideCredentials(allowed)}`;
      return [{ kind: 'protocol', lines: [what, `add ${scheme} to it`] }];
    }
    if (protocol === undefined || protocol.value?.toLowerCase() === 'always') return [];
    const what = `git may not use ${scheme} everywhere, which the door speaks: ${told(protocol)}`;
    return [{ kind: 'protocol', lines: [what, `allow it: git config --global protocol.${scheme}.allow always`] }];
  });
}

/** What makes git trust another than the door, or ask for a password first. */
async function settings(git: Git, door: string): Promise<Finding[]> {
  const findings: Finding[] = [];
  if (door.startsWith('https:')) {
    for (const [name, effect] of TLS_VARIABLES) {
      if (git.variable(name) === undefined) continue;
      findings.push({
        kind: 'tls-variable',
        lines: [`${name} is set, and beats the configuration: ${effect}`, `unset it (${name}) where git runs`],
      });
    }
  }
  const proactive = await httpSettingFor(git, 'proactiveAuth', door);
  if (proactive !== '' && proactive.toLowerCase() !== 'none') {
    findings.push({
      kind: 'proactive-auth',
      lines: [
        `git asks for a password before it goes to the door: http.proactiveAuth = ${hideCredentials(proactive)}`,
        `switch it off there: git config --global http.${door}.proactiveAuth none`,
      ],
    });
  }
  return findings;
}

/** The value of `http.<url>.<name>` that fits an address best, by git's own rules; empty if there is none. */
async function httpSettingFor(git: Git, name: string, url: string): Promise<string> {
  return (await httpSetting(git, name, url)) ?? '';
}

/** The same; undefined if there is none, and empty if it is set to nothing. */
export async function httpSetting(git: Git, name: string, url: string): Promise<string | undefined> {
  const { status, stdout } = await git.run(['config', '-z', '--get-urlmatch', `http.${name}`, url]);
  return status === 0 ? (stdout.toString().split('\0')[0] ?? '') : undefined;
}

/** `KEY = VALUE in FILE`, without credentials. */
export function told({ key, value, origin }: ConfigEntry): string {
  return `${hideCredentials(key)} = ${hideCredentials(value ?? '')} in ${origin}`;
}

/** What a person can do about a line of git's configuration: the command that takes it away, where there is one. */
export function removal({ key, value = '', origin }: ConfigEntry): string {
  if (!origin.startsWith('file:')) return 'take it out of the environment or command line';
  const file = origin.slice('file:'.length);
  if (hideCredentials(key + value) !== key + value) return `remove it from ${file} by hand, or make it lead to the door`;
  const words = ['--file', file, '--fixed-value', '--unset-all', key, value].map((word) =>
    /^[\w./-]+$/.test(word) ? word : quoteForSh(word),
  );
  return `remove it, or make it lead to the door: git config ${words.join(' ')}`;
}

/** Like Promise.all over a map, a few at a time; the results stand in the order of the items. */
async function mapAtOnce<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const rest = items.entries();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const [index, item] of rest) results[index] = await work(item);
    }),
  );
  return results;
}
