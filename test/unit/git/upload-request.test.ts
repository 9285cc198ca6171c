import { describe, expect, it } from 'vitest';
import { FLUSH_PACKET, writePacket } from '../../../src/git/pkt-line.js';
import { type AckMode, FetchTalk, isShallowLine, parseAckLine, parseHaveLine, Wants } from '../../../src/git/upload-request.js';

const A = 'a'.repeat(40);
const B = 'b'.repeat(40);
const C = 'c'.repeat(40);
const LONG = 'd'.repeat(64);
const DETAILED = new Set(['multi_ack_detailed', 'multi_ack']);

function wants(...lines: readonly string[]): Wants {
  const all = new Wants();
  for (const text of lines) all.add(Buffer.from(text));
  return all;
}

function packets(...lines: readonly string[]): string {
  return Buffer.concat(lines.map((text) => (text === '' ? FLUSH_PACKET : writePacket(text)))).toString('latin1');
}

describe('Wants', () => {
  it('says again what the client said', () => {
    const lines = [
      `want ${A} multi_ack_detailed side-band-64k agent=x\n`,
      `want ${B}\n`,
      `shallow ${C}\n`,
      'deepen 3\n',
      'filter blob:none\n',
    ];
    expect(
      wants(...lines)
        .bytes(DETAILED)
        .toString('latin1'),
    ).toBe(packets(...lines, ''));
  });

  it.each<[client: string, offered: ReadonlySet<string>, upstream: string, mode: AckMode]>([
    [' multi_ack thin-pack', DETAILED, ' multi_ack_detailed thin-pack', 'multi_ack'],
    [' thin-pack', DETAILED, ' multi_ack_detailed thin-pack', 'single'],
    ['', DETAILED, ' multi_ack_detailed', 'single'],
    [' multi_ack', new Set(['multi_ack']), ' multi_ack', 'multi_ack'],
    ['', new Set(), '', 'single'],
    [' multi_ack_detailed', new Set(), ' multi_ack_detailed', 'multi_ack_detailed'],
  ])('of a client that asks for "%s" asks the server for the most detailed answers', (client, offered, upstream, mode) => {
    const all = wants(`want ${A}${client}`, `want ${B}`);
    expect(all.bytes(offered).toString('latin1')).toBe(packets(`want ${A}${upstream}\n`, `want ${B}\n`, ''));
    expect(all.mode).toBe(mode);
  });

  it('knows what the answers will be like', () => {
    expect(wants(`want ${A} side-band`).isBanded).toBe(true);
    expect(wants(`want ${A} thin-pack`).isBanded).toBe(false);
    expect(wants(`want ${A}`, `shallow ${B}`).isDeepening).toBe(false);
    for (const line of ['deepen 1', 'deepen-since 1600000000', 'deepen-not refs/heads/x'])
      expect(wants(`want ${A}`, line).isDeepening).toBe(true);
    expect(wants(`want ${A}`).format).toBe('sha1');
    expect(wants(`want ${LONG} x`).format).toBe('sha256');
    expect(wants().isEmpty).toBe(true);
  });
});

describe('lines of the talk', () => {
  it('reads haves', () => {
    expect(parseHaveLine(Buffer.from(`have ${A}\n`))).toEqual({ kind: 'have', oid: A });
    expect(parseHaveLine(Buffer.from(`have ${LONG}`))).toEqual({ kind: 'have', oid: LONG });
    expect(parseHaveLine(Buffer.from('done\n'))).toEqual({ kind: 'done' });
    for (const text of ['', 'have', `have ${A}a`, `want ${A}`, 'done\n\n', `have ${'A'.repeat(40)}`])
      expect(() => parseHaveLine(Buffer.from(text))).toThrow(SyntaxError);
  });

  it('reads ACK and NAK', () => {
    expect(parseAckLine(Buffer.from('NAK\n'))).toEqual({ kind: 'nak' });
    for (const oid of [A, LONG]) {
      for (const status of ['common', 'ready', 'continue'] as const)
        expect(parseAckLine(Buffer.from(`ACK ${oid} ${status}\n`))).toEqual({ kind: 'ack', oid, status });
      expect(parseAckLine(Buffer.from(`ACK ${oid}\n`))).toEqual({ kind: 'ack', oid, status: 'final' });
    }
    for (const text of ['', 'NAK x', 'ACK', `ACK ${A}a`, `\u0001PACK`]) expect(parseAckLine(Buffer.from(text))).toBeUndefined();
  });

  it('knows lines of an edge', () => {
    expect([`shallow ${A}`, `unshallow ${A}`, 'NAK', `ACK ${A}`, 'shallow'].map((text) => isShallowLine(Buffer.from(text)))).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
  });
});

describe('FetchTalk', () => {
  const start = Buffer.from('WANTS0000');
  const text = (bytes: Buffer | undefined): string | undefined => bytes?.toString('latin1');

  it('says what is common in every later request, and what was not only once', () => {
    const talk = new FetchTalk(start, 'multi_ack_detailed');
    talk.have(A);
    talk.have(B);
    expect(text(talk.request('flush'))).toBe(`WANTS0000${packets(`have ${A}\n`, `have ${B}\n`, '')}`);
    expect(text(talk.acknowledge(B, 'common'))).toBe(packets(`ACK ${B} common\n`));
    expect(text(talk.closeWindow())).toBe(packets('NAK\n'));
    talk.have(C);
    expect(text(talk.request('flush'))).toBe(`WANTS0000${packets(`have ${B}\n`, `have ${C}\n`, '')}`);
    expect(talk.acknowledge(B, 'common')).toBeUndefined();
    expect(text(talk.acknowledge(C, 'ready'))).toBe(packets(`ACK ${C} ready\n`));
    expect(text(talk.closeWindow())).toBe(packets('NAK\n'));
    expect(text(talk.request('done'))).toBe(`WANTS0000${packets(`have ${B}\n`, 'done\n')}`);
    expect(text(talk.conclude({ kind: 'ack', oid: B, status: 'final' }))).toBe(packets(`ACK ${B}\n`));
  });

  it('tells a client of multi_ack in its words', () => {
    const talk = new FetchTalk(start, 'multi_ack');
    talk.have(A);
    expect(text(talk.acknowledge(A, 'common'))).toBe(packets(`ACK ${A} continue\n`));
    expect(text(talk.acknowledge(A, 'ready'))).toBe(packets(`ACK ${A} continue\n`));
    expect(text(talk.closeWindow())).toBe(packets('NAK\n'));
  });

  it('tells a client that takes one ACK once, and then nothing until the pack', () => {
    const talk = new FetchTalk(start, 'single');
    talk.have(A);
    expect(text(talk.closeWindow())).toBe(packets('NAK\n'));
    talk.have(B);
    talk.have(C);
    expect(text(talk.acknowledge(B, 'common'))).toBe(packets(`ACK ${B}\n`));
    expect(talk.acknowledge(C, 'common')).toBeUndefined();
    expect(talk.acknowledge(C, 'ready')).toBeUndefined();
    expect(talk.closeWindow()).toBeUndefined();
    expect(talk.conclude({ kind: 'ack', oid: C, status: 'final' })).toBeUndefined();
    const other = new FetchTalk(start, 'single');
    expect(text(other.conclude({ kind: 'nak' }))).toBe(packets('NAK\n'));
  });

  it('writes long object ids with their own length', () => {
    const talk = new FetchTalk(start, 'multi_ack_detailed');
    talk.have(LONG);
    expect(text(talk.request('done'))).toBe(`WANTS0000${packets(`have ${LONG}\n`, 'done\n')}`);
    expect(talk.bytes).toBeGreaterThanOrEqual(talk.request('done').length - 9);
  });
});
