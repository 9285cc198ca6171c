/** Promise: every row of docs/THREATS.md names a test, and the test is there. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const ROW = /^\| (?<tries>.+) \| (?<gets>.+) \| `(?<file>[^`]+)`: "(?<title>[^"]+)" \|$/;

const rows = readFileSync(join(ROOT, 'docs/THREATS.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('|') && !/^\| tries |^\|---/.test(line));

describe('docs/THREATS.md', () => {
  it('has rows', () => {
    expect(rows.length).toBeGreaterThan(30);
  });

  it.each(rows)('%s', (row) => {
    const { file = '', title = '' } = ROW.exec(row)?.groups ?? {};
    expect(file, 'a row has what is tried, what comes of it, and `file`: "title of a test"').not.toBe('');
    expect(existsSync(join(ROOT, file)), file).toBe(true);
    // A title may be in either kind of quotes, and be the beginning of a longer one.
    expect(readFileSync(join(ROOT, file), 'utf8').replaceAll("\\'", "'"), file).toContain(title);
  });
});
