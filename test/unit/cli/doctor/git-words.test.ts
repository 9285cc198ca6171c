/** What doctor takes from git's own output, and whose address is the door's. */
import { describe, expect, test } from 'vitest';
import type { Found } from '../../../../src/cli/doctor/check.js';
import { isDoors } from '../../../../src/cli/doctor/doors.js';
import { gitsOwn, refusalIn } from '../../../../src/cli/doctor/git-words.js';

const REFUSAL = [
  'postern: The upstream is throttling',
  '  upstream said: slow down',
  '  route dev.azure.com/**, identity me, upstream status 429',
  '  what to do: wait and try again',
  '  more: postern explain upstream-throttled',
];

describe('refusalIn()', () => {
  test.each([
    ['of an answer to the first request', REFUSAL.map((line) => `remote: ${line}`).join('\n')],
    ['of an ERR packet', `fatal: remote error: ${REFUSAL.join('\n')}`],
    [
      'among progress and warnings',
      `warning: something\nremote: Counting\rremote: ${REFUSAL.join('\nremote: ')}\nfatal: unable to access 'http://x/'`,
    ],
  ])('reads the refusal %s', (_, stderr) => {
    expect(refusalIn(`${stderr}\nfatal: unable to access\n`)).toEqual({
      verdict: 'failed',
      text: 'The upstream is throttling',
      details: ['upstream said: slow down', 'route dev.azure.com/**, identity me, upstream status 429'],
      todo: 'wait and try again',
      code: 'upstream-throttled',
    });
  });

  test('takes no code that is none, and nothing where git says nothing of ours', () => {
    expect(refusalIn('remote: postern: No\nremote:   more: postern explain nonsense')).toMatchObject({ text: 'No', code: undefined });
    expect(refusalIn("fatal: unable to access 'https://dev.azure.com/': Could not resolve host")).toBeUndefined();
  });
});

test('gitsOwn() keeps what tells something, and no password', () => {
  const lines = gitsOwn("Receiving objects:  10%\rhint: x\nfatal: unable to access 'https://me:hunter2@host/x': refused\n");
  expect(lines).toEqual(["fatal: unable to access 'https://me:[hidden]@host/x': refused"]);
  expect(gitsOwn('a word\n')).toEqual(['a word']);
});

describe('isDoors()', () => {
  const found = {
    status: { listen: { http: ['http://127.0.0.1:8417', 'https://10.0.0.5:8443'], ssh: ['ssh://127.0.0.1:8422'] } },
    loaded: { settings: { listen: { names: ['gate.example.com'] } } },
  } as unknown as Found; // what it looks at

  test.each([
    ['http://127.0.0.1:8417/dev.azure.com/x', true],
    ['http://localhost:8417/dev.azure.com/x', true],
    ['https://gate.example.com:8443/dev.azure.com/x', true],
    ['ssh://git@127.0.0.1:8422/ssh.dev.azure.com/v3/a/b/c', true],
    ['[git@127.0.0.1:8422]:ssh.dev.azure.com/v3/a/b/c', true],
    ['https://127.0.0.1:8417/dev.azure.com/x', false],
    ['http://127.0.0.1:8418/dev.azure.com/x', false],
    ['http://127.0.0.1.example.com:8417/x', false],
    ['https://dev.azure.com/x', false],
    ['git@ssh.dev.azure.com:v3/a/b/c', false],
    ['/srv/git/x', false],
  ])('%s: %j', (address, isOurs) => {
    expect(isDoors(address, found)).toBe(isOurs);
  });

  test('nothing is, while no daemon has answered', () => {
    expect(isDoors('http://127.0.0.1:8417/x', {})).toBe(false);
  });
});
