/** What the vault does where one identity has several credentials, and where an upstream asks for more than a token has. */
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { TokenFailure } from '../../../src/identity/token-source.js';
import { Vault } from '../../../src/identity/vault.js';
import { MOST_VARIANTS } from '../../../src/identity/vault-entries.js';
import type { AskedSource, VaultIdentity } from '../../../src/identity/vault-entry.js';
import type { Credential, CredentialTarget } from '../../../src/model/credential.js';
import { ProxyError } from '../../../src/model/errors.js';
import { AZURE_DEVOPS_RESOURCE } from '../../../src/model/resource.js';
import { Secret } from '../../../src/model/secret.js';
import type { EntraSettings, IdentitySettings } from '../../../src/model/settings.js';
import { FakeClock, settle } from '../../fakes/clock.js';
import { FakeLogger } from '../../fakes/logger.js';
import { FakeTokenSource, tokenUntil } from '../../fakes/token-source.js';

const HOUR = 60 * 60 * 1000;
const CLAIMS = '{"access_token":{"acrs":{"value":"c1"}}}';
const OTHER_CLAIMS = '{"access_token":{"acrs":{"value":"c2"}}}';
const NORTH = '7e57ab1e-0000-4000-8000-00000000000a';
const SOUTH = '7e57ab1e-0000-4000-8000-00000000000b';

const SETTINGS: EntraSettings = {
  tenant: undefined,
  clientId: undefined,
  authority: 'https://login.example.com',
  resource: AZURE_DEVOPS_RESOURCE,
  ca: undefined,
  proxy: undefined,
};
const APPLICATION: IdentitySettings = { kind: 'client-secret', name: 'app', secret: { kind: 'env', name: 'UNUSED' }, ...SETTINGS };
const PROGRAM: IdentitySettings = { kind: 'azure-cli', name: 'me', ...SETTINGS, authority: undefined };

let clock: FakeClock;
let logger: FakeLogger;
let app: FakeTokenSource;
let me: FakeTokenSource;
let vault: Vault;

function vaultOf(identities: readonly VaultIdentity[], previous?: Vault): Vault {
  return new Vault({ identities, clock, logger, timeoutMs: 30_000, previous });
}

const both = (): VaultIdentity[] => [
  { settings: APPLICATION, source: { kind: 'token', source: app } },
  { settings: PROGRAM, source: { kind: 'token', source: me } },
];

/** Each source gives tokens that say for what they were asked. */
function mint(source: FakeTokenSource): void {
  source.answer = (order) =>
    tokenUntil(`${source.orders.indexOf(order) + 1} ${order.tenant ?? '-'} ${order.claims ?? '-'}`, clock.now() + HOUR);
}

beforeEach(() => {
  clock = new FakeClock();
  logger = new FakeLogger();
  app = new FakeTokenSource();
  me = new FakeTokenSource();
  app.wantsTenant = me.wantsTenant = true;
  mint(app);
  mint(me);
  vault = vaultOf(both());
});

const textOf = (credential: Credential): string =>
  credential.kind === 'bearer' ? credential.token.reveal() : credential.kind === 'basic' ? credential.password.reveal() : credential.kind;

async function ask(name: string, target: CredentialTarget = {}, from = vault): Promise<string> {
  return textOf(await from.credentialFor(name, { target }));
}

describe('variants of an identity', () => {
  test('are one for each tenant, each asked for once, however many ask', async () => {
    const all = await Promise.all(
      Array.from({ length: 40 }, (_, index) => ask('app', { tenant: index % 2 === 0 ? NORTH : SOUTH, url: new URL(`https://h/${index}`) })),
    );
    expect(new Set(all).size).toBe(2);
    expect(app.orders).toEqual([
      { tenant: NORTH, claims: undefined },
      { tenant: SOUTH, claims: undefined },
    ]);
  });

  test('are one where the identity names its tenant', async () => {
    app.wantsTenant = false;
    await ask('app', { tenant: NORTH });
    await ask('app', { tenant: SOUTH });
    expect(app.calls).toBe(1);
  });

  test('do not share a failure, a refusal, or claims', async () => {
    const north = await vault.credentialFor('app', { target: { tenant: NORTH } });
    await ask('app', { tenant: SOUTH });
    vault.invalidate('app', north, CLAIMS);
    app.answer = () => {
      throw new TokenFailure('blocked', { isDefinite: true, todo: 'mend it' });
    };
    await expect(ask('app', { tenant: NORTH })).rejects.toThrow('blocked');
    expect(await ask('app', { tenant: SOUTH })).toBe(`2 ${SOUTH} -`);
    expect(vault.states()[0]?.variants.map(({ variant, state, claims }) => [variant, state, claims])).toEqual([
      [NORTH, 'failing', CLAIMS],
      [SOUTH, 'ready', undefined],
    ]);
    expect(await ask('me', { tenant: NORTH })).toBe(`1 ${NORTH} -`);
  });

  test(`are ${MOST_VARIANTS} at most: the one that was not used for longest gives way, and no other identity's`, async () => {
    await ask('me', { tenant: NORTH });
    for (let number = 0; number <= MOST_VARIANTS; number++) {
      await ask('app', { tenant: `t${number}` });
      // Used all the time.
      await ask('app', { tenant: 't0' });
      clock.jump(1);
    }
    const [state, other] = vault.states();
    expect(state?.variants).toHaveLength(MOST_VARIANTS);
    expect(state?.requests).toBe(MOST_VARIANTS + 1);
    expect(app.orders.filter(({ tenant }) => tenant === 't0')).toHaveLength(1);
    await ask('app', { tenant: 't1' });
    expect(app.orders.filter(({ tenant }) => tenant === 't1')).toHaveLength(2);
    expect(other?.variants).toHaveLength(1);
    expect(await ask('me', { tenant: NORTH })).toBe(`1 ${NORTH} -`);
    // What gave way is renewed no more.
    expect(clock.waiting).toBe(MOST_VARIANTS + 1);
  });

  test('are not asked in the name of a word for sign-in pages, where a program has a tenant of its own', async () => {
    await ask('me', { tenant: 'organizations' });
    expect(me.orders[0]?.tenant).toBeUndefined();
  });
});

describe('findMisuse()', () => {
  const codeOf = async (name: string, target: CredentialTarget): Promise<unknown> =>
    vault.credentialFor(name, { target }).then(
      () => 'given',
      (thrown: unknown) => (thrown instanceof ProxyError ? thrown.code : thrown),
    );

  test.each<[what: string, settings: IdentitySettings, target: CredentialTarget, outcome: string, calls: number]>([
    ['an application without any tenant', APPLICATION, {}, 'identity-rejected', 0],
    ['an application for an organisation of personal accounts', APPLICATION, { tenant: 'organizations' }, 'identity-rejected', 0],
    ['an application with a tenant', APPLICATION, { tenant: NORTH }, 'given', 1],
    ['a program without any tenant', { ...PROGRAM, name: 'app' }, {}, 'given', 1],
    [
      'another resource for Azure DevOps',
      { ...PROGRAM, name: 'app', resource: 'api://x' },
      { hostKind: 'azure-services' },
      'identity-rejected',
      0,
    ],
    ['another resource for another host', { ...PROGRAM, name: 'app', resource: 'api://x' }, { hostKind: 'generic' }, 'given', 1],
    [
      'the other name of Azure DevOps',
      { ...PROGRAM, name: 'app', resource: 'https://app.vssps.visualstudio.com/' },
      { hostKind: 'azure-services' },
      'given',
      1,
    ],
    [
      'another resource at an authority of its own',
      { ...PROGRAM, name: 'app', resource: 'api://x', authority: 'https://login.example.com' },
      { hostKind: 'azure-services' },
      'given',
      1,
    ],
  ])('%s', async (_, settings, target, outcome, calls) => {
    vault = vaultOf([{ settings, source: { kind: 'token', source: app } }]);
    expect(await codeOf('app', target)).toBe(outcome);
    expect(app.calls).toBe(calls);
    // What was never asked for is no trouble of the identity.
    expect(vault.states()[0]?.state).toBe(calls === 0 ? 'unused' : 'ready');
  });
});

describe('a token for another service', () => {
  const jwt = (claims: object): string => `h.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.s`;
  const give = (text: string): void => {
    me.answer = () => tokenUntil(text, clock.now() + HOUR);
  };

  test.each<[audience: unknown, resource: string, isTaken: boolean]>([
    [AZURE_DEVOPS_RESOURCE, AZURE_DEVOPS_RESOURCE, true],
    ['https://app.vssps.visualstudio.com/', AZURE_DEVOPS_RESOURCE, true],
    [AZURE_DEVOPS_RESOURCE.toUpperCase(), 'https://app.vssps.visualstudio.com', true],
    ['https://graph.microsoft.com', AZURE_DEVOPS_RESOURCE, false],
    ['00000003-0000-0000-c000-000000000000', AZURE_DEVOPS_RESOURCE, false],
    [AZURE_DEVOPS_RESOURCE, 'api://mine', false],
    ['api://mine/', 'api://mine', true],
    ['api://mine', 'api://mine/.default', true],
    ['api://other', 'api://mine', false],
    // Nobody but the directory knows whether they are one application.
    ['00000003-0000-0000-c000-000000000000', 'api://mine', true],
    [['a', 'b'], AZURE_DEVOPS_RESOURCE, true],
    [undefined, AZURE_DEVOPS_RESOURCE, true],
  ])('%j, wanted for %s: taken is %s', async (aud, resource, isTaken) => {
    vault = vaultOf([{ settings: { ...PROGRAM, resource }, source: { kind: 'token', source: me } }]);
    give(jwt({ aud }));
    const asked = vault.credentialFor('me').then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (isTaken) expect(await asked).toBeUndefined();
    else {
      expect(await asked).toMatchObject({ code: 'identity-rejected', message: expect.stringContaining(`(${String(aud)})`) as string });
      // It stays so, and is not asked for three times.
      expect(me.calls).toBe(1);
    }
  });

  test('takes no good one away, and its words are safe to print', async () => {
    me.answer = () => tokenUntil(jwt({ aud: AZURE_DEVOPS_RESOURCE, upn: 'dana@example.com', tid: NORTH }), clock.now() + HOUR);
    const good = await ask('me');
    give(jwt({ aud: 'evil\u001b[31m\nline' }));
    await clock.advance(0.9 * HOUR);
    expect(me.calls).toBeGreaterThan(1);
    expect(await ask('me')).toBe(good);
    expect(vault.states()[1]).toMatchObject({ state: 'failing', failure: expect.not.stringMatching(/[\u001b\n]/) as string });
    expect(vault.states()[1]?.variants[0]).toMatchObject({ account: 'dana@example.com', tenant: NORTH });
  });

  test('is not looked for in the token of a job, which Azure DevOps makes itself', async () => {
    const settings: IdentitySettings = {
      kind: 'azure-pipelines',
      name: 'me',
      serviceConnection: undefined,
      secret: { kind: 'env', name: 'UNUSED' },
      ...SETTINGS,
    };
    vault = vaultOf([{ settings, source: { kind: 'token', source: me } }]);
    give(jwt({ aud: 'app.vstoken.visualstudio.com' }));
    expect(await ask('me')).toBe(jwt({ aud: 'app.vstoken.visualstudio.com' }));
  });
});

describe('claims that an upstream asks for', () => {
  test('go with one request, however many callers say so and ask', async () => {
    const first = await vault.credentialFor('me');
    const all = await Promise.all(
      Array.from({ length: 20 }, () => {
        vault.invalidate('me', first, CLAIMS);
        return vault.credentialFor('me');
      }),
    );
    expect(new Set(all.map(textOf))).toEqual(new Set([`2 - ${CLAIMS}`]));
    expect(me.orders.map(({ claims }) => claims)).toEqual([undefined, CLAIMS]);
    // The next one is an ordinary one.
    await clock.advance(0.9 * HOUR);
    expect(me.orders.map(({ claims }) => claims)).toEqual([undefined, CLAIMS, undefined]);
  });

  test('are kept until a token has them, over failures and over a change of the configuration', async () => {
    const first = await vault.credentialFor('me');
    vault.invalidate('me', first, CLAIMS);
    me.answer = () => {
      throw new TokenFailure('down', { isDefinite: true, todo: 'wait' });
    };
    await expect(ask('me')).rejects.toThrow('down');
    const next = vaultOf(both(), vault);
    vault.close();
    mint(me);
    await clock.advance(10_000);
    expect(await ask('me', {}, next)).toBe(`3 - ${CLAIMS}`);
    expect(next.states()[1]?.variants[0]?.claims).toBeUndefined();
  });

  test('are not satisfied by a request that left before they were known', async () => {
    const first = await vault.credentialFor('me');
    me.answer = 'wait';
    await clock.advance(0.6 * HOUR);
    while (me.inFlight === 0) await clock.advance(1_000);
    vault.invalidate('me', first, CLAIMS);
    const waiting = ask('me');
    await settle();
    expect(me.calls).toBe(2);
    me.give(tokenUntil('without', clock.now() + HOUR));
    await settle();
    expect(me.orders.at(-1)?.claims).toBe(CLAIMS);
    me.give(tokenUntil('with', clock.now() + HOUR));
    expect(await waiting).toBe('with');
    expect(await ask('me')).toBe('with');
  });

  test('of a later challenge are asked for too; those of a credential that is no longer held are not', async () => {
    const first = await vault.credentialFor('me');
    vault.invalidate('me', first, CLAIMS);
    const second = await vault.credentialFor('me');
    vault.invalidate('me', first, OTHER_CLAIMS);
    expect(await vault.credentialFor('me')).toBe(second);
    vault.invalidate('me', second, OTHER_CLAIMS);
    expect(await ask('me')).toBe(`3 - ${OTHER_CLAIMS}`);
  });

  test('in any order of refusals, failures and callers: one request at a time, none without what was last asked for, no refused token again', async () => {
    const action = fc.constantFrom('ask', 'refuse', 'claim', 'other', 'give', 'fail', 'wait');
    await fc.assert(
      fc.asyncProperty(fc.array(fc.record({ what: action, tenant: fc.constantFrom(NORTH, SOUTH) }), { maxLength: 40 }), async (steps) => {
        clock = new FakeClock();
        const source = new FakeTokenSource();
        source.wantsTenant = true;
        const mine = vaultOf([{ settings: PROGRAM, source: { kind: 'token', source } }]);
        const refused = new Set<Credential>();
        const givenAgain: Credential[] = [];
        const wanted = new Map<string, string>();
        const latest = new Map<string, Credential>();
        let number = 0;
        for (const { what, tenant } of steps) {
          if (what === 'ask') {
            const before = new Set(refused);
            void mine.credentialFor('me', { target: { tenant } }).then(
              (credential) => {
                if (before.has(credential)) givenAgain.push(credential);
                latest.set(tenant, credential);
              },
              () => undefined,
            );
          } else if (what === 'give' && source.inFlight > 0) source.give(tokenUntil(`t${++number}`, clock.now() + HOUR));
          else if (what === 'fail' && source.inFlight > 0) source.fail(new TokenFailure('no', { isDefinite: true, todo: 'wait' }));
          else if (what === 'wait') await clock.advance(500);
          else if (what === 'refuse' || what === 'claim' || what === 'other') {
            const credential = latest.get(tenant);
            const isHeld = mine.states()[0]?.variants.find(({ variant }) => variant === tenant)?.state === 'ready';
            if (credential !== undefined && isHeld && !refused.has(credential)) {
              const claims = what === 'refuse' ? undefined : what === 'claim' ? CLAIMS : OTHER_CLAIMS;
              refused.add(credential);
              mine.invalidate('me', credential, claims);
              if (claims !== undefined) wanted.set(tenant, claims);
            }
          }
          await settle();
          expect(givenAgain).toEqual([]);
          expect(source.mostInFlight).toBeLessThanOrEqual(2);
          for (const { variant, claims, state } of mine.states()[0]?.variants ?? [])
            if (claims !== undefined) expect([claims, state === 'ready']).toEqual([wanted.get(variant), false]);
        }
        mine.close();
      }),
      { numRuns: 60 },
    );
  });
});

describe('forget() and accepted()', () => {
  test('forget() drops every variant, and an answer that is still on its way', async () => {
    await ask('me', { tenant: NORTH });
    me.answer = 'wait';
    const waiting = ask('me', { tenant: SOUTH });
    await settle();
    expect(vault.forget('me')).toBe(1);
    me.give(tokenUntil('late', clock.now() + HOUR));
    // Who asked before is answered; nobody after that.
    expect(await waiting).toBe('late');
    mint(me);
    expect(await ask('me', { tenant: SOUTH })).toBe(`3 ${SOUTH} -`);
    expect(await ask('me', { tenant: NORTH })).toBe(`4 ${NORTH} -`);
    expect(await ask('app', { tenant: NORTH })).toBe(`1 ${NORTH} -`);
  });

  test('a keeper hears once of each credential whether it was good, with the host that it was for', async () => {
    const heard: string[] = [];
    let number = 0;
    const source: AskedSource = {
      variantOf: ({ url }) => url?.host ?? '',
      ask: () => Promise.resolve({ kind: 'basic', user: 'dana', password: new Secret(`p${++number}`) }),
      settle: (target, credential, isGood) => {
        heard.push(`${target.url?.host ?? ''} ${textOf(credential)} ${isGood}`);
        return Promise.resolve();
      },
    };
    vault = vaultOf([{ settings: { kind: 'git-credential', name: 'me', user: undefined }, source: { kind: 'asked', source } }]);
    const target = (host: string): CredentialTarget => ({ url: new URL(`https://${host}/a/b`) });
    const one = await vault.credentialFor('me', { target: target('one') });
    const two = await vault.credentialFor('me', { target: target('two') });
    vault.accepted('me', one);
    vault.accepted('me', one);
    vault.invalidate('me', two);
    vault.invalidate('me', two);
    vault.accepted('me', two);
    expect(heard).toEqual(['one p1 true', 'two p2 false']);
    expect(await ask('me', target('two'))).toBe('p3');
    expect(await ask('me', target('one'))).toBe('p1');
  });
});
