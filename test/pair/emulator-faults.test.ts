/** Every fault of the emulator's git hosts: how it looks on the wire, and what real git makes of the ones that depend on git. */
import { readFile, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Emulator } from '../azure/emulator.js';
import { FAULT_KINDS, type FaultKind } from '../azure/faults.js';
import { ask, endEmulator, git, REFS, sends, startEmulator, type Answer } from './emulator-rig.js';

/** A silence that counts as a stall: many times what an answer takes on a busy machine. */
const STALLED_MS = 3_000;
const ANSWER_MS = 30_000;

let emulator: Emulator;
let ca: string;

beforeAll(async () => {
  ({ emulator, ca } = await startEmulator());
});

afterAll(() => endEmulator(emulator));

beforeEach(() => {
  emulator.git.seen.length = 0;
});

afterEach(() => {
  emulator.git.faults.clear();
});

const authorization = (): Record<string, string> => ({ Authorization: `Bearer ${emulator.sts.issue()}` });

/** Asks the repository that is named for the fault. */
async function meet(kind: FaultKind, service = 'git-upload-pack'): Promise<Answer | string> {
  try {
    const path = `/contoso/Payments/_git/fault-${kind}/info/refs?service=${service}`;
    return await ask(emulator, ca, { path, headers: authorization(), idleMs: kind.startsWith('stall') ? STALLED_MS : ANSWER_MS });
  } catch (error) {
    return (error as Error).message; // request errors are Errors
  }
}

describe('a repository named for a fault', () => {
  const GIT = 'application/x-git-upload-pack-advertisement';
  const HTML = 'text/html; charset=utf-8';
  const TEXT = 'text/plain; charset=utf-8';

  const answers: readonly (readonly [
    FaultKind,
    { status: number; type: string; complete?: boolean; header?: readonly string[]; body?: RegExp },
  ])[] = [
    ['unauthorized', { status: 401, type: HTML, header: ['x-vss-resourcetenant'] }],
    ['signin-302', { status: 302, type: HTML, header: ['location'] }],
    ['signin-203', { status: 203, type: HTML, body: /Sign In/ }],
    ['html-200', { status: 200, type: HTML, body: /\n.*\n/ }],
    ['html-200-oneline', { status: 200, type: HTML, body: /^[^\n]+$/ }],
    ['empty-200', { status: 200, type: HTML, body: /^$/ }],
    ['not-found-TF401019', { status: 404, type: TEXT, body: /^TF401019: / }],
    ['forbidden-TF400813', { status: 403, type: TEXT, body: /^TF400813: / }],
    ['throttled-429', { status: 429, type: TEXT, header: ['retry-after'], body: /^TF400733: / }],
    ['throttled-429-bare', { status: 429, type: TEXT, body: /^TF400733: / }],
    ['unavailable-503', { status: 503, type: HTML }],
    ['cae-challenge', { status: 401, type: HTML, header: ['www-authenticate'] }],
    ['missing-org-404', { status: 404, type: HTML }],
    ['echo-authorization', { status: 403, type: TEXT, header: ['activityid'], body: /^You sent Authorization: Bearer / }],
    ['redirect-same-host', { status: 302, type: HTML, header: ['location'] }],
    ['redirect-other-host', { status: 302, type: HTML, header: ['location'] }],
    ['die-midbody', { status: 200, type: GIT, complete: false, body: /^[^]{64}$/ }],
    ['truncated-length', { status: 200, type: GIT, complete: false, header: ['content-length'], body: /0000$/ }],
    ['stall', { status: 200, type: GIT, complete: false, body: /^[^]{64}$/ }],
    ['not-framed', { status: 200, type: GIT, body: /0000$/ }],
  ];

  test.each(answers)('answers %s', async (kind, expected) => {
    const answer = (await meet(kind)) as Answer; // these kinds all answer
    expect(answer).toMatchObject({ status: expected.status, complete: expected.complete ?? true });
    expect(answer.headers['content-type']).toBe(expected.type);
    for (const name of expected.header ?? []) expect(answer.headers[name]).toBeTruthy();
    expect(answer.body).toMatch(expected.body ?? /[^]/);
    expect(emulator.git.seen).toMatchObject([{ status: expected.status }]);
  });

  test('gives no answer for die-before-answer and stall-before-answer', async () => {
    expect(await meet('die-before-answer')).toBe('socket hang up');
    expect(await meet('stall-before-answer')).toBe('idle');
    expect(emulator.git.seen.map((entry) => entry.status)).toEqual([0, 0]);
  });

  test('has no length of any kind when not framed', async () => {
    const { headers } = (await meet('not-framed')) as Answer;
    expect([headers['content-length'], headers['transfer-encoding'], headers['connection']]).toEqual([undefined, undefined, 'close']);
  });

  test('answers late but truly for soft-throttle', async () => {
    emulator.git.faults.set('contoso/Payments/web', { kind: 'soft-throttle', delayMs: 80, retryAfterSeconds: 7 });
    const start = Date.now();
    const answer = await ask(emulator, ca, { path: REFS, headers: authorization() });
    expect(Date.now() - start).toBeGreaterThanOrEqual(79);
    expect(answer).toMatchObject({
      status: 200,
      headers: { 'x-ratelimit-delay': '0.080', 'retry-after': '7', 'x-ratelimit-remaining': '0' },
    });
    expect(answer.body).toContain('refs/heads/main');
  });

  test('refuses the push only for no-push, in the framing of the real service', async () => {
    const refused = (await meet('no-push-TF401027', 'git-receive-pack')) as Answer;
    expect(refused).toMatchObject({ status: 403 });
    expect(refused.body).toMatch(/^001f# service=git-receive-pack\n00000000(00[0-9a-f]{2})TF401027: .*'repository'\.\nTF401027: /);
    const length = Number.parseInt(refused.body.slice(39, 43), 16);
    expect(refused.body.slice(39, 39 + length)).toMatch(/^00..TF401027[^\n]*\n$/);
    expect(await meet('no-push-TF401027')).toMatchObject({ status: 200 });
  });

  test('looks at the credential first, except where the sign-in itself is the fault', async () => {
    for (const kind of FAULT_KINDS)
      await ask(emulator, ca, { path: `/contoso/Payments/_git/fault-${kind}/info/refs?service=git-receive-pack` });
    const passed = emulator.git.seen.filter((entry) => entry.status !== 401).map((entry) => entry.url.replace(/.*fault-|\/info.*/g, ''));
    expect(passed).toEqual(['signin-302', 'signin-203']);
  });
});

describe('faults', () => {
  test('set() shows a fault as often as told, at its step', async () => {
    emulator.git.faults.set('contoso/payments/WEB', { kind: 'unavailable-503', times: 2, retryAfterSeconds: 3 });
    const first = await ask(emulator, ca, { path: REFS, headers: authorization() });
    expect(first).toMatchObject({ status: 503, headers: { 'retry-after': '3' } });
    const headers = { ...authorization(), 'Content-Type': 'application/x-git-upload-pack-request' };
    const upload = { path: '/contoso/Payments/_git/web/git-upload-pack', method: 'POST', body: '0000', headers };
    expect(await ask(emulator, ca, upload)).toMatchObject({ status: 200 });
    expect(await ask(emulator, ca, { path: REFS, headers: authorization() })).toMatchObject({ status: 503 });
    expect(await ask(emulator, ca, { path: REFS, headers: authorization() })).toMatchObject({ status: 200 });
  });

  test('a claims challenge ends with a token that answers it', async () => {
    emulator.git.faults.set('*', { kind: 'cae-challenge' });
    expect(await ask(emulator, ca, { path: REFS, headers: authorization() })).toMatchObject({ status: 401 });
    const Authorization = `Bearer ${emulator.sts.issue({ cae: true, claimsRequest: JSON.stringify({ access_token: { nbf: { value: '1' } } }) })}`;
    expect(await ask(emulator, ca, { path: REFS, headers: { Authorization } })).toMatchObject({ status: 200 });
  });

  test('a redirect keeps suffix and query, and 307 for a POST', async () => {
    const there = (await meet('redirect-same-host')) as Answer;
    expect(there.headers.location).toBe('/contoso/Payments/_git/moved/info/refs?service=git-upload-pack');
    expect(((await meet('redirect-other-host')) as Answer).headers.location).toMatch(
      /^https:\/\/other\.example\.com\/contoso\/.*info\/refs\?service=/,
    );
    emulator.git.faults.set('contoso/Payments/web', { kind: 'redirect-same-host', step: 'any', location: 'contoso/Payments/other' });
    const path = '/contoso/Payments/_git/web/git-upload-pack';
    const post = await ask(emulator, ca, { path, method: 'POST', body: '0000', headers: authorization() });
    expect(post).toMatchObject({ status: 307, headers: { location: '/contoso/Payments/_git/other/git-upload-pack' } });
  });
});

describe('git', () => {
  const clone = (leaf: string) =>
    git(emulator, [
      ...sends(authorization()['Authorization'] ?? ''),
      'clone',
      `${emulator.git.origin}/contoso/Payments/_git/${leaf}`,
      leaf,
    ]);

  test('follows the redirect on the same host', async () => {
    expect(await clone('fault-redirect-same-host')).toMatchObject({ code: 0 });
    expect(await readFile(join(emulator.directory, 'fault-redirect-same-host', 'README.md'), 'utf8')).toBe('# Sample\n');
  });

  test('shows the text of the missing repository', async () => {
    expect((await clone('fault-not-found-TF401019')).stderr).toContain('remote: TF401019: The Git repository');
  });

  test('fails when the pack dies on the way', async () => {
    emulator.git.faults.set('contoso/Payments/web', { kind: 'die-midbody', step: 'exchange', afterBytes: 100_000 });
    expect((await clone('web')).code).not.toBe(0);
  });

  test('shows the branch policy, for a small push and for one that is probed and chunked', async () => {
    const leaf = 'fault-policy-TF402455';
    expect(await clone(leaf)).toMatchObject({ code: 0 });
    const work = join(emulator.directory, leaf);
    for (const size of [10, 3 << 20]) {
      await writeFile(join(work, 'new.bin'), Buffer.from(Array.from({ length: size }, () => Math.floor(Math.random() * 256))));
      await git(emulator, ['-C', work, 'add', '.']);
      await git(emulator, ['-C', work, 'commit', '-m', 'Change']);
      const push = await git(emulator, ['-C', work, ...sends(authorization()['Authorization'] ?? ''), 'push', 'origin', 'main']);
      expect(push.code).toBe(1);
      expect(push.stderr).toMatch(/\[remote rejected\] main -> main \(TF402455: Pushes to this branch are not permitted/);
    }
  });
});

describe('http-backend', () => {
  test('ends with a client that leaves in the middle of an upload', async () => {
    const answer = await ask(emulator, ca, {
      path: '/contoso/Payments/_git/web/git-receive-pack',
      method: 'POST',
      headers: { ...authorization(), 'Content-Length': '1000', 'Content-Type': 'application/x-git-receive-pack-request' },
      body: '00',
      idleMs: 200,
    }).catch((error: unknown) => error);
    expect(answer).toBeInstanceOf(Error);
    await expect.poll(() => emulator.git.children).toBe(0);
  });

  test('ends with a client that leaves in the middle of a download', async () => {
    const { body } = await ask(emulator, ca, { path: REFS, headers: authorization() });
    const main = /([0-9a-f]{40}) refs\/heads\/main/.exec(body)?.[1] ?? '';
    const headers = { ...authorization(), 'Content-Type': 'application/x-git-upload-pack-request' };
    await new Promise<void>((resolve, reject) => {
      const path = '/contoso/Payments/_git/web/git-upload-pack';
      const outgoing = request(emulator.git.origin + path, { ca, method: 'POST', headers, agent: new Agent() }, (response) => {
        response.once('data', () => response.destroy());
        response.on('error', () => undefined);
        response.on('close', resolve);
      });
      outgoing.on('error', reject);
      outgoing.end(`0032want ${main}\n00000009done\n`);
    });
    await expect.poll(() => emulator.git.children).toBe(0);
  });
});
