/**
 * What setup would do to the files, worked out without touching any of them: `--dry-run` prints it, setup carries it
 * out. Made anew under the lock, because what was read before the lock may be old.
 */
import { ProxyError } from '../../model/errors.js';
import { includesOwned, readConfig, requireOneInclude } from './config-file.js';
import type { Git } from './git.js';
import { fingerprintOf, includeBlock, insertionFor, removeInsertion } from './insertion.js';
import { type KnownHostsPlan, type KnownHostsWish, planKnownHosts } from '../known-hosts/entry.js';
import type { Journal } from './journal.js';
import type { Places } from './places.js';

export interface Plan {
  /** What the journal is to say; `madeDirectories` are those of earlier runs. */
  readonly journal: Journal;
  /** The new content of the configuration file; undefined when the include stands there already. */
  readonly config: Buffer | undefined;
  /** The new content of our own file; undefined when it is up to date. */
  readonly owned: string | undefined;
  /** The content of our own file where somebody else has changed it: a copy is to be kept. */
  readonly edited: Buffer | undefined;
  /** The SSH door's line; undefined where none is wanted. */
  readonly knownHosts: KnownHostsPlan | undefined;
  /** Whether the journal on disk says something else. */
  readonly journalChanges: boolean;
}

export interface PlanInput {
  readonly git: Git;
  readonly home: string;
  readonly places: Places;
  /** The real file behind `places.config`. */
  readonly target: string;
  /** The journal of an earlier run for the same places. */
  readonly earlier: Journal | undefined;
  /** What our own file is to hold. */
  readonly text: string;
  /** The line that a known_hosts file is to hold. */
  readonly knownHosts: KnownHostsWish | undefined;
  /** A setup that will have been undone before. */
  readonly moved?: Journal | undefined;
}

/** Works out the plan. @throws ProxyError `git-config` when git cannot read the file as it is. */
export async function planFor({ git, home, places, target, earlier, text, knownHosts, moved }: PlanInput): Promise<Plan> {
  const found = await readConfig(target);
  const content = found ?? Buffer.alloc(0);
  const present = await readConfig(places.owned);
  const wanted = fingerprintOf(text).sha256;
  const actual = present === undefined ? undefined : fingerprintOf(present).sha256;
  const known = earlier?.owned.sha256 ?? [];
  const owned = {
    path: places.owned,
    // The former digest stays beside the new one: a crash may leave either content.
    sha256: actual === undefined || actual === wanted || !known.includes(actual) ? [wanted] : [wanted, actual],
  };
  const include = await includePlan({ git, home, places, target, earlier, found, content });
  const line = knownHosts === undefined ? undefined : await planKnownHosts(knownHosts, earlier?.knownHosts, moved?.knownHosts);
  const journal: Journal = { ...include.journal, owned, knownHosts: line?.journal, madeDirectories: earlier?.madeDirectories ?? [] };
  return {
    journal,
    config: include.config,
    owned: actual === wanted ? undefined : text,
    edited: present !== undefined && actual !== wanted && !known.includes(actual ?? '') ? present : undefined,
    knownHosts: line,
    journalChanges:
      include.config !== undefined ||
      earlier === undefined ||
      earlier.owned.sha256[0] !== wanted ||
      line?.content !== undefined ||
      (line === undefined) !== (earlier.knownHosts === undefined),
  };
}

type IncludeInput = Omit<PlanInput, 'text' | 'knownHosts' | 'moved'> & { readonly found: Buffer | undefined; readonly content: Buffer };
type IncludePlan = { readonly journal: Omit<Journal, 'owned' | 'madeDirectories'>; readonly config: Buffer | undefined };

async function includePlan({ git, home, places, target, earlier, found, content }: IncludeInput): Promise<IncludePlan> {
  const base = { version: 1, file: places.config, existed: found !== undefined } as const;
  if (await includesOwned(git, content, target, places.owned, home)) {
    return { journal: earlier ?? adopted(base, content, places.owned), config: undefined };
  }
  const inserted = insertionFor(content, includeBlock(places.owned));
  const after = Buffer.concat([content, Buffer.from(inserted)]);
  await requireOneInclude(git, content, after, target, places.owned);
  return {
    journal: { ...base, before: fingerprintOf(content), after: fingerprintOf(after), inserted, offset: content.length },
    config: after,
  };
}

/** The include is there and the journal is not: our own lines are taken over, anybody else's are left to them. */
function adopted<T extends object>(base: T, content: Buffer, owned: string) {
  const block = includeBlock(owned);
  const removal = removeInsertion(content, block, 0);
  if (removal.kind === 'many') {
    throw new ProxyError('git-config', `The lines of setup stand ${removal.times} times in the configuration`, {
      todo: `Leave one of them: path = ${owned}`,
    });
  }
  const ours = removal.kind === 'removed';
  return {
    ...base,
    before: fingerprintOf(ours ? removal.content : content),
    after: fingerprintOf(content),
    inserted: ours ? block : '',
    offset: ours ? content.indexOf(block) : content.length,
  };
}
