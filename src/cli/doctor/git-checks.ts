/** Rows of git's configuration: whether addresses lead to the door, and what beats, spoils or survives the rules of `setup`. */
import type { CheckOutcome } from '../../model/check.js';
import { ProxyError } from '../../model/errors.js';
import { countText } from '../amounts.js';
import { wordsLine } from '../gitconfig/environment.js';
import { lfsAccessFindings, lfsAccessIn, lfsAccessRemoval } from '../gitconfig/lfs-access.js';
import { type Finding, httpSetting } from '../gitconfig/proof.js';
import type { Check, Walk } from './check.js';
import { addSetupFix, setupCommand } from './fixes.js';
import { credentialsInGit } from './git-credentials.js';
import { lookAtGit, wouldGo } from './git-look.js';
import { type GitLook, NO_ADDRESS } from './look.js';
import { remotesOutcome } from './git-remotes.js';
import { shown } from './targets.js';

export const GIT_CHECKS: readonly Check[] = [
  { id: 'git-configuration', name: "git's configuration", class: 'git', needs: ['git'], run: gitConfiguration },
  { id: 'git-rules', name: "git's rules", class: 'git', needs: ['git-configuration', 'configuration'], run: looking(gitRules) },
  { id: 'git-foreign-rules', name: 'other rules', class: 'git', needs: ['git-configuration', 'configuration'], run: looking(foreignRules) },
  { id: 'git-remotes', name: 'remotes', class: 'git', needs: ['git-configuration', 'configuration'], run: looking(remotesOutcome) },
  { id: 'git-proxy', name: 'proxies of git', class: 'git', needs: ['git-configuration', 'configuration'], run: looking(proxies) },
  { id: 'git-settings', name: 'settings of git', class: 'git', needs: ['git-configuration', 'configuration'], run: looking(settings) },
  {
    id: 'git-credentials',
    name: 'credentials of git',
    class: 'git',
    needs: ['git-configuration', 'configuration'],
    run: looking(credentialsInGit),
  },
  {
    id: 'git-lfs-leftovers',
    name: 'git-lfs leftovers',
    class: 'git',
    needs: ['git-configuration', 'configuration'],
    run: looking(lfsLeftovers),
  },
];

/** Variables that change which configuration git reads, with what each does (git(1), git-config(1)). */
const READING_VARIABLES: Readonly<Record<string, string>> = {
  GIT_CONFIG_GLOBAL: 'is read in place of ~/.gitconfig',
  GIT_CONFIG_SYSTEM: 'is read in place of /etc/gitconfig',
  GIT_CONFIG_NOSYSTEM: '/etc/gitconfig is not read',
  GIT_CONFIG_COUNT: 'settings come from the environment',
  GIT_CONFIG_PARAMETERS: 'settings come from the environment',
  GIT_DIR: 'the repository is this one wherever git stands',
  GIT_SSH: 'ssh is another program',
  GIT_SSH_COMMAND: 'ssh is another command',
  GIT_PROXY_COMMAND: 'a program is the way to hosts',
  GIT_ALLOW_PROTOCOL: 'only these protocols are used',
};

async function gitConfiguration({ git }: Walk): Promise<CheckOutcome> {
  const entries = await git.entries();
  const files = new Set(entries.flatMap(({ origin }) => (origin.startsWith('file:') ? [origin.slice('file:'.length)] : [])));
  const details = Object.entries(READING_VARIABLES).flatMap(([name, effect]) =>
    git.variable(name) === undefined ? [] : [`${name} is set: ${effect}`],
  );
  return { verdict: 'ok', text: `read from ${countText(files.size, 'file')}`, details };
}

/** A check that needs the look at git; where the door has no address yet, there is nothing to look at. */
function looking(check: (walk: Walk, look: GitLook) => Promise<CheckOutcome> | CheckOutcome): (walk: Walk) => Promise<CheckOutcome> {
  return async (walk) => {
    const look = await lookAtGit(walk);
    return look === undefined ? { verdict: 'untried', text: NO_ADDRESS } : check(walk, look);
  };
}

/** Whether every address of the walk reaches a door, however it does so. */
function areAllAtDoor({ addresses }: Walk, { leads }: GitLook): boolean {
  return addresses.length > 0 && addresses.every((address) => leads.get(address)?.isAtDoor === true);
}

/** What keeps some addresses from the door is a failure, unless those that were asked about reach it. */
function severity(walk: Walk, look: GitLook): 'warning' | 'failed' {
  return areAllAtDoor(walk, look) ? 'warning' : 'failed';
}

async function gitRules(walk: Walk, look: GitLook): Promise<CheckOutcome> {
  const { rules, proof, door, discovery, owned, places } = look;
  const names = discovery.organisations.length === 0 ? [] : [`organisations: ${discovery.organisations.join(', ')}`];
  if (proof.proven === rules.length)
    return { verdict: 'ok', text: `all ${rules.length} spellings lead to ${doorsText(look)}`, details: names };
  if (proof.proven === 0 && areAllAtDoor(walk, look)) {
    return { verdict: 'ok', text: 'not needed for these addresses: they reach the door without rules of `postern setup`' };
  }
  const ignored = proof.findings.filter(({ kind }) => kind === 'rule-ignored');
  // Rules of somebody else, which have a row of their own, may have beaten ours.
  if (ignored.length === 0) return { verdict: 'ok', text: `${proof.proven} of ${rules.length} spellings lead to ${doorsText(look)}` };
  const elsewhere = walk.git.variable('GIT_CONFIG_GLOBAL');
  const fix = addSetupFix(walk);
  const wrong = { verdict: severity(walk, look), code: 'git-config', fix } as const;
  const todo =
    elsewhere === undefined
      ? setupCommand(walk)
      : `unset GIT_CONFIG_GLOBAL where git runs, or run \`${setupCommand(walk)}\` there, which writes to that file`;
  const went = await wouldGo(walk.git);
  const otherDoor = /^https?:\/\/(?:127\.\d+\.\d+\.\d+|localhost|\[::1\]):\d+\//.exec(went)?.[0];
  if (otherDoor !== undefined && otherDoor !== door)
    return { ...wrong, text: `git's rules lead to ${otherDoor}, and the door is at ${door}`, todo };
  if (proof.proven === 0) {
    const why = !owned.isThere
      ? owned.isIncluded
        ? [`git includes ${places.owned}, which is not there`]
        : []
      : owned.isIncluded
        ? []
        : [`the rules are in ${places.owned}, which nothing that git reads includes`];
    return { ...wrong, text: 'git does not come to the door: no rule of `postern setup` is in force', details: why, todo };
  }
  return {
    ...wrong,
    text: `${countText(rules.length - proof.proven, 'spelling')} of ${rules.length} slip past the door`,
    details: ignored.map(({ lines }) => lines[0]),
    todo,
  };
}

function doorsText({ door, doors, rules }: GitLook): string {
  const ssh = doors[1];
  return ssh !== undefined && rules.some(({ base }) => base.startsWith(ssh)) ? `${door} and ${ssh}` : door;
}

/** Findings as one row: what the first says to do is told once, of the others with each. */
function findingsOutcome(findings: readonly Finding[], ok: string, verdict: 'warning' | 'failed'): CheckOutcome {
  const [first, ...more] = findings;
  if (first === undefined) return { verdict: 'ok', text: ok };
  const [text, todo] = first.lines;
  return { verdict, text, details: more.flatMap(({ lines }) => [lines[0], `  what to do: ${lines[1]}`]), todo, code: 'git-config' };
}

function foreignRules(walk: Walk, look: GitLook): CheckOutcome {
  const { isReadOnly } = walk;
  const found = look.proof.findings.filter(({ kind }) => kind === 'foreign-rule' || (kind === 'foreign-push-rule' && !isReadOnly));
  // A rule for pushes takes them away from the door even where fetches reach it.
  const isPush = found.some(({ kind }) => kind === 'foreign-push-rule');
  return findingsOutcome(found, 'none takes addresses away from the door', isPush ? 'failed' : severity(walk, look));
}

/** Variables that curl takes for a plain door and for one with TLS; it has no upper-case form of the first (curl(1), "ENVIRONMENT"). */
const PROXY_VARIABLES = { http: ['http_proxy', 'all_proxy', 'ALL_PROXY'], https: ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'] };

async function proxies(walk: Walk, look: GitLook): Promise<CheckOutcome> {
  const found = look.proof.findings.filter(({ kind }) => kind === 'proxy' || kind === 'remote-proxy');
  if (found.length > 0) return findingsOutcome(found, '', 'failed');
  const { door } = look;
  const set = PROXY_VARIABLES[door.startsWith('https:') ? 'https' : 'http'].find((name) => (walk.git.variable(name) ?? '') !== '');
  if (set === undefined) return { verdict: 'ok', text: 'none is set for the door' };
  if ((await httpSetting(walk.git, 'proxy', door)) === '')
    return { verdict: 'ok', text: `${set} is set, and a setting of git keeps the door out of it` };
  const { hostname } = new URL(door);
  if (isExcepted(hostname, walk.git.variable('no_proxy') ?? walk.git.variable('NO_PROXY') ?? ''))
    return { verdict: 'ok', text: `${set} is set, and no_proxy names the door` };
  return {
    verdict: 'failed',
    text: `${set} is set, and sends git's requests to the door to a proxy`,
    todo: `${setupCommand(walk)} (it keeps the door out of every proxy), or add ${hostname} to no_proxy`,
    code: 'git-config',
    fix: addSetupFix(walk),
  };
}

/** As curl reads it: names with commas or blanks between, each also for what is below it; `*` is every host. */
function isExcepted(host: string, list: string): boolean {
  const plain = host.replace(/^\[|\]$/g, '');
  return list
    .split(/[\s,]+/)
    .map((each) => each.replace(/^\./, '').replace(/^\[|\]$/g, ''))
    .some((each) => each === '*' || (each !== '' && (plain === each || plain.endsWith(`.${each}`))));
}

function settings(_walk: Walk, { proof }: GitLook): CheckOutcome {
  const found = proof.findings.filter(({ kind }) => kind === 'protocol' || kind === 'proactive-auth' || kind === 'tls-variable');
  // Who does not check the certificate reaches the door all the same.
  const isHarmless = found.every(({ lines }) => lines[0].startsWith('GIT_SSL_NO_VERIFY'));
  return findingsOutcome(found, 'nothing stands in the way', isHarmless ? 'warning' : 'failed');
}

async function lfsLeftovers(walk: Walk, { doors, rules }: GitLook): Promise<CheckOutcome> {
  const { git, context, found, fixes } = walk;
  const open = (found.status?.listen.http ?? []).map((each) => `${each}/`);
  const lines = await lfsAccessIn(git, context.workingDirectory);
  const addresses = { doors: [...doors, ...open], real: rules.map(({ insteadOf }) => insteadOf) };
  const told = lines.filter((line) => lfsAccessFindings([line], addresses).length > 0);
  const outcome = findingsOutcome(lfsAccessFindings(told, addresses), 'git-lfs has left none', 'failed');
  const commands = told.map(lfsAccessRemoval).filter((words) => words !== undefined);
  if (outcome.verdict === 'ok' || outcome.verdict === 'untried' || commands.length === 0) return outcome;
  fixes.set('lfs-access', {
    commands: commands.map((words) => wordsLine(['git', ...words])),
    mend: async () => {
      for (const words of commands) {
        const { status, stderr } = await git.run(words);
        // 5: it is gone already, by the line before (git-config(1)).
        if (status !== 0 && status !== 5)
          throw new ProxyError('git-config', `git did not take it away (${stderr.trim().split('\n').at(-1) ?? ''})`, {
            todo: `run \`${wordsLine(['git', ...words])}\` when nothing else is at work there`,
          });
      }
      // What stands in no file, or has a credential in it, is still there, and the next look tells what to do about it.
      return told.filter((line) => lfsAccessRemoval(line) !== undefined).map(({ key }) => `${shown(key)} is gone`);
    },
  });
  return { ...outcome, fix: 'lfs-access' };
}
