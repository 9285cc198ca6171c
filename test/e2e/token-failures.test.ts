/**
 * Tokens that the git host does not take, with real git; and for each check of the emulator on which these tests lean, a
 * control that the check bites when git speaks to the emulator directly.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { randomUUID } from 'node:crypto';
import type { Ran } from '../support/scene.js';
import { type FailureStage, openFailureStage, type Place, rejected, told } from '../support/failure-stage.js';

let stage: FailureStage;

beforeAll(async () => {
  stage = await openFailureStage();
});
beforeEach(() => {
  stage.scene.emulator.git.seen.length = 0;
});
afterEach(() => {
  const { sts } = stage.scene.emulator;
  sts.mint = {};
  sts.requireClaims = false;
  sts.tokenLifeSeconds = 3600;
});
afterAll(() => stage.scene.close());

function revokeAll(): void {
  const { sts } = stage.scene.emulator;
  for (const token of sts.tokens()) sts.revoke(token);
}

const refusals = (): (string | undefined)[] =>
  stage.scene.emulator.git.seen.filter(({ status }) => status === 401).map(({ refusedFor }) => refusedFor);

describe('a token that the upstream does not take', () => {
  const TENANT = randomUUID();
  const cases = [
    [
      'of another tenant',
      { tenant: TENANT },
      'wrong-tenant',
      'the token is of tenant ID, the organisation belongs to tenant ID',
      'set `tenant` of the identity to ID (for the Azure CLI also `az login --tenant ID`)',
    ],
    ['not valid yet', { notYet: true }, 'not-yet-valid', 'the token is outside its time', 'check the clock of this machine'],
  ] as const;

  test.each(cases)('%s: named with what to do, and mended with the next good one', async (_, mint, reason, what, todo) => {
    revokeAll();
    stage.scene.emulator.sts.mint = mint;
    const place = await stage.place();
    const cloned = await stage.clone(place);
    expect(cloned).toMatchObject({ code: 128, left: false });
    const lines = told(cloned.stderr);
    expect(lines[0]).toBe(`postern: The upstream did not accept the credential (401): ${what}`);
    expect(lines).toContain('  route dev.azure.com/**, identity sp, upstream status 401, ActivityId ID');
    expect(lines).toContain(`  what to do: ${todo}`);
    expect(refusals()).toEqual(['revoked', reason]);
    const pushed = await stage.git(['push', place.url, 'small:main']);
    expect(pushed.code).toBe(128);
    expect(told(pushed.stderr)[0]).toBe(lines[0]);

    stage.scene.emulator.sts.mint = {};
    const next = await stage.place();
    expect(await stage.clone(next)).toMatchObject({ code: 0, stderr: '' });
  });

  test('for another service: not even sent, told with both, and mended with the next good one', async () => {
    const GRAPH = 'https://graph.microsoft.com';
    revokeAll();
    stage.scene.emulator.sts.mint = { audience: GRAPH };
    const place = await stage.place();
    const cloned = await stage.clone(place);
    expect(cloned).toMatchObject({ code: 128, left: false });
    expect(told(cloned.stderr).slice(0, 3)).toEqual([
      `postern: The token is for another service (${GRAPH}), not for Azure DevOps (ID)`,
      '  route dev.azure.com/**, identity sp',
      '  what to do: check what gives tokens here (`authority` of the identity, or the program that it asks): it was asked for Azure DevOps',
    ]);
    // The one before it was refused; the new one never arrived.
    expect(refusals()).toEqual(['revoked']);
    stage.scene.emulator.sts.mint = {};
    // A failed sign-in is remembered for some seconds.
    await expect.poll(async () => (await stage.git(['ls-remote', place.url])).code, { timeout: 20_000, interval: 500 }).toBe(0);
    expect(refusals()).toEqual(['revoked']);
  });

  test('a claims challenge is answered with a token that satisfies it', async () => {
    stage.scene.emulator.sts.requireClaims = true;
    const place = await stage.place();
    expect(await stage.clone(place)).toMatchObject({ code: 0, stderr: '' });
    expect((await stage.git(['push', place.url, 'small:main'])).code).toBe(0);
    expect(refusals()).toEqual(['claims-required']);
    expect(stage.scene.emulator.sts.tokenRequests.at(-1)?.hasClaims).toBe(true);
  });

  test('a sign-in that fails is named with its code', async () => {
    revokeAll();
    stage.scene.emulator.sts.failWith = { aadsts: 7000222 };
    try {
      const place = await stage.place();
      const ran = await stage.clone(place);
      expect(ran).toMatchObject({ code: 128, left: false });
      expect(told(ran.stderr).join('\n')).toMatch(
        /^postern: .*AADSTS7000222[^]*route dev\.azure\.com\/\*\*, identity sp\n {2}what to do: /,
      );
    } finally {
      stage.scene.emulator.sts.failWith = undefined;
    }
  });
});

describe('a token that ends is replaced without a word', () => {
  test('revoked between two commands', async () => {
    const place = await stage.place();
    // The failed sign-in of the test before is remembered for some seconds.
    await expect.poll(async () => (await stage.git(['ls-remote', place.url])).code, { timeout: 20_000 }).toBe(0);
    for (const act of [
      () => stage.clone(place),
      () => stage.git(['push', place.url, 'small:one']),
      () => stage.git(['push', place.url, 'large:two']),
    ]) {
      revokeAll();
      const before = stage.scene.emulator.sts.tokenRequests.length;
      expect((await act()).code).toBe(0);
      expect(stage.scene.emulator.sts.tokenRequests.length).toBe(before + 1);
    }
  });

  test('revoked between the advertisement and the probe of a large push', async () => {
    const place = await stage.place();
    const pushed = await stage.git(['push', place.url, 'large:main'], place, { kind: 'unauthorized', step: 'exchange', times: 1 });
    expect(pushed.code).toBe(0);
    expect(pushed.stderr).toMatch(/large -> main\n$/);
  });

  test('ended by the clock', async () => {
    stage.scene.emulator.sts.tokenLifeSeconds = 3;
    revokeAll();
    const place = await stage.place();
    expect((await stage.git(['ls-remote', place.url])).code).toBe(0);
    const last = [...stage.scene.emulator.sts.issued.values()].at(-1);
    await expect.poll(() => Date.now() / 1000 > (last?.exp ?? Infinity), { timeout: 10_000, interval: 100 }).toBe(true);
    expect(await stage.clone(place)).toMatchObject({ code: 0, stderr: '' });
    expect(refusals()).not.toContain('expired');
  });

  test('a push whose streamed body meets a 401 is refused by name, and mended when it is tried again', async () => {
    const place = await stage.place();
    // The probe is let through; the body behind it meets the fault.
    const { faults, seen } = stage.scene.emulator.git;
    const note = seen.push.bind(seen);
    seen.push = (...entries) => {
      // Set once the probe itself has passed the place where faults are taken.
      if (entries.some(isProbe(place))) setImmediate(() => faults.set(place.name, { kind: 'unauthorized', step: 'exchange' }));
      return note(...entries);
    };
    const pushed = await stage.git(['push', place.url, 'large:main']);
    seen.push = note;
    faults.clear(place.name);
    expect(pushed.code).toBe(1);
    expect(rejected(pushed.stderr)[0]).toBe('postern: The upstream did not accept the credential (401)');
    expect(await stage.git(['push', place.url, 'large:main'])).toMatchObject({ code: 0 });
  });
});

const isProbe =
  (place: Place) =>
  (entry: { readonly url: string; readonly headers: Readonly<Record<string, unknown>> }): boolean =>
    entry.url.startsWith(`/${place.name.split('/')[0] ?? ''}/`) &&
    entry.url.endsWith('/git-receive-pack') &&
    entry.headers['content-length'] === '4';

describe('control: git alone against the emulator', () => {
  function direct(authorization: string | undefined, args: readonly string[], place: Place): Promise<Ran> {
    const { emulator } = stage.scene;
    const url = `${emulator.git.origin}/${place.name.replace('/web', '/_git/web')}`;
    const header = authorization === undefined ? [] : ['-c', `http.extraHeader=Authorization: ${authorization}`];
    return stage.scene.git([...header, '-c', `http.sslCAInfo=${emulator.caFile}`, ...args.map((arg) => arg.replace('URL', url))], {
      cwd: stage.work,
      env: { GIT_ASKPASS: 'true' },
    });
  }
  const bearer = (order: object = {}): string => `Bearer ${stage.scene.emulator.sts.issue(order)}`;
  const revoked = (): string => {
    const token = stage.scene.emulator.sts.issue();
    stage.scene.emulator.sts.revoke(token);
    return `Bearer ${token}`;
  };
  const claimsRequired = (): string => {
    stage.scene.emulator.sts.requireClaims = true;
    return bearer();
  };
  const cases: readonly (readonly [string, () => string | undefined])[] = [
    ['missing', () => undefined],
    ['unknown-token', () => `Bearer ${stage.scene.emulator.sts.issue().slice(0, -4)}AAAA`],
    ['wrong-audience', () => bearer({ audience: 'https://graph.microsoft.com' })],
    ['wrong-tenant', () => bearer({ tenant: randomUUID() })],
    ['expired', () => bearer({ lifeSeconds: -10 })],
    ['not-yet-valid', () => bearer({ notYet: true })],
    ['revoked', revoked],
    ['claims-required', claimsRequired],
    ['bad-pat', () => `Basic ${Buffer.from('PAT:wrong').toString('base64')}`],
  ];

  test.each(cases)('%s is refused', async (reason, authorization) => {
    const place = await stage.place();
    const ran = await direct(authorization(), ['ls-remote', 'URL'], place);
    expect(ran.code).toBe(128);
    expect(new Set(refusals())).toEqual(new Set([reason, ...(reason === 'missing' ? ['bad-pat'] : [])]));
    expect(stage.scene.emulator.git.count({ status: 200 })).toBe(0);
  });

  test('a good token passes', async () => {
    const place = await stage.place();
    expect((await direct(bearer(), ['ls-remote', 'URL'], place)).code).toBe(0);
    expect(refusals()).toEqual([]);
  });

  test('an empty answer makes git alone delete every branch', async () => {
    const place = await stage.place();
    const copy = `${stage.work}-control`;
    await stage.scene.git(['clone', '-q', '--mirror', stage.work, copy]);
    stage.scene.emulator.git.faults.set(place.name, { kind: 'empty-200' });
    const ran = await direct(bearer(), ['--git-dir', copy, 'fetch', '--prune', 'URL', '+refs/heads/*:refs/heads/*'], place);
    stage.scene.emulator.git.faults.clear(place.name);
    expect(ran.code).toBe(0);
    expect((await stage.scene.git(['--git-dir', copy, 'for-each-ref', 'refs/heads'])).stdout).toBe('');
  });
});
