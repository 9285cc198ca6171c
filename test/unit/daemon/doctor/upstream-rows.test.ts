/** Rows of the daemon's half that depend on times and on what a handshake told: no upstream has to be old for them. */
import { describe, expect, test } from 'vitest';
import type { DoctorParts } from '../../../../src/daemon/doctor/doctor-parts.js';
import { NETWORK_CHECKS } from '../../../../src/daemon/doctor/network-checks.js';
import { patOutcome } from '../../../../src/daemon/doctor/pat-outcome.js';
import { leftText, skewOutcome } from '../../../../src/daemon/doctor/times.js';
import type { PatLifeState } from '../../../../src/daemon/pat-care.js';
import { RouteTable } from '../../../../src/gate/route-table.js';
import type { TlsFacts } from '../../../../src/upstream/probes.js';
import { route } from '../../route.js';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

describe('skewOutcome()', () => {
  test.each([
    [0, 'ok', /^within 0 s of that of host$/],
    [-59_000, 'ok', /^within 59 s/],
    [61_000, 'warning', /^The clock of this machine is 61 s ahead of that of host$/],
    [-5 * MINUTE_MS, 'warning', /5 min behind/],
    [5 * MINUTE_MS + 1000, 'failed', /5 min ahead of that of host: tokens are refused from 5 min on$/],
    [-3 * DAY_MS, 'failed', /3 days behind/],
  ] as const)('%i ms ahead is %s', (ahead, verdict, text) => {
    const outcome = skewOutcome(new Date(NOW - ahead).toUTCString(), NOW, 'host');
    expect(outcome).toMatchObject({ verdict, text: expect.stringMatching(text) as string });
  });

  test.each([undefined, '', 'yesterday'])('has nothing to compare with %j', (date) => {
    expect(skewOutcome(date, NOW, 'host')).toMatchObject({ verdict: 'ok', text: expect.stringMatching(/^nothing to compare/) as string });
  });
});

test.each([
  [0, '0 s'],
  [119_999, '119 s'],
  [2 * MINUTE_MS, '2 min'],
  [119 * MINUTE_MS, '119 min'],
  [2 * 60 * MINUTE_MS, '2 hours'],
  [2 * DAY_MS, '2 days'],
])('leftText(%i) is %s', (ms, text) => {
  expect(leftText(ms)).toBe(text);
});

describe('the row of TLS', () => {
  const look = async (facts: Partial<TlsFacts>, ca?: string): Promise<unknown> => {
    const only = route('dev.azure.com/**', { ca });
    const handshake = (): Promise<TlsFacts> =>
      Promise.resolve({
        protocol: 'TLSv1.3',
        chain: ['dev.azure.com', 'Middle', 'Root'],
        validFrom: NOW - 100 * DAY_MS,
        validTo: NOW + 100 * DAY_MS,
        isPublicAuthority: true,
        isPublicHost: true,
        ...facts,
      });
    const parts = {
      routes: new RouteTable([only]),
      identities: [{ name: 'me', kind: 'none' }],
      probes: { handshake },
      clock: { now: () => NOW },
    } as unknown as DoctorParts; // what this row looks at
    return NETWORK_CHECKS.tls({ address: 'https://dev.azure.com/contoso/Payments/_git/web' }, parts);
  };

  test('is ok with a chain to an authority that everybody trusts', async () => {
    expect(await look({})).toEqual({
      verdict: 'ok',
      text: 'TLSv1.3, the certificate of dev.azure.com is from Root',
      details: ['dev.azure.com < Middle < Root; good for 100 days'],
    });
  });

  test('warns of a certificate that nobody renews', async () => {
    expect(await look({ validTo: NOW + 6 * DAY_MS })).toMatchObject({
      verdict: 'warning',
      text: 'TLSv1.3, the certificate of dev.azure.com is from Root, and ends in 6 days (2026-03-07T12:00:00.000Z)',
      todo: 'have whoever runs dev.azure.com renew its certificate',
    });
  });

  test('does not warn of one that has weeks left', async () => {
    expect(await look({ validTo: NOW + 20 * DAY_MS })).toMatchObject({ verdict: 'ok' });
  });

  test('does not warn of one that lives for a week', async () => {
    expect(await look({ validFrom: NOW - 2 * DAY_MS, validTo: NOW + 4 * DAY_MS })).toMatchObject({ verdict: 'ok' });
  });

  test('names who stands in between and is trusted', async () => {
    expect(await look({ chain: ['dev.azure.com', 'Gateway'], isPublicAuthority: false }, '/etc/ca.pem')).toMatchObject({
      verdict: 'ok',
      text: 'TLSv1.3, the certificate of dev.azure.com is from Gateway, trusted by `ca` (/etc/ca.pem)',
      details: [expect.any(String), '"Gateway" stands in between and opens TLS connections to dev.azure.com'],
    });
  });
});

describe('patOutcome()', () => {
  const life: PatLifeState = {
    organization: 'contoso',
    id: '11111111-2222-4333-8444-555555555555',
    state: 'good',
    name: 'ci',
    scopes: ['vso.code'],
    expiresAt: new Date(NOW + 20 * DAY_MS).toISOString(),
    isGlobal: false,
    checkedAt: new Date(NOW).toISOString(),
    failure: undefined,
    todo: undefined,
  };
  test.each([
    ['good', {}, 'ok', /good for 20 days/],
    ['global', { isGlobal: true }, 'warning', /every organisation of its owner: Azure DevOps stops such tokens on 2026-12-01$/],
    ['ends soon', { state: 'ends-soon', expiresAt: new Date(NOW + 3 * DAY_MS).toISOString() }, 'warning', /ends in 3 days/],
    ['ended', { state: 'ended' }, 'warning', /ended on/],
    ['missing', { state: 'missing' }, 'warning', /has no personal access token 11111111/],
    ['not asked yet', { state: 'unknown', checkedAt: undefined }, 'ok', /was not told yet$/],
    ['not to be asked', { state: 'unknown', failure: 'no answer' }, 'warning', /could not be asked: no answer$/],
  ] as const)('%s', (_, changes, verdict, text) => {
    const outcome = patOutcome({ identity: 'ci', oddity: undefined, life: { ...life, ...changes } }, NOW);
    expect(outcome).toMatchObject({ verdict, text: expect.stringMatching(text) as string });
  });

  test('tells first what is no token at all', () => {
    const oddity = { what: 'is a GUID', todo: 'put the token there' };
    expect(patOutcome({ identity: 'ci', oddity, life }, NOW)).toEqual({
      verdict: 'warning',
      text: 'What was read for it is a GUID',
      todo: oddity.todo,
    });
  });
});
