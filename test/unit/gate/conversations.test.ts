import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { GRACE_MS, PACKING_GRACE_MS } from '../../../src/gate/conversations.js';
import { Ledger } from '../../../src/gate/ledger.js';
import type { OperationRecord, Verdict } from '../../../src/model/record.js';
import { FakeClock } from '../../fakes/clock.js';

const AUDIT = { write: () => undefined, refusal: () => undefined };

function book() {
  const clock = new FakeClock();
  const ledger = new Ledger({ clock, logger: { log: () => undefined }, audit: AUDIT });
  const { conversations } = ledger;
  const record = (kind: string, step: string, { uid = 1000, repository = 'host/web' } = {}): OperationRecord =>
    Object.assign(ledger.begin('127.0.0.1:1'), { kind, step, uid, repository });
  const end = (each: OperationRecord, verdict: Exclude<Verdict, 'running'> = 'passed'): void => ledger.finish(each, { verdict });
  return { clock, conversations, record, end };
}

const line = (): PassThrough => new PassThrough();

/** As Node.js does with a connection that its client has closed. */
async function closed(connection: PassThrough): Promise<void> {
  connection.destroy();
  await new Promise((resolve) => setImmediate(resolve));
}

test('an operation runs from its info/refs over several requests, until a grace after the last one', async () => {
  const { clock, conversations, record, end } = book();
  const [first, connection] = [record('fetch', 'advertisement'), line()];
  expect(conversations.join(first, connection)).toBe(false);
  conversations.begin(first, connection);
  expect(conversations.open).toMatchObject([{ running: 1 }]);
  end(first);
  expect(conversations.between).toHaveLength(1);
  for (let round = 0; round < 3; round += 1) {
    await clock.advance(GRACE_MS - 1);
    const next = record('fetch', 'exchange');
    expect(conversations.join(next, connection)).toBe(true);
    expect(conversations.between).toHaveLength(0);
    end(next);
  }
  await clock.advance(GRACE_MS - 1);
  expect(conversations.open).toHaveLength(1);
  await clock.advance(1);
  expect(conversations.open).toHaveLength(0);
  expect(conversations.join(record('fetch', 'exchange'), connection)).toBe(false);
});

test('another caller, repository or direction does not belong to it; another connection does', () => {
  const { conversations, record, end } = book();
  const [first, connection] = [record('fetch', 'advertisement'), line()];
  conversations.begin(first, connection);
  end(first);
  expect(conversations.join(record('fetch', 'exchange', { uid: 1001 }), connection)).toBe(false);
  expect(conversations.join(record('fetch', 'exchange', { repository: 'host/other' }), connection)).toBe(false);
  expect(conversations.join(record('push', 'exchange'), connection)).toBe(false);
  expect(conversations.join(record('fetch', 'advertisement'), connection)).toBe(false);
  expect(conversations.join(record('fetch', 'exchange'), line())).toBe(true);
});

test('it ends with the connection that its client closes, but not with one that the door closed for its silence', async () => {
  const { clock, conversations, record, end } = book();
  for (const isOurs of [false, true]) {
    const [first, connection] = [record('push', 'advertisement'), line()];
    conversations.begin(first, connection);
    end(first);
    if (isOurs) connection.emit('timeout');
    await closed(connection);
    expect(conversations.open).toHaveLength(isOurs ? 1 : 0);
  }
  // git packs meanwhile, and comes back by another connection.
  await clock.advance(PACKING_GRACE_MS - 1);
  expect(conversations.join(record('push', 'exchange'), line())).toBe(true);
});

test('it ends with the request during which its client went away, and with an advertisement that failed', async () => {
  const { conversations, record, end } = book();
  const [first, connection] = [record('fetch', 'advertisement'), line()];
  conversations.begin(first, connection);
  await closed(connection);
  end(first);
  expect(conversations.open).toHaveLength(0);
  for (const verdict of ['failed', 'client-gone'] as const) {
    const other = record('fetch', 'advertisement');
    conversations.begin(other, line());
    end(other, verdict);
    expect(conversations.open).toHaveLength(0);
  }
});

test('a client that was asked for its own credential asks for the same advertisement again', () => {
  const { conversations, record, end } = book();
  const [first, connection] = [record('fetch', 'advertisement'), line()];
  conversations.begin(first, connection);
  first.upstreamStatus = 401;
  end(first);
  const again = record('fetch', 'advertisement');
  expect(conversations.join(again, connection)).toBe(true);
  end(again);
  expect(conversations.join(record('fetch', 'advertisement'), connection)).toBe(false);
});

test('of many alike each keeps to its own connection', async () => {
  const { conversations, record, end } = book();
  const lines = [line(), line()] as const;
  for (const connection of lines) {
    const first = record('fetch', 'advertisement');
    conversations.begin(first, connection);
    end(first);
  }
  const next = record('fetch', 'exchange');
  expect(conversations.join(next, lines[1])).toBe(true);
  await closed(lines[0]);
  expect(conversations.open).toMatchObject([{ running: 1, record: next }]);
});

test('who asks for the same again and again on one connection has one place, and each of its own connections one', () => {
  const { conversations, record, end } = book();
  const [connection, other] = [line(), line()];
  let given = 0;
  for (let time = 0; time < 50; time += 1) {
    const again = record('fetch', 'advertisement');
    conversations.begin(again, connection, () => (given += 1));
    end(again);
  }
  expect(conversations.open).toHaveLength(1);
  expect(given).toBe(49);
  const beside = record('fetch', 'advertisement');
  conversations.begin(beside, other);
  end(beside);
  expect(conversations.open).toHaveLength(2);
  // One that runs is not over because another begins.
  const [running, second] = [record('fetch', 'advertisement'), record('fetch', 'advertisement')];
  conversations.begin(running, connection);
  conversations.begin(second, connection);
  expect(conversations.open.filter((each) => each.running > 0)).toHaveLength(2);
});

test('a call of the REST API belongs to nothing: it has ended when it is answered, and gives its place back', () => {
  const { conversations, record, end } = book();
  const connection = line();
  let given = 0;
  for (const repository of ['host/one', 'host/two', 'host/two']) {
    const call = record('api', 'read', { repository });
    expect(conversations.join(call, connection)).toBe(false);
    conversations.begin(call, connection, () => (given += 1));
    end(call);
    expect(conversations.open).toHaveLength(0);
  }
  expect(given).toBe(3);
});
