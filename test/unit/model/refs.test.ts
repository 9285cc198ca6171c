/** The oracle for ref names is git itself. */
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRefGlob, refNameFault } from '../../../src/model/refs.js';

function isNameForGit(name: string): boolean {
  try {
    execFileSync('git', ['check-ref-format', name], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe('refNameFault()', () => {
  it('agrees with git check-ref-format about names that begin with refs/', () => {
    const piece = fc.constantFrom(
      'a',
      '/',
      '.',
      '..',
      '.lock',
      '@',
      '@{',
      '{',
      '~',
      '^',
      ':',
      '?',
      '*',
      '[',
      '\\',
      ' ',
      '\u0001',
      '\u007f',
      '\u00e9',
      'LOCK',
      '-',
    );
    fc.assert(
      fc.property(
        fc.array(piece, { minLength: 1, maxLength: 4 }).map((pieces) => `refs/${pieces.join('')}`),
        (name) => {
          expect(refNameFault(name) === undefined, name).toBe(isNameForGit(name));
        },
      ),
      { numRuns: 150 },
    );
  });

  it.each(['main', 'HEAD', '', 'ref/heads/main', 'REFS/heads/main'])('wants %j to begin with refs/', (name) => {
    expect(refNameFault(name)).toBe('does not begin with `refs/`');
  });
});

describe('parseRefGlob()', () => {
  it.each([
    'refs/heads/main',
    'refs/heads/*',
    'refs/heads/agent/**',
    'refs/**',
    'refs/*/main',
    'refs/heads/a*b',
    'refs/heads/**.x',
    `refs/heads/${'x'.repeat(245)}`,
  ])('takes %s', (glob) => {
    expect(parseRefGlob(glob)).toBe(glob);
  });

  it.each([
    ['main', 'does not begin with `refs/`; write `refs/heads/main`'],
    ['agent/*', 'does not begin with `refs/`; write `refs/heads/agent/*`'],
    ['heads/main', 'does not begin with `refs/`; write `refs/heads/main`'],
    ['/refs/heads/main', 'does not begin with `refs/`; write `refs/heads/refs/heads/main`'],
    ['*', 'does not begin with `refs/`; write `refs/**`'],
    ['a b', 'does not begin with `refs/`; write `refs/heads/main`'],
    ['refs/heads/***', 'has more than two stars in a row; write `*` for one level, `**` for any'],
    ['refs/heads/', 'has an empty part, so it matches no ref; write a name such as `refs/heads/main`, with `*` or `**`'],
    ['refs/heads/.*', 'has a part that begins with a dot, so it matches no ref; write a name such as `refs/heads/main`, with `*` or `**`'],
    [
      'refs/heads/[ab]',
      'holds one of the characters `~^:?*[\\`, so it matches no ref; write a name such as `refs/heads/main`, with `*` or `**`',
    ],
    [
      'refs/heads/*.lock',
      'has a part that ends in `.lock`, so it matches no ref; write a name such as `refs/heads/main`, with `*` or `**`',
    ],
    ['refs/*', 'is one level below `refs/`, where nothing is pushed; write `refs/heads/...`, or `refs/**` for every ref'],
    ['refs/main', 'is one level below `refs/`, where nothing is pushed; write `refs/heads/...`, or `refs/**` for every ref'],
    [`refs/heads/${'x'.repeat(246)}`, 'is longer than 256 characters; write a shorter glob'],
  ])('does not take %s', (glob, text) => {
    expect(() => parseRefGlob(glob)).toThrow(new SyntaxError(text));
  });
});
