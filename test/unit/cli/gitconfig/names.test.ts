import { describe, expect, it } from 'vitest';

import { hideCredentials, parseOrganisation, parseUser, userIn } from '../../../../src/cli/gitconfig/names.js';

describe('parseOrganisation()', () => {
  it.each([
    ['contoso', 'contoso'],
    ['Contoso-2', 'Contoso-2'],
    ['a', 'a'],
    ['my%2Dorg', 'my-org'],
    ['a'.repeat(50), 'a'.repeat(50)],
  ])('takes %s', (text, name) => {
    expect(parseOrganisation(text)).toBe(name);
  });

  it.each(['', '-a', 'a-', 'a b', 'a/b', 'a"b', 'a\nb', 'a%0Ab', 'a%', 'a.b', 'ä', 'a%2Fb', 'a'.repeat(51), '..', 'a]', 'a%252Db'])(
    'refuses %j',
    (text) => {
      expect(() => parseOrganisation(text)).toThrow(expect.objectContaining({ code: 'usage' }) as Error);
    },
  );
});

describe('userIn()', () => {
  it.each(['jane', 'jane.doe', 'jane%40example.com', 'x'.repeat(40)])('takes %s', (text) => {
    expect(userIn(text)).toBe(text);
  });

  it.each(['', 'jane:secret', 'a"b', 'a\nb', 'a/b', 'x'.repeat(52), `${'x'.repeat(76)}AZDOabcd`, 'eyJhbGciOi'])('refuses %j', (text) => {
    expect(userIn(text)).toBeUndefined();
    expect(() => parseUser(text)).toThrow(expect.objectContaining({ code: 'usage' }) as Error);
  });
});

describe('hideCredentials()', () => {
  it.each([
    ['https://jane:canary@host/x', 'https://jane:[hidden]@host/x'],
    ['https://:canary@host/x', 'https://[hidden]:[hidden]@host/x'],
    ['https://jane:can@ary@host/x', 'https://jane:[hidden]@host/x'],
    [`https://${'c'.repeat(52)}@host/x`, 'https://[hidden]@host/x'],
    ['https://contoso@dev.azure.com/x@y', 'https://contoso@dev.azure.com/x@y'],
    ['url.https://x:canary@h/.insteadof = https://a:canary@b/', 'url.https://x:[hidden]@h/.insteadof = https://a:[hidden]@b/'],
    ['plain \u001b[31mred', 'plain  [31mred'],
    ['git@ssh.dev.azure.com:v3/a/b/c', 'git@ssh.dev.azure.com:v3/a/b/c'],
  ])('turns %j into %j', (text, shown) => {
    expect(hideCredentials(text)).toBe(shown);
  });
});
