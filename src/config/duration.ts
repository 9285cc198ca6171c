/** Durations as people write them: a whole number and one unit, `90s`. Milliseconds inside. */
import { quote } from './fault.js';

const UNITS: readonly (readonly [unit: string, ms: number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
];

/** A timer takes a signed 32-bit number of milliseconds; anything above would silently become shorter. */
const LONGEST_MS = 2 ** 31 - 1;

/** A century: what is longer is a slip, and its end no date any more. */
const LONGEST_AGE_MS = 36_500 * 86_400_000;

/**
 * Reads a duration as milliseconds; 0 is possible. `longestMs`: for what no timer is set to.
 * @throws {SyntaxError} for text of another form, a number without unit, and anything over 24 days or `longestMs`.
 */
export function parseDuration(text: string, longestMs = LONGEST_MS): number {
  return parseUpTo(text, longestMs, `${Math.floor(longestMs / 86_400_000)}d`);
}

/**
 * Reads how old something may become, as milliseconds: a duration that no timer has to take.
 * @throws {SyntaxError} as `parseDuration`, for zero, and for anything over a century.
 */
export function parseAge(text: string): number {
  const ms = parseUpTo(text, LONGEST_AGE_MS, '36500d');
  if (ms === 0) throw new SyntaxError(`${quote(text)} would keep nothing; write a duration longer than zero`);
  return ms;
}

function parseUpTo(text: string, longestMs: number, longest: string): number {
  const match = /^(\d{1,12})(ms|s|m|h|d)$/.exec(text);
  if (match === null) {
    if (/^[\d.]+$/.test(text))
      throw new SyntaxError(`${quote(text)} has no unit; write \`${text}s\` for seconds or \`${text}m\` for minutes`);
    throw new SyntaxError(`${quote(text)} is not a duration; write a whole number and one of ms, s, m, h, d, such as \`90s\``);
  }
  const ms = Number(match[1]) * (UNITS.find(([unit]) => unit === match[2])?.[1] ?? 1);
  if (ms > longestMs) throw new SyntaxError(`${quote(text)} is too long; at most \`${longest}\``);
  return ms;
}

/**
 * Reads a duration that is a time limit, so zero would fail everything at once.
 * @throws {SyntaxError} as `parseDuration`, and for zero.
 */
export function parseTimeLimit(text: string): number {
  const ms = parseDuration(text);
  if (ms === 0) throw new SyntaxError(`${quote(text)} would end everything at once; write a duration longer than zero`);
  return ms;
}

/** Writes milliseconds in the largest unit that needs no fraction; twin of `parseDuration`. */
export function writeDuration(ms: number): string {
  if (ms === 0) return '0s';
  const [unit, size] = UNITS.find(([, candidate]) => ms % candidate === 0) ?? ['ms', 1];
  return `${String(ms / size)}${unit}`;
}
