import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { caselessName, foldName, withoutGitSuffix } from '../../../src/model/fold.js';
import { anyText } from '../any-text.js';

describe('caselessName()', () => {
  it.each([
    ['App', 'app'],
    ['ÉCOLE', 'école'],
    ['ＡＰＰ', 'ａｐｐ'],
    ['ΟΔΟΣ', 'οδοσ'],
    ['οδος', 'οδοσ'],
    ['\u01c5', '\u01c6'],
    // No case of the letters that they look like.
    ['\u212a', '\u212a'],
    ['\u212b', '\u212b'],
    ['\u0130', '\u0130'],
    ['\u0131', '\u0131'],
    ['\u017f', '\u017f'],
    ['\u1e9e', '\u1e9e'],
    ['stra\u00dfe', 'stra\u00dfe'],
    ['e\u0301', 'e\u0301'],
    ['\ufb01le', '\ufb01le'],
    ['a\u00a0b', 'a\u00a0b'],
  ])('makes %j to %j', (name, caseless) => {
    expect(caselessName(name)).toBe(caseless);
  });

  it('leaves nothing to do for itself, and nothing undone for foldName(), in any one character', () => {
    const wrong: string[] = [];
    for (let point = 0; point <= 0x1ffff; point++) {
      if (point >= 0xd800 && point < 0xe000) continue;
      const letter = String.fromCodePoint(point);
      const caseless = caselessName(letter);
      if (caselessName(caseless) !== caseless || foldName(caseless) !== foldName(letter)) wrong.push(point.toString(16));
    }
    expect(wrong).toEqual([]);
  });

  it('makes names equal only where foldName() does', () => {
    fc.assert(
      fc.property(anyText(12), (name) => {
        expect(foldName(caselessName(name))).toBe(foldName(name));
      }),
      { numRuns: 300 },
    );
  });
});

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
