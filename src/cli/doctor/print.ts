/** Rows of `postern doctor` as lines for a person: a heading for each part of the road, a line or two for each row, and the summary. */
import type { CheckClass, CheckRow } from '../../model/check.js';
import { moreOf } from '../../model/refusal.js';
import { countText, spanText } from '../amounts.js';
import type { Palette } from '../print.js';

const MARKS: Readonly<Record<CheckRow['verdict'], string>> = { ok: 'ok', warning: 'warning', failed: 'FAILED', untried: '-' };
const STYLES = { ok: 'good', warning: 'wary', failed: 'bad', untried: 'faint' } as const;
const MARK_WIDTH = Math.max(...Object.values(MARKS).map(({ length }) => length));
const NAME_WIDTH = 21;
const INDENT = ' '.repeat(MARK_WIDTH + 2);
/** A check that took less took no time that a person would notice. */
const NOTICED_MS = 250;

const HEADINGS: Readonly<Record<CheckClass, string>> = {
  programs: 'Programs',
  configuration: 'Configuration',
  git: 'git',
  daemon: 'Postern on this machine',
  identity: 'Route and identity',
  network: 'The way to the upstream',
  repository: 'Repository',
  lfs: 'Git LFS',
  ssh: 'SSH',
  rest: 'REST API',
};

/** Gives the lines of each row in turn, with a heading where another part of the road, or another address, begins. */
export class RowPrinter {
  readonly #palette: Palette;
  #class: CheckClass | undefined;
  #address: string | undefined;
  /** Names of rows that nothing but an earlier row kept from being tried: a line for each would bury that one. */
  readonly #waiting = new Set<string>();

  constructor(palette: Palette) {
    this.#palette = palette;
  }

  lines(row: CheckRow): string[] {
    if (row.verdict === 'untried' && row.waitsFor !== undefined) {
      this.#waiting.add(row.name);
      return [];
    }
    const isOther = row.address !== this.#address && row.address !== undefined;
    const heading: string[] = [];
    if (isOther) heading.push('', this.#palette.bold(`The road of ${row.address}`));
    if (isOther || row.class !== this.#class)
      heading.push(...(this.#class === undefined ? [] : ['']), this.#palette.bold(HEADINGS[row.class]));
    this.#class = row.class;
    this.#address = row.address;
    return [...heading, ...rowLines(row, this.#palette)];
  }

  /** What is said of those that were not tried, once all rows are there. */
  rest(): string[] {
    if (this.#waiting.size === 0) return [];
    const { bold, faint } = this.#palette;
    return ['', bold('Not tried until that is right'), ...inLines([...this.#waiting]).map((line) => faint(line))];
  }
}

/** Columns of a usual terminal. */
const LINE_WIDTH = 80;

function inLines(names: readonly string[]): string[] {
  const lines: string[] = [];
  for (const name of names) {
    const last = lines.at(-1);
    if (last === undefined || last.length + name.length + 2 > LINE_WIDTH) lines.push(name);
    else lines[lines.length - 1] = `${last}, ${name}`;
  }
  return lines.map((line, index) => (index < lines.length - 1 ? `${line},` : line));
}

export function rowLines(row: CheckRow, palette: Palette): string[] {
  const mark = palette[STYLES[row.verdict]](MARKS[row.verdict].padEnd(MARK_WIDTH));
  const took = row.ms < NOTICED_MS ? '' : `  (${row.ms < 1000 ? `${row.ms} ms` : spanText(row.ms)})`;
  const lines = [`${mark}  ${row.name.padEnd(NAME_WIDTH)}  ${row.text}${took}`];
  for (const detail of row.details ?? []) lines.push(`${INDENT}${detail}`);
  if (row.verdict === 'warning' || row.verdict === 'failed') {
    lines.push(`${INDENT}${palette.bold('what to do:')} ${row.todo}`);
    if (row.verdict === 'failed' && row.code !== undefined) lines.push(`${INDENT}${moreOf(row.code)}`);
  }
  return lines;
}

/** The last lines: how it stands, and what to do first. */
export function summaryLines(rows: readonly CheckRow[], { bold }: Palette): string[] {
  const count = (verdict: CheckRow['verdict']): number => rows.filter((row) => row.verdict === verdict).length;
  const parts = [
    countText(rows.length, 'row'),
    ...(['failed', 'warning', 'untried'] as const).flatMap((verdict) =>
      count(verdict) === 0
        ? []
        : [
            verdict === 'warning'
              ? countText(count(verdict), verdict)
              : `${count(verdict)} ${verdict === 'untried' ? 'not tried' : verdict}`,
          ],
    ),
  ];
  const first = rows.find(({ verdict }) => verdict === 'failed');
  if (first?.verdict === 'failed') return ['', `${parts.join(', ')}. ${bold('First thing to do')} (${first.name}): ${first.todo}`];
  if (count('untried') > 0) return ['', `${parts.join(', ')}. Nothing failed of what could be tried`];
  return ['', count('warning') === 0 ? `${parts.join(', ')}: all is well` : `${parts.join(', ')}. It works; see the warnings`];
}
