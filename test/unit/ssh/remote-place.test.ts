import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SshUpstream } from '../../../src/model/settings.js';
import { quoted, remotePlace } from '../../../src/ssh/remote-place.js';
import { addressOf } from '../route.js';

/** Runs of a shell in the property: each is a child. */
const RUNS = 60;

function place(text: string, path: string, upstream?: SshUpstream): ReturnType<typeof remotePlace> {
  const address = addressOf(text);
  if (address === undefined) throw new Error(`${text} is no address`);
  return remotePlace({ kind: 'fetch', step: 'session', address }, Buffer.from(path, 'utf8').toString('latin1'), upstream);
}

describe('remotePlace()', () => {
  it.each<[address: string, path: string, place: object]>([
    [
      'ssh.dev.azure.com/v3/Org/My%20Proj/r',
      'v3/Org/My%20Proj/r',
      { user: 'git', host: 'ssh.dev.azure.com', port: 22, command: "git-upload-pack 'v3/Org/My%20Proj/r'" },
    ],
    [
      'ssh.dev.azure.com/v3/Org/My%20Proj/r',
      '/v3/Org/My Proj/r',
      { user: 'git', host: 'ssh.dev.azure.com', port: 22, command: "git-upload-pack 'v3/Org/My Proj/r'" },
    ],
    [
      'vs-ssh.visualstudio.com/v3/Org/P/r',
      '/v3/Org/P/r',
      { user: 'Org', host: 'vs-ssh.visualstudio.com', port: 22, command: "git-upload-pack 'v3/Org/P/r'" },
    ],
    [
      'dev.azure.com/Org/_git/r%C3%A9%27s',
      "/Org/_git/ré's",
      { user: 'git', host: 'ssh.dev.azure.com', port: 22, command: "git-upload-pack 'v3/Org/r%C3%A9'\\''s/r%C3%A9'\\''s'" },
    ],
    [
      'Org.visualstudio.com/DefaultCollection/P/_git/_full/r',
      '/DefaultCollection/P/_git/_full/r',
      { user: 'git', host: 'ssh.dev.azure.com', port: 22, command: "git-upload-pack 'v3/org/P/r'" },
    ],
    [
      'tfs.example:2222/tfs/C/P/_git/r',
      '/tfs/C/P/_git/r',
      { user: 'git', host: 'tfs.example', port: 2222, command: "git-upload-pack '/tfs/C/P/_git/r'" },
    ],
    ['github.com/team/tools', 'team/tools.git', { user: 'git', host: 'github.com', port: 22, command: "git-upload-pack 'team/tools.git'" }],
    ['[::1]:2222/C/P/_git/r', '/C/P/_git/r', { user: 'git', host: '::1', port: 2222, command: "git-upload-pack '/C/P/_git/r'" }],
  ])('sends %s (as %j) to its place', (address, path, expected) => {
    expect(place(address, path)).toEqual(expected);
  });

  it('follows the upstream of the route, and keeps the user of the host when that names none', () => {
    const upstream = { user: undefined, host: 'jump.example', port: 2200 };
    expect(place('vs-ssh.visualstudio.com/v3/Org/P/r', '/v3/Org/P/r', upstream)).toMatchObject({
      user: 'Org',
      host: 'jump.example',
      port: 2200,
    });
    expect(place('github.com/team/tools', '/team/tools', { ...upstream, user: 'ada' })).toMatchObject({
      user: 'ada',
      host: 'jump.example',
    });
  });

  it.each([
    ['/a\nb', 'has a control character'],
    ['/a\u007f', 'has a control character'],
    ['--upload-pack=x', 'begins with a dash'],
    ['', 'is empty'],
  ])('does not send %j', (path, why) => {
    expect(place('github.com/team/tools', path)).toBe(why);
  });

  it('does not send bytes that are no UTF-8', () => {
    const address = addressOf('github.com/team/tools')!;
    expect(remotePlace({ kind: 'push', step: 'session', address }, '/a\xff', undefined)).toBe('is not UTF-8');
  });
});

describe('quoted()', () => {
  it('is one word with the same characters to any shell', () => {
    const text = fc.string({ unit: fc.constantFrom("'", '"', '\\', '$', '`', '!', ' ', ';', '&', '|', '(', '*', '~', 'a', 'é', '#', '-') });
    fc.assert(
      fc.property(text, (word) => {
        expect(execFileSync('sh', ['-c', `printf '<%s>' ${quoted(word)}`], { encoding: 'utf8' })).toBe(`<${word}>`);
      }),
      { numRuns: RUNS },
    );
  });
});
