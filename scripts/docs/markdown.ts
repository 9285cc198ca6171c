/** Text in Markdown. */

/** Text of a person's words in a cell of a table or a paragraph: what stands in backquotes stays as it is. */
export function prose(text: string): string {
  return text
    .split(/(`[^`]*`)/)
    .map((piece) => (piece.startsWith('`') ? piece : piece.replace(/[*<]/g, '\\$&')))
    .join('')
    .replaceAll('|', '\\|');
}
