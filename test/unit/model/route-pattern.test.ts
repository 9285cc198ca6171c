/** What both readers of a pattern make of one is in one-grammar.test.ts; here is what the gate must refuse by itself. */
import { describe, expect, it } from 'vitest';
import { canonicalPattern, coversBelow, matchesHost, matchesPattern, overlaps, patternHost } from '../../../src/model/route-pattern.js';

describe('canonicalPattern()', () => {
  it.each([
    ['tfs/%2a', 'has a `*` that is not a whole part, or `**` before its end'],
    ['tfs/%2A%2A', 'has a `*` that is not a whole part, or `**` before its end'],
    ['tfs/%EF%BC%8A', 'has a `*` that is not a whole part, or `**` before its end'],
    ['tfs/fleet*', 'has a `*` that is not a whole part, or `**` before its end'],
    ['tfs/**/x', 'has a `*` that is not a whole part, or `**` before its end'],
    ['tfs/100%', 'is wrongly percent-encoded'],
    ['tfs/%ff', 'is wrongly percent-encoded'],
    ['*/x', 'begins with no host'],
    ['**/x', 'begins with no host'],
    ['a.*.com/x', 'begins with no host'],
    ['*.*.com/x', 'begins with no host'],
    ['/x', 'begins with no host'],
  ])('refuses %s, which could be read as more than it says', (match, message) => {
    expect(() => canonicalPattern(match, 'azure-server')).toThrow(new SyntaxError(message));
  });

  it('decodes once', () => {
    expect(canonicalPattern('tfs/a%252fb', 'azure-server')).toEqual(['tfs', 'a%2fb']);
  });
});

it.each([
  ['tfs.example.com:443/x', 'tfs.example.com'],
  ['*.Example.com:0443/x', '*.example.com'],
  ['*.example.com:8443/x', '*.example.com:8443'],
  ['TFS', 'tfs'],
])('patternHost(%s) is %s', (match, host) => {
  expect(patternHost(match)).toBe(host);
});

it.each([
  ['*.example.com', 'a.example.com', true],
  ['*.example.com', 'a.b.example.com', false],
  ['*.example.com', 'example.com', false],
  ['*.example.com', '.example.com', false],
  ['*.example.com', 'aexample.com', false],
  ['*.example.com', 'a.example.com:8443', false],
  ['*.example.com:8443', 'a.example.com:8443', true],
  ['a.example.com', 'b.example.com', false],
])('matchesHost(%s, %s) is %s', (pattern, host, verdict) => {
  expect(matchesHost(pattern, host)).toBe(verdict);
});

it.each([
  ['h/**', 'h', true],
  ['h/**', 'h/a/b/c', true],
  ['h/a/**', 'h/a', true],
  ['h/a/**', 'h', false],
  ['h/a/**', 'h/b', false],
  ['h/a/**', 'h/ab/c', false],
  ['h/*', 'h/a', true],
  ['h/*', 'h', false],
  ['h/*', 'h/a/b', false],
  ['h/*/c', 'h/a/c', true],
  ['h/*/**', 'h/a', true],
  ['h/*/**', 'h', false],
  ['h/a', 'h/a', true],
  ['h/a', 'h/a/b', false],
  ['h/a/b', 'h/a', false],
  ['h/a', 'g/a', false],
  // An address may hold any character; it is never the pattern.
  ['h/a', 'h/*', false],
  ['h/a/b', 'h/**', false],
])('matchesPattern(%s, %s) is %s', (pattern, address, verdict) => {
  expect(matchesPattern(pattern.split('/'), address.split('/'))).toBe(verdict);
});

describe('overlaps()', () => {
  it.each([
    ['h/a/b', 'h/a/b', true],
    ['h/a/b', 'h/a/c', false],
    ['h/a/*', 'h/a/c', true],
    ['h/*/b', 'h/a/*', true],
    ['h/a/**', 'h/a', true],
    ['h/a/**', 'h/a/b/c', true],
    ['h/a/**', 'h/b/**', false],
    ['h/**', 'h/b/**', true],
    ['h/a', 'h/a/b', false],
    ['h/a/*', 'h/a', false],
    ['*.h/a', 'x.h/a', true],
    ['*.h/a', 'x.y.h/a', false],
    ['g/**', 'h/**', false],
  ])('of %s and %s: %s', (one, other, meet) => {
    expect(overlaps(one.split('/'), other.split('/'))).toBe(meet);
    expect(overlaps(other.split('/'), one.split('/'))).toBe(meet);
  });
});

it.each<[pattern: string, beginning: string, length: number, isWhole: boolean]>([
  ['dev.azure.com/**', 'dev.azure.com/contoso', 4, true],
  ['dev.azure.com/contoso/**', 'dev.azure.com/contoso', 4, true],
  ['dev.azure.com/contoso/*/*', 'dev.azure.com/contoso', 4, true],
  ['dev.azure.com/contoso/*/*/**', 'dev.azure.com/contoso', 4, true],
  ['dev.azure.com/contoso/*/*/*/**', 'dev.azure.com/contoso', 4, false],
  ['dev.azure.com/contoso/*', 'dev.azure.com/contoso', 4, false],
  ['dev.azure.com/contoso/web/**', 'dev.azure.com/contoso', 4, false],
  ['dev.azure.com/contoso/web/*', 'dev.azure.com/contoso/web', 4, true],
  ['dev.azure.com/contoso/*/app', 'dev.azure.com/contoso/web', 4, false],
  ['dev.azure.com/contoso/**', 'dev.azure.com/contoso/web', 4, true],
  ['dev.azure.com/fabrikam/**', 'dev.azure.com/contoso', 4, false],
  ['tfs.example.com/tfs/*/*', 'tfs.example.com/tfs/a', 5, false],
  ['*.example.com/tfs/*/*/*', 'tfs.example.com/tfs/a', 5, true],
  ['*.example.com/**', 'tfs.example.org/tfs/a', 5, false],
])('coversBelow(%s, %s, %i) is %s', (pattern, beginning, length, isWhole) => {
  expect(coversBelow(pattern.split('/'), beginning.split('/'), length)).toBe(isWhole);
});
