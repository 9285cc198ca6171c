/**
 * Keys and kinds that belong to the design and have no feature behind them yet. They are refused by name, so that nobody
 * believes a setting is in force when it is not. Each list shrinks as its feature arrives.
 */
import { quote } from './fault.js';
import { hint } from './nearest-name.js';

export const NOT_YET = {
  top: ['cache'],
  listen: [],
  route: [],
} as const satisfies Record<string, readonly string[]>;

/** What to say of a key that a map does not take. */
export function unknownKeyText(key: string, known: readonly string[], notYet: readonly string[]): string {
  if (notYet.includes(key)) return 'is not available in this version; leave it out';
  return `unknown key ${quote(key)}${hint(key, known, known.length === 0 ? 'leave it out' : `the keys here are ${known.join(', ')}`)}`;
}

/** What to say of an identity's `kind` that is not one of the known. */
export function unknownKindText(kind: unknown, known: readonly string[]): string {
  const choice = `write one of ${known.join(', ')}`;
  if (kind === undefined) return `is missing; ${choice}`;
  if (typeof kind !== 'string') return `must be text; ${choice}`;
  return `${quote(kind)} is not a kind of identity${hint(kind, known, choice)}`;
}
