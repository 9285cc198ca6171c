import { describe, expect, it } from 'vitest';
import { CALLERS_KEPT } from '../../../src/gate/callers-seen.js';
import { Ledger } from '../../../src/gate/ledger.js';
import type { Caveat } from '../../../src/model/lease.js';
import type { OperationRecord } from '../../../src/model/record.js';
import { FakeClock } from '../../fakes/clock.js';
import { FakeLogger } from '../../fakes/logger.js';

const END = new Date(Date.UTC(2030, 0, 1, 2));

function book(): { ledger: Ledger; clock: FakeClock; done: (as: Partial<OperationRecord>, verdict?: 'passed' | 'refused') => void } {
  const clock = new FakeClock();
  const ledger = new Ledger({ clock, logger: new FakeLogger(), audit: { write: () => undefined, refusal: () => undefined } });
  return {
    ledger,
    clock,
    done(as, verdict = 'passed') {
      ledger.finish(Object.assign(ledger.begin(as.caller ?? '127.0.0.1:1'), as), { verdict });
    },
  };
}

function leased(...caveats: readonly Caveat[]): Partial<OperationRecord> {
  return { uid: 1000, lease: { keyId: 'k', caveats } };
}

describe('Ledger.callers()', () => {
  it('counts by user, whatever came of the operation, the latest first', () => {
    const { ledger, clock, done } = book();
    done({ uid: 1000 });
    clock.jump(1000);
    done({ uid: 1001 }, 'refused');
    clock.jump(1000);
    done({ uid: 1000, caller: '127.0.0.1:2' });
    expect(ledger.callers()).toEqual({
      seen: [
        { who: { kind: 'user', uid: 1000 }, operations: 2, refused: 0, running: 0, lastSeenAt: new Date(clock.now()) },
        { who: { kind: 'user', uid: 1001 }, operations: 1, refused: 1, running: 0, lastSeenAt: new Date(clock.now() - 1000) },
      ],
      forgotten: 0,
    });
  });

  it('shows one whose first operation still runs', () => {
    const { ledger, clock } = book();
    const record = ledger.begin('10.0.0.3:5000');
    const startedAt = new Date(clock.now());
    clock.jump(5000);
    expect(ledger.callers().seen).toEqual([
      { who: { kind: 'address', ip: '10.0.0.3' }, operations: 0, refused: 0, running: 1, lastSeenAt: startedAt },
    ]);
    ledger.finish(record, { verdict: 'passed' });
    expect(ledger.callers().seen).toMatchObject([{ operations: 1, running: 0, lastSeenAt: new Date(clock.now()) }]);
  });

  it('takes a lease for the caller, not the user at the other end, and its narrowed ones for the same', () => {
    const { ledger, done } = book();
    const grant: Caveat = { id: 'aa', label: 'nightly', expiresAt: new Date(END.getTime() + 1) };
    done(leased(grant));
    done(leased(grant, { id: 'bb', expiresAt: END }));
    done(leased(grant, { id: 'cc' }));
    done(leased({ id: 'dd' }));
    expect(ledger.callers().seen).toMatchObject([
      { who: { kind: 'lease', id: 'dd', label: undefined, narrowedTo: undefined, expiresAt: undefined }, operations: 1 },
      { who: { kind: 'lease', id: 'aa', label: 'nightly', narrowedTo: 'cc', expiresAt: new Date(END.getTime() + 1) }, operations: 3 },
    ]);
    done(leased(grant, { id: 'bb', expiresAt: END }));
    expect(ledger.callers().seen[0]?.who).toMatchObject({ narrowedTo: 'bb', expiresAt: END });
  });

  it('keeps a bounded number, and says how many gave way', () => {
    const { ledger, clock, done } = book();
    for (let uid = 0; uid < CALLERS_KEPT + 10; uid++) {
      clock.jump(1);
      done({ uid });
      // One that comes back is not the oldest.
      done({ uid: 0 });
    }
    const { seen, forgotten } = ledger.callers();
    expect(seen).toHaveLength(CALLERS_KEPT);
    expect(forgotten).toBe(10);
    const uids = seen.map(({ who }) => (who.kind === 'user' ? who.uid : -1));
    expect(uids).toContain(0);
    expect(uids).not.toContain(10);
    expect(uids).toContain(11);
  });
});
