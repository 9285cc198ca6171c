import { describe, expect, it } from 'vitest';
import { RouteTable } from '../../../src/gate/route-table.js';
import type { OperationRecord } from '../../../src/model/record.js';
import { leaseIn, protocolIn, readCommand } from '../../../src/ssh/read-command.js';
import { route } from '../route.js';

const sent = (...values: string[]): ReadonlyMap<string, readonly string[]> =>
  new Map([
    ['POSTERN_LEASE', values],
    ['GIT_PROTOCOL', values],
  ]);

describe('leaseIn()', () => {
  it('takes one, and says when there is none or more than one', () => {
    expect(leaseIn(new Map())).toEqual({ kind: 'none' });
    expect(leaseIn(sent(' ptl1_a ', 'ptl1_a'))).toMatchObject({ kind: 'one' });
    expect(leaseIn(sent('ptl1_a', 'ptl1_b'))).toEqual({ kind: 'unclear', what: 'The client sent more than one lease' });
    // Sent and empty is a lease too, and one that is refused: whoever sent it meant to be judged by it.
    expect(leaseIn(sent(''))).toMatchObject({ kind: 'one' });
  });
});

describe('protocolIn()', () => {
  it.each([
    ['version=2', 'version=2'],
    ['version=1:object-format=sha256', 'version=1:object-format=sha256'],
    ['version=2\r\nX-Evil: 1', undefined],
    ['version=2 ', undefined],
    ['', undefined],
    ['v'.repeat(256), undefined],
    ['größe', undefined],
  ])('%j', (value, expected) => {
    expect(protocolIn(sent(value))).toBe(expected);
  });
});

describe('readCommand()', () => {
  const table = new RouteTable([route('dev.azure.com/**')]);
  const read = (text: string) => {
    const record = {} as OperationRecord; // because only what is noted is looked at
    return { read: readCommand(text, table, record), record };
  };

  it.each([
    ['upload-pack', 'fetch'],
    ['receive-pack', 'push'],
    ['upload-archive', 'archive'],
  ] as const)('reads git-%s, and notes it', (service, kind) => {
    const { read: found, record } = read(`git-${service} '/ssh.dev.azure.com/v3/contoso/web/App'`);
    expect(found).toMatchObject({ kind: 'operation', operation: { kind, step: 'session' }, path: '/v3/contoso/web/App' });
    expect(record).toMatchObject({
      kind,
      step: 'session',
      repository: 'dev.azure.com/contoso/web/App',
      address: { host: 'ssh.dev.azure.com' },
    });
  });

  it.each([
    ['download', 'batch-download'],
    ['upload', 'batch-upload'],
  ] as const)('reads git-lfs-authenticate for %s as the operation that it is for, and notes it', (asked, step) => {
    const { read: found, record } = read(`git-lfs-authenticate '/ssh.dev.azure.com/v3/contoso/web/App' ${asked}`);
    expect(found).toMatchObject({ kind: 'operation', operation: { kind: 'lfs', step, address: { path: '/contoso/web/_git/App' } } });
    expect(record).toMatchObject({ kind: 'lfs', step, repository: 'dev.azure.com/contoso/web/App' });
  });

  it.each([
    ["git-lfs-transfer '/ssh.dev.azure.com/v3/contoso/web/App' upload", 'nobody', 'Git LFS over SSH itself is not served'],
    ["git-lfs-authenticate '/ssh.dev.azure.com/v3/contoso' upload", 'person', "The address is not a repository's"],
    ['sh', 'person', 'The command is none of git'],
    [
      "git-upload-pack '/ssh.dev.azure.com/v3/contoso'",
      'git',
      "The address is not a repository's: v3/contoso is not v3/{organisation}/{project}/{repository}",
    ],
  ])('says no to %j, to whoever listens', (text, listener, what) => {
    expect(read(text).read).toMatchObject({ kind: 'no', listener, refusal: { what: expect.stringContaining(what) as unknown } });
  });
});
