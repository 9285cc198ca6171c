/**
 * `postern setup --undo`: takes out exactly what setup put in, and says whether the former state is back, which it
 * knows by comparing digests. It goes by the journal, and by our own lines where the journal is lost. The journal is
 * removed last, so that a crash at any point leaves something to go on from.
 */
import { ProxyError } from '../../model/errors.js';
import { realTarget, removeFileDurably, removeLeftovers, writeFileAtomic } from '../../store/atomic-file.js';
import { includesOwned, readConfig, requireOneInclude } from './config-file.js';
import { quoteForSh } from './environment.js';
import { Git } from './git.js';
import { fingerprintOf, includeBlock, removeInsertion, type Fingerprint } from './insertion.js';
import { hasDoorLine, takeOutKnownHosts } from '../known-hosts/entry.js';
import { readJournal, removeJournal, type Journal } from './journal.js';
import { clearDeadLock, withLock } from './lock.js';
import { placesFor, type Places, type TwinOptions } from './places.js';

/**
 * `nothing`: there was no setup. `restored`: byte for byte as before setup. `lines-removed`: our lines are out, and
 * other changes since setup stay. `already-gone`: our lines were out before. `left`: an include of our file
 * stays in lines that setup did not write.
 */
export interface UndoOutcome {
  readonly kind: 'nothing' | 'restored' | 'lines-removed' | 'already-gone' | 'left';
  /** The same for the known_hosts file; `nothing` where setup had written none into it. */
  readonly knownHosts: Awaited<ReturnType<typeof takeOutKnownHosts>>;
  readonly places: Places;
}

/**
 * Undoes setup, or prints what that would do. Without a setup it says so and changes nothing.
 *
 * @throws ProxyError `git-config` when the lock is held, a file cannot be read or written, our lines stand there more
 *   than once, or taking them out would change what the rest means. Nothing has been changed then.
 */
export async function undo(options: TwinOptions): Promise<UndoOutcome> {
  const { env, home, cwd, print } = options;
  const places = options.places ?? (await placesFor({ env, home, system: options.system ?? false }));
  const git = new Git(env, home, cwd);
  const journal = await readJournal(places.journal);
  if (journal === undefined && !(await hasOurLines(places)) && !(await hasDoorLine(places.knownHosts))) {
    if (options.dryRun !== true) await realTarget(places.config).then(clearDeadLock, () => undefined);
    print('Nothing to undo: git is not set up');
    return { kind: 'nothing', knownHosts: 'nothing', places };
  }
  await git.requireVersion();
  const step: Step = {
    options,
    git: git.neutral(),
    file: journal?.file ?? places.config,
    owned: journal?.owned.path ?? places.owned,
    journal,
  };
  // Without its directory there is neither a file nor a way to lock it; a dry run must not even make a lock.
  const target = await realTarget(step.file).catch(() => undefined);
  if (options.dryRun === true) {
    const kind = target === undefined ? goneWith(step) : await takeOut(step, target);
    const knownHosts = await takeOutLine(step, places);
    print('Nothing was changed');
    return { kind, knownHosts, places };
  }
  if (target === undefined) {
    const kind = goneWith(step);
    return { kind, knownHosts: await removeOurs(step, places), places };
  }
  return withLock(target, async () => {
    options.onStage?.('locked');
    await removeLeftovers(target);
    const kind = await takeOut(step, target);
    return { kind, knownHosts: await removeOurs(step, places), places };
  });
}

interface Step {
  readonly options: TwinOptions;
  readonly git: Git;
  readonly file: string;
  readonly owned: string;
  readonly journal: Journal | undefined;
}

async function takeOut(step: Step, target: string): Promise<UndoOutcome['kind']> {
  const { options, git, file, owned, journal } = step;
  const content = await readConfig(target);
  if (content === undefined) return goneWith(step);
  const removal = removeInsertion(content, journal?.inserted ?? includeBlock(owned), journal?.offset ?? 0);
  switch (removal.kind) {
    case 'many':
      throw new ProxyError('git-config', `The lines of setup stand ${removal.times} times in ${file}`, {
        todo: `Leave one of them and run this again: path = ${owned}`,
      });
    case 'absent':
      return saidGone(step, content, target);
    case 'removed': {
      await requireOneInclude(git, removal.content, content, target, owned);
      const kind = journal !== undefined && equal(fingerprintOf(removal.content), journal.before) ? 'restored' : 'lines-removed';
      if (options.dryRun !== true) {
        await putBack(step, target, removal.content);
        options.onStage?.('config-written');
      }
      sayRemoved(step, kind);
      return kind;
    }
  }
}

/** Writes the content without our lines, and looks whether the disk now says the same. */
async function putBack({ file, journal }: Step, target: string, content: Buffer): Promise<void> {
  const goes = content.length === 0 && journal?.existed === false;
  if (goes) await removeFileDurably(target);
  else await writeFileAtomic(target, content, { mode: 0o644 });
  const now = await readConfig(target);
  if (goes ? now === undefined : now?.equals(content) === true) return;
  throw new ProxyError('git-config', `${file} was changed by another program while our lines were taken out`, {
    todo: 'Look at the file, then run postern setup --undo again',
  });
}

function sayRemoved({ options, file, journal }: Step, kind: 'restored' | 'lines-removed'): void {
  const would = options.dryRun === true;
  if (kind === 'restored' && journal !== undefined) {
    const how = journal.existed ? 'byte for byte' : 'byte for byte: it was not there before setup, and is not now';
    options.print(`${would ? 'Would restore' : 'Restored'} ${file} ${how} (sha256 ${journal.before.sha256})`);
    return;
  }
  const why = journal === undefined ? 'there is no journal to compare with' : 'the file has changed since setup';
  options.print(`${would ? 'Would remove only our lines from' : 'Only our lines were removed from'} ${file}; ${why}`);
}

async function saidGone(step: Step, content: Buffer, target: string): Promise<UndoOutcome['kind']> {
  const { options, git, file, owned, journal } = step;
  if (await includesOwned(git, content, target, owned, options.home)) {
    options.print(`${file} still includes ${owned}, in lines that setup did not write; they stay`);
    options.print(`  what to do: git config --file ${quoteForSh(file)} --fixed-value --unset-all include.path ${quoteForSh(owned)}`);
    return 'left';
  }
  if (journal !== undefined && equal(fingerprintOf(content), journal.before)) {
    options.print(`Our lines are not in ${file} any more; it is byte for byte as before setup (sha256 ${journal.before.sha256})`);
    return 'restored';
  }
  options.print(`Our lines are not in ${file} any more; it stays as it is`);
  return 'already-gone';
}

function goneWith({ options, file, journal }: Step): 'restored' | 'already-gone' {
  options.print(`${file} is not there${journal?.existed === false ? ', as before setup' : ' any more'}`);
  return journal?.existed === false ? 'restored' : 'already-gone';
}

/** The journal goes last: while it is there, undo can be run again. */
async function removeOurs(step: Step, places: Places): Promise<UndoOutcome['knownHosts']> {
  await removeOwned(step);
  step.options.onStage?.('owned-removed');
  const knownHosts = await takeOutLine(step, places);
  step.options.onStage?.('known-hosts-restored');
  await removeJournal(places.journal, step.journal);
  step.options.onStage?.('journal-removed');
  return knownHosts;
}

function takeOutLine({ options, journal }: Step, places: Places): Promise<UndoOutcome['knownHosts']> {
  if (journal !== undefined && journal.knownHosts === undefined) return Promise.resolve('nothing');
  return takeOutKnownHosts({
    journal: journal?.knownHosts,
    usual: places.knownHosts,
    isDry: options.dryRun === true,
    print: options.print,
  });
}

/** Ours by name whatever it holds; but what somebody wrote into it is kept beside. */
async function removeOwned({ options, owned, journal }: Step): Promise<void> {
  const content = await readConfig(owned);
  if (content === undefined) return;
  const isOurs = journal === undefined || journal.owned.sha256.includes(fingerprintOf(content).sha256);
  if (!isOurs) {
    await writeFileAtomic(`${owned}.saved`, content, { mode: 0o600 });
    options.print(`${owned} had been edited; a copy is kept as ${owned}.saved`);
  }
  await removeFileDurably(owned);
  options.print(`Removed ${owned}`);
}

async function hasOurLines(places: Places): Promise<boolean> {
  const content = await readConfig(await realTarget(places.config).catch(() => places.config));
  return content !== undefined && removeInsertion(content, includeBlock(places.owned), 0).kind !== 'absent';
}

function equal(one: Fingerprint, other: Fingerprint): boolean {
  return one.bytes === other.bytes && one.sha256 === other.sha256;
}
