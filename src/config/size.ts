/** Sizes as people write them: a whole number and one unit, `64MiB`. Bytes inside. */
import { quote } from './fault.js';

const UNITS: readonly (readonly [unit: string, bytes: number])[] = [
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
  ['B', 1],
];
/** Past this a number is a slip. */
const LARGEST_BYTES = 2 ** 40;

/**
 * Reads a size as bytes.
 * @throws {SyntaxError} for text of another form, a number without unit, zero, and anything over 1024 GiB.
 */
export function parseSize(text: string): number {
  const match = /^(\d{1,13})(B|KiB|MiB|GiB)$/.exec(text);
  if (match === null)
    throw new SyntaxError(`${quote(text)} is not a size; write a whole number and one of B, KiB, MiB, GiB, such as \`64MiB\``);
  const bytes = Number(match[1]) * (UNITS.find(([unit]) => unit === match[2])?.[1] ?? 1);
  if (bytes === 0) throw new SyntaxError(`${quote(text)} leaves no room; write a size larger than zero`);
  if (bytes > LARGEST_BYTES) throw new SyntaxError(`${quote(text)} is too large; at most \`1024GiB\``);
  return bytes;
}

/** Writes bytes in the largest unit that needs no fraction; twin of `parseSize`. */
export function writeSize(bytes: number): string {
  const [unit, size] = UNITS.find(([, candidate]) => bytes % candidate === 0) ?? ['B', 1];
  return `${String(bytes / size)}${unit}`;
}
