import { expect, it } from 'vitest';
import { Reloads } from '../../../src/daemon/reloads.js';
import { ProxyError } from '../../../src/model/errors.js';
import { FakeClock } from '../../fakes/clock.js';
import { FakeLogger } from '../../fakes/logger.js';

/** Reloads whose work ends when the test says so. */
function held() {
  const begun: { readonly end: (fault?: ProxyError) => void }[] = [];
  let ended = 0;
  const logger = new FakeLogger();
  const reloads = new Reloads({
    apply: () =>
      new Promise((resolve, reject) => {
        begun.push({
          end: (fault) => {
            if (fault === undefined) resolve(['a warning']);
            else reject(fault);
          },
        });
      }),
    clock: new FakeClock(),
    logger,
    onEnd: () => (ended += 1),
  });
  return { reloads, begun, logger, ended: () => ended };
}

it('one at a time; what is asked meanwhile is one more after, which reads what is there then', async () => {
  const { reloads, begun, ended } = held();
  const first = reloads.reload('SIGHUP');
  const [second, third] = [reloads.reload('file'), reloads.reload('admin')];
  expect(begun).toHaveLength(1);
  begun[0]?.end();
  expect(await first).toMatchObject({ kind: 'done', cause: 'SIGHUP', warnings: ['a warning'] });
  await Promise.resolve();
  expect(begun).toHaveLength(2);
  begun[1]?.end(new ProxyError('config-invalid', 'The configuration has a fault', { details: ['F:1:1: x'], todo: 'Correct it' }));
  expect(await second).toMatchObject({ kind: 'failed', cause: 'file', what: 'The configuration has a fault', details: ['F:1:1: x'] });
  expect(await third).toBe(await second);
  expect(reloads.latest).toBe(await second);
  await reloads.settled();
  expect(begun).toHaveLength(2);
  expect(reloads.counts).toEqual({ done: 1, failed: 1 });
  expect(ended()).toBe(2);
});

it('settled() waits for the one that waits, too', async () => {
  const { reloads, begun } = held();
  void reloads.reload('SIGHUP');
  void reloads.reload('SIGHUP');
  let isSettled = false;
  const settled = reloads.settled().then(() => (isSettled = true));
  begun[0]?.end();
  await new Promise((resolve) => setImmediate(resolve));
  expect(isSettled).toBe(false);
  begun[1]?.end();
  await settled;
  expect(begun).toHaveLength(2);
});
