/**
 * `postern setup`: points git at the door. One file of our own with the rules, one include of it in the user's
 * configuration, a journal written before either, and a proof by the real git afterwards. `undo.ts` is its twin.
 */
import { dirname } from 'node:path';

import { makeDirectory, realTarget, removeLeftovers, writeFileAtomic } from '../../store/atomic-file.js';
import { type KnownHostsWish, readyDirectory, writeKnownHosts } from '../known-hosts/entry.js';
import { writeDoorLine } from '../known-hosts/lines.js';
import { readConfig, realConfig } from './config-file.js';
import { discover, type Discovery } from './discovery.js';
import { environmentFor } from './environment.js';
import { Git } from './git.js';
import { readJournal, writeJournal, type Journal } from './journal.js';
import { withLock } from './lock.js';
import { lfsAccessFindings, lfsAccessIn } from './lfs-access.js';
import { writeOwnedFile } from './owned-file.js';
import { placesFor, type Places, type TwinOptions } from './places.js';
import { planFor, type Plan } from './plan.js';
import { addressFindings, prove, type Finding } from './proof.js';
import { doorBase, rulesFor, type Rule } from './rules.js';
import { type SshDoor, sshPlanFor } from './ssh-setup.js';
import { undo } from './undo.js';
import { printDryRun, printFindings } from './report.js';

export interface SetupOptions extends TwinOptions {
  /** The door's own address: `http://127.0.0.1:8417`. */
  readonly base: string;
  /** PEM file that git is to trust for it; see `DoorAddress`. */
  readonly ca?: string | undefined;
  /** Organisations as typed. */
  readonly organisations: readonly string[];
  /** Bases of hosts that are not Azure DevOps Services; `onPremBases` makes them from routes. */
  readonly onPrem: readonly string[];
  /** The SSH door; without it SSH remotes stay as they are. */
  readonly ssh?: SshDoor | undefined;
  /** More repositories whose remotes tell organisations. */
  readonly repositories?: readonly string[];
}

export interface SetupOutcome {
  /** Whether a file was changed, or would be. */
  readonly changed: boolean;
  readonly places: Places;
  readonly rules: readonly Rule[];
  /** What keeps addresses from the door; empty when all is well. */
  readonly findings: readonly Finding[];
}

/**
 * Sets git up, or prints what that would do. Running it again changes nothing, or only our own file when there are
 * more organisations; those of earlier runs stay. Two at once: the second is told that the lock is held.
 *
 * @throws ProxyError `git-config` when git is missing or older than 2.31, a file cannot be read or written, or the lock
 *   is held; `usage` for a name or address that cannot be one. A throw before the journal is written leaves nothing.
 */
export async function setup(options: SetupOptions): Promise<SetupOutcome> {
  const { env, home, cwd, base, print } = options;
  const git = new Git(env, home, cwd);
  await git.requireVersion();
  const places = options.places ?? (await placesFor({ env, home, system: options.system ?? false }));
  // First of all: no lock is to be made beside a device, and git's own words for one would not say what to do.
  await readConfig(await realConfig(places.config));
  const earlier = await readJournal(places.journal);
  const found = await discover({
    git,
    named: options.organisations,
    repositories: [cwd, ...(options.repositories ?? [])],
    owned: earlier?.owned.path ?? places.owned,
  });
  const { organisations } = found;
  const ssh = await sshPlanFor(options, { git: git.neutral(), places, door: options.ssh, organisations, onPrem: options.onPrem });
  const rules = [...rulesFor({ base, organisations, users: found.users, onPrem: options.onPrem }), ...ssh.rules];
  const doors = [doorBase(base), ...ssh.doors] as const;
  const lfs = await lfsFindings(git, [cwd, ...(options.repositories ?? [])], doors, rules);
  const text = writeOwnedFile(rules, options);
  const move = earlier === undefined ? undefined : await whyMoved(earlier, places, ssh.knownHosts);
  const moved = move === undefined ? undefined : earlier;
  const wish = { home, places, text, knownHosts: ssh.knownHosts };

  if (options.dryRun === true) {
    const target = await realConfig(places.config);
    const plan = await planFor({ ...wish, git: git.neutral(), target, earlier: moved === undefined ? earlier : undefined, moved });
    printDryRun({ plan, places, target, moved, print });
    const trial = git.neutral().with(environmentFor(rules, options, env));
    // Rules that an earlier run wrote for another door would seem to beat ours; they are about to go.
    const foreign = (await prove(trial, rules, doors, places.owned)).findings.filter(({ kind }) => kind !== 'rule-ignored');
    const findings = [...foreign, ...sshFindings(plan, ssh.findings), ...addressFindings(found, rules), ...lfs];
    printFindings(findings, print);
    return { changed: changes(plan), places, rules, findings };
  }

  if (moved !== undefined) {
    print(`${move ?? ''} and is undone first`);
    await undo({ ...options, places: { ...places, config: moved.file, owned: moved.owned.path } });
  }
  const plan = await carryOut(options, git.neutral(), wish);
  printDone(plan, places, rules, found, print);
  const proof = await prove(git.neutral(), rules, doors, places.owned);
  const shown = doors.slice(0, ssh.rules.length === 0 ? 1 : 2).join(' and ');
  print(
    `${proof.proven === rules.length ? 'All' : `Only ${proof.proven} of`} ${rules.length} spellings now lead to ${shown} (asked git ls-remote --get-url)`,
  );
  const findings = [...proof.findings, ...sshFindings(plan, ssh.findings), ...addressFindings(found, rules), ...lfs];
  printFindings(findings, print);
  print('To take it back: postern setup --undo');
  return { changed: changes(plan), places, rules, findings };
}

interface Wish {
  readonly home: string;
  readonly places: Places;
  readonly text: string;
  readonly knownHosts: KnownHostsWish | undefined;
}

async function carryOut(options: SetupOptions, git: Git, wish: Wish): Promise<Plan> {
  const { places } = wish;
  const stage = options.onStage ?? (() => undefined);
  const target = await realConfig(places.config);
  return withLock(target, async () => {
    stage('locked');
    for (const path of [target, places.owned, places.journal]) await removeLeftovers(path);
    const earlier = await readJournal(places.journal);
    const plan = await planFor({ ...wish, git, target, earlier });
    if (!changes(plan)) return plan;

    const mode = places.system ? 0o755 : 0o700;
    const made = [
      ...(await makeDirectory(dirname(places.owned), mode)),
      ...(plan.knownHosts === undefined ? [] : await readyDirectory(plan.knownHosts, mode)),
    ];
    if (plan.journalChanges) {
      await writeJournal(places.journal, { ...plan.journal, madeDirectories: [...plan.journal.madeDirectories, ...made] });
    }
    stage('journal-written');
    // Before any rule leads to the door: ssh would ask about it.
    if (plan.knownHosts !== undefined) await writeKnownHosts(plan.knownHosts, places.system);
    stage('known-hosts-written');
    if (plan.edited !== undefined) await writeFileAtomic(`${places.owned}.saved`, plan.edited, { mode: 0o600 });
    if (plan.owned !== undefined) await writeFileAtomic(places.owned, plan.owned, { mode: 0o644 });
    stage('owned-written');
    if (plan.config !== undefined) await writeFileAtomic(target, plan.config, { mode: 0o644 });
    stage('config-written');
    return plan;
  });
}

function changes(plan: Plan): boolean {
  return plan.config !== undefined || plan.owned !== undefined || plan.journalChanges;
}

/** Of all the repositories that are looked at; a line of the user's own configuration is told once. */
async function lfsFindings(
  git: Git,
  directories: readonly string[],
  doors: readonly string[],
  rules: readonly Rule[],
): Promise<readonly Finding[]> {
  const found = (await Promise.all(directories.map((directory) => lfsAccessIn(git, directory)))).flat();
  const all = lfsAccessFindings(found, { doors, real: rules.map(({ insteadOf }) => insteadOf) });
  return [...new Map(all.map((finding) => [finding.lines.join('\n'), finding])).values()];
}

function sshFindings({ knownHosts }: Plan, others: readonly Finding[]): Finding[] {
  return [...others, ...(knownHosts?.findings ?? [])];
}

/** Why what an earlier run wrote cannot be built upon; undefined when it can. */
async function whyMoved(earlier: Journal, places: Places, wish: KnownHostsWish | undefined): Promise<string | undefined> {
  if (!(await isSamePlace(earlier, places))) return 'An earlier setup stands in other files';
  const { knownHosts } = earlier;
  if (knownHosts === undefined) return undefined;
  const isSame = wish !== undefined && knownHosts.file === wish.file && knownHosts.line === writeDoorLine(wish.door);
  return isSame ? undefined : 'An earlier setup knows the SSH door by another key or address';
}

/** Whether a journal is about these files; symlinks may have been moved about in the meantime. */
async function isSamePlace(journal: Journal, places: Places): Promise<boolean> {
  if (journal.owned.path !== places.owned) return false;
  if (journal.file === places.config) return true;
  const [one, other] = await Promise.all([journal.file, places.config].map((path) => realTarget(path).catch(() => path)));
  return one === other;
}

function printDone(plan: Plan, places: Places, rules: readonly Rule[], found: Discovery, print: (line: string) => void): void {
  if (!changes(plan)) print('Nothing to change: git is set up already');
  if (plan.edited !== undefined) print(`${places.owned} had been edited; a copy is kept as ${places.owned}.saved`);
  if (plan.owned !== undefined) print(`Wrote ${rules.length} rules to ${places.owned}`);
  if (plan.config !== undefined) print(`Added an include of it to ${places.config}${plan.journal.existed ? '' : ', which is new'}`);
  if (plan.knownHosts?.content !== undefined) {
    const { file, existed } = plan.knownHosts.journal;
    print(`Added the key of the SSH door to ${file}${existed ? '' : ', which is new'}`);
  }
  if (found.organisations.length > 0) print(`Organisations: ${found.organisations.join(', ')}`);
  else print('No organisation is known: addresses like https://ORG@dev.azure.com/ need its name: postern setup --org ORG');
}
