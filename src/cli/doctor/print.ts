/** Rows of `postern doctor` as lines for a person. */
import type { CheckRow } from '../../model/check.js';
import { spanText } from '../amounts.js';
import type { Printer } from '../print.js';

const MARKS: Readonly<Record<CheckRow['verdict'], string>> = { ok: 'ok', warning: 'warning', failed: 'FAILED', untried: '-' };
const MARK_WIDTH = Math.max(...Object.values(MARKS).map(({ length }) => length));
const NAME_WIDTH = 18;
/** A check that took less took no time that a person would notice. */
const NOTICED_MS = 20;

export function rowLines(row: CheckRow, { bold }: Pick<Printer, 'bold'>): string[] {
  const mark = MARKS[row.verdict].padEnd(MARK_WIDTH);
  const took = row.ms < NOTICED_MS ? '' : `  (${row.ms < 1000 ? `${row.ms} ms` : spanText(row.ms)})`;
  const lines = [`${row.verdict === 'failed' ? bold(mark) : mark}  ${row.name.padEnd(NAME_WIDTH)}  ${row.text}${took}`];
  for (const detail of row.details ?? []) lines.push(`${' '.repeat(MARK_WIDTH + 2)}${detail}`);
  if (row.verdict === 'warning' || row.verdict === 'failed') lines.push(`${' '.repeat(MARK_WIDTH + 2)}what to do: ${row.todo}`);
  return lines;
}
