import { describe, expect, it } from 'vitest';
import { parseSize, writeSize } from '../../../src/config/size.js';
import { faultsOf, load } from './loading.js';

const DAY_MS = 86_400_000;

describe('the key `audit`', () => {
  it('is a map, or off', async () => {
    const { settings, effective } = await load('audit: { directory: log, onFailure: refuse, maxSize: 1KiB, maxAge: 365d }\n');
    expect(settings.audit).toMatchObject({ isOn: true, onFailure: 'refuse', maxSizeBytes: 1024, maxAge: 365 * DAY_MS });
    expect(settings.audit.directory).toMatch(/^\/.*\/log$/);
    expect(effective.find(({ path }) => path === 'audit.maxAge')).toMatchObject({ value: '365d', origin: 'F:1:68' });
    const off = await load('audit: off\n');
    expect(off.settings.audit.isOn).toBe(false);
    expect(off.effective.find(({ path }) => path === 'audit')).toMatchObject({ value: 'off', origin: 'F:1:8' });
    expect(off.effective.some(({ path }) => path.startsWith('audit.'))).toBe(false);
  });

  it.each([
    ['audit: x\n', ['F:1:8: audit: `x` is not `off`; write a map such as `{ maxAge: 90d }`, or `off`']],
    ['audit:\n', ['F:1:1: audit: has no value; write a map such as `{ maxAge: 90d }`, or `off`']],
    [
      'audit: { onFailure: stop, maxsize: 1 }\n',
      [
        'F:1:21: audit.onFailure: `stop` is not one of refuse, continue; write one of them',
        'F:1:27: audit.maxsize: unknown key `maxsize`; did you mean `maxSize`?',
      ],
    ],
    [
      'audit: { maxSize: 64MB }\n',
      ['F:1:19: audit.maxSize: `64MB` is not a size; write a whole number and one of B, KiB, MiB, GiB, such as `64MiB`'],
    ],
    ['audit: { maxSize: 0B }\n', ['F:1:19: audit.maxSize: `0B` leaves no room; write a size larger than zero']],
    ['audit: { maxAge: 0d }\n', ['F:1:18: audit.maxAge: `0d` would keep nothing; write a duration longer than zero']],
    ['audit: { maxAge: 99999d }\n', ['F:1:18: audit.maxAge: `99999d` is too long; at most `36500d`']],
  ])('%j', async (text, lines) => {
    expect(await faultsOf(text)).toEqual(lines);
  });

  it('has sizes that are written as they are read', () => {
    for (const text of ['1B', '1KiB', '1536B', '64MiB', '1024GiB']) expect(writeSize(parseSize(text))).toBe(text);
  });
});
