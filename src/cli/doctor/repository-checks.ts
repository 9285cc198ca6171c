/**
 * Whether git gets what it asks for: real commands of the user's own git, through the door. Of a repository the first objects are fetched
 * into one that lives for that long; nothing is ever written upstream.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { askCheck } from '../../daemon/doctor/doctor-actions.js';
import type { CheckOutcome } from '../../model/check.js';
import { bytesText, countText } from '../amounts.js';
import { hideCredentials } from '../gitconfig/names.js';
import { type GitEnd, type GitPlace, runGit } from './bounded-git.js';
import type { AddressWalk } from './check.js';
import { isDoors } from './doors.js';
import { gitsOwn, refusalIn } from './git-words.js';
import { inScratch, made } from './scratch.js';

/** For a list of refs: tens of thousands come within that on a slow line. */
const REFS_MS = 120_000;
/** For the first objects. What has not come by then comes slowly, and is told. */
const OBJECTS_MS = 180_000;
/** Servers say something at least every few seconds while they prepare a pack; a minute of nothing is none of that. */
const QUIET_MS = 60_000;
/** More than that is not fetched to see whether it comes: a single commit without its files is a thousandth of it. */
const ENOUGH_BYTES = 64 * 1024 * 1024;
/** The daemon closes its record of an operation when the last socket has closed, which git does not wait for. */
const RECORD_TRIES = 10;
const RECORD_WAIT_MS = 100;

/** Who makes the commit that is never sent. */
const NOBODY = Object.fromEntries(
  ['AUTHOR', 'COMMITTER'].flatMap((who) => [
    [`GIT_${who}_NAME`, 'postern doctor'],
    [`GIT_${who}_EMAIL`, 'doctor@postern.invalid'],
  ]),
);

/** The first ref of a repository, where it has any. */
interface FirstRef {
  readonly id: string;
  readonly name: string;
}

/** What a walk has been told by the first of its checks here. */
const listed = new WeakMap<AddressWalk, FirstRef | undefined>();

/** `git ls-remote`: the first request of every clone, fetch and pull. */
export async function fetchRefs(walk: AddressWalk): Promise<CheckOutcome> {
  const stray = await strayed(walk);
  if (stray !== undefined) return stray;
  const since = Date.now();
  const answer = await runGit(placeOf(walk), ['ls-remote', '--', walk.address], { timeMs: REFS_MS });
  if (answer.by !== 'itself' || answer.status !== 0) return failure(walk, answer, since, 'list the branches');
  const first = firstRefIn(answer.stdout);
  listed.set(walk, first);
  if (first === undefined) return { verdict: 'ok', text: 'the repository is there, and empty' };
  const head = first.name === 'HEAD' ? `, HEAD is ${first.id.slice(0, 10)}` : '';
  return { verdict: 'ok', text: `${countText(answer.lines, 'ref')}${head}` };
}

/** A fetch of one commit: what is promised by the list has to come. */
export async function fetchObjects(walk: AddressWalk): Promise<CheckOutcome> {
  const since = Date.now();
  const first = listed.get(walk);
  if (first === undefined) return { verdict: 'ok', text: 'nothing to fetch: the repository is empty' };
  const { id, name } = first;
  return inScratch(placeOf(walk), formatOf(id), async ({ directory, git }) => {
    const fetch = (filter: readonly string[]): Promise<GitEnd> =>
      git(['fetch', '--progress', '--no-tags', '--depth=1', ...filter, '--', walk.address, name], {
        timeMs: OBJECTS_MS,
        quietMs: QUIET_MS,
        writes: { directory, mostBytes: ENOUGH_BYTES },
      });
    let fetched = await fetch(['--filter=tree:0']);
    // A server may know no such filter and say so; a clone asks for none.
    if (fetched.by === 'itself' && fetched.status !== 0 && /filter/i.test(fetched.stderr)) fetched = await fetch([]);
    const { by, status, bytes } = fetched;
    const amount = bytesText(bytes);
    if (by === 'enough') return { verdict: 'ok', text: `objects come: ${amount} of them, and the rest was not waited for` };
    if (by === 'time' && bytes > 0) {
      return {
        verdict: 'warning',
        text: `Objects come slowly: ${amount} in ${OBJECTS_MS / 1000} s`,
        todo: 'see whether a proxy or the line between here and the upstream is slow; `postern status` shows what runs',
      };
    }
    if (by !== 'itself' || status !== 0) return failure(walk, fetched, since, 'fetch the first objects', OBJECTS_MS);
    const there = await git(['cat-file', '-e', 'FETCH_HEAD']);
    if (there.status !== 0) return failure(walk, { ...there, by: 'itself' }, since, 'fetch the first objects');
    return { verdict: 'ok', text: `one commit came, of ${name}` };
  });
}

/** `git push --dry-run`: asks what a push asks first, and sends nothing. */
export async function pushRefs(walk: AddressWalk): Promise<CheckOutcome> {
  if (walk.flags['read-only'] === true) return { verdict: 'untried', text: 'not tried: --read-only' };
  const since = Date.now();
  return inScratch(placeOf(walk), formatOf(listed.get(walk)?.id), async ({ git }) => {
    const tree = await made(git(['hash-object', '-w', '-t', 'tree', '--stdin']));
    const commit = await made(git(['commit-tree', '-m', 'never sent', tree], undefined, { more: NOBODY }));
    const ref = `refs/heads/postern-doctor-${randomBytes(8).toString('hex')}`;
    const pushed = await git(['push', '--dry-run', '--no-verify', '--recurse-submodules=no', '--', walk.address, `${commit}:${ref}`], {
      timeMs: REFS_MS,
    });
    if (pushed.by === 'itself' && pushed.status === 0) return { verdict: 'ok', text: 'a push may begin; nothing was sent' };
    const failed = await failure(walk, pushed, since, 'begin a push');
    if (!('code' in failed) || (failed.code !== 'not-allowed' && failed.code !== 'lease-insufficient')) return failed;
    return { verdict: 'ok', text: `not allowed here, as the configuration has it: ${failed.text}` };
  });
}

function placeOf({ context: { environment, home, workingDirectory } }: AddressWalk): GitPlace {
  return { environment, home, workingDirectory };
}

/** The first line of git's list (git-ls-remote(1)): `ID<TAB>NAME`, HEAD where there is one. */
function firstRefIn(stdout: string): FirstRef | undefined {
  const [, id, name] = /^([0-9a-f]+)\t(.+)$/m.exec(stdout) ?? [];
  // What git prints is bytes here, and what it is given is UTF-8.
  return id === undefined || name === undefined ? undefined : { id, name: Buffer.from(name, 'latin1').toString('utf8') };
}

function formatOf(id = ''): 'sha1' | 'sha256' {
  return id.length === 64 ? 'sha256' : 'sha1';
}

/** Of an address that git does not take to the door nothing is asked here: it would go past it, with whatever git has. */
async function strayed(walk: AddressWalk): Promise<CheckOutcome | undefined> {
  const asked = await runGit(placeOf(walk), ['ls-remote', '--get-url', walk.address], { timeMs: REFS_MS });
  const leads = Buffer.from(asked.stdout.trim(), 'latin1').toString('utf8');
  if (asked.status === 0 && isDoors(leads, walk.found)) return undefined;
  return {
    verdict: 'failed',
    text: `Git does not come to the door with this address: it goes to ${hideCredentials(leads)}`,
    todo: '`postern setup` writes the rules that lead it there (with --org for an organisation that it cannot know of)',
  };
}

/** Why a command of git failed: as the door said through it, else as the daemon knows, else in git's own words. */
async function failure(walk: AddressWalk, { by, stderr }: GitEnd, since: number, aim: string, limitMs = REFS_MS): Promise<CheckOutcome> {
  const told = refusalIn(stderr) ?? (await known(walk, since));
  if (told !== undefined) return told;
  const own = gitsOwn(stderr);
  if (by !== 'itself') {
    const limit = by === 'quiet' ? `nothing came for ${QUIET_MS / 1000} s` : `it took more than ${limitMs / 1000} s`;
    return {
      verdict: 'failed',
      text: `git could not ${aim}: ${limit}`,
      details: own,
      todo: '`postern status` shows what runs and what it waits for; `postern kill` ends it',
    };
  }
  if (/terminal prompts disabled|Authentication failed/.test(stderr)) {
    return {
      verdict: 'failed',
      text: `git could not ${aim}: it was asked for a user name and a password, and has none that is taken`,
      details: own,
      todo: "the route's identity is most likely `passthrough`, which has none of its own: give git a credential helper for the address, or the route another identity",
      code: 'upstream-unauthenticated',
    };
  }
  return {
    verdict: 'failed',
    text: `git could not ${aim}: ${own.at(-1) ?? 'it gave no reason'}`,
    details: own,
    todo: 'see the log of the daemon for the time of this check',
  };
}

/** Where an answer broke off in its middle git has no words of ours, and the daemon has noted why. */
async function known({ context: { places }, address }: AddressWalk, since: number): Promise<CheckOutcome | undefined> {
  for (let tries = 0; tries < RECORD_TRIES; tries += 1) {
    const found = await askCheck(places.adminSocket, 'latest-failure', { address, since }).catch(() => undefined);
    if (found?.verdict === 'failed') return found;
    if (found?.verdict !== 'ok') return undefined;
    await pause(RECORD_WAIT_MS);
  }
  return undefined;
}
