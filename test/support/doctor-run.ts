/** `postern doctor --json` in a test: its rows, and the first that failed. */
import { expect } from 'vitest';
import type { CheckRow } from '../../src/model/check.js';
import type { RunningDaemon, RunOptions } from './scene.js';

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

export async function doctor(
  daemon: RunningDaemon,
  address: string,
  options: RunOptions & { flags?: readonly string[] } = {},
): Promise<Doctored> {
  const ran = await daemon.postern(['doctor', address, '--json', ...(options.flags ?? [])], options);
  expect(ran.stdout, ran.stderr).toMatch(/^\{/);
  const { rows } = JSON.parse(ran.stdout) as { rows: readonly CheckRow[] };
  const first = rows.find(({ verdict }) => verdict === 'failed');
  // What a script sees and what a person reads are one.
  expect(ran.code === 0).toBe(first === undefined);
  return {
    code: ran.code,
    rows,
    first,
    row: (id) => rows.find((row) => row.id === id),
    todo: first?.verdict === 'failed' ? first.todo : '',
  };
}

/** Nothing failed, and all that is about the address was tried. */
export function isGreen({ rows, code }: Doctored): void {
  expect(rows.filter(({ verdict }) => verdict === 'failed' || verdict === 'untried')).toEqual([]);
  expect(code).toBe(0);
}
