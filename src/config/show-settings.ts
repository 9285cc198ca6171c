/** The values in force as a person or a program reads them (`postern config show`). */
import type { EffectiveValue, ShownValue } from './effective-value.js';

/** Origins begin here where the value leaves room, so that they stand below each other. */
const ORIGIN_COLUMN = 56;

/** One line for each value, `log.level: info`; with origins a comment after it, `# default`. */
export function showSettings(
  loaded: { readonly effective: readonly EffectiveValue[] },
  { origins }: { readonly origins: boolean },
): string[] {
  return loaded.effective.map(({ path, value, origin }) => {
    const line = `${path}: ${write(value)}`;
    return origins ? `${line.padEnd(ORIGIN_COLUMN - 1)} # ${origin}` : line;
  });
}

/** The same for programs: a list in the same order; without `origin` unless asked for. */
export function showSettingsJson(
  loaded: { readonly effective: readonly EffectiveValue[] },
  { origins }: { readonly origins: boolean },
): (Omit<EffectiveValue, 'origin'> & { origin?: string })[] {
  return loaded.effective.map(({ path, value, origin }) => (origins ? { path, value, origin } : { path, value }));
}

function write(value: ShownValue): string {
  if (typeof value === 'string') return /^[\p{L}\p{N}\p{P}\p{S}]+( [\p{L}\p{N}\p{P}\p{S}]+)*$/u.test(value) ? value : JSON.stringify(value);
  if (isList(value)) return `[${value.map(write).join(', ')}]`;
  return `{ ${Object.entries(value)
    .map(([key, inner]) => `${key}: ${write(inner)}`)
    .join(', ')} }`;
}

/** Array.isArray does not narrow a readonly array. */
function isList(value: ShownValue): value is readonly string[] {
  return Array.isArray(value);
}
