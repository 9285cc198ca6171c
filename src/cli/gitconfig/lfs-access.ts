/**
 * What git-lfs keeps of a 401: `lfs.<url>.access`, which it writes into the configuration of the repository. From then on it asks for a
 * password before every first request to an address below that URL, and without one it does not even try. The door wants none.
 *
 * Source: git-lfs-config(5); what comes of it was measured with git-lfs 3.3, through an insteadOf: it looks for the rewritten address.
 */
import { isAbsolute } from 'node:path';

import { quoteForSh } from './environment.js';
import { type ConfigEntry, type Git, subsectionOf } from './git.js';
import { hideCredentials } from './names.js';
import type { Finding } from './proof.js';

/** Such a line, and where git was asked. */
export interface LfsAccess extends ConfigEntry {
  readonly url: string;
  readonly value: string;
  readonly directory: string;
}

/** Value with which git-lfs asks for nothing. */
const NONE = 'none';

/** The lines that hold in a directory. @throws ProxyError `git-config` when git cannot be run, or read its configuration */
export async function lfsAccessIn(git: Git, directory: string): Promise<LfsAccess[]> {
  const entries = await git.at(directory).entries();
  return entries.flatMap((entry) => {
    const { key, value = '' } = entry;
    const url = subsectionOf(key, 'lfs', 'access');
    return url === undefined || value === '' || value.toLowerCase() === NONE ? [] : [{ ...entry, url, value, directory }];
  });
}

/** What is to be said of them. `doors`: beginnings of the door's addresses; `real`: those of addresses that lead there. */
export function lfsAccessFindings(
  found: readonly LfsAccess[],
  { doors, real }: { readonly doors: readonly string[]; readonly real: readonly string[] },
): Finding[] {
  const isBelow = ({ url }: LfsAccess, beginnings: readonly string[]): boolean => {
    // git-lfs itself writes none, and compares without.
    const plain = `${url.replace(/^(https?:\/\/)[^@/]*@/i, '$1')}/`;
    return beginnings.some((each) => plain.startsWith(each));
  };
  return found.flatMap((line): Finding[] => {
    const { key, value } = line;
    const told = `${hideCredentials(key)} = ${hideCredentials(value)} in ${placeOf(line)}`;
    if (isBelow(line, doors))
      return [
        { kind: 'lfs-access', lines: [`git-lfs asks for a password before it goes to the door, which wants none: ${told}`, removal(line)] },
      ];
    if (!isBelow(line, real)) return [];
    return [
      {
        kind: 'lfs-access',
        lines: [
          `git-lfs was once asked for a password, and would ask for one again where a request does not go to the door: ${told}`,
          removal(line),
        ],
      },
    ];
  });
}

function removal(line: LfsAccess): string {
  const words = lfsAccessRemoval(line);
  if (words !== undefined) return `remove it: git ${words.map((word) => (/^[\w./-]+$/.test(word) ? word : quoteForSh(word))).join(' ')}`;
  return line.origin.startsWith('file:')
    ? `remove it from ${placeOf(line)} by hand: its address holds a credential, which is to be revoked too`
    : 'take it out of the environment or command line';
}

/** The arguments of git that take such a line away; undefined where it stands in no file, or nobody but its owner should touch it. */
export function lfsAccessRemoval({ key, value, origin, directory }: LfsAccess): string[] | undefined {
  if (!origin.startsWith('file:') || hideCredentials(key + value) !== key + value) return undefined;
  const file = fileOf(origin);
  // A file of the repository itself is told as it is seen from its root.
  const where = isAbsolute(file) ? ['config', '--file', file] : ['-C', directory, 'config'];
  return [...where, '--unset-all', key];
}

function placeOf({ origin, directory }: LfsAccess): string {
  if (!origin.startsWith('file:')) return origin;
  return isAbsolute(fileOf(origin)) ? fileOf(origin) : `${fileOf(origin)} of the repository at ${directory}`;
}

function fileOf(origin: string): string {
  return origin.slice('file:'.length);
}
