/**
 * git's configuration syntax, the writing half: subsection names and values that git reads back as the same text.
 * Whatever cannot be written is refused, never cut or dropped.
 *
 * Source: git-config(1), "Syntax". In a subsection only `"` and `\` are escaped, newline and NUL cannot stand. In a
 * value `"`, `\`, newline, tab and backspace are escaped; quotes keep outer blanks and the comment signs `#` and `;`.
 */

/** The text between the quotes of `[section "..."]`. @throws SyntaxError for newline or NUL. */
export function writeSubsection(name: string): string {
  if (/[\n\0]/.test(name)) throw new SyntaxError('A section name of a git config cannot hold a newline or NUL');
  return name.replace(/["\\]/g, '\\$&');
}

/** The text after `name = `, in quotes where git needs them; an empty value is an empty text. @throws SyntaxError for NUL. */
export function writeValue(value: string): string {
  if (value.includes('\0')) throw new SyntaxError('A value of a git config cannot hold NUL');
  const escaped = value.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n').replaceAll('\t', '\\t').replace(/[\b]/g, '\\b');
  return /^\s|\s$|[#;\r]/.test(value) ? `"${escaped}"` : escaped;
}
