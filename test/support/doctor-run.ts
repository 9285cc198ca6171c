/** `postern doctor --json` in a test: its rows, and the first that failed. */
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { MOST_ADDRESSES } from '../../src/cli/doctor/targets.js';
import type { CheckRow } from '../../src/model/check.js';
import type { RunningDaemon, RunOptions, Scene } from './scene.js';

export interface Doctored {
  readonly code: number;
  readonly rows: readonly CheckRow[];
  /** The row that names the cause. */
  readonly first: CheckRow | undefined;
  /** Of a row by its id. */
  row(id: string): CheckRow | undefined;
  /** What to do about the first. */
  readonly todo: string;
}

/** `address`: undefined for those of the remotes of the repository at `cwd`. */
export async function doctor(
  daemon: RunningDaemon,
  address: string | undefined,
  options: RunOptions & { flags?: readonly string[] } = {},
): Promise<Doctored> {
  const ran = await daemon.postern(['doctor', ...(address === undefined ? [] : [address]), '--json', ...(options.flags ?? [])], options);
  expect(ran.stdout, ran.stderr).toMatch(/^\{/);
  const { rows } = JSON.parse(ran.stdout) as { rows: readonly CheckRow[] };
  const found = ofRows(rows, ran.code);
  // What a script sees and what a person reads are one.
  expect(found.code === 0).toBe(found.first === undefined);
  return found;
}

/** The same of some of the rows of a walk. */
function ofRows(rows: readonly CheckRow[], code: number): Doctored {
  const first = rows.find(({ verdict }) => verdict === 'failed');
  return {
    code,
    rows,
    first,
    row: (id) => rows.find((row) => row.id === id),
    todo: first?.verdict === 'failed' ? first.todo : '',
  };
}

/**
 * Walks many addresses in few runs: as remotes of repositories, of which a run takes as many as it walks. The exit code is that of a run.
 * `addresses`: by names that are fit for remotes.
 */
export async function doctorAll({
  scene,
  daemon,
  addresses,
}: {
  scene: Scene;
  daemon: RunningDaemon;
  addresses: ReadonlyMap<string, string>;
}): Promise<Map<string, Doctored>> {
  const all = [...addresses];
  const runs = Array.from({ length: Math.ceil(all.length / MOST_ADDRESSES) }, async (_, index) => {
    const part = all.slice(index * MOST_ADDRESSES, (index + 1) * MOST_ADDRESSES);
    const directory = await mkdtemp(join(scene.directory, 'remotes-'));
    for (const args of [['init', '-q'], ...part.map((remote) => ['remote', 'add', ...remote])])
      expect(await scene.git(args, { cwd: directory })).toMatchObject({ code: 0 });
    const { rows, code } = await doctor(daemon, undefined, { cwd: directory });
    const general = rows.filter(({ address }) => address === undefined);
    return part.map(([name, url]) => {
      const own = rows.filter(({ address }) => address === url);
      expect(own).not.toEqual([]);
      return [name, ofRows([...general, ...own], code)] as const;
    });
  });
  return new Map((await Promise.all(runs)).flat());
}

/** Nothing failed, and all that is about the address was tried. */
export function isGreen({ rows, code }: Doctored): void {
  expect(rows.filter(({ verdict }) => verdict === 'failed' || verdict === 'untried')).toEqual([]);
  expect(code).toBe(0);
}
