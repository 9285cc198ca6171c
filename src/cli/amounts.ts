/** Bytes, times and tables for a person to read. */

const BYTE_UNITS = ['KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `0 B`, `999 B`, `1.5 KiB`, `200 MiB`: three digits are enough. */
export function bytesText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  let value = bytes;
  let unit = '';
  for (unit of BYTE_UNITS) {
    value /= 1024;
    // What would be rounded up to the next unit belongs there.
    if (value < 1023.5) break;
  }
  return `${value < 99.95 ? value.toFixed(1) : value.toFixed(0)} ${unit}`;
}

/** `0 s`, `59 s`, `3 min`, `5 h`, `2 d`, rounded down; negative counts as 0. */
export function spanText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 60 * 60) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 60 * 60) return `${Math.floor(seconds / 60 / 60)} h`;
  return `${Math.floor(seconds / 24 / 60 / 60)} d`;
}

/** `1 operation`, `2 operations`. */
export function countText(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Rows of cells as lines with their columns aligned; no spaces at the end of a line. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, index) => (widths[index] = Math.max(widths[index] ?? 0, cell.length)));
  return rows.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
