import { describe, expect, it } from 'vitest';
import { bytesText, columns, countText, spanText } from '../../../src/cli/amounts.js';
import { visible } from '../../../src/cli/visible.js';

describe('bytesText()', () => {
  it.each<[bytes: number, text: string]>([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1536, '1.5 KiB'],
    [102_300, '99.9 KiB'],
    [102_400, '100 KiB'],
    [1024 * 1024 - 1, '1.0 MiB'],
    [200_000_000, '191 MiB'],
    [5 * 1024 ** 3, '5.0 GiB'],
    [3000 * 1024 ** 4, '3000 TiB'],
  ])('%d is %s', (bytes, text) => expect(bytesText(bytes)).toBe(text));
});

describe('spanText()', () => {
  it.each<[ms: number, text: string]>([
    [-5, '0 s'],
    [999, '0 s'],
    [59_999, '59 s'],
    [60_000, '1 min'],
    [3_599_999, '59 min'],
    [3_600_000, '1 h'],
    [47 * 3_600_000, '47 h'],
    [48 * 3_600_000, '2 d'],
  ])('%d ms is %s', (ms, text) => expect(spanText(ms)).toBe(text));
});

describe('columns()', () => {
  it('aligns rows of any length and leaves no space at the end', () => {
    expect(columns([['a', 'bb'], ['ccc'], ['', 'd', 'e']])).toEqual(['a    bb', 'ccc', '     d   e']);
  });
});

describe('countText()', () => {
  it('has a plural', () => {
    expect([0, 1, 2].map((count) => countText(count, 'lease'))).toEqual(['0 leases', '1 lease', '2 leases']);
  });
});

describe('visible()', () => {
  it('gives JSON that reads as the same value', () => {
    const value = { text: 'a\u0085b\u2028c\u202ed\u007f', list: ['\n'] };
    const text = visible(JSON.stringify(value, null, 2), { keepLines: true });
    expect(text).not.toMatch(/[\u0080-\u009f\u2028\u202e\u007f]/);
    expect(JSON.parse(text)).toEqual(value);
  });
});
