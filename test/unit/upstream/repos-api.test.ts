import { describe, expect, it } from 'vitest';
import { parseAccount } from '../../../src/hosts/account-address.js';
import { Vault } from '../../../src/identity/vault.js';
import type { HostKind } from '../../../src/model/address.js';
import type { ProxyError } from '../../../src/model/errors.js';
import type { IdentitySettings, Route } from '../../../src/model/settings.js';
import type { SignInAnswer, SignInRequest, SignInWay } from '../../../src/model/sign-in.js';
import { OwnRequests } from '../../../src/upstream/own-requests.js';
import { LONGEST_MS, type ReposAsk, ReposApi } from '../../../src/upstream/repos-api.js';
import { Throttle } from '../../../src/upstream/throttle.js';
import { FakeClock, hasty, settle } from '../../fakes/clock.js';
import { FakeLogger } from '../../fakes/logger.js';
import { FakeTokenSource, tokenUntil } from '../../fakes/token-source.js';
import { route } from '../route.js';

interface Answer extends Partial<SignInAnswer> {
  readonly value?: readonly unknown[];
}

const project = (number: number) => ({ id: `p${number}`, name: `Project ${number}` });
const repository = (number: number, more: object = {}) => ({ id: `r${number}`, name: `Repo ${number}`, project: project(number), ...more });
const many = (count: number, from = 0): unknown[] => Array.from({ length: count }, (_, at) => project(from + at));

function written({ value, status = 200, headers = {}, body }: Answer): SignInAnswer {
  return {
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: body ?? JSON.stringify({ count: value?.length, value }),
  };
}

/** `answers` by what the path ends in; the last one stays. `never`: nothing comes until the request is ended. */
function rig(
  answers: { readonly projects?: readonly Answer[]; readonly repositories?: readonly Answer[] | 'never' },
  options: {
    account?: string;
    route?: Partial<Route>;
    project?: string;
    identity?: IdentitySettings;
    isSlow?: boolean;
  } = {},
) {
  const clock = new FakeClock();
  const source = new FakeTokenSource();
  let count = 0;
  source.answer = () => tokenUntil(`token ${(count += 1)}`, clock.now() + 3_600_000);
  const me = options.identity ?? ({ name: 'me', kind: 'browser', resource: '499b84ac-1321-427f-aa17-267ca6975798' } as IdentitySettings); // of which no more is looked at
  const vault = new Vault({
    identities: [{ settings: me, source: { kind: 'token', source } }],
    clock,
    logger: new FakeLogger(),
    timeoutMs: 10_000,
  });
  const sent: { readonly request: SignInRequest; readonly way: SignInWay }[] = [];
  const throttle = new Throttle(clock);
  const own = options.isSlow === true ? clock : hasty(clock);
  const requests = new OwnRequests({
    vault,
    tenants: { tenantOf: () => Promise.resolve(undefined) },
    throttle,
    clock: own,
    send: (request, way) => {
      sent.push({ request, way });
      const list = request.url.pathname.endsWith('/projects')
        ? (answers.projects ?? [{ value: [] }])
        : (answers.repositories ?? [{ value: [] }]);
      if (list === 'never') return new Promise((_, reject) => way.over?.addEventListener('abort', () => reject(way.over?.reason as Error)));
      const asked = sent.filter(({ request: { url } }) => url.pathname === request.url.pathname).length;
      return Promise.resolve(written(list[Math.min(asked, list.length) - 1] ?? {}));
    },
  });
  const parsed = parseAccount(options.account ?? 'contoso', (host): HostKind =>
    host === 'dev.azure.com' ? 'azure-services' : 'azure-server',
  );
  if (parsed.kind === 'fault') throw new Error(parsed.what);
  const ask: ReposAsk = {
    identity: 'me',
    account: parsed.account,
    route: route(`${parsed.account.host}/**`, options.route),
    project: options.project,
  };
  const urls = (): string[] => sent.map(({ request }) => decodeURIComponent(request.url.href));
  return { api: new ReposApi(requests, clock), ask, sent, urls, clock, throttle, source };
}

const failure = (work: Promise<unknown>): Promise<ProxyError> =>
  work.then(
    () => Promise.reject(new Error('it went well')),
    (thrown: unknown) => thrown as ProxyError,
  );

describe('ReposApi', () => {
  it('asks by the road of the route, in the version that the host has', async () => {
    const proxy = new URL('http://proxy.example.com:3128');
    const services = rig({}, { route: { ca: '/ca.pem', proxy } });
    await services.api.list(services.ask);
    expect(services.urls()).toEqual([
      'https://dev.azure.com/contoso/_apis/git/repositories?api-version=7.1',
      'https://dev.azure.com/contoso/_apis/projects?$top=100&api-version=7.1',
    ]);
    expect(services.sent[0]?.way).toMatchObject({ ca: '/ca.pem', proxy, of: 'route', longestBytes: 32 * 1024 * 1024 });
    expect(services.sent[0]?.request).toMatchObject({
      method: 'GET',
      headers: { authorization: 'Bearer token 1', 'x-tfs-fedauthredirect': 'Suppress' },
    });
    const server = rig(
      {},
      { account: 'tfs.example.com/tfs/A', project: 'Gr\u00fc\u00dfe', route: { upstream: new URL('https://inner.example:8443/x/') } },
    );
    await server.api.list(server.ask);
    expect(server.urls()).toEqual(['https://inner.example:8443/x/tfs/A/Grüße/_apis/git/repositories?api-version=5.0']);
  });

  it('reads what it needs of a repository, and nothing that is of another type', async () => {
    const odd = { defaultBranch: 3, size: '7', isDisabled: 'yes', isFork: 1, sshUrl: null };
    const { api, ask } = rig({
      repositories: [
        {
          value: [
            repository(1, { defaultBranch: 'refs/heads/a/b', size: 7, isDisabled: true, isFork: true, sshUrl: 's' }),
            repository(2, odd),
          ],
        },
      ],
    });
    expect((await api.list(ask)).repositories).toEqual([
      { id: 'r1', name: 'Repo 1', project: project(1), defaultBranch: 'a/b', sizeBytes: 7, isDisabled: true, isFork: true, sshUrl: 's' },
      {
        id: 'r2',
        name: 'Repo 2',
        project: project(2),
        defaultBranch: undefined,
        sizeBytes: undefined,
        isDisabled: false,
        isFork: false,
        sshUrl: undefined,
      },
    ]);
  });

  it('goes through pages by the token of each, whatever their size', async () => {
    const page = (from: number, token?: string): Answer => ({
      value: many(2, from),
      headers: token === undefined ? {} : { 'x-ms-continuationtoken': token },
    });
    const { api, ask, urls } = rig({ projects: [page(0, 'a&b'), { value: [], headers: { 'x-ms-continuationtoken': 'c' } }, page(1)] });
    expect((await api.list(ask)).projects?.map(({ id }) => id)).toEqual(['p0', 'p1', 'p2']);
    expect(urls().slice(1)).toEqual([
      'https://dev.azure.com/contoso/_apis/projects?$top=100&api-version=7.1',
      'https://dev.azure.com/contoso/_apis/projects?$top=100&continuationToken=a&b&api-version=7.1',
      'https://dev.azure.com/contoso/_apis/projects?$top=100&continuationToken=c&api-version=7.1',
    ]);
  });

  it('counts where a server gives no token, and comes to an end of it', async () => {
    const { api, ask, urls } = rig(
      { projects: [{ value: many(100) }, { value: many(100, 100) }, { value: [] }] },
      { account: 'tfs.example.com/tfs/A' },
    );
    expect((await api.list(ask)).projects).toHaveLength(200);
    expect(
      urls()
        .slice(1)
        .map((url) => /skip=(\d+)/.exec(url)?.[1]),
    ).toEqual([undefined, '100', '200']);
    // A server that does not count gives the first page for ever.
    const deaf = rig({ projects: [{ value: many(100) }] });
    expect((await deaf.api.list(deaf.ask)).projects).toHaveLength(100);
    expect(deaf.sent).toHaveLength(3);
  });

  it.each<[string, (at: number) => Answer, number]>([
    ['the same token', () => ({ value: many(1), headers: { 'x-ms-continuationtoken': 'a' } }), 3],
    ['new tokens', (at) => ({ value: many(1, at), headers: { 'x-ms-continuationtoken': String(at) } }), 101],
    ['new tokens and nothing else', (at) => ({ value: [], headers: { 'x-ms-continuationtoken': String(at) } }), 101],
  ])('does not follow %s for ever', async (_, page, most) => {
    const { api, ask, sent } = rig({ projects: Array.from({ length: 500 }, (_each, at) => page(at)) });
    expect(await failure(api.list(ask))).toMatchObject({
      code: 'upstream-error',
      message: 'dev.azure.com gives the list of projects page by page and comes to no end',
    });
    expect(sent.length).toBeLessThanOrEqual(most);
  });

  it('ends what takes too long, and says what helps', async () => {
    const { api, ask, clock } = rig({ repositories: 'never' }, { isSlow: true });
    const failed = failure(api.list(ask));
    await settle();
    await clock.advance(LONGEST_MS);
    expect(await failed).toMatchObject({ code: 'upstream-timeout', todo: expect.stringContaining('--project') as string });
  });

  it('asks nobody while the upstream wants to be left alone, and ends its wait with its time', async () => {
    const held = rig({}, { isSlow: true });
    held.throttle.hold('dev.azure.com contoso me', 60_000);
    expect(await failure(held.api.list(held.ask))).toMatchObject({ code: 'upstream-throttled', todo: 'try again in 60 s' });
    expect(held.sent).toEqual([]);
    const short = rig({ repositories: [{ status: 429, headers: { 'retry-after': '30' } }, { value: [] }] }, { isSlow: true });
    const listed = short.api.list(short.ask);
    await short.clock.advance(29_000);
    expect(short.sent).toHaveLength(1);
    await short.clock.advance(2_000);
    expect(await listed).toMatchObject({ repositories: [] });
    // What it was told holds for everybody of this identity.
    const told = rig({ repositories: [{ status: 429, headers: { 'retry-after': '300' } }] });
    expect(await failure(told.api.list(told.ask))).toMatchObject({ code: 'upstream-throttled', todo: 'try again in 300 s' });
    expect(told.sent).toHaveLength(1);
    expect(told.throttle.states()).toEqual([{ key: 'dev.azure.com contoso me', waitMs: 300_000 }]);
  });

  it('answers a claims challenge once, and tells what is left of it', async () => {
    const claims = Buffer.from('{"access_token":{"nbf":{"essential":true,"value":"1"}}}').toString('base64');
    const challenge = { status: 401, headers: { 'www-authenticate': `Bearer error="insufficient_claims", claims="${claims}"` } };
    const met = rig({ repositories: [challenge, { value: [] }] });
    await met.api.list(met.ask);
    expect(met.source.orders.map((order) => order.claims)).toEqual([undefined, '{"access_token":{"nbf":{"essential":true,"value":"1"}}}']);
    const unmet = rig({ repositories: [challenge] });
    expect(await failure(unmet.api.list(unmet.ask))).toMatchObject({
      code: 'upstream-claims',
      todo: expect.stringContaining('postern login me') as string,
    });
    expect(unmet.sent).toHaveLength(2);
  });

  it('repeats nothing of the credential that an upstream says back', async () => {
    const { api, ask } = rig({
      repositories: [{ status: 403, body: '{"message":"You sent token 1"}', headers: { activityid: 'token 1' } }],
    });
    const { message, details } = await failure(api.list(ask));
    expect([message, ...details].join('\n')).toContain('[credential]');
    expect([message, ...details].join('\n')).not.toContain('token 1');
  });

  it('makes what was said upstream fit to be printed', async () => {
    const { api, ask } = rig({ repositories: [{ status: 302, headers: { location: 'https://evil.example/\u001b[31m' } }] });
    const { code, message } = await failure(api.list(ask));
    expect([code, message]).toEqual([
      'redirect-elsewhere',
      'dev.azure.com redirects the question to https://evil.example, which is not followed',
    ]);
    const page = rig({ repositories: [{ body: '<html>', headers: { 'content-type': 'text/\u001b[31mhtml\n' } }] });
    expect((await failure(page.api.list(page.ask))).message).toBe(
      'dev.azure.com answered with no list of repositories (status 200, text/ html)',
    );
  });

  it('says where the upstream of the route has to lead', async () => {
    const { api, ask } = rig(
      { repositories: [{ status: 404, body: '<html>' }] },
      { route: { upstream: new URL('https://mirror.example.com/') } },
    );
    expect(await failure(api.list(ask))).toMatchObject({
      code: 'upstream-not-found',
      todo: 'check the name of the organisation; the `upstream` of its route has to pass /contoso/_apis on to https://dev.azure.com',
    });
  });
});
