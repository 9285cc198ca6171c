/** Promise: a code of the status page is good once, for a minute, for one user and one address; a session for a working day, likewise. */
import { describe, expect, it } from 'vitest';
import { CODE_MS, MOST_CODES, MOST_SESSIONS, PageSessions, SESSION_MS } from '../../../src/gate/page-sessions.js';
import { FakeClock } from '../../fakes/clock.js';

const ADA = { uid: 1000, host: '127.0.0.1:8417' };
const EVE = { ...ADA, uid: 1001 };
const ELSEWHERE = { ...ADA, host: '127.0.0.1:9417' };

function book(): { sessions: PageSessions; clock: FakeClock } {
  const clock = new FakeClock();
  return { sessions: new PageSessions(clock), clock };
}

describe('PageSessions', () => {
  it('makes a session of a code once', async () => {
    const { sessions } = book();
    const { id, code } = sessions.give(ADA);
    const session = sessions.open(code.reveal(), ADA)?.reveal() ?? '';
    expect(sessions.isOpen(session, ADA)).toBe(true);
    expect(sessions.open(code.reveal(), ADA)).toBeUndefined();
    expect(await sessions.ended(id)).toBe('opened');
    expect([String(code), JSON.stringify({ code })]).toEqual(['[secret]', '{"code":"[secret]"}']);
  });

  it.each([
    ['another user', EVE],
    ['another address', ELSEWHERE],
  ])('uses a code up that %s brings', async (_who, visitor) => {
    const { sessions } = book();
    const { id, code } = sessions.give(ADA);
    expect(sessions.open(code.reveal(), visitor)).toBeUndefined();
    expect(sessions.open(code.reveal(), ADA)).toBeUndefined();
    expect(await sessions.ended(id)).toBe('refused');
  });

  it('lets a code go after its minute, also when the timer is late', async () => {
    const { sessions, clock } = book();
    const first = sessions.give(ADA);
    clock.jump(CODE_MS);
    expect(sessions.open(first.code.reveal(), ADA)).toBeUndefined();
    const second = sessions.give(ADA);
    await clock.advance(CODE_MS);
    expect(await sessions.ended(second.id)).toBe('unused');
    expect(sessions.open(second.code.reveal(), ADA)).toBeUndefined();
    expect(clock.waiting).toBe(0);
  });

  it('opens a session to its user at its address, until it ends', () => {
    const { sessions, clock } = book();
    const session = sessions.open(sessions.give(ADA).code.reveal(), ADA)?.reveal() ?? '';
    expect([ADA, EVE, ELSEWHERE].map((visitor) => sessions.isOpen(session, visitor))).toEqual([true, false, false]);
    clock.jump(SESSION_MS - 1);
    expect(sessions.isOpen(session, ADA)).toBe(true);
    clock.jump(1);
    expect(sessions.isOpen(session, ADA)).toBe(false);
  });

  it('takes neither a code for a session nor a session for a code', () => {
    const { sessions } = book();
    const { id, code } = sessions.give(ADA);
    expect(sessions.isOpen(code.reveal(), ADA)).toBe(false);
    expect(sessions.open(id, ADA)).toBeUndefined();
    const session = sessions.open(code.reveal(), ADA)?.reveal() ?? '';
    expect(sessions.open(session, ADA)).toBeUndefined();
  });

  it('keeps so many codes and sessions and no more: the oldest give way', async () => {
    const { sessions, clock } = book();
    const codes = Array.from({ length: MOST_CODES + 1 }, () => sessions.give(ADA));
    expect(await sessions.ended(codes[0]?.id ?? '')).toBe('unused');
    expect(sessions.open(codes[0]?.code.reveal() ?? '', ADA)).toBeUndefined();
    expect(clock.waiting).toBe(MOST_CODES);
    const opened = Array.from({ length: MOST_SESSIONS + 1 }, () => sessions.open(sessions.give(ADA).code.reveal(), ADA)?.reveal() ?? '');
    expect(opened.map((session) => sessions.isOpen(session, ADA))).toEqual([false, ...opened.slice(1).map(() => true)]);
  });
});
