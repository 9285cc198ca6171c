import { describe, expect, it } from 'vitest';
import { addToSettings, faultsIn, type SettingsAddition } from '../../../src/config/write-settings.js';

const ME: SettingsAddition = { path: ['identities', 'me'], value: { kind: 'browser' } };
const ROUTES: SettingsAddition = { path: ['routes'], value: [{ match: 'dev.azure.com/**', identity: 'me' }] };
const SSH: SettingsAddition = { path: ['listen', 'ssh'], value: 'off' };
const edited = (
  text: string | undefined,
  additions: readonly SettingsAddition[],
  why: readonly string[] = ['Why.'],
): string | undefined => {
  const edit = addToSettings(text === undefined ? undefined : Buffer.from(text, 'latin1'), additions, why);
  return edit.kind === 'text' ? edit.bytes.toString('latin1') : undefined;
};

describe('addToSettings()', () => {
  it.each([
    ['no file', undefined, '# Why.\nidentities:\n  me: { kind: browser }\n\nroutes:\n  - { match: dev.azure.com/**, identity: me }\n'],
    [
      'a file with a comment behind a value',
      'log: { level: debug } # mine',
      'log: { level: debug } # mine\n\n# Why.\nidentities:\n  me: { kind: browser }\n\nroutes:\n  - { match: dev.azure.com/**, identity: me }\n',
    ],
    [
      'a block of identities with its own indentation',
      'identities:\n    # first\n    a: { kind: none }   # odd  spacing\nlog: {}\n',
      'identities:\n    # first\n    me: { kind: browser }\n    a: { kind: none }   # odd  spacing\nlog: {}\n\n# Why.\nroutes:\n  - { match: dev.azure.com/**, identity: me }\n',
    ],
    [
      'identities on one line',
      'identities: { a: { kind: none } }\n',
      'identities: { me: { kind: browser }, a: { kind: none } }\n\n# Why.\nroutes:\n  - { match: dev.azure.com/**, identity: me }\n',
    ],
    [
      'identities without a value',
      'identities:  # none yet\nlog: {}\n',
      'identities:  # none yet\n  me: { kind: browser }\nlog: {}\n\n# Why.\nroutes:\n  - { match: dev.azure.com/**, identity: me }\n',
    ],
  ])('adds to %s and keeps every byte', (_, before, after) => {
    expect(edited(before, [ME, ROUTES])).toBe(after);
  });

  it('puts a second key beside the first of a section that it has just written', () => {
    const doors: SettingsAddition = { path: ['listen', 'http'], value: 'localhost:8418' };
    expect(edited(undefined, [doors, SSH], [])).toBe('listen:\n  ssh: off\n  http: localhost:8418\n');
  });

  it.each([
    ['has the value already', 'listen: { ssh: 127.0.0.1:1 }\n', SSH],
    ['has routes already', 'routes: []\n', ROUTES],
    ['is one flow map', '{ log: { level: debug } }\n', ME],
    ['ends in the end of its document', 'log: {}\n...\n', ME],
    ['ends in a block of text that would change', 'log: |+\n  a\n', ME],
    ['is a list', '- a\n', ME],
    ['is no YAML', 'log: [\n', ME],
    ['has an alias there', 'x: &a { a: { kind: none } }\nidentities: *a\n', ME],
    ['has a scalar there', 'identities: text\n', ME],
    ['holds what is not UTF-8', 'log: \xff\n', ME],
  ])('does not touch a file that %s', (_, before, addition) => {
    expect(addToSettings(Buffer.from(before, 'latin1'), [addition])).toEqual({ kind: 'by-hand', addition });
  });
});

describe('faultsIn()', () => {
  it('finds what the configuration itself would', () => {
    const text = edited(undefined, [{ path: ['identities', 'me'], value: { kind: 'client-secret' } }], []) ?? '';
    expect(faultsIn(Buffer.from(text), 'f').join('\n')).toMatch(/identities\.me.*clientId/);
    expect(faultsIn(Buffer.from('routes: [\n'), 'f')).toHaveLength(1);
    expect(faultsIn(Buffer.from(edited(undefined, [ME, ROUTES]) ?? ''), 'f')).toEqual([]);
  });
});
