import { execFileSync } from 'node:child_process';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { environmentFor, writeEnvironment, writeVariables } from '../../../../src/cli/gitconfig/environment.js';
import { writeOwnedFile } from '../../../../src/cli/gitconfig/owned-file.js';

const BASE = 'http://127.0.0.1:8417';
const RULES = [{ insteadOf: 'https://dev.azure.com/', base: `${BASE}/dev.azure.com/` }];

describe('environmentFor()', () => {
  it('lists the pairs in order', () => {
    expect(environmentFor(RULES, { base: BASE })).toEqual([
      { name: 'GIT_CONFIG_COUNT', value: '2' },
      { name: 'GIT_CONFIG_KEY_0', value: `url.${BASE}/dev.azure.com/.insteadOf` },
      { name: 'GIT_CONFIG_VALUE_0', value: 'https://dev.azure.com/' },
      { name: 'GIT_CONFIG_KEY_1', value: `http.${BASE}/.proxy` },
      { name: 'GIT_CONFIG_VALUE_1', value: '' },
      { name: 'GIT_TERMINAL_PROMPT', value: '0' },
    ]);
  });

  it('goes on after the pairs that are there', () => {
    const names = environmentFor(RULES, { base: BASE }, { GIT_CONFIG_COUNT: '3' }).map(({ name, value }) => `${name}=${value}`);
    expect(names[0]).toBe('GIT_CONFIG_COUNT=5');
    expect(names[1]).toContain('GIT_CONFIG_KEY_3=');
  });

  it.each(['x', '-1', '1 2'])('refuses a count of %j', (count) => {
    expect(() => environmentFor(RULES, { base: BASE }, { GIT_CONFIG_COUNT: count })).toThrow(
      expect.objectContaining({ code: 'git-config' }) as Error,
    );
  });
});

describe('writeVariables()', () => {
  it('sh round-trips any text through a real shell', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...Array.from('ab \'"\\$`!\n\t*~;&|')) }), (value) => {
        const script = `${writeVariables('sh', [{ name: 'X', value }])}printf %s "$X"`;
        expect(execFileSync('sh', ['-c', script]).toString()).toBe(value);
      }),
      { numRuns: 60 },
    );
  });

  it('dotenv takes the value as it is and refuses a second line', () => {
    expect(writeVariables('dotenv', [{ name: 'X', value: 'a "b" \'c\' #d' }])).toBe('X=a "b" \'c\' #d\n');
    for (const value of ['a\nb', 'a\rb']) {
      expect(() => writeVariables('dotenv', [{ name: 'X', value }])).toThrow(expect.objectContaining({ code: 'usage' }) as Error);
    }
  });

  it.each([
    ['fish', "a'b\\c", "set -gx X 'a\\'b\\\\c'\n"],
    ['powershell', "a'b\u2019c", "$env:X = 'a''b\u2019\u2019c'\n"],
    ['json', 'a"b', '{\n  "X": "a\\"b"\n}\n'],
  ] as const)('%s escapes', (format, value, text) => {
    expect(writeVariables(format, [{ name: 'X', value }])).toBe(text);
  });
});

describe('writeEnvironment()', () => {
  it('powershell leaves off the empty pair, which it cannot hold, and sets NO_PROXY instead', () => {
    expect(writeEnvironment('powershell', RULES, { base: BASE })).toBe(
      [
        "$env:GIT_CONFIG_COUNT = '1'",
        `$env:GIT_CONFIG_KEY_0 = 'url.${BASE}/dev.azure.com/.insteadOf'`,
        "$env:GIT_CONFIG_VALUE_0 = 'https://dev.azure.com/'",
        "$env:GIT_TERMINAL_PROMPT = '0'",
        "$env:NO_PROXY = (@($env:NO_PROXY, '127.0.0.1') | Where-Object { $_ }) -join ','",
        '',
      ].join('\n'),
    );
  });

  it('gitconfig is the text of our own file', () => {
    expect(writeEnvironment('gitconfig', RULES, { base: BASE })).toBe(writeOwnedFile(RULES, { base: BASE }));
  });
});

describe('writeOwnedFile()', () => {
  it('groups the spellings under where they lead', () => {
    const text = writeOwnedFile([...RULES, { insteadOf: 'http://dev.azure.com/', base: `${BASE}/dev.azure.com/` }], { base: BASE });
    expect(text.split('\n').filter((line) => !line.startsWith('#') && line !== '')).toEqual([
      `[url "${BASE}/dev.azure.com/"]`,
      '\tinsteadOf = https://dev.azure.com/',
      '\tinsteadOf = http://dev.azure.com/',
      `[http "${BASE}/"]`,
      '\tproxy =',
    ]);
  });
});

describe('a door with TLS', () => {
  const DOOR = { base: 'https://127.0.0.1:8417', ca: '/state/a "b"/door-ca.pem' };

  it('writeOwnedFile() names whom to trust for the door alone, and has it checked', () => {
    const text = writeOwnedFile([{ insteadOf: 'https://dev.azure.com/', base: `${DOOR.base}/dev.azure.com/` }], DOOR);
    expect(text.slice(text.indexOf('[http '))).toBe(
      [
        '[http "https://127.0.0.1:8417/"]',
        '\tproxy =',
        '# Its certificate is checked, whatever http.sslVerify says for others: what else holds the port is not believed.',
        '\tsslCAInfo = /state/a \\"b\\"/door-ca.pem',
        '\tsslVerify = true',
        '',
      ].join('\n'),
    );
  });

  it('environmentFor() says the same, the empty value last', () => {
    const pairs = environmentFor([], DOOR).map(({ value }) => value);
    expect(pairs).toEqual([
      '3',
      'http.https://127.0.0.1:8417/.sslCAInfo',
      DOOR.ca,
      'http.https://127.0.0.1:8417/.sslVerify',
      'true',
      'http.https://127.0.0.1:8417/.proxy',
      '',
      '0',
    ]);
  });

  it('without an authority of our own nothing is said of whom to trust', () => {
    expect(writeOwnedFile([], { base: DOOR.base })).not.toContain('sslCAInfo');
    expect(writeOwnedFile([], { base: 'http://127.0.0.1:8417' })).not.toContain('ssl');
  });
});
