/** What people's sign-ins ask the service, and how its answers are taken, without a network: a port of ours answers. */
import { describe, expect, it } from 'vitest';
import { explainRefusal, explainRenewal } from '../../../src/identity/login-failure.js';
import { signInWithCode } from '../../../src/identity/login-flow.js';
import { DEFAULT_CLIENT, keptCache, readRecord, writeRecord } from '../../../src/identity/login-record.js';
import { PersonClient } from '../../../src/identity/person-client.js';
import { ProxyError } from '../../../src/model/errors.js';
import { Secret } from '../../../src/model/secret.js';
import { FakeClock } from '../../fakes/clock.js';
import { type Answer, label, PENDING, PLACE, service, TENANT, TOKENS } from './person-rig.js';

/** Signs in with a code, and gives the waits in seconds. */
async function byCode(answers: Answer[]): Promise<{ waits: number[]; result: unknown }> {
  const { send } = service(answers);
  const client = await PersonClient.open({ ...PLACE, send, claims: undefined });
  const waits: number[] = [];
  const result = await client
    .byDeviceCode(
      () => undefined,
      (ms) => {
        waits.push(ms / 1000);
        return Promise.resolve();
      },
    )
    .catch((thrown: unknown) => thrown);
  return { waits, result };
}

describe('PersonClient.byDeviceCode()', () => {
  it('waits before each question as long as it was told, and longer when it is to slow down', async () => {
    const { waits, result } = await byCode([PENDING, { status: 400, body: { error: 'slow_down' } }, PENDING, { body: TOKENS }]);
    expect(waits).toEqual([2, 2, 7, 7]);
    expect(result).toMatchObject({ label: { account: 'dana@example.com', tenant: TENANT } });
  });

  it('outlives a service that is silent or in trouble for a moment, and asks it less often', async () => {
    const broken = new ProxyError('upstream-unreachable', 'no way');
    const { waits, result } = await byCode([broken, { status: 503, body: '<html>' }, PENDING, { status: 429, body: {} }, { body: TOKENS }]);
    expect(waits).toEqual([2, 7, 12, 12, 17]);
    expect(result).toMatchObject({ label: { account: 'dana@example.com' } });
  });

  it('gives up on one that stays so', async () => {
    const broken = new ProxyError('upstream-unreachable', 'login.example.com could not be reached');
    const { waits, result } = await byCode([broken, broken, broken, { body: TOKENS }]);
    expect(waits).toHaveLength(3);
    expect(result).toMatchObject({
      code: 'login-failed',
      message: expect.stringContaining('login.example.com could not be reached') as string,
    });
  });
});

describe('signInWithCode()', () => {
  it('ends at once when the person gives up, also between two questions', async () => {
    const { send, asked } = service([]);
    const clock = new FakeClock();
    const ended = new AbortController();
    const shown: unknown[] = [];
    const way = { ...PLACE, send, claims: undefined };
    const running = signInWithCode(way, { clock, signal: ended.signal, show: (prompt) => shown.push(prompt) }).catch(
      (thrown: unknown) => thrown,
    );
    await expect.poll(() => clock.waiting).toBe(1);
    ended.abort();
    expect(await running).toMatchObject({ code: 'login-failed', message: 'The sign-in was given up; nothing was kept' });
    expect(clock.waiting).toBe(0);
    expect(shown).toEqual([{ address: 'https://x/', code: 'UC', expiresInSeconds: 900 }]);
    expect(asked.some(({ url }) => url.pathname.endsWith('/token'))).toBe(false);
  });
});

describe('PersonClient.renew()', () => {
  const signedIn = async () => {
    const { result } = await byCode([{ body: TOKENS }]);
    return (result as Awaited<ReturnType<PersonClient['byDeviceCode']>>).record;
  };

  it('keeps no access token and no ID token, and always asks', async () => {
    const record = await signedIn();
    expect(record.cache).not.toContain('an-access-token');
    expect(record.cache).not.toContain(TOKENS.id_token);
    const { send, asked } = service([{ body: { ...TOKENS, refresh_token: 'the-next', refresh_in: 1800 } }]);
    const client = await PersonClient.open({ ...PLACE, send, claims: undefined }, record);
    const { token, login } = await client.renew(record, label);
    expect(token.token.reveal()).toBe('an-access-token');
    expect(token.refreshAfter).toBeInstanceOf(Date);
    expect(login.record.cache).toContain('the-next');
    expect(login.label.signedInAt).toEqual(new Date(0));
    const form = new URLSearchParams(asked.at(-1)?.body);
    expect([form.get('grant_type'), form.get('refresh_token'), form.get('client_id')]).toEqual([
      'refresh_token',
      'a-refresh-token',
      DEFAULT_CLIENT,
    ]);
    expect(form.get('scope')).toContain('resource/.default');
    expect(form.get('claims') ?? '').not.toContain('xms_cc');
    // Nothing but the configured service was asked.
    expect(new Set(asked.map(({ url }) => url.host))).toEqual(new Set(['login.example.com']));
  });

  it('asks anew each time, although the library would have an answer', async () => {
    const record = await signedIn();
    const { send } = service([{ body: TOKENS }, { body: { ...TOKENS, access_token: 'another' } }]);
    const client = await PersonClient.open({ ...PLACE, send, claims: undefined }, record);
    expect((await client.renew(record, label)).token.token.reveal()).toBe('an-access-token');
    expect((await client.renew(record, label)).token.token.reveal()).toBe('another');
  });

  it('passes claims on, and says that it understands them', async () => {
    const record = await signedIn();
    const { send, asked } = service([{ body: TOKENS }]);
    const claims = '{"access_token":{"nbf":{"essential":true,"value":"17"}}}';
    await (await PersonClient.open({ ...PLACE, send, claims }, record)).renew(record, label);
    const sent = JSON.parse(new URLSearchParams(asked.at(-1)?.body).get('claims') ?? '') as unknown;
    expect(sent).toMatchObject({ access_token: { nbf: { essential: true, value: '17' }, xms_cc: { values: ['CP1'] } } });
  });

  it('says nothing back of what was sent', async () => {
    const record = await signedIn();
    const { send } = service([
      { status: 400, body: { error: 'invalid_request', error_description: 'AADSTS9999999: a-refresh-token is strange.' } },
    ]);
    const failed = await (
      await PersonClient.open({ ...PLACE, send, claims: undefined }, record)
    )
      .renew(record, label)
      .catch((thrown: unknown) => thrown);
    expect(String(failed)).toContain('AADSTS9999999');
    expect(String(failed)).not.toContain('a-refresh-token');
  });
});

describe('explainRenewal()', () => {
  const ended = 'The sign-in of dana@example.com for identity me has ended';
  const wanted = 'The sign-in service wants dana@example.com to sign in anew for identity me';
  it.each<[string, object, string]>([
    ['expired', { error: 'invalid_grant', error_description: 'AADSTS700082: The refresh token has expired.' }, `${ended} (AADSTS700082)`],
    ['too old for a policy', { error: 'invalid_grant', error_description: 'AADSTS70043: x' }, `${ended} (AADSTS70043)`],
    ['taken back', { error: 'invalid_grant', error_description: 'AADSTS50173: x' }, `${ended} (AADSTS50173)`],
    ['idle', { error: 'invalid_grant', error_description: 'AADSTS70008: x' }, `${ended} (AADSTS70008)`],
    ['another factor', { error: 'interaction_required', error_description: 'AADSTS50076: x' }, `${wanted} (AADSTS50076)`],
    ['a word alone', { error: 'interaction_required' }, wanted],
    ['a code that nobody knows', { error: 'interaction_required', error_description: 'AADSTS9999998: x' }, `${wanted} (AADSTS9999998)`],
  ])('says of a sign-in that is %s which command mends it', (_, body, message) => {
    const answer = { url: 'https://x/token', status: 400, body: JSON.stringify(body), isJson: true };
    const seen = { answer, fault: undefined, aheadMs: undefined, proofs: new Set<string>() };
    expect(explainRenewal(PLACE, 'dana@example.com', new Error('library'), seen)).toMatchObject({
      isDefinite: true,
      message,
      todo: 'run `postern login me` as the user of the daemon',
    });
  });

  it('leaves what may pass by itself, and what a policy forbids, to the words for all kinds', () => {
    const explain = (status: number, body: string) =>
      explainRenewal(PLACE, 'dana@example.com', new Error('library'), {
        answer: { url: 'https://x/token', status, body, isJson: body.startsWith('{') },
        fault: undefined,
        aheadMs: undefined,
        proofs: new Set(),
      });
    expect(explain(503, '<html>')).toMatchObject({ isDefinite: false });
    expect(explain(400, '{"error_description":"AADSTS53003: x"}')).toMatchObject({
      isDefinite: true,
      message: expect.stringContaining('blocks this sign-in') as string,
    });
  });
});

describe('readRecord()', () => {
  it('reads what writeRecord() wrote, and nothing else', () => {
    const record = {
      authority: 'https://x',
      clientId: 'c',
      account: 'a',
      homeAccountId: 'o.t',
      cache: keptCache('{"RefreshToken":{},"AccessToken":{"a":1}}'),
    };
    expect(readRecord('me', writeRecord(record))).toEqual(record);
    for (const text of ['', '{}', 'null', '[]', JSON.stringify({ ...record, cache: 1 })])
      expect(() => readRecord('me', new Secret(text))).toThrow(expect.objectContaining({ code: 'login-unreadable' }) as Error);
  });
});

describe('explainRefusal()', () => {
  it('quotes no control characters of what came with the browser', () => {
    const { message } = explainRefusal(PLACE, '\u001b[2Jevil\n', '');
    expect(message).toBe('The sign-in service refused (  2Jevil )');
    expect(explainRefusal(PLACE, 'access_denied', '').message).toContain('declined');
  });
});
