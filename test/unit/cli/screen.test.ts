import { describe, expect, it } from 'vitest';
import { clip } from '../../../src/cli/screen.js';

describe('clip()', () => {
  it.each<[line: string, columns: number, shown: string]>([
    ['short', 10, 'short'],
    ['exactly', 7, 'exactly'],
    ['too long', 5, 'too l'],
    ['', 5, ''],
    ['\u001b[1mbold\u001b[22m text', 6, '\u001b[1mbold\u001b[22m t\u001b[0m'],
    ['漢字漢字', 5, '漢字'],
    ['e\u0301e\u0301e', 2, 'e\u0301e\u0301'],
    ['a😀b', 3, 'a😀'],
  ])('of %j at %i columns is %j', (line, columns, shown) => {
    expect(clip(line, columns)).toBe(shown);
  });
});
