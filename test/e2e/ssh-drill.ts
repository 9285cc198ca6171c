/**
 * Everything that git does with a remote, once, on one road: what each command printed, how it ended and what was in the
 * repositories afterwards. Commits have fixed times, so two roads to equal repositories must give equal results.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Scene } from '../support/scene.js';
import type { Road } from '../support/ssh-stage.js';

export type Protocol = 0 | 1 | 2;

export interface DrillOptions {
  readonly scene: Scene;
  readonly road: Road;
  /** One word; repositories of this name must not be there yet. */
  readonly name: string;
  readonly protocol: Protocol;
  readonly objectFormat: 'sha1' | 'sha256';
}

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** By what was done. */
export type Results = Readonly<Record<string, Outcome>>;

/** Steps that end otherwise than with 0 by what they are. */
export const REFUSED_STEPS: Readonly<Record<string, number>> = {
  'push what is no fast-forward': 1,
  'push, one of two refused': 1,
  'push --atomic, one of two refused': 1,
  'clone what is not there': 128,
};

/** One branch may not be made. */
const UPDATE_HOOK = `#!/bin/sh
[ "$1" != refs/heads/forbidden ] || { echo "$1 is forbidden here" >&2; exit 1; }
`;

/** Says push options back, which only this hook and the one after it are told. */
const PRE_RECEIVE_HOOK = `#!/bin/sh
cat >/dev/null
i=0
while [ "$i" -lt "\${GIT_PUSH_OPTION_COUNT:-0}" ]; do eval "echo option: \\$GIT_PUSH_OPTION_$i"; i=$((i + 1)); done
`;

export async function drill({ scene, road, name, protocol, objectFormat }: DrillOptions): Promise<Results> {
  const directory = join(scene.directory, 'drills', `${road.name.replace(/\W+/g, '-')}-${name}`);
  await mkdir(directory, { recursive: true });
  const bare = await makeBare(scene, road.repository(name), { objectFormat });
  const emptyBare = await makeBare(scene, road.repository(`${name}-empty`), { objectFormat, commits: 0 });
  const url = road.url(name);
  const results: Record<string, Outcome> = {};
  // Git shows an address without its user and, where it fetches, without its `.git`.
  const plain = (text: string): string =>
    text
      .replace(/^(From|To) \S+$/gm, '$1 URL')
      .replace(/(failed to push some refs to) '\S+'/g, '$1 URL')
      .replaceAll(url, 'URL')
      .replaceAll(directory, 'DIRECTORY');
  let minutes = 0;
  const git = async (args: readonly string[], at?: string): Promise<Outcome> => {
    minutes += 1;
    const date = `2024-01-01T00:00:00+00:00`.replace(
      '00:00:00',
      `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}:00`,
    );
    const env = { ...road.environment, GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date };
    const { code, stdout, stderr } = await scene.git(['-c', `protocol.version=${protocol}`, ...args], {
      env,
      cwd: at === undefined ? directory : join(directory, at),
    });
    return { code, stdout: plain(stdout), stderr: plain(stderr) };
  };
  const step = async (what: string, args: readonly string[], at?: string): Promise<void> => {
    results[what] = await git(args, at);
  };
  const local = async (args: readonly string[], at: string): Promise<string> => {
    const ran = await git(args, at);
    if (ran.code !== 0) throw new Error(`${road.name}: git ${args.join(' ')} ended with ${ran.code}: ${ran.stderr}`);
    return ran.stdout;
  };
  const commit = async (at: string, file: string): Promise<void> => {
    await writeFile(join(directory, at, file), `${file}\n`);
    await local(['add', '.'], at);
    await local(['commit', '-qm', file], at);
  };

  await step('ls-remote', ['ls-remote', url]);
  await step('clone', ['clone', '-q', url, 'first'], undefined);
  await step('clone again', ['clone', '-q', url, 'second'], undefined);
  await step('fetch, nothing new', ['fetch'], 'first');
  await local(['checkout', '-qb', 'topic'], 'first');
  await commit('first', 'topic.txt');
  await local(['tag', '-am', 'signed off', 'v1'], 'first');
  await local(['tag', 'light'], 'first');
  await step('push a branch and tags', ['push', 'origin', 'topic', 'v1', 'light'], 'first');
  await local(['commit', '-q', '--amend', '-m', 'amended'], 'first');
  await step('push what is no fast-forward', ['push', 'origin', 'topic'], 'first');
  await step('push --force-with-lease', ['push', '--force-with-lease', 'origin', 'topic'], 'first');
  await step('push, nothing new', ['push', 'origin', 'topic'], 'first');
  await step('fetch what was pushed', ['fetch'], 'second');
  await step('push deletes alone', ['push', 'origin', ':topic', ':refs/tags/light'], 'first');
  await step('fetch --prune', ['fetch', '--prune', '--prune-tags'], 'second');
  await local(['checkout', '-q', 'main'], 'first');
  await commit('first', 'main.txt');
  await local(['branch', 'forbidden'], 'first');
  await step('push --atomic, one of two refused', ['push', '--atomic', 'origin', 'main', 'forbidden'], 'first');
  await step('push, one of two refused', ['push', 'origin', 'main', 'forbidden'], 'first');
  await step('push --atomic', ['push', '--atomic', 'origin', 'main:one', 'main:two'], 'first');
  await commit('first', 'options.txt');
  await step('push with options', ['push', '-o', 'colour=blue', '-o', 'two words', 'origin', 'main'], 'first');
  await step('pull', ['pull', '-q'], 'second');
  await step('push a delete beside a branch', ['push', 'origin', ':one', 'main:three'], 'first');

  await step('clone --depth 1', ['clone', '-q', '--depth', '1', url, 'shallow']);
  await commit('shallow', 'shallow.txt');
  await step('push from what is shallow', ['push', 'origin', 'main:from-shallow'], 'shallow');
  await step('fetch --depth 2', ['fetch', '--depth', '2'], 'shallow');
  results['commits at depth 2'] = await git(['rev-list', 'origin/main'], 'shallow');
  await step('fetch --deepen 1', ['fetch', '--deepen', '1'], 'shallow');
  results['commits at depth 3'] = await git(['rev-list', 'origin/main'], 'shallow');
  await step('fetch --unshallow', ['fetch', '--unshallow'], 'shallow');
  results['still shallow'] = said(existsSync(join(directory, 'shallow', '.git', 'shallow')));
  await step('clone --filter=blob:none', ['clone', '-q', '--filter=blob:none', url, 'partial']);
  results['objects missing'] = await git(['rev-list', '--objects', '--all', '--missing=print'], 'partial');
  await step('check out what is missing', ['checkout', '-q', 'HEAD~2'], 'partial');

  await step('clone what is empty', ['clone', '-q', road.url(`${name}-empty`), 'empty']);
  await step('clone what is not there', ['clone', '-q', road.url(`${name}-missing`), 'missing']);
  // Not in that clone: before 2.41 git makes it with SHA-1, whatever the repository has.
  await local(['init', '-q', '-b', 'main', `--object-format=${objectFormat}`, 'starter'], '.');
  await local(['remote', 'add', 'origin', road.url(`${name}-empty`)], 'starter');
  await commit('starter', 'first.txt');
  await step('push to what is empty', ['push', '-u', 'origin', 'main'], 'starter');

  for (const clone of ['first', 'second', 'shallow', 'partial', 'starter']) {
    results[`fsck of ${clone}`] = await git(['fsck', '--full', '--no-progress'], clone);
    results[`refs of ${clone}`] = await git(['for-each-ref'], clone);
  }
  for (const [what, path] of [
    ['server', bare],
    ['empty server', emptyBare],
  ] as const) {
    results[`fsck of the ${what}`] = await git(['--git-dir', path, 'fsck', '--full', '--no-progress']);
    results[`refs of the ${what}`] = await git(['--git-dir', path, 'for-each-ref']);
    results[`objects of the ${what}`] = await git(['--git-dir', path, 'rev-list', '--objects', '--all']);
  }
  results['working tree'] = said(await readFile(join(directory, 'second', 'options.txt'), 'utf8'));
  // What a host says of a repository that is not there is its own.
  results['clone what is not there'] = { ...at(results, 'clone what is not there'), stderr: '' };
  return results;
}

export interface BareOptions {
  readonly objectFormat?: 'sha1' | 'sha256';
  readonly commits?: number;
  readonly largeFileBytes?: number;
  /** Runs no hooks, of which one is a process for each ref. */
  readonly isWithoutHooks?: boolean;
}

/** A bare repository that knows all that a client can ask for, however little its host does. */
export async function makeBare(scene: Scene, name: string, options: BareOptions): Promise<string> {
  const path = await scene.emulator.createRepository(name, options);
  for (const [key, value] of [
    ['receive.advertiseAtomic', 'true'],
    ['receive.advertisePushOptions', 'true'],
    ['receive.denyDeleteCurrent', 'ignore'],
  ] as const)
    await scene.git(['--git-dir', path, 'config', key, value]);
  if (options.isWithoutHooks === true) return path;
  await mkdir(join(path, 'hooks'), { recursive: true });
  for (const [hook, script] of [
    ['update', UPDATE_HOOK],
    ['pre-receive', PRE_RECEIVE_HOOK],
  ] as const)
    await writeFile(join(path, 'hooks', hook), script, { mode: 0o755 });
  return path;
}

function at(results: Results, what: string): Outcome {
  const found = results[what];
  if (found === undefined) throw new Error(`nothing was done under the name ${what}`);
  return found;
}

function said(value: unknown): Outcome {
  return { code: 0, stdout: String(value), stderr: '' };
}
