/**
 * What can go wrong between here and Azure Repos, with real git: every fault of the git host is either mended without a
 * word, or ends the command with an exit code and a text that names cause, route, identity and remedy. Nothing that
 * failed ever looks like an empty repository, which `fetch --prune` would answer by deleting every branch.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FAULT_KINDS, type Fault } from '../azure/faults.js';
import { closedPort } from '../support/closed-port.js';
import { type FailureStage, openFailureStage, type Place, rejected, succeed, told } from '../support/failure-stage.js';
import { TOLD_FAULTS, type ToldFault, UNTOLD_FAULTS } from './failure-table.js';

let stage: FailureStage;
let v0: FailureStage;

beforeAll(async () => {
  const dead = await closedPort();
  [stage, v0] = await Promise.all([
    openFailureStage({
      routes: () =>
        `  - { match: dev.azure.com/readers/**, identity: sp, allow: [fetch] }\n  - { match: dead.example.com/**, identity: sp, host: generic, upstream: 'https://127.0.0.1:${dead}' }\n`,
    }),
    openFailureStage({ protocol: 'v0' }),
  ]);
});
afterAll(async () => {
  await stage.scene.close();
  await v0.scene.close();
});

function lines(on: FailureStage, { what, said, status, todo }: ToldFault, step: 'advertisement' | 'exchange'): string[] {
  const number = typeof status === 'object' ? status[step] : status;
  return [
    `postern: ${what.replace('UPSTREAM', new URL(on.scene.emulator.git.origin).host)}`,
    ...(said ?? []).map((line) => `  upstream said: ${line}`),
    `  route dev.azure.com/**, identity sp${number === undefined ? '' : `, upstream status ${number}, ActivityId ID`}`,
    `  what to do: ${todo}`,
  ];
}

/** A push that may have been carried out is not told as undone. */
const UNSURE = ({ what, todo }: ToldFault): Pick<ToldFault, 'what' | 'todo'> => ({
  what: `${what}; the push may have arrived all the same`,
  todo: `\`git fetch\` shows whether it has arrived; if not, ${todo}`,
});

/** The same without what only fits several lines: what a rejected branch shows. */
function reason(all: readonly string[]): string[] {
  return all.filter((line) => !line.startsWith('  upstream said:'));
}

const names = (refs: string): string[] => refs.split('\n').map((line) => line.replace(/^.*\t/, ''));

const fetchAll = (place: Place): string[] => ['fetch', '--prune', place.url, '+refs/heads/*:refs/remotes/origin/*'];

async function showAtAdvertisement(on: FailureStage, row: ToldFault): Promise<void> {
  const fault: Fault = { kind: row.kind, ...row.fault, step: 'advertisement' };
  const expected = lines(on, row, 'advertisement');
  const before = await on.tracked();
  const commands = (place: Place): (() => Promise<{ code: number; stdout: string; stderr: string; left?: boolean }>)[] => [
    ...(row.of === 'push'
      ? []
      : [() => on.git(['ls-remote', place.url], place, fault), () => on.clone(place, fault), () => on.git(fetchAll(place), place, fault)]),
    () => on.git(['push', place.url, 'small:main'], place, fault),
  ];
  const first = await on.place();
  for (const index of commands(first).keys()) {
    const ran = await commands(await on.place())[index]?.();
    expect(ran).toMatchObject({ code: 128, stdout: '' });
    expect(ran?.left ?? false).toBe(false);
    expect(told(ran?.stderr ?? '').slice(0, expected.length)).toEqual(expected);
    expect(ran?.stderr).not.toMatch(/# service=|^(?:remote: *)?0000|[Uu]sername/m);
  }
  expect(await on.tracked()).toBe(before);
}

async function showAtExchange(on: FailureStage, row: ToldFault): Promise<void> {
  const fault: Fault = { kind: row.kind, ...row.fault, step: 'exchange' };
  const expected = lines(on, row, 'exchange');
  const refused = row.kind === 'not-framed' ? lines(on, { ...row, ...UNSURE(row) }, 'exchange') : expected;
  const before = await on.tracked();
  if (row.of !== 'push') {
    const cloning = await on.place();
    const cloned = await on.clone(cloning, fault);
    expect(cloned).toMatchObject({ code: 128, stdout: '', left: false });
    expect(told(cloned.stderr).slice(0, expected.length)).toEqual(expected);
    // What is there already would not be asked for.
    const fetching = await on.place('fresh');
    const fetched = await on.git(fetchAll(fetching), fetching, fault);
    expect(fetched.code).toBe(128);
    expect(told(fetched.stderr).slice(0, expected.length)).toEqual(expected);
  }
  // After a long Retry-After the push that follows a probe is not sent at all; see below.
  for (const branch of (fault.retryAfterSeconds ?? 0) > 30 ? ['small'] : ['small', 'large']) {
    const place = await on.place();
    const pushed = await on.git(['push', place.url, `${branch}:main`], place, fault);
    expect(pushed.code).toBe(1);
    expect(told(pushed.stderr).slice(0, expected.length)).toEqual(refused);
    expect(rejected(pushed.stderr)).toEqual(reason(refused));
    // A body that was streamed is not sent again.
    const streamed = (url: string): boolean => url.includes(`/${place.name.split('/')[0] ?? ''}/`);
    expect(
      on.scene.emulator.git.count((entry) => streamed(entry.url) && entry.headers['transfer-encoding'] === 'chunked'),
    ).toBeLessThanOrEqual(1);
    const arrived = await on.git(['--git-dir', place.path, 'rev-parse', 'main']);
    const source = await on.git(['rev-parse', row.kind === 'not-framed' ? branch : 'origin/main']);
    expect(arrived.stdout).toBe(source.stdout);
  }
  expect(await on.tracked()).toBe(before);
}

const title = (row: ToldFault): string => `${row.kind}${row.fault === undefined ? '' : ` ${JSON.stringify(row.fault)}`}`;
const atExchange = TOLD_FAULTS.filter((row) => row.fault?.step !== 'advertisement');
const MAIN: ReadonlySet<string> = new Set([
  'unauthorized',
  'signin-302',
  'html-200-oneline',
  'empty-200',
  'unavailable-503',
  'redirect-other-host',
]);

test('every fault of the emulator is in one of the tables', () => {
  const mended = ['cae-challenge', 'soft-throttle', 'throttled-429-bare', 'redirect-same-host'];
  const elsewhere = ['echo-authorization', 'policy-TF402455', 'die-before-answer', 'stall-before-answer'];
  const listed = new Set<string>([...TOLD_FAULTS, ...UNTOLD_FAULTS].map(({ kind }) => kind).concat([]));
  expect(FAULT_KINDS.filter((kind) => !listed.has(kind) && ![...mended, ...elsewhere].includes(kind))).toEqual([]);
});

describe('a fault that can be told', () => {
  test.each(TOLD_FAULTS.map((row) => [title(row), row] as const))('at the advertisement: %s', (_, row) => showAtAdvertisement(stage, row));
  test.each(atExchange.map((row) => [title(row), row] as const))('at the exchange: %s', (_, row) => showAtExchange(stage, row));
});

describe('a fault that can be told, of a host that speaks protocol v0 alone', () => {
  const main = TOLD_FAULTS.filter((row) => MAIN.has(row.kind));
  test.each(main.map((row) => [title(row), row] as const))('at the advertisement: %s', (_, row) => showAtAdvertisement(v0, row));
  test.each(main.map((row) => [title(row), row] as const))('at the exchange: %s', (_, row) => showAtExchange(v0, row));
});

describe('a fault before any answer', () => {
  const cases = [
    ['die-before-answer', /^postern: The upstream closed the connection before it answered/],
    ['stall-before-answer', /^postern: The upstream sent nothing for 2 s$/],
  ] as const;
  test.each(cases)('%s is told at both steps', async (kind, what) => {
    for (const step of ['advertisement', 'exchange'] as const) {
      const place = await stage.place();
      const cloned = await stage.clone(place, { kind, step });
      expect(cloned).toMatchObject({ code: 128, left: false });
      expect(told(cloned.stderr)[0]).toMatch(what);
      expect(told(cloned.stderr)[1]).toBe('  route dev.azure.com/**, identity sp');
      expect(told(cloned.stderr)[2]).toMatch(/^ {2}what to do: (?:try again|run the command again)/);
    }
    const pushing = await stage.place();
    const pushed = await stage.git(['push', pushing.url, 'small:main'], pushing, { kind, step: 'exchange' });
    expect(pushed.code).toBe(1);
    expect(rejected(pushed.stderr)[0]).toMatch(/^postern: The upstream .*; the push may have arrived all the same$/);
  });
});

describe('a fault in the middle of an answer', () => {
  const cases = UNTOLD_FAULTS.flatMap((row) =>
    (['advertisement', 'exchange'] as const).flatMap((step) =>
      (['v2', 'v0'] as const).map((protocol) => [row.kind, step, protocol, row] as const),
    ),
  );
  test.each(cases)('%s at the %s, protocol %s: git fails, log and status say why', async (kind, step, protocol, row) => {
    const on = protocol === 'v2' ? stage : v0;
    const before = await on.tracked();
    for (const [act, age] of [
      [(place: Place) => on.clone(place, { kind, step }), 'fresh'],
      [(place: Place) => on.git(fetchAll(place), place, { kind, step }), 'fresh'],
      [(place: Place) => on.git(['push', place.url, 'small:main'], place, { kind, step }), undefined],
    ] as const) {
      const place = await on.place(age);
      const ran = await act(place);
      expect(ran.code).not.toBe(0);
      expect('left' in ran && ran.left).toBe(false);
      const repository = `dev.azure.com/${place.name}`;
      const line = await on.daemon.logged((entry) => entry.event === 'transfer-broken' && entry['repository'] === repository);
      expect(line).toMatchObject({
        code: row.code,
        route: 'dev.azure.com/**',
        identity: 'sp',
        what: expect.stringMatching(row.what) as string,
      });
      const status = (await on.daemon.postern(['status'])).stdout;
      expect(status).toContain(`${repository}: ${String(line['what'])} (${row.code})`);
      expect(status).toContain(`what to do: ${String(line['todo'])}`);
    }
    // All that was promised may have come before the break (truncated-length): then a branch may move, but none may go.
    expect(names(await on.tracked())).toEqual(names(before));
  });
});

describe('a fault that is mended', () => {
  const cases: readonly (readonly [string, Fault])[] = [
    ['a token refused once', { kind: 'unauthorized', times: 1 }],
    ['a sign-in page once', { kind: 'signin-203', times: 1 }],
    ['a redirect to sign-in once', { kind: 'signin-302', times: 1 }],
    ['429 twice with a short Retry-After', { kind: 'throttled-429', times: 2, retryAfterSeconds: 0 }],
    ['429 once with Retry-After of a second', { kind: 'throttled-429', times: 1, retryAfterSeconds: 1 }],
    ['429 without Retry-After once', { kind: 'throttled-429-bare', times: 1 }],
    ['503 twice with a short Retry-After', { kind: 'unavailable-503', times: 2, retryAfterSeconds: 0 }],
    ['a claims challenge, met by every token that was not asked for with its claims', { kind: 'cae-challenge' }],
    ['an answer that comes late', { kind: 'soft-throttle', times: 1, delayMs: 50 }],
  ];
  test.each(cases)('%s', async (_, fault) => {
    const runs = (['advertisement', 'exchange'] as const).flatMap((step) => [
      async (): Promise<void> => {
        const place = await stage.place();
        expect(await stage.clone(place, { ...fault, step })).toMatchObject({ code: 0, stderr: '', left: true });
      },
      ...['small', 'large'].map((branch) => async (): Promise<void> => {
        const place = await stage.place();
        const pushed = await stage.git(['push', place.url, `${branch}:main`], place, { ...fault, step });
        expect(pushed.stderr).toMatch(new RegExp(`${branch} -> main\n$`));
        expect(pushed.code).toBe(0);
      }),
    ]);
    await Promise.all(runs.map((each) => each()));
  });

  test('a redirect on the same host stays at the door', async () => {
    const place = await stage.place();
    const fault: Fault = { kind: 'redirect-same-host', step: 'advertisement' };
    expect(await stage.clone(place, fault)).toMatchObject({ code: 0, left: true });
    const pushed = await stage.git(['push', place.url, 'small:main'], place, fault);
    expect(pushed).toMatchObject({ code: 0 });
    expect(pushed.stderr).toContain(`redirecting to ${place.url.replace(/web$/, 'moved/')}`);
    const late = await stage.clone(place, { ...fault, step: 'exchange' });
    expect(late.code).toBe(128);
    expect(told(late.stderr)[0]).toBe('postern: The upstream moved the repository while it was in use');
  });
});

test('429 without Retry-After that stays is told in the end', async () => {
  const place = await stage.place();
  const ran = await stage.git(['ls-remote', place.url], place, { kind: 'throttled-429-bare' });
  expect(ran.code).toBe(128);
  expect(told(ran.stderr)[0]).toBe('postern: Azure DevOps is throttling this identity');
});

test('while the upstream wants a long pause, others of the identity are not sent either', async () => {
  const place = await stage.place();
  await stage.git(['ls-remote', place.url], place, { kind: 'throttled-429', retryAfterSeconds: 600 });
  const asked = stage.scene.emulator.git.seen.length;
  const ran = await stage.git(['ls-remote', place.url]);
  expect(ran.code).toBe(128);
  expect(told(ran.stderr)[0]).toMatch(/^postern: The upstream asked this identity to wait; [0-9]+ s are left$/);
  expect(stage.scene.emulator.git.seen.length).toBe(asked);
  const pushing = await stage.place();
  const pushed = await stage.git(['push', pushing.url, 'large:main'], pushing, {
    kind: 'throttled-429',
    step: 'exchange',
    retryAfterSeconds: 600,
  });
  expect(pushed.code).toBe(1);
  expect(rejected(pushed.stderr)[0]).toMatch(/^postern: The upstream asked this identity to wait; [0-9]+ s are left$/);
});

test('a branch policy shows its own words', async () => {
  for (const branch of ['small', 'large']) {
    const place = await stage.place();
    const pushed = await stage.git(['push', place.url, `${branch}:main`], place, { kind: 'policy-TF402455' });
    expect(pushed.code).toBe(1);
    expect(pushed.stderr).toContain(
      ` ! [remote rejected] ${branch} -> main (TF402455: Pushes to this branch are not permitted; you must use a pull request to update this branch.)\n`,
    );
  }
});

describe('a certificate that is', () => {
  const cases = [
    ['expired', 'certificate has expired', 'renew the certificate of the upstream, or check the clock of this machine'],
    ['wrong-host', 'ERR_TLS_CERT_ALTNAME_INVALID', 'the certificate is for another name: check `upstream` of the route'],
    [
      'untrusted',
      'unable to verify the first certificate',
      'if the certificate is from a company authority, name its PEM file in `ca` of the route',
    ],
  ] as const;
  test.each(cases)('%s is named, and nothing is sent', async (fault, cause, todo) => {
    const place = await stage.place();
    const asked = stage.scene.emulator.git.seen.length;
    stage.scene.emulator.git.tlsFault = fault;
    try {
      const ran = await stage.clone(place);
      expect(ran).toMatchObject({ code: 128, left: false });
      const [what, where, remedy] = told(ran.stderr);
      expect(what).toMatch(/^postern: The TLS connection to 127\.0\.0\.1:[0-9]+ failed/);
      expect(what).toContain(cause);
      expect(where).toBe('  route dev.azure.com/**, identity sp');
      expect(remedy).toContain(`what to do: ${todo}`);
      expect(stage.scene.emulator.git.seen.length).toBe(asked);
    } finally {
      stage.scene.emulator.git.tlsFault = undefined;
    }
    expect((await stage.clone(place)).code).toBe(0);
  });
});

describe('the door itself', () => {
  test('an upstream that is not there is named', async () => {
    const ran = await stage.git(['ls-remote', stage.daemon.url('dead.example.com/any/path.git')]);
    expect(ran.code).toBe(128);
    expect(told(ran.stderr)[0]).toMatch(/^postern: 127\.0\.0\.1:[0-9]+ cannot be reached \(connect ECONNREFUSED/);
    expect(told(ran.stderr)[1]).toBe('  route dead.example.com/**, identity sp');
    expect(told(ran.stderr)[2]).toMatch(/^ {2}what to do: check the network and that the upstream is running/);
  });

  test.each([
    'git.example.com/any/path.git',
    'dev.azur.com/contoso/Payments/_git/web',
    'dev.azure.com.evil.example/contoso/Payments/_git/web',
  ])('no route for %s', async (path) => {
    for (const args of [['ls-remote'], ['clone', '-q'], ['push']]) {
      const ran = await stage.git([...args, stage.daemon.url(path), ...(args[0] === 'push' ? ['small:main'] : [])]);
      expect(ran.code).toBe(128);
      expect(told(ran.stderr)[0]).toBe(`postern: No route matches ${path.replace('/_git', '')}`);
      expect(told(ran.stderr)[1]).toContain(`what to do: add a route whose match covers ${path.replace('/_git', '')}`);
    }
  });

  test('a push through a route that allows fetch alone', async () => {
    await stage.scene.emulator.createRepository('readers/Payments/web');
    // The first route names no upstream: the fetch itself would go to the real host.
    const ran = await stage.git(['push', stage.daemon.url('dev.azure.com/readers/Payments/_git/web'), 'small:main']);
    expect(ran.code).toBe(128);
    expect(told(ran.stderr).slice(0, 3)).toEqual([
      'postern: The route allows fetch, not push',
      '  route dev.azure.com/readers/**, identity sp',
      '  what to do: add push to `allow` of this route if it should be possible',
    ]);
  });

  test('an address that is none of a repository', async () => {
    const ran = await stage.git(['ls-remote', stage.daemon.url('dev.azure.com/contoso/web')]);
    expect(ran.code).toBe(128);
    expect(told(ran.stderr)[0]).toBe(
      "postern: The address is not a repository's: contoso/web is not {organisation}/{project}/_git/{repository}",
    );
  });
});

test('what git saw never held a token', async () => {
  const place = await stage.place();
  await succeed(stage.git(['ls-remote', place.url]));
  for (const token of stage.scene.emulator.sts.tokens()) expect(stage.daemon.output).not.toContain(token);
});
