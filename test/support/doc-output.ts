/** Compares what a block printed with what the page shows. `...` stands for what differs from one time to the next. */

/**
 * Whether `printed` is what is shown. `...` within a line is any text of that line, a line of nothing but `...` any number of lines.
 * Blanks at the ends of lines do not count.
 */
export function matchesShown(printed: string, shown: string): boolean {
  const lines = shown.trimEnd().split('\n');
  const pattern = lines.map((line) => (line.trim() === '...' ? '(?:[^\\n]*\\n)*?' : `${piecesOf(line.trimEnd())}[ \\t]*\\n`)).join('');
  return new RegExp(`^${pattern}$`).test(`${printed.trimEnd()}\n`);
}

function piecesOf(line: string): string {
  return line
    .split('...')
    .map((piece) => piece.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('[^\\n]*?');
}
