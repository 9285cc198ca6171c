/**
 * The flags by which a lease is given out or narrowed, as values. What is wrong is told with what to write instead; a lease
 * never stands among them.
 */
import { parseDuration } from '../config/duration.js';
import { LONGEST_LEASE_MS } from '../daemon/lease-desk.js';
import { isAddressBlock, isLabel, isRefGlob, isUid, LONGEST_LABEL } from '../gate/caveat-text.js';
import { ProxyError } from '../model/errors.js';
import { PERMISSIONS } from '../model/operation.js';
import type { Permission } from '../model/operation.js';
import { REF_CHANGES, type RefChange } from '../model/refs.js';
import type { SettingsFlags } from './context.js';

/* As plain questions: what is no glob is still a text that can be told. */
const isGlob: (text: string) => boolean = isRefGlob;
const isBlock: (text: string) => boolean = isAddressBlock;

/** What may be done to refs when only the refs are named. */
const DEFAULT_CHANGES: readonly RefChange[] = ['create', 'update'];

/** What the flags of `lease create` and `lease narrow` say; repositories as they were written. */
export interface LeaseFlags {
  readonly repos: readonly string[] | undefined;
  readonly allow: readonly Permission[] | undefined;
  readonly refs: readonly string[] | undefined;
  readonly protect: readonly string[] | undefined;
  readonly changes: readonly RefChange[] | undefined;
  readonly forMs: number | undefined;
  readonly from: readonly string[] | undefined;
  readonly uids: readonly number[] | undefined;
}

/** @throws ProxyError `usage` */
export function readLeaseFlags(flags: SettingsFlags): LeaseFlags {
  const globs = (name: string): readonly string[] | undefined => {
    const all = textsOf(flags, name);
    for (const glob of all ?? [])
      if (!isGlob(glob)) throw usage(`--${name} ${glob} is no glob of refs`, `write whole names, such as 'refs/heads/${plain(glob)}'`);
    return all;
  };
  const from = textsOf(flags, 'from');
  for (const block of from ?? [])
    if (!isBlock(block))
      throw usage(`--from ${block} is no address`, 'write an address or a block in its shortest form, such as 10.0.0.0/8 or fd00::/8');
  const uids = textsOf(flags, 'uid')?.map((text) => {
    const uid = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
    if (!isUid(uid)) throw usage(`--uid ${text} is no uid`, 'write the number that `id -u` prints');
    return uid;
  });
  return {
    repos: textsOf(flags, 'repo'),
    allow: wordsOf(flags, 'allow', PERMISSIONS),
    refs: globs('ref'),
    protect: globs('protect'),
    changes: wordsOf(flags, 'changes', REF_CHANGES),
    forMs: durationOf(flags),
    from,
    uids,
  };
}

/**
 * The flags of a grant, which has to name everything that it is to give.
 * @throws ProxyError `usage`
 */
export function readGrantFlags(
  flags: SettingsFlags,
): LeaseFlags & { readonly repos: readonly string[]; readonly forMs: number; readonly label: string | undefined } {
  const read = readLeaseFlags(flags);
  const { repos, allow, forMs, refs, changes } = read;
  const label = typeof flags['label'] === 'string' ? flags['label'] : undefined;
  if (label !== undefined && !isLabel(label))
    throw usage('--label cannot be used', `write a name of at most ${LONGEST_LABEL} printable characters`);
  if (repos === undefined) throw usage('A lease needs repositories', 'add --repo organisation/project/repository');
  if (allow === undefined) throw usage('A lease needs what it is for', 'add --allow fetch, or --allow fetch,push');
  if (forMs === undefined) throw usage('A lease needs an end', 'add --for 2h');
  const isPush = allow.includes('push');
  if (isPush && refs === undefined)
    throw usage('A lease for pushes needs the refs that may be pushed', "add --ref 'refs/heads/agent/*', or --ref 'refs/**' for every ref");
  if (!isPush && (refs !== undefined || read.protect !== undefined || changes !== undefined))
    throw usage(
      '--ref, --protect and --changes are about pushes, which this lease does not allow',
      'add push to --allow, or leave them out',
    );
  return { ...read, repos, forMs, label, changes: changes ?? (isPush ? DEFAULT_CHANGES : undefined) };
}

function durationOf(flags: SettingsFlags): number | undefined {
  const text = flags['for'];
  if (typeof text !== 'string') return undefined;
  try {
    const ms = parseDuration(text, LONGEST_LEASE_MS);
    if (ms >= 1000) return ms;
  } catch (thrown) {
    if (!(thrown instanceof SyntaxError)) throw thrown;
    throw usage(`--for ${thrown.message}`, 'write a time with its unit, such as 90s, 2h or 1d');
  }
  throw usage(`--for ${text} is less than a second`, 'write a time such as 90s, 2h or 1d');
}

/** Words of a table, separated by commas or given as several flags, in the order of the table. */
function wordsOf<Word extends string>(flags: SettingsFlags, name: string, all: readonly Word[]): readonly Word[] | undefined {
  const given = textsOf(flags, name)?.flatMap((text) => text.split(',').map((word) => word.trim()));
  const wrong = given?.find((word) => !(all as readonly string[]).includes(word));
  if (wrong !== undefined) throw usage(`--${name} ${wrong} is not one of ${all.join(', ')}`, 'write one of them, or several with commas');
  return given === undefined ? undefined : all.filter((word) => given.includes(word));
}

/** A flag that may be given more than once, without repetitions; undefined when it is not there. */
function textsOf(flags: SettingsFlags, name: string): readonly string[] | undefined {
  const value = flags[name];
  const all = (Array.isArray(value) ? value : [value]).filter((each) => typeof each === 'string' || typeof each === 'number').map(String);
  return all.length === 0 ? undefined : [...new Set(all)];
}

/** What someone most likely meant by a short name. */
function plain(glob: string): string {
  return glob.replace(/^\/?(?:refs\/)?(?:heads\/)?/, '') || 'agent/*';
}

function usage(what: string, todo: string): ProxyError {
  return new ProxyError('usage', what, { todo });
}
