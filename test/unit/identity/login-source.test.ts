/** Tokens out of a kept sign-in: what is read, what is put back, and what other processes do meanwhile. */
import { beforeEach, describe, expect, it } from 'vitest';
import { readRecord, writeRecord } from '../../../src/identity/login-record.js';
import { createLoginSource } from '../../../src/identity/login-source.js';
import { PersonClient } from '../../../src/identity/person-client.js';
import type { TokenOrder } from '../../../src/identity/token-source.js';
import { ProxyError } from '../../../src/model/errors.js';
import { FakeLoginStore } from '../../fakes/login-store.js';
import { type Answer, IDENTITY, label, PLACE, service, TENANT, TOKENS } from './person-rig.js';

const ENDED: Answer = { status: 400, body: { error: 'invalid_grant', error_description: 'AADSTS700082: The refresh token has expired.' } };
const OTHER = 'aaaaaaaa-0002-4e57-9e57-c0ffee000002';

let logins: FakeLoginStore;
let faults: ProxyError[];
beforeEach(async () => {
  logins = new FakeLoginStore();
  faults = [];
  await signIn('the-first');
});

/** Somebody signs in, by another process. */
async function signIn(refreshToken: string): Promise<void> {
  const { send } = service([{ body: { ...TOKENS, refresh_token: refreshToken } }]);
  const client = await PersonClient.open({ ...PLACE, send, claims: undefined });
  const { record } = await client.byDeviceCode(
    () => undefined,
    () => Promise.resolve(),
  );
  await logins.write('me', { text: writeRecord(record), label }, undefined);
}

function sourceWith(answers: Answer[], identity = IDENTITY) {
  const { send, asked } = service(answers);
  const around = { send, logins, now: () => Date.now(), environment: {}, onFault: (fault: ProxyError) => faults.push(fault) };
  const order: TokenOrder = { tenant: undefined, claims: undefined };
  const source = createLoginSource(identity, around);
  const sent = (): (string | null)[] =>
    asked.filter(({ method }) => method === 'POST').map(({ body }) => new URLSearchParams(body).get('refresh_token'));
  return { source, asked, sent, fetch: (more: Partial<TokenOrder> = {}) => source.fetch({ ...order, ...more }) };
}

const kept = (): string => {
  const found = logins.logins.get('me');
  return found === undefined ? '' : readRecord('me', found.text).cache;
};

describe('createLoginSource()', () => {
  it('puts what a renewal left in the place of what it used, and nothing where nothing changed', async () => {
    const { fetch, sent } = sourceWith([
      { body: { ...TOKENS, refresh_token: 'the-second' } },
      { body: { ...TOKENS, refresh_token: undefined } },
    ]);
    expect((await fetch()).token.reveal()).toBe('an-access-token');
    expect(kept()).toContain('the-second');
    expect(logins.logins.get('me')).toMatchObject({ version: 2, label });
    await fetch();
    expect(sent()).toEqual(['the-first', 'the-second']);
    expect(logins.logins.get('me')?.version).toBe(2);
  });

  it('tries once more with what another process has left meanwhile', async () => {
    const { fetch, sent } = sourceWith([ENDED, { body: { ...TOKENS, refresh_token: 'the-third' } }]);
    const [first] = logins.logins.values();
    await signIn('the-second');
    const [second] = logins.logins.values();
    if (first === undefined || second === undefined) throw new Error('nobody has signed in');
    logins.logins.set('me', first);
    logins.onRead = () => logins.logins.set('me', second);
    await fetch();
    expect(sent()).toEqual(['the-first', 'the-second']);
    expect(kept()).toContain('the-third');
  });

  it('does not where nobody has, nor for what may pass by itself', async () => {
    const ended = sourceWith([ENDED, { body: TOKENS }]);
    await expect(ended.fetch()).rejects.toMatchObject({ isDefinite: true, message: expect.stringContaining('has ended') as string });
    expect(ended.sent()).toHaveLength(1);
    const busy = sourceWith([{ status: 503, body: '<html>' }, { body: TOKENS }]);
    await expect(busy.fetch()).rejects.toMatchObject({ isDefinite: false });
    expect(busy.sent()).toHaveLength(1);
  });

  it('leaves a sign-in or a logout of that time as it is', async () => {
    const { fetch } = sourceWith([{ body: { ...TOKENS, refresh_token: 'late' } }]);
    logins.onRead = () => void logins.forget('me');
    expect((await fetch()).token.reveal()).toBe('an-access-token');
    expect(logins.logins.size).toBe(0);
  });

  it('gives the token also when what it left cannot be kept, and says so', async () => {
    logins.fault = new ProxyError('state-unusable', 'The disk is full');
    const { fetch } = sourceWith([{ body: { ...TOKENS, refresh_token: 'lost' } }]);
    expect((await fetch()).token.reveal()).toBe('an-access-token');
    expect(faults.map(({ message }) => message)).toEqual(['The disk is full']);
  });

  it("asks the identity's tenant, else the organisation's, else that of whoever signed in", async () => {
    const tenantOf = async (identity: typeof IDENTITY, tenant: string | undefined): Promise<string | undefined> => {
      const { fetch, asked, source } = sourceWith([ENDED], identity);
      expect(source.wantsTenant).toBe(identity.tenant === undefined);
      await fetch({ tenant }).catch(() => undefined);
      return asked.at(-1)?.url.pathname.split('/')[1];
    };
    expect(await tenantOf(IDENTITY, OTHER)).toBe(TENANT);
    expect(await tenantOf({ ...IDENTITY, tenant: undefined }, OTHER)).toBe(OTHER);
    expect(await tenantOf({ ...IDENTITY, tenant: undefined }, undefined)).toBe('organizations');
  });

  it.each([
    ['another account', { user: 'erin@example.com' }, 'is that of dana@example.com, not of erin@example.com'],
    ['another client', { clientId: 'other' }, 'was made with another clientId'],
    [
      'another sign-in service',
      { authority: 'https://login.other.example' },
      'is one at https://login.example.com, not at https://login.other.example',
    ],
  ])('sends what is kept to nobody for %s', async (_, change, why) => {
    const { fetch, asked } = sourceWith([{ body: TOKENS }], { ...IDENTITY, ...change });
    await expect(fetch()).rejects.toMatchObject({ isDefinite: true, message: `The sign-in that is kept for identity me ${why}` });
    expect(asked).toEqual([]);
  });

  it('says who has to sign in, when nobody has', async () => {
    await logins.forget('me');
    await expect(sourceWith([]).fetch()).rejects.toMatchObject({
      message: 'Nobody is signed in for identity me',
      todo: 'run `postern login me` as the user of the daemon',
    });
  });
});
