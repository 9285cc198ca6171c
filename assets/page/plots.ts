/** The plots: what happened in the latest minutes, as a drawing, in one sentence, and as a table of numbers. */
import { bytesText } from '../../src/cli/amounts.js';
import type { PageView } from '../../src/model/page-view.js';
import { type Cell, el, nothing, number, svg, table } from './elements.js';

type Pace = PageView['pace'];
type Second = Pace['seconds'][number];

/** Units of the drawing; it is stretched to the width that there is. */
const WIDTH = 600;
const HEIGHT = 140;
/** Seconds that a row of the table sums up. */
const ROW_SECONDS = 15;

/** One curve: what it is called, how it is drawn, and its value in a second. */
interface Curve {
  readonly name: string;
  readonly class: string;
  readonly value: (second: Second) => number | undefined;
}

interface Plot {
  readonly title: string;
  readonly curves: readonly Curve[];
  readonly unit: (value: number) => string;
  /** The least that the height of the drawing stands for. */
  readonly least: number;
  /** What a step of its scale is a power of. */
  readonly base: 1000 | 1024;
  /** Whether to draw from point to point, as for what has a value in each second, or each point by itself. */
  readonly isLine: boolean;
}

const perSecond = ({ ms }: Second, bytes: number): number => (bytes * 1000) / ms;
const speed = (value: number): string => `${bytesText(Math.round(value))}/s`;

const THROUGHPUT: Plot = {
  title: 'Bytes each second, to callers and from them',
  curves: [
    { name: 'Down', class: 'first', value: (second) => perSecond(second, second.down) },
    { name: 'Up', class: 'second', value: (second) => perSecond(second, second.up) },
  ],
  unit: speed,
  least: 1024,
  base: 1024,
  isLine: true,
};

const WAITS: Plot = {
  title: 'How long operations waited before bytes passed: gate, token, throttle, connection and the first answer of the upstream',
  curves: [
    { name: 'Longest', class: 'second', value: ({ waitLongest }) => waitLongest },
    { name: 'Median', class: 'first', value: ({ waitMiddle }) => waitMiddle },
  ],
  unit: waitText,
  least: 10,
  base: 1000,
  isLine: false,
};

export function waitText(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

export function throughput({ pace, now }: PageView): HTMLElement {
  const latest = pace.seconds.at(-1);
  const isNow = latest !== undefined && now - latest.at < 2_500;
  const [down, up] = isNow ? [perSecond(latest, latest.down), perSecond(latest, latest.up)] : [0, 0];
  const peak = Math.max(0, ...pace.seconds.map((second) => perSecond(second, second.down + second.up)));
  const sentence = `Now ${speed(down)} down and ${speed(up)} up; at most ${speed(peak)} together in the last ${minutes(pace)}.`;
  const rows = rowsOf(pace, now).map(({ ago, seconds }): Cell[] => [
    ago,
    number(bytesText(sum(seconds, ({ down }) => down))),
    number(bytesText(sum(seconds, ({ up }) => up))),
    number(String(Math.max(...seconds.map(({ running }) => running)))),
  ]);
  return figure(THROUGHPUT, pace, now, sentence, ['When', 'Down', 'Up', 'Running'], rows);
}

export function waits({ pace, now }: PageView): HTMLElement {
  const ended = sum(pace.seconds, ({ ended }) => ended);
  const bad = sum(pace.seconds, ({ bad }) => bad);
  const longest = Math.max(0, ...pace.seconds.map(({ waitLongest = 0 }) => waitLongest));
  const sentence =
    ended === 0
      ? `No operation ended in the last ${minutes(pace)}.`
      : `${ended} ${ended === 1 ? 'operation' : 'operations'} ended in the last ${minutes(pace)}, ${bad} of them refused or failed; the longest wait was ${waitText(longest)}.`;
  const rows = rowsOf(pace, now)
    .map(({ ago, seconds }) => ({ ago, seconds: seconds.filter(({ ended }) => ended > 0) }))
    .filter(({ seconds }) => seconds.length > 0)
    .map(({ ago, seconds }): Cell[] => [
      ago,
      number(String(sum(seconds, ({ ended }) => ended))),
      number(String(sum(seconds, ({ bad }) => bad))),
      number(waitText(Math.max(...seconds.map(({ waitLongest = 0 }) => waitLongest)))),
    ]);
  return figure(WAITS, pace, now, sentence, ['When', 'Ended', 'Refused or failed', 'Longest wait'], rows);
}

function figure(plot: Plot, pace: Pace, now: number, sentence: string, headings: readonly string[], rows: readonly Cell[][]): HTMLElement {
  const values = pace.seconds.flatMap((second) => plot.curves.map(({ value }) => value(second) ?? 0));
  const top = niceTop(Math.max(plot.least, ...values), plot.base);
  const drawing = svg(
    'svg',
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': `${plot.title}. ${sentence}` },
    ...[0.25, 0.5, 0.75].map((part) => svg('line', { class: 'grid', x1: 0, x2: WIDTH, y1: HEIGHT * part, y2: HEIGHT * part })),
    ...plot.curves.flatMap((curve) => drawn(curve, plot, { pace, now, top })),
  );
  return el(
    'figure',
    {},
    el(
      'div',
      { class: 'plot' },
      el(
        'div',
        { class: 'scale', 'aria-hidden': 'true' },
        el('span', {}, plot.unit(top)),
        el('span', {}, plot.unit(top / 2)),
        el('span', {}, '0'),
      ),
      drawing,
      el('div', { class: 'times', 'aria-hidden': 'true' }, el('span', {}, `${minutes(pace)} ago`), el('span', {}, 'now')),
    ),
    el(
      'div',
      { class: 'legend', 'aria-hidden': 'true' },
      ...plot.curves.map(({ name, class: kind }) => el('span', {}, el('span', { class: `key ${kind}` }), name)),
    ),
    el('figcaption', {}, sentence),
    el('details', {}, el('summary', {}, 'Numbers'), rows.length === 0 ? nothing('Nothing happened.') : table(plot.title, headings, rows)),
  );
}

/** A curve over time; where nothing happened it lies at the bottom. */
function drawn(
  { class: kind, value }: Curve,
  { isLine }: Plot,
  { pace, now, top }: { pace: Pace; now: number; top: number },
): SVGElement[] {
  const x = (at: number): number => WIDTH * (1 - (now - at) / (pace.spanSeconds * 1000));
  const y = (each: number): number => HEIGHT - (HEIGHT - 4) * Math.min(1, each / top) - 1;
  const seconds = pace.seconds.filter(({ at }) => x(at) >= 0);
  if (!isLine) {
    return seconds.flatMap((second) => {
      const found = value(second);
      if (found === undefined) return [];
      // From the bottom up, so that a single one is seen: one second is two units wide.
      return [
        svg('line', {
          class: `stem ${kind}`,
          x1: x(second.at).toFixed(1),
          x2: x(second.at).toFixed(1),
          y1: HEIGHT,
          y2: y(found).toFixed(1),
        }),
      ];
    });
  }
  let path = `M0 ${HEIGHT - 1}`;
  let before = -Infinity;
  for (const second of seconds) {
    const began = second.at - second.ms;
    const from = Math.max(0, x(began));
    // Down to the bottom for the time in which nothing happened.
    if (began - before > 1_500)
      path +=
        before === -Infinity
          ? `L${from.toFixed(1)} ${HEIGHT - 1}`
          : `L${x(before + 500).toFixed(1)} ${HEIGHT - 1}L${from.toFixed(1)} ${HEIGHT - 1}`;
    path += `L${x(second.at).toFixed(1)} ${y(value(second) ?? 0).toFixed(1)}`;
    before = second.at;
  }
  const end =
    now - before > 1_500 ? `${before === -Infinity ? '' : `L${x(before + 500).toFixed(1)} ${HEIGHT - 1}`}L${WIDTH} ${HEIGHT - 1}` : '';
  return [
    svg('path', { class: `area ${kind}`, d: `${path}${end}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z` }),
    svg('path', { class: `line ${kind}`, d: `${path}${end}` }),
  ];
}

/** Seconds in rows, the latest first; rows in which nothing happened are left out. */
function rowsOf({ seconds }: Pace, now: number): { ago: string; seconds: Second[] }[] {
  const rows = new Map<number, Second[]>();
  for (const second of seconds) {
    const row = Math.max(0, Math.floor((now - second.at) / (ROW_SECONDS * 1000)));
    rows.set(row, [...(rows.get(row) ?? []), second]);
  }
  return [...rows]
    .sort(([a], [b]) => a - b)
    .map(([row, found]) => ({
      ago: row === 0 ? `last ${ROW_SECONDS} s` : `${row * ROW_SECONDS}–${(row + 1) * ROW_SECONDS} s ago`,
      seconds: found,
    }));
}

/** A round number that is no less: 1, 2 or 5, with noughts, of the unit that it is told in. */
function niceTop(value: number, base: number): number {
  const unit = base ** Math.floor(Math.log(value) / Math.log(base));
  return unit * ([1, 2, 5, 10, 20, 50, 100, 200, 500].find((each) => each * unit >= value) ?? base);
}

function sum(seconds: readonly Second[], of: (second: Second) => number): number {
  return seconds.reduce((all, second) => all + of(second), 0);
}

function minutes({ spanSeconds }: Pace): string {
  return `${spanSeconds / 60} minutes`;
}
