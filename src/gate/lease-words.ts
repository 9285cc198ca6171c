/** What a lease says, in words: for `lease explain`, `lease list` and what is remembered of a lease that was given out. */
import type { Caveat, Lease, RepoPattern } from '../model/lease.js';
import { inferHostKind } from '../model/host-name.js';

/** One line about a caveat: what it is about, and what it says of that. */
export interface CaveatLine {
  readonly about: 'repositories' | 'operations' | 'refs' | 'never' | 'changes' | 'ends' | 'from' | 'users';
  readonly text: string;
}

/** Everything that a caveat says; for a grant also what it does not say and therefore does not give. */
export function caveatLines(caveat: Caveat, isGrant: boolean): CaveatLine[] {
  const { repos, allow, refs, protect, changes, expiresAt, from, uids } = caveat;
  const lines: CaveatLine[] = [];
  const say = (about: CaveatLine['about'], said: string | undefined, otherwise?: string): void => {
    const text = said ?? (isGrant ? otherwise : undefined);
    if (text !== undefined) lines.push({ about, text });
  };
  const isPush = allow?.includes('push') === true;
  say('repositories', repos?.map(patternText).join(', '), 'none');
  say('operations', allow?.join(', '), 'none');
  say('refs', refs?.join(', '), isPush ? 'none, so nothing can be pushed' : undefined);
  say('never', protect?.join(', '));
  say('changes', changes?.join(', '), isPush ? 'none, so nothing can be pushed' : undefined);
  say('ends', expiresAt?.toISOString(), 'it names no end, so it grants nothing');
  say('from', from?.join(', '));
  say('users', uids === undefined ? undefined : `uid ${uids.join(', ')}`);
  return lines;
}

/** The grant in one line, as `lease list` shows it. */
export function grantSentence(grant: Caveat): string {
  return caveatLines(grant, true)
    .filter(({ about }) => about !== 'ends')
    .map(({ about, text }) => (about === 'repositories' || about === 'operations' ? text : `${about} ${text}`))
    .join('; ');
}

/** A pattern as someone would write it. */
export function patternText({ hostKind, parts }: RepoPattern): string {
  const text = parts.join('/');
  return inferHostKind(parts[0] ?? '') === hostKind ? text : `${text} (${hostKind})`;
}

/** When the first of its caveats ends it; undefined when none does. */
export function endOf({ caveats }: Lease): Date | undefined {
  const ends = caveats.flatMap(({ expiresAt }) => (expiresAt === undefined ? [] : [expiresAt.getTime()]));
  return ends.length === 0 ? undefined : new Date(Math.min(...ends));
}
