import { execFileSync } from 'node:child_process';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { writeSubsection, writeValue } from '../../../../src/cli/gitconfig/quoting.js';

/** What the real git reads: key and value of each line, `-z` form. */
function readByGit(file: string): string {
  return execFileSync('git', ['config', '--file', '-', '--no-includes', '-z', '--get-regexp', '.'], { input: file, cwd: '/' }).toString();
}

const awkward = fc.string({ unit: fc.constantFrom(...Array.from('ab "\\;#[]=.\t\n\r\b\'%ü'), '\\n') });

describe('writeValue()', () => {
  it('round-trips through the real git', () => {
    fc.assert(
      fc.property(fc.oneof(awkward, fc.string({ unit: 'binary' })), (value) => {
        fc.pre(!value.includes('\0'));
        expect(readByGit(`[a]\n\tkey = ${writeValue(value)}\n\tnext = 1\n`)).toBe(`a.key\n${value}\0a.next\n1\0`);
      }),
      { numRuns: 150 },
    );
  });

  it('writes plain text plainly', () => {
    expect(writeValue('https://dev.azure.com/')).toBe('https://dev.azure.com/');
    expect(writeValue('')).toBe('');
    expect(writeValue(' a;b')).toBe('" a;b"');
    expect(() => writeValue('a\0b')).toThrow(SyntaxError);
  });
});

describe('writeSubsection()', () => {
  it('round-trips through the real git', () => {
    fc.assert(
      fc.property(awkward, (name) => {
        fc.pre(!/[\n\r]/.test(name));
        expect(readByGit(`[url "${writeSubsection(name)}"]\n\tinsteadOf = x\n`)).toBe(`url.${name}.insteadof\nx\0`);
      }),
      { numRuns: 150 },
    );
  });

  it('refuses what cannot stand there', () => {
    expect(() => writeSubsection('a\nb')).toThrow(SyntaxError);
    expect(() => writeSubsection('a\0b')).toThrow(SyntaxError);
  });
});
