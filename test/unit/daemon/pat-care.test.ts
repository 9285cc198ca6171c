import { describe, expect, it } from 'vitest';
import { PatCare } from '../../../src/daemon/pat-care.js';
import { RouteTable } from '../../../src/gate/route-table.js';
import { ProxyError } from '../../../src/model/errors.js';
import type { PatFacts } from '../../../src/model/pat.js';
import type { IdentitySettings, Route } from '../../../src/model/settings.js';
import type { PatApi } from '../../../src/upstream/pat-api.js';
import { FakeClock, settle } from '../../fakes/clock.js';
import { FakeLogger } from '../../fakes/logger.js';
import { route } from '../route.js';

const DAY = 86_400_000;
const HOUR = 3_600_000;
const ID = '7d1f6f70-0a4c-4b0e-9d8f-6f0d2a6d2f11';
const ME = { name: 'me', kind: 'azure-cli' } as IdentitySettings; // of which nothing but its kind is looked at
const pat = (id = ID): IdentitySettings => ({
  name: 'ci',
  kind: 'pat',
  secret: { kind: 'env', name: 'X' },
  lifecycle: { identity: 'me', organization: 'contoso', id },
});

type Answer = PatFacts | undefined | ProxyError;

function rig(
  options: {
    identities?: readonly IdentitySettings[];
    routes?: readonly Route[];
    previous?: PatCare;
    clock?: FakeClock;
    endsInMs?: number;
  } = {},
) {
  const clock = options.clock ?? new FakeClock();
  const logger = new FakeLogger();
  const facts: PatFacts = {
    id: ID,
    name: 'ci',
    scopes: ['vso.code'],
    expiresAt: new Date(clock.now() + (options.endsInMs ?? 30 * DAY)),
    isGlobal: false,
  };
  const api = {
    asked: 0,
    answer: facts as Answer,
    find(): Promise<PatFacts | undefined> {
      api.asked += 1;
      return api.answer instanceof Error ? Promise.reject(api.answer) : Promise.resolve(api.answer);
    },
  };
  const care = new PatCare({
    api: api as unknown as PatApi, // a class with private fields; it is asked for nothing else
    identities: options.identities ?? [ME, pat()],
    routes: new RouteTable(options.routes ?? [route('dev.azure.com/contoso/**', { identity: 'ci' })]),
    clock,
    logger,
    previous: options.previous,
  });
  return { clock, logger, api, care, facts };
}

const DOWN = new ProxyError('upstream-unavailable', 'Not now', { todo: 'wait' });

describe('PatCare', () => {
  it('asks at the start and once a day, and warns from seven days on, once a day', async () => {
    const { clock, logger, api, care } = rig({ endsInMs: 9 * DAY });
    expect(api.asked).toBe(0);
    care.start();
    care.start();
    await settle();
    expect(api.asked).toBe(1);
    expect(care.states()[0]?.life?.state).toBe('good');
    await clock.advance(DAY - 1);
    expect(api.asked).toBe(1);
    await clock.advance(HOUR);
    expect(api.asked).toBe(2);
    expect(logger.count('pat-ends-soon')).toBe(0);
    await clock.advance(DAY);
    expect(logger.count('pat-ends-soon')).toBe(1);
    expect(logger.lines.find(({ event }) => event === 'pat-ends-soon')).toMatchObject({
      level: 'warn',
      fields: { identity: 'ci', pat: ID, daysLeft: 7 },
    });
    await clock.advance(23 * HOUR);
    expect(logger.count('pat-ends-soon')).toBe(1);
    await clock.advance(2 * DAY);
    expect(logger.count('pat-ends-soon')).toBe(3);
    await clock.advance(6 * DAY);
    expect(care.states()[0]?.life?.state).toBe('ended');
    expect(logger.lines.find(({ event }) => event === 'pat-ended')).toMatchObject({ level: 'error' });
    expect(care.knownOf('ci')?.fate).toContain('ended on 2030-01-10');
  });

  it('asks again every hour while nobody answers, keeps what it knew, and logs that once a day', async () => {
    const { clock, logger, api, care, facts } = rig();
    care.start();
    await settle();
    api.answer = DOWN;
    await clock.advance(DAY + 5 * HOUR);
    expect(api.asked).toBe(1 + 6);
    expect(logger.count('pat-lookup-failed')).toBe(1);
    expect(care.states()[0]?.life).toMatchObject({
      state: 'good',
      expiresAt: facts.expiresAt.toISOString(),
      failure: 'Not now',
      todo: 'wait',
    });
    api.answer = facts;
    await clock.advance(HOUR);
    expect(care.states()[0]?.life).toMatchObject({ state: 'good', failure: undefined });
  });

  it('asks after a refusal, and not again for ten minutes', async () => {
    const { clock, api, care } = rig();
    care.start();
    await settle();
    api.answer = undefined;
    for (let count = 0; count < 100; count++) {
      care.refused('ci');
      await settle();
    }
    expect(api.asked).toBe(2);
    expect(care.knownOf('ci')?.fate).toContain('contoso has none of that id');
    await clock.advance(10 * 60_000);
    care.refused('ci');
    care.refused('me');
    expect(api.asked).toBe(3);
  });

  it('finds out within an hour after a machine slept over its end', async () => {
    const { clock, care, logger } = rig();
    care.start();
    await settle();
    clock.jump(31 * DAY);
    expect(care.states()[0]?.life?.state).toBe('ended');
    await clock.advance(HOUR);
    expect(logger.count('pat-ended')).toBe(1);
  });

  it('warns of a token for every organisation', async () => {
    const { api, care, logger, facts } = rig();
    api.answer = { ...facts, isGlobal: true };
    care.start();
    await settle();
    expect(logger.lines.find(({ event }) => event === 'pat-global')).toMatchObject({ level: 'warn', fields: { endsAt: '2026-12-01' } });
  });

  it('is told once of each odd text, and only where Azure DevOps Services is meant', () => {
    const oddity = { what: 'is a GUID', todo: 'put it there' };
    const here = rig();
    here.care.read('ci', oddity);
    here.care.read('ci', oddity);
    expect(here.logger.count('pat-doubtful')).toBe(1);
    here.care.read('ci', undefined);
    here.care.read('ci', oddity);
    expect(here.logger.count('pat-doubtful')).toBe(2);
    const server = rig({ routes: [route('tfs.example.com/**', { identity: 'ci', hostKind: 'azure-server' })] });
    server.care.read('ci', oddity);
    expect(server.logger.count('pat-doubtful')).toBe(0);
    expect(server.care.states()[0]?.oddity).toBeUndefined();
    // It is told all the same when the server refused it.
    expect(server.care.knownOf('ci')?.oddity).toEqual(oddity);
  });

  it('gives what it knows to the one that takes its place, and begins anew for another token', async () => {
    const before = rig({ endsInMs: 3 * DAY });
    before.care.start();
    await settle();
    expect(before.logger.count('pat-ends-soon')).toBe(1);
    before.care.close();
    const after = rig({ previous: before.care, clock: before.clock });
    after.care.start();
    await settle();
    expect([after.api.asked, after.logger.count('pat-ends-soon')]).toEqual([0, 0]);
    expect(after.care.states()[0]?.life?.state).toBe('ends-soon');
    const other = rig({ previous: before.care, clock: before.clock, identities: [ME, pat(ID.replace('7', '8'))] });
    expect(other.care.states()[0]?.life?.state).toBe('unknown');
    other.care.start();
    expect(other.api.asked).toBe(1);
  });

  it('asks and says nothing once it is closed', async () => {
    const { clock, api, care, logger } = rig();
    api.answer = DOWN;
    care.start();
    care.close();
    await clock.advance(3 * DAY);
    care.refused('ci');
    expect(api.asked).toBe(1);
    expect(logger.lines).toEqual([]);
    expect(clock.waiting).toBe(0);
  });

  it('says why it cannot ask when no route is for the organisation', async () => {
    const { care } = rig({ routes: [route('dev.azure.com/fabrikam/**', { identity: 'ci' })] });
    care.start();
    await settle();
    expect(care.states()[0]?.life).toMatchObject({
      state: 'unknown',
      failure: 'No route of the configuration is for the organisation contoso',
    });
  });
});
