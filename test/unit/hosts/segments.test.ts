import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodePath, LONGEST_PATH_BYTES } from '../../../src/hosts/segments.js';

/** A path as Node hands it out: its bytes as latin1 characters. */
function bytes(path: string): string {
  return Buffer.from(path, 'utf8').toString('latin1');
}

describe('decodePath()', () => {
  it.each([
    ['/a', ['a']],
    ['/a/b.git/C', ['a', 'b.git', 'C']],
    ['/My%20Project', ['My Project']],
    ['/w%C3%A9b', ['wéb']],
    ['/wéb', ['wéb']],
    ['/100%25', ['100%']],
    ['/a+b', ['a+b']],
    ['/a;b=c', ['a;b=c']],
    ['/...x', ['...x']],
    ['/.git', ['.git']],
    ['/a%3Fb%23c', ['a?b#c']],
    ['/%F0%9F%98%80', ['\u{1f600}']],
  ])('reads %s', (path, names) => {
    expect(decodePath(bytes(path))).toEqual({ kind: 'segments', names });
  });

  const DOT = 'the path has a dot segment (. or ..)';
  const SLASH = 'the path has an encoded slash or a backslash';
  const CONTROL = 'the path has a control character';
  const TWICE = 'the path is percent-encoded twice';
  const EMPTY = 'the path has an empty segment (//)';
  const NOTHING = 'the path has a % that encodes nothing';
  const UTF8 = 'the path is not UTF-8';
  it.each([
    ['', 'the path does not begin with a slash'],
    ['a/b', 'the path does not begin with a slash'],
    ['/', EMPTY],
    ['//a', EMPTY],
    ['/a//b', EMPTY],
    ['/a/', EMPTY],
    ['/.', DOT],
    ['/a/../b', DOT],
    ['/%2e/b', DOT],
    ['/%2E%2e/b', DOT],
    ['/.%2e/b', DOT],
    ['/.../b', DOT],
    ['/%EF%BC%8E%EF%BC%8E/b', DOT],
    ['/%E2%80%A5/b', DOT],
    ['/%E2%80%A6/b', DOT],
    ['/a%2fb', SLASH],
    ['/a%2Fb', SLASH],
    ['/a%5cb', SLASH],
    ['/a\\b', SLASH],
    ['/a%EF%BC%8Fb', SLASH],
    ['/a%EF%BC%BCb', SLASH],
    ['/a%00', CONTROL],
    ['/a%0d%0ab', CONTROL],
    ['/a%1b[31m', CONTROL],
    ['/a%7F', CONTROL],
    ['/a%C2%85b', CONTROL],
    ['/a%C2%9B31m', CONTROL],
    ['/a%E2%80%AEb', CONTROL],
    ['/a%E2%81%A6b', CONTROL],
    ['/a%E2%80%A8b', CONTROL],
    ['/a%D8%9Cb', CONTROL],
    ['/a%252fb', TWICE],
    ['/a%25252f', TWICE],
    ['/%252e%252e', TWICE],
    ['/a%EF%BC%852f', TWICE],
    ['/a%', NOTHING],
    ['/a%2', NOTHING],
    ['/a%zz', NOTHING],
    ['/a%u002f', NOTHING],
    ['/%c0%ae', UTF8],
    ['/%c0%af', UTF8],
    ['/%e0%80%af', UTF8],
    ['/%ff', UTF8],
    ['/%ed%a0%80', UTF8],
    ['/%f4%90%80%80', UTF8],
    ['/%C3', UTF8],
    [`/${'a'.repeat(LONGEST_PATH_BYTES)}`, `the path is longer than ${LONGEST_PATH_BYTES} bytes`],
  ])('refuses %s', (path, what) => {
    expect(decodePath(bytes(path))).toEqual({ kind: 'fault', what });
  });

  it('refuses bytes that are not UTF-8 without any percent sign', () => {
    expect(decodePath('/\xff')).toEqual({ kind: 'fault', what: UTF8 });
  });

  it('takes the longest path', () => {
    expect(decodePath(`/${'a'.repeat(LONGEST_PATH_BYTES - 1)}`).kind).toBe('segments');
  });

  it('gives names that mean one thing only, whatever comes', () => {
    const piece = fc.constantFrom(
      '/',
      '.',
      '..',
      '%2e',
      '%2f',
      '%5c',
      '\\',
      '%25',
      '%',
      '%00',
      'a',
      'é',
      '%C3',
      '%A9',
      '．',
      '／',
      '2e',
      '%E2%80%AE',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
        const read = decodePath(bytes(`/${pieces.join('')}`));
        if (read.kind === 'fault') return;
        for (const name of read.names) {
          const folded = name.normalize('NFKC');
          expect(folded).not.toMatch(/^\.*$/);
          expect(folded).not.toMatch(/[/\\\p{Cc}]|%[0-9a-f]{2}/iu);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
