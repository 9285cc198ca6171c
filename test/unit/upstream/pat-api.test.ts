import { describe, expect, it } from 'vitest';
import { Vault } from '../../../src/identity/vault.js';
import type { ProxyError } from '../../../src/model/errors.js';
import type { IdentitySettings, Route } from '../../../src/model/settings.js';
import type { SignInAnswer, SignInRequest, SignInWay } from '../../../src/model/sign-in.js';
import { OwnRequests } from '../../../src/upstream/own-requests.js';
import { PatApi } from '../../../src/upstream/pat-api.js';
import { Throttle } from '../../../src/upstream/throttle.js';
import { FakeClock, hasty } from '../../fakes/clock.js';
import { FakeLogger } from '../../fakes/logger.js';
import { FakeTokenSource, tokenUntil } from '../../fakes/token-source.js';
import { route } from '../route.js';

const ID = '7d1f6f70-0a4c-4b0e-9d8f-6f0d2a6d2f11';
const PAT = {
  authorizationId: ID,
  displayName: 'ci',
  scope: 'vso.code  vso.packaging',
  validTo: '2031-01-01T00:00:00Z',
  targetAccounts: ['x'],
  token: null,
};
const ORDER = { name: 'ci', scopes: ['vso.code'], expiresAt: new Date('2031-01-01T00:00:00Z') };

function json(body: unknown, status = 200, headers: Record<string, string> = {}): SignInAnswer {
  return {
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  };
}

function rig(answers: readonly SignInAnswer[], options: { route?: Partial<Route>; wantsTenant?: boolean } = {}) {
  const clock = new FakeClock();
  const source = new FakeTokenSource();
  let count = 0;
  source.answer = () => tokenUntil(`token ${(count += 1)}`, clock.now() + 3_600_000);
  const me = { name: 'me', kind: 'browser', resource: '499b84ac-1321-427f-aa17-267ca6975798' } as IdentitySettings; // of which no more is looked at
  const asked = Object.assign(source, { wantsTenant: options.wantsTenant === true });
  const vault = new Vault({
    identities: [{ settings: me, source: { kind: 'token', source: asked } }],
    clock,
    logger: new FakeLogger(),
    timeoutMs: 10_000,
  });
  const sent: { request: SignInRequest; way: SignInWay }[] = [];
  const places: unknown[] = [];
  const requests = new OwnRequests({
    vault,
    tenants: {
      tenantOf: (place) => {
        places.push([place.origin.href, place.path, place.organisation]);
        return Promise.resolve('7e57ab1e-0001-4e57-9e57-c0ffee000001');
      },
    },
    send: (request, way) => {
      sent.push({ request, way });
      const answer = answers[Math.min(sent.length, answers.length) - 1];
      return answer === undefined ? Promise.reject(new Error('no answer is left')) : Promise.resolve(answer);
    },
    throttle: new Throttle(clock),
    clock: hasty(clock),
  });
  const api = new PatApi(requests);
  const ask = { identity: 'me', organisation: 'Contoso', route: route('dev.azure.com/**', { identity: 'me', ...options.route }) };
  return { api, ask, sent, source, places };
}

describe('PatApi', () => {
  it('asks vssps.dev.azure.com, by the trust and the proxy of the route', async () => {
    const proxy = new URL('http://proxy.example.com:3128');
    const { api, ask, sent } = rig([json({ patToken: PAT, patTokenError: 'none' })], { route: { ca: '/ca.pem', proxy } });
    expect(await api.find(ask, ID)).toEqual({
      id: ID,
      name: 'ci',
      scopes: ['vso.code', 'vso.packaging'],
      expiresAt: new Date('2031-01-01T00:00:00Z'),
      isGlobal: false,
    });
    expect(sent).toHaveLength(1);
    expect(sent[0]?.way).toEqual({ ca: '/ca.pem', proxy, of: 'route' });
    expect(sent[0]?.request).toMatchObject({
      method: 'GET',
      headers: { authorization: 'Bearer token 1', 'x-tfs-fedauthredirect': 'Suppress' },
    });
    expect(sent[0]?.request.url.href).toBe(
      `https://vssps.dev.azure.com/Contoso/_apis/tokens/pats?authorizationId=${ID}&api-version=7.1-preview.1`,
    );
  });

  it('asks the upstream of the route where it has one, and nobody else', async () => {
    const { api, ask, sent } = rig([json({ patTokens: [], continuationToken: '' })], {
      route: { upstream: new URL('https://mirror.example.com/azure/') },
    });
    expect(await api.list(ask)).toEqual([]);
    expect(sent[0]?.request.url.href).toBe('https://mirror.example.com/azure/Contoso/_apis/tokens/pats?api-version=7.1-preview.1');
  });

  it('has the tenant of the organisation looked up for an identity that names none', async () => {
    const { api, ask, places } = rig([json({ patTokens: [] })], { wantsTenant: true });
    await api.list(ask);
    expect(places).toEqual([['https://dev.azure.com/', '/Contoso', 'contoso']]);
  });

  it.each([
    [{}, undefined],
    [{ targetAccounts: null }, true],
    [{ targetAccounts: [] }, true],
    [{ targetAccounts: ['a'] }, false],
  ])('reads %j as global: %s', async (more, isGlobal) => {
    const { api, ask } = rig([json({ patToken: { ...PAT, targetAccounts: undefined, ...more }, patTokenError: 'none' })]);
    expect((await api.find(ask, ID))?.isGlobal).toBe(isGlobal);
  });

  it('makes a token for one organisation, of the scopes that were asked for and no others', async () => {
    const { api, ask, sent } = rig([json({ patToken: { ...PAT, token: 'the new token' }, patTokenError: 'none' })]);
    const made = await api.create(ask, ORDER);
    expect(made.token.reveal()).toBe('the new token');
    expect(JSON.stringify(made)).not.toContain('the new token');
    expect(JSON.parse(sent[0]?.request.body ?? '')).toEqual({
      displayName: 'ci',
      scope: 'vso.code',
      validTo: '2031-01-01T00:00:00.000Z',
      allOrgs: false,
    });
    for (const scopes of [[], ['app_token'], ['vso.code app_token'], ['vso.code', '']]) {
      await expect(api.create(ask, { ...ORDER, scopes })).rejects.toThrow(RangeError);
    }
    expect(sent).toHaveLength(1);
  });

  it('goes through a list page by page, and not for ever', async () => {
    const page = (continuationToken: string): SignInAnswer => json({ patTokens: [PAT], continuationToken });
    const three = rig([page('a'), page('b'), page('')]);
    expect(await three.api.list(three.ask)).toHaveLength(3);
    expect(three.sent.map(({ request }) => request.url.searchParams.get('continuationToken'))).toEqual([null, 'a', 'b']);
    const same = rig([page('a')]);
    expect(await same.api.list(same.ask)).toHaveLength(2);
    const others = rig(Array.from({ length: 500 }, (_each, at) => page(String(at))));
    expect(await others.api.list(others.ask)).toHaveLength(100);
  });

  it('renews a token that was refused, once, with the claims that were asked for', async () => {
    const claims = Buffer.from('{"access_token":{"nbf":{"essential":true,"value":"1"}}}').toString('base64');
    const challenge = json('', 401, { 'www-authenticate': `Bearer error="insufficient_claims", claims="${claims}"` });
    const good = rig([challenge, json({ patTokens: [] })]);
    expect(await good.api.list(good.ask)).toEqual([]);
    expect(good.sent.map(({ request }) => request.headers['authorization'])).toEqual(['Bearer token 1', 'Bearer token 2']);
    const bad = rig([json('', 401)]);
    await expect(bad.api.list(bad.ask)).rejects.toMatchObject({ code: 'upstream-unauthenticated' });
    expect(bad.sent).toHaveLength(2);
  });

  it.each([
    ['tokenNotFound', 404],
    ['authorizationNotFound', 200],
    ['invalidAuthorizationId', 400],
  ])('takes %s (%i) for a token that is not there', async (patTokenError, status) => {
    const { api, ask } = rig([json({ patToken: null, patTokenError }, status)]);
    expect(await api.find(ask, ID)).toBeUndefined();
    expect(await api.revoke(ask, ID)).toBe(false);
  });

  it('has revoked a token when it was told so', async () => {
    const { api, ask, sent } = rig([{ status: 204, headers: {}, body: '' }]);
    expect(await api.revoke(ask, ID)).toBe(true);
    expect(sent[0]?.request.method).toBe('DELETE');
  });

  it.each<[string, SignInAnswer, string]>([
    ['a portal', json('<html>Welcome</html>', 200, { 'content-type': 'text/html' }), 'upstream-not-found'],
    ['a sign-in page', json('<html>Sign in</html>', 203, { 'content-type': 'text/html' }), 'upstream-unauthenticated'],
    ['the status of one', json({ patTokens: [] }, 203), 'upstream-unauthenticated'],
    ['a way to one', json('', 302, { location: 'https://x/_signin' }), 'upstream-unauthenticated'],
    ['no organisation', json('<html>', 404, { 'content-type': 'text/html' }), 'upstream-not-found'],
    ['JSON of something else', json({ value: [] }), 'upstream-not-found'],
    ['a list of something else', json({ patTokens: ['x'] }), 'upstream-not-found'],
    ['a date that is none', json({ patTokens: [{ ...PAT, validTo: 'soon' }] }), 'upstream-not-found'],
    ['JSON null', json('null'), 'upstream-not-found'],
    ['429', json('', 429), 'upstream-throttled'],
    ['503', json('', 503), 'upstream-unavailable'],
    ['500 with words', json({ message: 'TF400898: An internal error occurred' }, 500), 'upstream-error'],
    ['403', json({ message: "TF400813: The user 'x' is not authorized" }, 403), 'upstream-forbidden'],
    ['an error without a known name', json({ patToken: null, patTokenError: 'a new\nerror' }, 400), 'upstream-error'],
  ])('tells %s by its code', async (_name, answer, code) => {
    const { api, ask } = rig([answer]);
    const thrown: unknown = await api.list(ask).catch((fault: unknown) => fault);
    expect(thrown).toMatchObject({ code });
    expect((thrown as Error).message).not.toMatch(/\n|undefined/); // because a code was found on it
  });

  it('repeats nothing of the token that an upstream says back', async () => {
    const told: string[] = [];
    for (const answer of [
      json({ message: 'You sent Bearer token 1' }, 403),
      json('You sent token%201', 500, { 'content-type': 'text/plain', 'x-tfs-serviceerror': 'token 1' }),
      json({ patTokens: [{ ...PAT, displayName: 'token 1', scope: 'token 1' }] }),
    ]) {
      const { api, ask } = rig([answer]);
      told.push(
        await api
          .list(ask)
          .then(JSON.stringify, (fault: unknown) => [(fault as ProxyError).message, ...(fault as ProxyError).details].join(' ')),
      );
    }
    expect(told).toHaveLength(3);
    for (const text of told) {
      expect(text).toContain('[credential]');
      expect(text).not.toMatch(/token(?: |%20)1/);
    }
  });

  it('has no token to give when the answer to its making holds none', async () => {
    const { api, ask } = rig([json({ patToken: PAT, patTokenError: 'none' })]);
    await expect(api.create(ask, ORDER)).rejects.toMatchObject({ code: 'upstream-not-found' });
  });
});
