/**
 * Text from outside on a terminal: names of repositories and what upstreams say come from whoever asks or answers, and a control
 * character in them could forge lines or colours.
 */

/** Controls, breaks of lines, and characters that change the direction of text. */
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;

/** The text with every such character as `\uXXXX`, which JSON reads as the same; with `keepLines`, line feeds stay. */
export function visible(text: string, { keepLines = false } = {}): string {
  return text.replace(UNPRINTABLE, (character) =>
    keepLines && character === '\n' ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** A value as it came out of JSON, with every text in it made visible: one place, so that no field is forgotten. */
export function visibleAll<T>(value: T): T {
  if (typeof value === 'string') return visible(value) as T; // because a text stays a text
  if (Array.isArray(value)) return value.map(visibleAll) as T; // because an array stays one
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [visible(key), visibleAll(member as unknown)])) as T; // because the names of our own members are plain
}
