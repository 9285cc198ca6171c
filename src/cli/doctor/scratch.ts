/** A repository for a moment, in a directory that nobody else can enter, with the settings that hold where the user stands. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProxyError } from '../../model/errors.js';
import { writeValue } from '../gitconfig/quoting.js';
import { type GitEnd, type GitLimits, type GitPlace, runGit } from './bounded-git.js';

/** For what git does on this machine alone. */
const LOCAL_MS = 20_000;

/** What would do more than was asked: hooks of the user, upkeep, submodules; and a pack is kept as one, so that its size can be watched. */
const PLAIN: readonly string[] = [
  'core.hooksPath=/dev/null',
  'gc.auto=0',
  'maintenance.auto=false',
  'fetch.unpackLimit=1',
  'fetch.writeCommitGraph=false',
  'submodule.recurse=false',
];

export interface Scratch {
  readonly directory: string;
  /** Runs git in it. */
  readonly git: (args: readonly string[], limits?: Omit<GitLimits, 'cleanUp'>, more?: GitExtras) => Promise<GitEnd>;
}

type GitExtras = { readonly more?: Readonly<Record<string, string>>; readonly input?: string };

/** Makes one, and takes it away again whatever happens. `format`: that of its object ids. */
export async function inScratch<T>(place: GitPlace, format: 'sha1' | 'sha256', use: (scratch: Scratch) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-doctor-'));
  const cleanUp = (): void => rmSync(directory, { recursive: true, force: true });
  const git: Scratch['git'] = (args, limits = { timeMs: LOCAL_MS }, extras = {}) =>
    runGit(
      place,
      [`--git-dir=${directory}`, ...PLAIN.flatMap((setting) => ['-c', setting]), ...args],
      { ...limits, cleanUp },
      {
        untied: true,
        ...extras,
      },
    );
  try {
    await made(git(['init', '--quiet', '--bare', '--template=', `--object-format=${format}`]));
    await takeOver(place, directory);
    return await use({ directory, git });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Rules and headers of the repository that the user stands in hold for a command there. They are pointed at, not copied. */
async function takeOver(place: GitPlace, directory: string): Promise<void> {
  const found = await runGit(place, ['rev-parse', '--path-format=absolute', '--git-common-dir'], { timeMs: LOCAL_MS });
  if (found.status !== 0) return;
  const file = join(directory, 'config');
  const local = join(Buffer.from(found.stdout.replace(/\n$/, ''), 'latin1').toString('utf8'), 'config');
  // First, so that what makes it a bare repository wins.
  await writeFile(file, `[include]\n\tpath = ${writeValue(local)}\n${await readFile(file, 'utf8')}`, { mode: 0o600 });
}

/** What git does on this machine alone, and what it printed. @throws ProxyError `git-config` */
export async function made(running: Promise<GitEnd>): Promise<string> {
  const { status, stdout, stderr } = await running;
  if (status === 0) return stdout.trim();
  throw new ProxyError('git-config', `git could not use a repository in ${tmpdir()} (${stderr.trim().split('\n').at(-1) ?? ''})`, {
    todo: 'see that there is room in it and that it can be written, or set TMPDIR to another directory',
  });
}
