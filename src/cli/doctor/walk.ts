/** Walks a list of checks from the first to the last. Nothing is tried that has no hope, and nothing is left out of the list. */
import { failedBy, type CheckOutcome, type CheckRow } from '../../model/check.js';
import { messageOf, ProxyError } from '../../model/errors.js';
import type { Check, Walk } from './check.js';

/**
 * Runs the checks one after the other, and tells each row as it is there. `before`: rows of an earlier list, which these may need.
 */
export async function walkThrough<W extends Walk>(
  checks: readonly Check<W>[],
  walk: W,
  {
    before = [],
    address,
    onBegin,
    onRow,
  }: {
    before?: readonly CheckRow[];
    address?: string;
    onBegin?: (name: string) => void;
    onRow?: (row: CheckRow) => void;
  } = {},
): Promise<CheckRow[]> {
  const lost = new Set(before.flatMap(({ id, verdict }) => (verdict === 'failed' || verdict === 'untried' ? [id] : [])));
  const rows: CheckRow[] = [];
  for (const check of checks) {
    const began = performance.now();
    onBegin?.(check.name);
    const missing = check.needs.find((id) => lost.has(id));
    const outcome: CheckOutcome =
      missing === undefined
        ? await tried(check, walk)
        : { verdict: 'untried', waitsFor: missing, text: `not tried: first "${nameOf(missing, [...before, ...rows])}" has to be right` };
    const row: CheckRow = {
      ...outcome,
      id: check.id,
      name: check.name,
      class: check.class,
      ...(address === undefined ? {} : { address }),
      ms: Math.round(performance.now() - began),
    };
    if (row.verdict === 'failed' || row.verdict === 'untried') lost.add(row.id);
    rows.push(row);
    onRow?.(row);
  }
  return rows;
}

async function tried<W extends Walk>(check: Check<W>, walk: W): Promise<CheckOutcome> {
  try {
    return await check.run(walk);
  } catch (thrown) {
    return failedBy(thrown instanceof ProxyError ? thrown : new ProxyError('internal', messageOf(thrown), { todo: 'report this' }));
  }
}

function nameOf(id: string, rows: readonly CheckRow[]): string {
  return rows.find((row) => row.id === id)?.name ?? id;
}
