import { describe, expect, it } from 'vitest';
import { readRetryAfter } from '../../../src/model/retry-after.js';

describe('readRetryAfter()', () => {
  const DATE = 'Fri, 20 Nov 2026 12:00:00 GMT';
  it.each<[value: string | undefined, date: string | undefined, seconds: number | undefined]>([
    ['0', undefined, 0],
    ['120', undefined, 120],
    [' 5 ', undefined, 5],
    ['0.25', undefined, 0.25],
    ['99999999', undefined, 86_400],
    ['9'.repeat(400), undefined, 86_400],
    ['Fri, 20 Nov 2026 12:02:00 GMT', DATE, 120],
    ['Friday, 20-Nov-26 12:02:00 GMT', DATE, 120],
    ['Fri, 20 Nov 2026 11:00:00 GMT', DATE, 0],
    ['Fri, 20 Nov 2027 12:00:00 GMT', DATE, 86_400],
    ['Fri, 20 Nov 2026 12:02:00 GMT', undefined, undefined],
    ['Fri, 20 Nov 2026 12:02:00 GMT', 'soon', undefined],
    [undefined, DATE, undefined],
    ['', DATE, undefined],
    ['-5', DATE, undefined],
    ['+5', DATE, undefined],
    ['1e3', DATE, undefined],
    ['0x10', DATE, undefined],
    ['5 s', DATE, undefined],
    ['120, 120', DATE, undefined],
    ['soon 5', DATE, undefined],
    ['NaN', DATE, undefined],
  ])('reads %j at %j as %s', (value, date, seconds) => {
    expect(readRetryAfter(value, date)).toBe(seconds);
  });
});
