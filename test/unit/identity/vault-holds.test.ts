/** A sign-in service that says no is not asked by every client anew, is left alone when it wants to be, and is asked again within seconds. */
import { beforeEach, describe, expect, it } from 'vitest';
import { TokenFailure } from '../../../src/identity/token-source.js';
import { Vault } from '../../../src/identity/vault.js';
import type { IdentitySettings } from '../../../src/model/settings.js';
import { FakeClock, settle } from '../../fakes/clock.js';
import { FakeLogger } from '../../fakes/logger.js';
import { FakeTokenSource, tokenUntil } from '../../fakes/token-source.js';

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
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
let source: FakeTokenSource & { asks?: string };
let vault: Vault;

beforeEach(() => {
  clock = new FakeClock();
  source = new FakeTokenSource();
  vault = new Vault({
    identities: [{ settings: ENTRA, source: { kind: 'token', source } }],
    clock,
    logger: new FakeLogger(),
    timeoutMs: 30 * SECOND,
  });
});

function failWith(fault: TokenFailure): void {
  source.answer = () => {
    throw fault;
  };
}

/** A client each second for so long; how often the service was asked, and whether all were refused. */
async function clientsFor(ms: number): Promise<number> {
  const before = source.calls;
  for (let passed = 0; passed < ms; passed += SECOND) {
    vault.credentialFor('sp').catch(() => undefined);
    await clock.advance(SECOND);
  }
  return source.calls - before;
}

const wrong = (): TokenFailure => new TokenFailure('wrong secret', { isDefinite: true, todo: 'mend it' });

describe('a definite failure', () => {
  it('is asked for every 3 s at first, and every 15 s when it goes on', async () => {
    failWith(wrong());
    expect(await clientsFor(9 * SECOND)).toBe(3);
    await clientsFor(60 * SECOND);
    expect(await clientsFor(150 * SECOND)).toBe(10);
  });

  it('that is mended is seen within 15 s, also after hours', async () => {
    failWith(wrong());
    await clientsFor(2 * HOUR);
    source.answer = () => tokenUntil('good', clock.now() + HOUR);
    await clock.advance(15 * SECOND);
    await expect(vault.credentialFor('sp')).resolves.toMatchObject({ kind: 'bearer' });
  });
});

describe('a service that wants to be left alone', () => {
  const busy = (retryAfterMs: number): TokenFailure => new TokenFailure('busy', { isDefinite: false, todo: 'wait', retryAfterMs });

  it('is asked once, and again when its time has passed', async () => {
    failWith(busy(20 * SECOND));
    expect(await clientsFor(20 * SECOND)).toBe(1);
    expect(await clientsFor(2 * SECOND)).toBe(1);
  });

  it('is not left alone for longer than a minute', async () => {
    failWith(busy(24 * HOUR));
    expect(await clientsFor(60 * SECOND)).toBe(1);
    expect(await clientsFor(2 * SECOND)).toBe(1);
  });

  it('is not asked by renewals either', async () => {
    source.answer = () => tokenUntil('t', clock.now() + 1000 * SECOND, clock.now() + 200 * SECOND);
    await vault.credentialFor('sp');
    failWith(busy(50 * SECOND));
    // A renewal comes a little before its time.
    while (source.calls === 1) await clock.advance(SECOND);
    await clock.advance(48 * SECOND);
    expect(source.calls).toBe(2);
    await clock.advance(3 * SECOND);
    expect(source.calls).toBe(3);
  });
});

describe('the limit of a fetch', () => {
  it('names who did not answer', async () => {
    source.asks = 'the Azure CLI (az)';
    const told = vault.credentialFor('sp').catch((thrown: unknown) => thrown);
    await clock.advance(30 * SECOND);
    expect(await told).toMatchObject({
      code: 'identity-timeout',
      message: 'No token came within 30 s: the Azure CLI (az) did not answer',
      todo: 'check the network and the Azure CLI (az), or raise timeouts.token',
    });
  });

  it('tells why the try before failed, when there was one', async () => {
    const told = vault.credentialFor('sp').catch((thrown: unknown) => thrown);
    await clock.advance(15 * SECOND);
    source.fail(new TokenFailure('no connection within 15 s', { isDefinite: false, todo: 'look at the network' }));
    await settle();
    await clock.advance(16 * SECOND);
    expect(await told).toMatchObject({ code: 'identity-unavailable', message: 'no connection within 15 s' });
  });
});
