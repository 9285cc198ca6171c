/** Git LFS on the road of an address: the program, git's filters, and the calls that git-lfs would make through the door. */
import { askRoadFacts } from '../../daemon/doctor/doctor-actions.js';
import type { RoadFacts } from '../../daemon/doctor/road-facts.js';
import type { CheckOutcome } from '../../model/check.js';
import { LFS_MEDIA_TYPE } from '../../git/lfs-request.js';
import type { Git } from '../gitconfig/git.js';
import type { AddressCheck, AddressWalk } from './check.js';
import { askDoor, type DoorAnswer, refusedBy } from './door-request.js';

/** SHA-256 of nothing: an object that no repository needs to hold, and of which nothing is ever sent. */
const NO_OBJECT = { oid: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', size: 1 };
/** What an upstream without the call answers, which git-lfs takes for "no locks" (git-lfs docs/api/locking.md). */
const WITHOUT_LOCKS: readonly number[] = [404, 501];

/** In the order in which git-lfs meets them. */
export const LFS_CHECKS: readonly AddressCheck[] = [
  { id: 'lfs-program', name: 'git-lfs', class: 'lfs', needs: ['git', 'route'], run: program },
  { id: 'lfs-filters', name: 'LFS filters', class: 'lfs', needs: ['lfs-program'], run: filters },
  { id: 'lfs-download', name: 'LFS download', class: 'lfs', needs: ['daemon', 'fetch-refs'], run: (walk) => batch(walk, 'download') },
  { id: 'lfs-upload', name: 'LFS upload', class: 'lfs', needs: ['lfs-download'], run: (walk) => batch(walk, 'upload') },
  { id: 'lfs-locks', name: 'LFS locks', class: 'lfs', needs: ['lfs-upload'], run: locks },
];

async function program(walk: AddressWalk): Promise<CheckOutcome> {
  const answer = await walk.git.run(['lfs', 'version']);
  if (answer.status === 0) return { verdict: 'ok', text: /git-lfs\/(\S+)/.exec(answer.stdout.toString())?.[1] ?? 'installed' };
  if ((await usesLfs(walk)) !== true)
    return { verdict: 'ok', text: 'not installed; only repositories that keep large files with it need it' };
  return {
    verdict: 'failed',
    text: 'git-lfs is not on the PATH, and this repository keeps files with it',
    todo: 'install git-lfs (`apt install git-lfs`, `dnf install git-lfs`, `brew install git-lfs`), then run `git lfs install`',
  };
}

async function filters(walk: AddressWalk): Promise<CheckOutcome> {
  const there = new Set((await walk.git.entries()).map(({ key }) => key));
  const missing = ['clean', 'smudge', 'process'].map((name) => `filter.lfs.${name}`).filter((key) => !there.has(key));
  if (missing.length === 0) return { verdict: 'ok', text: "in git's configuration" };
  if ((await usesLfs(walk)) !== true) return { verdict: 'ok', text: "not in git's configuration; `git lfs install` puts them there" };
  return {
    verdict: 'failed',
    text: `This repository keeps files with git-lfs, and git has no ${missing.join(', ')}: a checkout has pointers where the files should be`,
    todo: 'run `git lfs install`; in a clone that is there already also `git lfs pull`',
  };
}

async function batch(walk: AddressWalk, operation: 'download' | 'upload'): Promise<CheckOutcome> {
  const facts = await askRoadFacts(walk.context.places.adminSocket, walk.address);
  const apart = await notAsked(walk, facts, operation);
  if (apart !== undefined) return apart;
  const body = { operation, transfers: ['basic'], objects: [NO_OBJECT], hash_algo: 'sha256' };
  const answer = await ask(walk, facts, 'objects/batch', body);
  if (answer.status === 200 && Array.isArray(answer.json?.['objects'])) return { verdict: 'ok', text: 'the upstream answers for objects' };
  return refused(walk, facts, answer, `what may be ${operation === 'download' ? 'fetched' : 'stored'}`);
}

async function locks(walk: AddressWalk): Promise<CheckOutcome> {
  const facts = await askRoadFacts(walk.context.places.adminSocket, walk.address);
  const apart = await notAsked(walk, facts, 'upload');
  if (apart !== undefined) return apart;
  const answer = await ask(walk, facts, 'locks/verify', {});
  if (answer.status === 200 && answer.json !== undefined) return { verdict: 'ok', text: 'the upstream tells who has locked what' };
  if (WITHOUT_LOCKS.includes(answer.status)) return { verdict: 'ok', text: 'the upstream has none, and git-lfs goes on without' };
  return refused(walk, facts, answer, 'the locks');
}

/** Why nothing is asked; undefined when it is to be. */
async function notAsked(
  walk: AddressWalk,
  { allow, route }: RoadFacts,
  operation: 'download' | 'upload',
): Promise<CheckOutcome | undefined> {
  if (!allow.includes('lfs')) {
    if ((await usesLfs(walk)) !== true) return { verdict: 'ok', text: `not allowed by the route ${route}, and nothing here needs it` };
    return {
      verdict: 'failed',
      text: `This repository keeps files with git-lfs, and the route ${route} does not allow it`,
      todo: `add \`lfs\` to \`allow\` of the route ${route}`,
      code: 'not-allowed',
    };
  }
  if (operation === 'download') return undefined;
  if (walk.isReadOnly) return { verdict: 'ok', text: 'not asked: only fetching is meant (--read-only)' };
  return allow.includes('push') ? undefined : { verdict: 'ok', text: `not asked: the route ${route} does not allow to push` };
}

function ask({ found, git }: AddressWalk, { path }: RoadFacts, call: string, body: object): Promise<DoorAnswer> {
  const { status } = found;
  if (status === undefined) throw new Error('The row of the daemon comes first');
  return askDoor(
    status,
    {
      method: 'POST',
      // As git-lfs derives it from the remote.
      path: `${path}${path.endsWith('.git') ? '' : '.git'}/info/lfs/${call}`,
      headers: { accept: LFS_MEDIA_TYPE, 'content-type': LFS_MEDIA_TYPE },
      body: JSON.stringify(body),
    },
    git,
  );
}

/** A host that has no LFS at all is no fault of who does not use it. */
async function refused(walk: AddressWalk, { hostKind }: RoadFacts, answer: DoorAnswer, what: string): Promise<CheckOutcome> {
  const outcome = refusedBy(
    answer,
    `ask the administrator of the upstream why it does not tell ${what}; the log of the daemon has the request`,
  );
  const isWithout = hostKind === 'generic' && (answer.status === 404 || answer.status === 501);
  // A lease that leaves LFS out was made for a job that needs none.
  if ('code' in outcome && outcome.code === 'lease-insufficient' && (await usesLfs(walk)) !== true)
    return { verdict: 'ok', text: `not allowed here: ${outcome.text}` };
  return isWithout && (await usesLfs(walk)) !== true ? { verdict: 'ok', text: 'the upstream has none for this repository' } : outcome;
}

/**
 * Whether the repository that the command stands in keeps files with git-lfs; undefined when the address is of another one, or there
 * is no commit to look at.
 */
export async function usesLfs({ git, address }: Pick<AddressWalk, 'git' | 'address'>): Promise<boolean | undefined> {
  if (!(await isRemote(git, address))) return undefined;
  const { status } = await git.run(['grep', '-q', '-e', 'filter=lfs', 'HEAD', '--', ':(top,glob)**/.gitattributes']);
  return status > 1 ? undefined : status === 0;
}

/** Both are compared as git would go there: rules may have been at work on one of them. */
async function isRemote(git: Git, address: string): Promise<boolean> {
  const [remotes, asked] = await Promise.all([git.run(['remote', '-v']), git.run(['ls-remote', '--get-url', address])]);
  if (remotes.status !== 0) return false;
  const target = asked.stdout.toString().trim();
  return remotes.stdout
    .toString()
    .split('\n')
    .some((line) => line.replace(/^[^\t]*\t/, '').replace(/ \((?:fetch|push)\)(?: \[.*\])?$/, '') === target);
}
