/** The vault against a hand-moved clock and a source that answers when it is told to. */
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { TokenFailure } from '../../../src/identity/token-source.js';
import { Vault } from '../../../src/identity/vault.js';
import type { VaultIdentity } from '../../../src/identity/vault-entry.js';
import type { Credential } from '../../../src/model/credential.js';
import { ProxyError } from '../../../src/model/errors.js';
import { Secret } from '../../../src/model/secret.js';
import type { IdentitySettings } from '../../../src/model/settings.js';
import { FakeClock, settle } from '../../fakes/clock.js';
import { FakeLogger } from '../../fakes/logger.js';
import { FakeTokenSource, tokenUntil } from '../../fakes/token-source.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const TIMEOUT_MS = 30 * SECOND;

const ENTRA: IdentitySettings = {
  kind: 'client-secret',
  name: 'sp',
  secret: { kind: 'env', name: 'UNUSED' },
  tenant: undefined,
  clientId: undefined,
  authority: undefined,
  resource: 'r',
  ca: undefined,
  proxy: undefined,
};

let clock: FakeClock;
let logger: FakeLogger;
let source: FakeTokenSource;
let vault: Vault;

function vaultOf(...identities: VaultIdentity[]): Vault {
  return new Vault({ identities, clock, logger, timeoutMs: TIMEOUT_MS });
}

beforeEach(() => {
  clock = new FakeClock();
  logger = new FakeLogger();
  source = new FakeTokenSource();
  vault = vaultOf({ settings: ENTRA, source: { kind: 'token', source } });
});

/** Tokens t1, t2, ... of this life from now on. */
function mint(lifeMs: number, refreshInMs?: number): void {
  source.answer = () =>
    tokenUntil(`t${source.calls}`, clock.now() + lifeMs, refreshInMs === undefined ? undefined : clock.now() + refreshInMs);
}

function failWith(fault: unknown): void {
  source.answer = () => {
    throw fault;
  };
}

const transient = (): TokenFailure => new TokenFailure('down', { isDefinite: false, todo: 'wait' });
const definite = (): TokenFailure => new TokenFailure('wrong secret', { isDefinite: true, todo: 'mend it' });

function textOf(credential: Credential): string {
  return credential.kind === 'bearer'
    ? credential.token.reveal()
    : credential.kind === 'basic'
      ? credential.password.reveal()
      : credential.kind;
}

/** What a caller gets at once: its token, `waits`, or the code of its failure. */
async function ask(need?: { lifeMs: number }): Promise<string> {
  let outcome = 'waits';
  vault.credentialFor('sp', need).then(
    (credential) => (outcome = textOf(credential)),
    (thrown: unknown) => (outcome = thrown instanceof ProxyError ? thrown.code : String(thrown)),
  );
  await settle();
  return outcome;
}

describe('credentialFor() of a token', () => {
  test('shares one flight among a hundred callers, also while it is being tried again', async () => {
    const all = Promise.all(Array.from({ length: 100 }, () => vault.credentialFor('sp')));
    await settle();
    source.fail(transient());
    await clock.advance(SECOND);
    source.give(tokenUntil('t', clock.now() + HOUR));
    expect(new Set((await all).map(textOf))).toEqual(new Set(['t']));
    expect(source.calls).toBe(2);
    expect(source.mostInFlight).toBe(1);
  });

  test('gives all callers of a failed flight the same failure', async () => {
    failWith(definite());
    const all = await Promise.allSettled(Array.from({ length: 20 }, () => vault.credentialFor('sp')));
    expect(all.every((each) => each.status === 'rejected' && (each.reason as ProxyError).code === 'identity-rejected')).toBe(true);
    expect(source.calls).toBe(1);
  });

  test('tries a transient fault three times in all, a definite one and an unreadable secret once', async () => {
    failWith(transient());
    const failed = vault.credentialFor('sp').catch((thrown: unknown) => thrown);
    await clock.advance(2 * SECOND);
    expect(await failed).toMatchObject({ code: 'identity-unavailable', message: 'down', todo: 'wait' });
    expect(source.calls).toBe(3);
    await clock.advance(MINUTE);
    failWith(new ProxyError('secret-unreadable', 'no file', { todo: 'put it there' }));
    expect(await ask()).toBe('secret-unreadable');
    expect(source.calls).toBe(4);
  });

  test('serves the token held until its real end while renewals fail, then fails with the cause', async () => {
    mint(HOUR);
    expect(await ask()).toBe('t1');
    failWith(transient());
    for (let passed = MINUTE; passed < HOUR - SECOND; passed += MINUTE) {
      await clock.advance(MINUTE - 1);
      expect(await ask()).toBe('t1');
    }
    expect(source.calls).toBeGreaterThan(10);
    expect(vault.states()[0]).toMatchObject({ state: 'failing', failure: 'down', todo: 'wait' });
    await clock.advance(2 * MINUTE);
    const failed = vault.credentialFor('sp').catch((thrown: unknown) => thrown);
    await clock.advance(10 * SECOND);
    expect(await failed).toMatchObject({ code: 'identity-unavailable', message: 'down' });
    mint(HOUR);
    await clock.advance(MINUTE);
    expect(await ask()).toMatch(/^t/);
    expect(vault.states()[0]).toMatchObject({ state: 'ready', failure: undefined });
  });

  test('does not give out a token in its last second', async () => {
    mint(HOUR);
    await ask();
    source.answer = 'wait';
    clock.jump(HOUR - 1001);
    expect(await ask()).toBe('t1');
    clock.jump(2);
    expect(await ask()).toBe('waits');
  });

  test('refuses a token that has already ended, and names the clock', async () => {
    mint(SECOND / 2);
    const failed = vault.credentialFor('sp').catch((thrown: unknown) => thrown);
    await clock.advance(10 * SECOND);
    expect(await failed).toMatchObject({ code: 'identity-unavailable', todo: expect.stringContaining('clock') as string });
  });
});

describe('renewal', () => {
  test('comes at 70 % of the life when the issuer gives no advice, with nobody waiting', async () => {
    mint(HOUR);
    await ask();
    source.answer = 'wait';
    // The jitter brings it forward by up to 5 %.
    await clock.advance(0.65 * HOUR - SECOND);
    expect(source.calls).toBe(1);
    for (let passed = 0; passed <= 0.05 * HOUR + 2 * SECOND && source.calls === 1; passed += SECOND) await clock.advance(SECOND);
    expect(source.calls).toBe(2);
    expect(await ask()).toBe('t1');
    source.give(tokenUntil('t2', clock.now() + HOUR));
    await settle();
    expect(await ask()).toBe('t2');
    expect(source.mostInFlight).toBe(1);
  });

  test('comes at refreshAfter when the issuer names it', async () => {
    mint(HOUR, 10 * MINUTE);
    await ask();
    await clock.advance(7 * MINUTE - SECOND);
    expect(source.calls).toBe(1);
    await clock.advance(3 * MINUTE + 2 * SECOND);
    expect(source.calls).toBe(2);
  });

  test('that fails is tried again after growing pauses, of a minute and a quarter at most', async () => {
    mint(10 * HOUR, 2 * HOUR);
    await ask();
    await clock.advance(HOUR);
    failWith(definite());
    const times: number[] = [];
    let before = source.calls;
    for (let passed = 0; passed < 2 * HOUR; passed += SECOND) {
      await clock.advance(SECOND);
      if (source.calls > before) times.push(passed);
      before = source.calls;
    }
    const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(pauses[0]).toBeLessThanOrEqual(3 * SECOND);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(76 * SECOND);
    expect(pauses.slice(8).every((pause) => pause >= 44 * SECOND)).toBe(true);
    expect(
      logger.lines.filter(({ event }) => event === 'token-failed').every(({ level, fields }) => level === 'warn' && fields['stillHeld']),
    ).toBe(true);
  }, 20_000);

  test('is not begun again by every call after it failed', async () => {
    mint(HOUR, 10 * MINUTE);
    await ask();
    failWith(definite());
    await clock.advance(12 * MINUTE);
    const { calls } = source;
    expect(calls).toBeGreaterThan(1);
    for (let call = 0; call < 50; call++) expect(await ask()).toBe('t1');
    expect(source.calls).toBe(calls);
  });

  test('goes on while the identity is used and stops two hours after its last use', async () => {
    mint(HOUR);
    await ask();
    await clock.advance(90 * MINUTE);
    expect(await ask()).toMatch(/^t/);
    await clock.advance(4 * HOUR);
    const { calls } = source;
    expect(calls).toBeGreaterThan(2);
    await clock.advance(24 * HOUR);
    expect(source.calls).toBe(calls);
    expect(clock.waiting).toBe(0);
    expect(await ask()).toBe(`t${calls + 1}`);
  });

  test('copes with a source that gives the same token again, without asking in a loop', async () => {
    const end = clock.now() + HOUR;
    source.answer = () => tokenUntil('same', end);
    expect(await ask()).toBe('same');
    await clock.advance(HOUR - 2 * SECOND);
    expect(await ask()).toBe('same');
    expect(source.calls).toBeLessThan(12);
    mint(HOUR);
    await clock.advance(30 * SECOND);
    expect(await ask()).toMatch(/^t/);
  });

  test('is not kept in a loop by a refreshAfter that has passed', async () => {
    const end = clock.now() + HOUR;
    const past = clock.now() - HOUR;
    source.answer = () => tokenUntil('same', end, past);
    await ask();
    await clock.advance(HOUR / 2);
    expect(source.calls).toBeLessThan(12);
  });
});

describe('a failure with nothing held', () => {
  test('is given for three seconds without asking again, then there is a new try', async () => {
    failWith(definite());
    expect(await ask()).toBe('identity-rejected');
    await clock.advance(2900);
    expect(await ask()).toBe('identity-rejected');
    expect(source.calls).toBe(1);
    await clock.advance(200);
    mint(HOUR);
    expect(await ask()).toBe('t2');
  });

  test('is forgotten when the clock is set back past it', async () => {
    failWith(definite());
    await ask();
    clock.jump(-HOUR);
    mint(HOUR);
    expect(await ask()).toBe('t2');
  });
});

describe('the time limit', () => {
  test('is the vault’s own: the callers are told, and a late answer is dropped', async () => {
    const told = vault.credentialFor('sp').catch((thrown: unknown) => thrown);
    await clock.advance(TIMEOUT_MS);
    expect(await told).toMatchObject({ code: 'identity-timeout' });
    source.give(tokenUntil('late', clock.now() + HOUR));
    expect(await ask()).toBe('identity-timeout');
    await clock.advance(4 * SECOND);
    mint(HOUR);
    expect(await ask()).toBe('t2');
  });

  test('ends the tries too: a fetch that fails late is not repeated behind everybody’s back', async () => {
    const told = vault.credentialFor('sp').catch((thrown: unknown) => thrown);
    await clock.advance(TIMEOUT_MS);
    await told;
    source.fail(transient());
    await clock.advance(MINUTE);
    expect(source.calls).toBe(1);
  });

  test('also ends a renewal that hangs, and leaves the token held alone', async () => {
    mint(10 * MINUTE);
    await ask();
    source.answer = 'wait';
    // Renewals begin at a random moment: from the very one on, the limit and one pause fit in here once.
    for (let step = 0; source.calls < 2 && step < 100; step++) await clock.advance(clock.nextInMs ?? 0);
    expect(source.calls).toBe(2);
    await clock.advance(TIMEOUT_MS + 3 * SECOND);
    expect(source.calls).toBe(3);
    expect(await ask()).toBe('t1');
    source.fail(transient());
  });
});

describe('invalidate()', () => {
  test('takes away the very credential that was refused', async () => {
    mint(HOUR);
    const first = await vault.credentialFor('sp');
    vault.invalidate('sp', first);
    expect(await ask()).toBe('t2');
    expect(logger.count('token-invalidated')).toBe(1);
  });

  test('leaves its successor alone, however many callers report the old one', async () => {
    mint(HOUR);
    const first = await vault.credentialFor('sp');
    vault.invalidate('sp', first);
    expect(await ask()).toBe('t2');
    for (let call = 0; call < 10; call++) vault.invalidate('sp', first);
    expect(await ask()).toBe('t2');
    expect(source.calls).toBe(2);
  });

  test('leads all callers that come after it to one flight', async () => {
    mint(HOUR);
    const first = await vault.credentialFor('sp');
    source.answer = 'wait';
    vault.invalidate('sp', first);
    const all = Promise.all(Array.from({ length: 30 }, () => vault.credentialFor('sp')));
    await settle();
    source.give(tokenUntil('next', clock.now() + HOUR));
    expect(new Set((await all).map(textOf))).toEqual(new Set(['next']));
    expect(source.calls).toBe(2);
  });

  test('makes a secret be read again', async () => {
    let secret = 'one';
    let reads = 0;
    vault = vaultOf({
      settings: { kind: 'pat', name: 'sp', secret: { kind: 'env', name: 'UNUSED' }, lifecycle: undefined },
      source: {
        kind: 'basic',
        user: 'PAT',
        read: () => {
          reads += 1;
          return Promise.resolve(new Secret(secret));
        },
      },
    });
    const first = await vault.credentialFor('sp');
    secret = 'two';
    expect(await ask()).toBe('one');
    expect(reads).toBe(1);
    vault.invalidate('sp', first);
    expect(await ask()).toBe('two');
    expect(reads).toBe(2);
    expect(Vault.isSame(first, await vault.credentialFor('sp'))).toBe(false);
  });
});

describe('the wall clock', () => {
  test('jumping forward past the end is noticed by the next call, although no timer fired', async () => {
    mint(HOUR);
    await ask();
    clock.jump(2 * HOUR);
    expect(await ask()).toBe('t2');
  });

  test('jumping forward past the time of renewal makes the next call begin one, without waiting', async () => {
    mint(HOUR);
    await ask();
    source.answer = 'wait';
    clock.jump(50 * MINUTE);
    expect(await ask()).toBe('t1');
    expect(source.calls).toBe(2);
    source.give(tokenUntil('t2', clock.now() + HOUR));
    await settle();
    expect(await ask()).toBe('t2');
  });

  test('jumping backward does no harm: the token is served, renewed by its timer, and replaced when refused', async () => {
    mint(HOUR);
    await ask();
    clock.jump(-24 * HOUR);
    expect(await ask()).toBe('t1');
    expect(source.calls).toBe(1);
    await clock.advance(43 * MINUTE);
    expect(source.calls).toBe(2);
    const held = await vault.credentialFor('sp');
    vault.invalidate('sp', held);
    expect(await ask()).toBe('t3');
  });

  test('jumping backward during failed renewals does not stop them', async () => {
    mint(10 * HOUR, HOUR);
    await ask();
    failWith(definite());
    await clock.advance(HOUR + 5 * MINUTE);
    clock.jump(-48 * HOUR);
    mint(10 * HOUR, HOUR);
    const { calls } = source;
    await clock.advance(2 * MINUTE);
    expect(calls).toBeGreaterThan(2);
    expect(source.calls).toBeGreaterThan(calls);
  });
});

describe('a wish for a longer life', () => {
  test('renews a token that would end too soon, and the caller gets the new one', async () => {
    mint(HOUR, 58 * MINUTE);
    await ask();
    clock.jump(56 * MINUTE);
    expect(await ask()).toBe('t1');
    expect(await ask({ lifeMs: 5 * MINUTE })).toBe('t2');
  });

  test('is met with what is held when the renewal fails', async () => {
    mint(HOUR, 58 * MINUTE);
    await ask();
    clock.jump(56 * MINUTE);
    failWith(definite());
    expect(await ask({ lifeMs: 5 * MINUTE })).toBe('t1');
  });

  test('is not met with a token that was refused while the renewal failed', async () => {
    mint(HOUR, 58 * MINUTE);
    await ask();
    const held = await vault.credentialFor('sp');
    clock.jump(56 * MINUTE);
    source.answer = 'wait';
    const push = vault.credentialFor('sp', { lifeMs: 5 * MINUTE }).then(textOf, (thrown: unknown) => (thrown as ProxyError).code); // because the vault throws nothing else
    await settle();
    vault.invalidate('sp', held);
    source.fail(definite());
    expect(await push).toBe('identity-rejected');
  });

  test('is asked for once, not for every push, when no longer one is to be had', async () => {
    const end = clock.now() + 4 * MINUTE;
    source.answer = () => tokenUntil('same', end, end);
    await ask();
    clock.jump(3 * MINUTE);
    const { calls } = source;
    for (let push = 0; push < 20; push++) expect(await ask({ lifeMs: 5 * MINUTE })).toBe('same');
    expect(source.calls).toBe(calls + 1);
  });

  test('is not begun again by every push while renewals fail', async () => {
    mint(HOUR, 58 * MINUTE);
    await ask();
    clock.jump(56 * MINUTE);
    failWith(definite());
    for (let push = 0; push < 20; push++) expect(await ask({ lifeMs: 5 * MINUTE })).toBe('t1');
    expect(source.calls).toBe(2);
  });

  test('is content with half the life of tokens that are short from the start', async () => {
    mint(MINUTE, 59 * SECOND);
    await ask();
    await clock.advance(20 * SECOND);
    expect(await ask({ lifeMs: 5 * MINUTE })).toBe('t1');
    clock.jump(15 * SECOND);
    expect(await ask({ lifeMs: 5 * MINUTE })).toBe('t2');
  });
});

describe('close()', () => {
  test('stops renewing', async () => {
    mint(HOUR);
    await ask();
    vault.close();
    await clock.advance(2 * HOUR);
    expect(source.calls).toBe(1);
    expect(clock.waiting).toBe(0);
  });

  test('during a flight leaves no timer behind', async () => {
    const told = vault.credentialFor('sp').catch((thrown: unknown) => thrown);
    await settle();
    vault.close();
    source.give(tokenUntil('t1', clock.now() + HOUR));
    await told;
    expect(clock.waiting).toBe(0);
  });
});

test('kinds without a secret are given as they are', async () => {
  vault = vaultOf(
    { settings: { kind: 'none', name: 'none' }, source: { kind: 'none' } },
    { settings: { kind: 'passthrough', name: 'pass' }, source: { kind: 'passthrough' } },
  );
  expect(await vault.credentialFor('none')).toEqual({ kind: 'none' });
  expect(await vault.credentialFor('pass')).toEqual({ kind: 'passthrough' });
  expect(vault.states().map(({ name, kind }) => [name, kind])).toEqual([
    ['none', 'none'],
    ['pass', 'passthrough'],
  ]);
});

test('whatever happens in whatever order, a live token is served at once, never a dead or refused one, and one request runs at a time', async () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.constant({ kind: 'ask' as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'push' as const }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 40 * MINUTE }) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('jump' as const), ms: fc.integer({ min: 1, max: 3 * HOUR }) }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'refuse' as const }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('source' as const), mode: fc.constantFrom('good', 'down', 'definite') }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      clock = new FakeClock();
      logger = new FakeLogger();
      source = new FakeTokenSource();
      vault = vaultOf({ settings: ENTRA, source: { kind: 'token', source } });
      const refused = new Set<Credential>();
      let held: Credential | undefined;
      mint(HOUR);
      for (const each of steps) {
        if (each.kind === 'advance') await clock.advance(each.ms);
        else if (each.kind === 'jump') clock.jump(each.ms);
        else if (each.kind === 'source') {
          if (each.mode === 'good') mint(HOUR);
          else failWith(each.mode === 'down' ? transient() : definite());
        } else if (each.kind === 'refuse' && held !== undefined) {
          refused.add(held);
          vault.invalidate('sp', held);
        } else if (each.kind === 'ask' || each.kind === 'push') {
          const wasAlive = held?.kind === 'bearer' && !refused.has(held) && held.expiresAt.getTime() - clock.now() > SECOND;
          let got: Credential | undefined;
          const asked = vault.credentialFor('sp', each.kind === 'push' ? { lifeMs: 5 * MINUTE } : {}).then(
            (credential) => (got = credential),
            () => undefined,
          );
          await settle();
          if (wasAlive && each.kind === 'ask') expect(got).toBeDefined();
          await clock.advance(2 * SECOND);
          await asked;
          if (got === undefined) {
            expect(wasAlive).toBe(false);
            continue;
          }
          expect(refused.has(got)).toBe(false);
          expect(got.kind === 'bearer' && got.expiresAt.getTime() > clock.now() - 2 * SECOND).toBe(true);
          held = got;
        }
      }
      vault.close();
      await clock.advance(MINUTE);
      expect(clock.waiting).toBe(0);
      expect(source.mostInFlight).toBeLessThanOrEqual(1);
    }),
    { numRuns: 60 },
  );
});
