import { describe, expect, it } from 'vitest';
import { readGrantFlags, readLeaseFlags } from '../../../src/cli/lease-flags.js';

const FETCH = { repo: ['contoso/web/app'], allow: ['fetch'], for: '2h' };
const PUSH = { ...FETCH, allow: ['push,fetch'], ref: ['refs/heads/agent/*'] };

describe('readGrantFlags()', () => {
  it('reads a lease for fetches', () => {
    expect(readGrantFlags(FETCH)).toEqual({
      repos: ['contoso/web/app'],
      allow: ['fetch'],
      refs: undefined,
      protect: undefined,
      changes: undefined,
      forMs: 7_200_000,
      from: undefined,
      uids: undefined,
      label: undefined,
    });
  });

  it('reads a lease for pushes: creating and updating unless it is told otherwise', () => {
    expect(readGrantFlags({ ...PUSH, label: 'agent 7', uid: ['1000', '1000'], from: ['10.0.0.0/8'] })).toMatchObject({
      allow: ['fetch', 'push'],
      refs: ['refs/heads/agent/*'],
      changes: ['create', 'update'],
      label: 'agent 7',
      uids: [1000],
      from: ['10.0.0.0/8'],
    });
    expect(readGrantFlags({ ...PUSH, changes: ['tag, create', 'delete'] }).changes).toEqual(['create', 'delete', 'tag']);
  });

  it.each<[flags: Record<string, unknown>, what: string, todo: string]>([
    [{ ...FETCH, repo: undefined }, 'A lease needs repositories', 'add --repo organisation/project/repository'],
    [{ ...FETCH, allow: undefined }, 'A lease needs what it is for', 'add --allow fetch, or --allow fetch,push'],
    [{ ...FETCH, for: undefined }, 'A lease needs an end', 'add --for 2h'],
    [
      { ...FETCH, for: '2' },
      '--for `2` has no unit; write `2s` for seconds or `2m` for minutes',
      'write a time with its unit, such as 90s, 2h or 1d',
    ],
    [{ ...FETCH, for: '367d' }, '--for `367d` is too long; at most `366d`', 'write a time with its unit, such as 90s, 2h or 1d'],
    [{ ...FETCH, for: '0s' }, '--for 0s is less than a second', 'write a time such as 90s, 2h or 1d'],
    [
      { ...PUSH, ref: undefined },
      'A lease for pushes needs the refs that may be pushed',
      "add --ref 'refs/heads/agent/*', or --ref 'refs/**' for every ref",
    ],
    [{ ...PUSH, ref: ['main'] }, '--ref main is no glob of refs', "write whole names, such as 'refs/heads/main'"],
    [{ ...PUSH, protect: ['heads/main'] }, '--protect heads/main is no glob of refs', "write whole names, such as 'refs/heads/main'"],
    [
      { ...FETCH, protect: ['refs/heads/main'] },
      '--ref, --protect and --changes are about pushes, which this lease does not allow',
      'add push to --allow, or leave them out',
    ],
    [{ ...FETCH, allow: ['read'] }, '--allow read is not one of fetch, push, lfs, api', 'write one of them, or several with commas'],
    [
      { ...PUSH, changes: ['force'] },
      '--changes force is not one of create, update, delete, tag',
      'write one of them, or several with commas',
    ],
    [{ ...FETCH, uid: ['root'] }, '--uid root is no uid', 'write the number that `id -u` prints'],
    [
      { ...FETCH, from: ['10/8'] },
      '--from 10/8 is no address',
      'write an address or a block in its shortest form, such as 10.0.0.0/8 or fd00::/8',
    ],
    [{ ...FETCH, label: 'a\nb' }, '--label cannot be used', 'write a name of at most 64 printable characters'],
  ])('%j: %s', (flags, what, todo) => {
    expect(() => readGrantFlags(flags)).toThrow(expect.objectContaining({ code: 'usage', message: what, todo }) as Error);
  });
});

describe('readLeaseFlags()', () => {
  it('leaves what is not said as it was', () => {
    expect(Object.values(readLeaseFlags({})).every((value) => value === undefined)).toBe(true);
    expect(readLeaseFlags({ ref: ['refs/heads/x'] }).changes).toBeUndefined();
  });
});
