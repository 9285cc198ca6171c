import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { foldName, withoutGitSuffix } from '../../../src/model/fold.js';
import { anyText } from '../any-text.js';

describe('foldName()', () => {
  it.each([
    ['App', 'app'],
    ['ＡＰＰ', 'app'],
    ['ﬁle', 'file'],
    ['\u212a', 'k'],
    ['e\u0301', '\u00e9'],
    ['É', 'é'],
    // Azure compares capitals, and these three have the same ones.
    ['ΟΔΟΣ', 'οδοσ'],
    ['οδος', 'οδοσ'],
    ['οδοσ', 'οδοσ'],
    ['straße', 'straße'],
    ['a b', 'a b'],
    ['a\u00a0b', 'a b'],
    ['my.repo-1_x', 'my.repo-1_x'],
  ])('makes %j to %j', (name, folded) => {
    expect(foldName(name)).toBe(folded);
  });

  it('has nothing left to fold, and the same for a name in another case', () => {
    fc.assert(
      fc.property(anyText(12), (name) => {
        const folded = foldName(name);
        expect(foldName(folded)).toBe(folded);
        expect(foldName(name.toLowerCase())).toBe(folded);
        expect(foldName(name.normalize('NFD'))).toBe(folded);
      }),
      { numRuns: 300 },
    );
  });

  it('has nothing left to fold in any one character', () => {
    const left: string[] = [];
    // Above U+1FFFF there is nothing with a case, and the compatibility ideographs fold in one step.
    for (let point = 0; point <= 0x1ffff; point++) {
      if (point >= 0xd800 && point < 0xe000) continue;
      const folded = foldName(String.fromCodePoint(point));
      if (foldName(folded) !== folded) left.push(point.toString(16));
    }
    expect(left).toEqual([]);
  });
});

it.each([
  ['app.git', 'app'],
  ['app', 'app'],
  ['app.git.git', 'app.git'],
  ['.git', '.git'],
  ['appgit', 'appgit'],
])('withoutGitSuffix(%s) is %s', (name, bare) => {
  expect(withoutGitSuffix(name)).toBe(bare);
});
