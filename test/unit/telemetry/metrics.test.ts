import { describe, expect, it } from 'vitest';
import { Ledger } from '../../../src/gate/ledger.js';
import type { IdentityState } from '../../../src/identity/vault-state.js';
import type { Refusal } from '../../../src/model/refusal.js';
import type { HouseView } from '../../../src/telemetry/house-view.js';
import { logTally } from '../../../src/telemetry/log-tally.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { FakeClock } from '../../fakes/clock.js';
import { FakeLogger } from '../../fakes/logger.js';
import { type Exposed, readExposition, valueOf } from '../../support/exposition.js';

const REFUSAL: Refusal = { kind: 'refusal', code: 'ref-refused', status: 403, what: 'No', todo: 'ask' };

async function rig(more: Partial<HouseView> = {}) {
  const clock = new FakeClock();
  const ledger = new Ledger({ clock, logger: new FakeLogger(), audit: { write: () => undefined, refusal: () => undefined } });
  const tally = logTally(clock);
  const metrics = await Metrics.open({
    version: '1.2.3',
    startedAt: clock.now(),
    now: () => clock.now(),
    life: () => ({ state: 'ready', unready: undefined, fault: undefined }),
    running: () => ledger.running(),
    identities: () => [],
    patEnds: () => [],
    pools: () => [],
    throttled: () => 0,
    audit: () => ({ kind: 'off' }),
    limits: () => ({ connections: 10, operations: 5 }),
    doorConnections: () => Promise.resolve([{ door: 'http', count: 3 }]),
    certificateEndsAt: () => undefined,
    logged: () => tally.logged(),
    ...more,
  });
  ledger.observers.add(metrics.observer);
  const read = async (): Promise<ReadonlyMap<string, Exposed>> => readExposition(await metrics.text());
  return { clock, ledger, tally, metrics, read };
}

function identity(more: Partial<IdentityState>): IdentityState {
  return {
    name: 'sp',
    kind: 'client-secret',
    state: 'ready',
    obtainedAt: undefined,
    expiresAt: undefined,
    requests: 0,
    obtained: 0,
    failures: 0,
    failure: undefined,
    todo: undefined,
    variants: [],
    ...more,
  };
}

describe('Metrics', () => {
  it('counts operations by what came of them, and their errors by code', async () => {
    const { ledger, read } = await rig();
    const passed = ledger.begin('127.0.0.1:1');
    Object.assign(passed, { kind: 'fetch', step: 'exchange', identity: 'sp', uid: 1000 });
    ledger.finish(passed, { verdict: 'passed' });
    const refused = ledger.begin('127.0.0.1:2', 'ssh');
    Object.assign(refused, { kind: 'push', step: 'session' });
    ledger.finish(refused, { verdict: 'refused', refusal: REFUSAL });
    ledger.begin('127.0.0.1:3');
    const families = await read();
    const done = { door: 'http', operation: 'fetch', step: 'exchange', verdict: 'passed', identity: 'sp' };
    expect(valueOf(families, 'postern_operations_total', done)).toBe(1);
    const no = { door: 'ssh', operation: 'push', verdict: 'refused' };
    expect(valueOf(families, 'postern_operations_total', { ...no, step: 'session', identity: '' })).toBe(1);
    expect(valueOf(families, 'postern_operation_errors_total', { ...no, code: 'ref-refused' })).toBe(1);
    expect(valueOf(families, 'postern_operations_started_total', { door: 'http' })).toBe(2);
    expect(valueOf(families, 'postern_operations_running', { door: 'http', operation: 'unknown', step: 'unknown' })).toBe(1);
    expect(valueOf(families, 'postern_caller_operations_total', { door: 'http', caller: 'user' })).toBe(1);
    expect(valueOf(families, 'postern_caller_operations_total', { door: 'ssh', caller: 'address' })).toBe(1);
  });

  it('tells nothing of repositories, routes, callers and refs, and has no label of a caller’s choice', async () => {
    const { ledger, metrics } = await rig();
    const record = ledger.begin('203.0.113.77:4242');
    Object.assign(record, {
      kind: 'made-up-kind',
      step: 'made-up-step',
      repository: 'dev.azure.com/contoso/canary/web',
      route: 'canary/**',
    });
    ledger.finish(record, { verdict: 'refused', refusal: { ...REFUSAL, what: 'canary' } });
    const text = await metrics.text();
    expect(text).toContain('postern_operations_total{door="http",operation="unknown",step="unknown",verdict="refused",identity=""} 1');
    expect(text).not.toMatch(/canary|made-up|203\.0\.113|4242|contoso/);
  });

  it('escapes a name with odd characters, so that it is read back as it was', async () => {
    const name = 'a "quoted" \\ back\nslash {x="y"} ü';
    const { read, metrics } = await rig({ identities: () => [identity({ name, state: 'failing' })] });
    expect(valueOf(await read(), 'postern_identity_failing', { identity: name })).toBe(1);
    expect(await metrics.text()).toContain('identity="a \\"quoted\\" \\\\ back\\nslash {x=\\"y\\"} ü"');
  });

  it('counts bytes of running operations too, and never goes back', async () => {
    const { ledger, read } = await rig();
    const down = { door: 'http', operation: 'fetch', direction: 'down' };
    const record = ledger.begin('127.0.0.1:1');
    Object.assign(record, { kind: 'fetch', step: 'exchange', bytesDown: 100 });
    expect(valueOf(await read(), 'postern_operation_bytes_total', down)).toBe(100);
    record.bytesDown = 250;
    expect(valueOf(await read(), 'postern_operation_bytes_total', down)).toBe(250);
    ledger.finish(record, { verdict: 'passed' });
    expect(valueOf(await read(), 'postern_operation_bytes_total', down)).toBe(250);
  });

  it('tells the age of a token that is held, and nothing of one that has ended', async () => {
    let expiresAt = new Date(0);
    const { clock, read } = await rig({
      identities: () => [identity({ obtainedAt: new Date(5000), expiresAt, requests: 3, obtained: 2, failures: 1 })],
    });
    expiresAt = new Date(clock.now() + 60_000);
    const families = await read();
    expect(valueOf(families, 'postern_token_expiry_timestamp_seconds', { identity: 'sp' })).toBe(expiresAt.getTime() / 1000);
    expect(valueOf(families, 'postern_token_obtained_timestamp_seconds', { identity: 'sp' })).toBe(5);
    expect(valueOf(families, 'postern_token_requests_total', { identity: 'sp' })).toBe(3);
    expect(valueOf(families, 'postern_token_fetches_total', { identity: 'sp', result: 'success' })).toBe(2);
    expect(valueOf(families, 'postern_token_fetches_total', { identity: 'sp', result: 'failure' })).toBe(1);
    clock.jump(60_000);
    expect((await read()).get('postern_token_expiry_timestamp_seconds')?.samples).toEqual([]);
  });

  it('leaves out what there is none of, and forgets what has gone', async () => {
    let names = ['one', 'two'];
    const { read } = await rig({ identities: () => names.map((name) => identity({ name })) });
    expect((await read()).get('postern_identity_failing')?.samples).toHaveLength(2);
    names = ['two'];
    const families = await read();
    expect(families.get('postern_identity_failing')?.samples).toHaveLength(1);
    expect(families.get('postern_door_certificate_expiry_timestamp_seconds')?.samples).toEqual([]);
    expect(families.get('postern_build_info')?.samples).toEqual([{ name: 'postern_build_info', labels: { version: '1.2.3' }, value: 1 }]);
  });

  it('tells of reloads what the log was told', async () => {
    const { clock, tally, read } = await rig();
    const log = tally.watch(new FakeLogger());
    expect(valueOf(await read(), 'postern_configuration_last_reload_successful')).toBe(1);
    clock.jump(1000);
    log.log('error', 'reload-failed');
    const failed = await read();
    expect(valueOf(failed, 'postern_configuration_last_reload_successful')).toBe(0);
    expect(valueOf(failed, 'postern_configuration_reloads_total', { result: 'failure' })).toBe(1);
    clock.jump(1000);
    log.log('info', 'reloaded');
    const good = await read();
    expect(valueOf(good, 'postern_configuration_last_reload_successful')).toBe(1);
    expect(valueOf(good, 'postern_configuration_loaded_timestamp_seconds')).toBe(clock.now() / 1000);
    expect(valueOf(good, 'postern_log_events_total', { level: 'info', event: 'reloaded' })).toBe(1);
  });

  it('gives who asks at the same time one answer', async () => {
    let asked = 0;
    const { metrics } = await rig({ throttled: () => (asked += 1) });
    const [one, other] = await Promise.all([metrics.text(), metrics.text()]);
    expect([asked, one === other]).toEqual([1, true]);
    await metrics.text();
    expect(asked).toBe(2);
  });
});

describe('logTally()', () => {
  it('counts and passes on, and leaves the rest of the log as it is', () => {
    const clock = new FakeClock();
    const tally = logTally(clock);
    const inner = Object.assign(new FakeLogger(), { level: 'info' });
    const log = tally.watch(inner);
    log.log('warn', 'overloaded', { what: 'x' });
    inner.level = 'debug';
    expect([log.level, inner.lines]).toEqual(['debug', [{ level: 'warn', event: 'overloaded', fields: { what: 'x' } }]]);
    expect(tally.logged()).toEqual([{ level: 'warn', event: 'overloaded', count: 1, lastAt: clock.now() }]);
  });

  it('tells when personal access tokens end, also of those that have', async () => {
    const { read } = await rig({ patEnds: () => [{ identity: 'ci', expiresAt: 5_000 }] });
    expect(valueOf(await read(), 'postern_pat_expiry_timestamp_seconds', { identity: 'ci' })).toBe(5);
  });
});
