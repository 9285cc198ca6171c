import { describe, expect, it } from 'vitest';
import { statusLines } from '../../../src/cli/commands/status-lines.js';
import { visibleAll } from '../../../src/cli/visible.js';
import type { DaemonStatus } from '../../../src/daemon/status.js';
import { TimeSpent } from '../../../src/model/time-spent.js';

const NOW = Date.UTC(2030, 0, 1);
const before = (seconds: number): Date => new Date(NOW - seconds * 1000);

const QUIET: DaemonStatus = {
  pid: 17,
  version: '1.2.3',
  startedAt: '2029-12-31T23:00:00.000Z',
  configuration: undefined,
  state: 'ready',
  listen: { http: ['http://127.0.0.1:8417'], ssh: [], telemetry: [] },
  access: { local: 'uid', remote: 'lease', uids: [] },
  identities: [],
  pats: [],
  logins: [],
  tenants: [],
  tenantDifferences: [],
  routes: [],
  operations: { passed: 3 },
  running: [],
  betweenRequests: [],
  eventLoop: { mean: 0, p99: 1, max: 2, worst: 3 },
  traffic: { operations: 0, connections: { http: 0, ssh: 0 }, refused: { connections: 0, operations: 0, files: 0 } },
  failures: [],
  callers: [],
  callersForgotten: 0,
  upstreams: [],
  sshUpstreams: [],
  throttled: [],
  audit: { kind: 'off' },
  memory: 64 * 1024 * 1024,
};

const RUNNING: DaemonStatus['running'][number] = {
  id: 17,
  kind: 'fetch',
  step: 'exchange',
  repository: 'dev.azure.com/contoso/web/app',
  route: 'dev.azure.com/**',
  identity: 'me',
  door: 'http',
  caller: '127.0.0.1:4000',
  uid: 1000,
  lease: undefined,
  upstreamStatus: 200,
  startedAt: before(42),
  ageMs: 42_000,
  bytesUp: 900,
  bytesDown: 123_456_789,
};

const VARIANT: DaemonStatus['identities'][number]['variants'][number] = {
  variant: '',
  state: 'failing',
  obtainedAt: undefined,
  expiresAt: undefined,
  failure: 'az is not signed in',
  todo: 'az login',
  account: undefined,
  tenant: undefined,
  claims: undefined,
};

const IDENTITY: DaemonStatus['identities'][number] = {
  ...VARIANT,
  name: 'me',
  kind: 'azure-cli',
  requests: 1,
  obtained: 0,
  failures: 1,
  variants: [VARIANT],
};

/** A fetch that found no route, long ago. */
function failed(id: number): DaemonStatus['failures'][number] {
  const failure = { code: 'no-route', what: 'No route matches', todo: 'add one' } as const;
  const none = {
    address: undefined,
    identity: undefined,
    key: undefined,
    lease: undefined,
    activityId: undefined,
    lookUpMs: undefined,
    trace: undefined,
  };
  const { kind, step, caller, door, uid } = RUNNING;
  const what = { kind, step, caller, door, uid, refs: [], refsLeftOut: 0, bytesUp: 0, bytesDown: 0, replays: 0, spent: new TimeSpent() };
  return {
    ...none,
    ...what,
    id,
    repository: `dev.azure.com/contoso/web/${id}`,
    route: undefined,
    startedAt: before(86_400),
    ms: 3,
    verdict: 'refused',
    upstreamStatus: undefined,
    failure,
  };
}

const seen = (
  who: DaemonStatus['callers'][number]['who'],
  more: Partial<DaemonStatus['callers'][number]> = {},
): DaemonStatus['callers'][number] => ({
  who,
  operations: 1,
  refused: 0,
  running: 0,
  lastSeenAt: before(0),
  ...more,
});

/** The lines from a heading to the next one. */
function section(status: DaemonStatus, heading: string): string[] {
  const lines = statusLines(status, NOW);
  const start = lines.findIndex((line) => line.startsWith(heading));
  if (start < 0) return [];
  const length = lines.slice(start + 1).findIndex((line) => !line.startsWith(' '));
  return lines.slice(start, length < 0 ? undefined : start + 1 + length);
}

describe('statusLines()', () => {
  it('says nothing of callers, leases and operations while there are none', () => {
    const text = statusLines(QUIET, NOW).join('\n');
    for (const heading of ['callers since', 'leases in use', 'running operations', 'upstreams', 'latest failures'])
      expect(text).not.toContain(heading);
  });

  it('shows running operations as a table', () => {
    const running = [
      RUNNING,
      { ...RUNNING, id: 4, kind: 'push', step: 'advertisement', lease: 'lease 3f2a (nightly)', ageMs: 3_700_000, bytesDown: 0 },
    ];
    expect(section({ ...QUIET, running }, 'running')).toEqual([
      'running operations (`postern kill ID` ends one)',
      '  ID  WHAT                    REPOSITORY                     CALLER                DOWN     UP     AGE',
      '  17  fetch                   dev.azure.com/contoso/web/app  uid 1000              118 MiB  900 B  42 s',
      '  4   push (asking for refs)  dev.azure.com/contoso/web/app  lease 3f2a (nightly)  0 B      900 B  1 h',
    ]);
  });

  it('shows callers and what became of their operations', () => {
    const callers = [
      seen({ kind: 'user', uid: 1000 }, { operations: 12, refused: 1, running: 2 }),
      seen({ kind: 'address', ip: '10.0.0.3' }, { lastSeenAt: before(125) }),
    ];
    expect(section({ ...QUIET, callers, callersForgotten: 3 }, 'callers')).toEqual([
      'callers since the start',
      '  uid 1000  12 operations, 1 refused, 2 running  last seen just now',
      '  10.0.0.3  1 operation                          last seen 2 min ago',
      '  and 3 seen before those, which only the log and the audit still know',
    ]);
  });

  it('shows ten callers to a person, and says that there are more', () => {
    const callers = Array.from({ length: 13 }, (_, uid) => seen({ kind: 'user', uid }));
    const lines = section({ ...QUIET, callers }, 'callers');
    expect(lines).toHaveLength(12);
    expect(lines.at(-1)).toBe('  and 3 more, which --all shows');
  });

  it('shows leases in use: those that have not ended, and those that still run', () => {
    const lease = (id: string, ends: number | undefined, label?: string): DaemonStatus['callers'][number]['who'] => ({
      kind: 'lease',
      id,
      label,
      narrowedTo: id === 'aa' ? 'a1' : undefined,
      expiresAt: ends === undefined ? undefined : before(-ends),
    });
    const callers = [
      seen(lease('aa', 3_600, 'nightly'), { running: 2 }),
      seen(lease('bb', -1), { running: 1 }),
      seen(lease('cc', -1)),
      seen(lease('dd', undefined), { lastSeenAt: before(61) }),
    ];
    expect(section({ ...QUIET, callers }, 'leases')).toEqual([
      'leases in use',
      '  aa  nightly  ends in 1 h  2 running            narrowed to a1',
      '  bb           ended        1 running',
      '  dd                        last used 1 min ago',
    ]);
  });

  it('says first what is wrong, with what to do, and nothing of it when all is well', () => {
    expect(statusLines(QUIET, NOW)[1]).toBe('identities');
    const failing: DaemonStatus = {
      ...QUIET,
      reload: {
        kind: 'failed',
        at: 'noon',
        cause: 'file',
        code: 'config-invalid',
        what: 'The configuration has faults',
        details: [],
        todo: 'correct it',
      },
      identities: [IDENTITY],
    };
    expect(statusLines(failing, NOW).slice(1, 6)).toEqual([
      'needs attention',
      '  The configuration that was read at noon is not in force: The configuration has faults',
      '    what to do: correct it',
      '  Identity me: az is not signed in',
      '    what to do: az login',
    ]);
  });

  it('tells how long a token is good, and when it is renewed', () => {
    const of = (expires: number, renews: number | undefined): string => {
      const token = { ...VARIANT, state: 'ready' as const, failure: undefined, todo: undefined, expiresAt: before(-expires) };
      const timed = renews === undefined ? token : { ...token, renewsAt: before(-renews) };
      return section({ ...QUIET, identities: [{ ...IDENTITY, ...timed, variants: [timed] }] }, 'identities')[1] ?? '';
    };
    expect(of(3_600, 2_520)).toBe('  me  azure-cli  ready, token good for 1 h, renewed in 42 min');
    expect(of(90, -5)).toBe('  me  azure-cli  ready, token good for 1 min, to be renewed');
    expect(of(90, undefined)).toBe('  me  azure-cli  ready, token good for 1 min');
    expect(of(-1, -5)).toBe('  me  azure-cli  ready, token has ended');
  });

  it('cuts long lists and says how to see all, and shows all when asked', () => {
    const running = Array.from({ length: 25 }, (_, id) => ({ ...RUNNING, id }));
    const status = { ...QUIET, running };
    expect(section(status, 'running')).toHaveLength(13);
    expect(section(status, 'running').at(-1)).toBe('  and 15 more, which --all shows');
    expect(statusLines(status, NOW, { all: true }).filter((line) => line.includes('uid 1000'))).toHaveLength(25);
  });

  it('shows the latest failures first, a handful of them', () => {
    const failures = Array.from({ length: 9 }, (_, id) => failed(id));
    const lines = section({ ...QUIET, failures }, 'latest failures');
    expect(lines[1]).toContain('fetch dev.azure.com/contoso/web/8: No route matches (no-route)');
    expect(lines.at(-1)).toBe('  and 4 more, which --all shows');
  });

  it('prints no control character that came from outside', () => {
    const evil = '\u001b[31mred\nforged \u202eline\u0085';
    const status = visibleAll({
      ...QUIET,
      running: [{ ...RUNNING, repository: evil }],
      callers: [seen({ kind: 'lease', id: 'aa', label: evil, narrowedTo: undefined, expiresAt: undefined })],
    });
    for (const line of statusLines(status, NOW)) expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
    expect(statusLines(status, NOW).join('\n')).toContain('\\u001b[31mred\\u000aforged \\u202eline\\u0085');
  });
});
