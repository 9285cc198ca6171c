import { describe, expect, it } from 'vitest';
import { LONGEST_TARGET_BYTES, readRequestTarget } from '../../../src/http/request-target.js';

describe('readRequestTarget()', () => {
  it.each<[url: string, host: string, path: string, query: string | undefined]>([
    ['/dev.azure.com/o/p/_git/r/info/refs?service=git-upload-pack', 'dev.azure.com', '/o/p/_git/r/info/refs', 'service=git-upload-pack'],
    ['/h/', 'h', '/', undefined],
    ['/h/p?', 'h', '/p', ''],
    ['/h/p?a=b?c/d', 'h', '/p', 'a=b?c/d'],
    ['/h:8443/p', 'h:8443', '/p', undefined],
    ['/%68/p%2f', '%68', '/p%2f', undefined],
    ['/h/w\u00c3\u00a9b', 'h', '/w\u00c3\u00a9b', undefined],
    // What follows is no host and no path; whoever reads them says so.
    ['//evil.example/p', '', '/evil.example/p', undefined],
    ['/h//p/../q', 'h', '//p/../q', undefined],
  ])('reads %s', (url, host, path, query) => {
    expect(readRequestTarget(url)).toEqual({ kind: 'target', target: { host, path, query } });
  });

  it.each([
    'http://dev.azure.com/o/p/_git/r',
    'https://dev.azure.com/',
    'dev.azure.com:443',
    '*',
    '',
    '/',
    '/dev.azure.com',
    '/dev.azure.com?/o/p',
    '/h/p#q',
    '/h\\evil/p',
    '/h/a b',
    '/h/a\tb',
    '/h/a\0',
    '/h/a\r\nx: y',
    '/h/w\u0119b',
    `/h/${'a'.repeat(LONGEST_TARGET_BYTES)}`,
  ])('refuses %j', (url) => {
    expect(readRequestTarget(url)).toMatchObject({
      kind: 'fault',
      what: expect.stringMatching(/^the (address|request target) /) as string,
    });
  });

  it('takes the longest address', () => {
    expect(readRequestTarget(`/h/${'a'.repeat(LONGEST_TARGET_BYTES - 3)}`).kind).toBe('target');
  });
});
