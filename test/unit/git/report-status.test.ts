import { describe, expect, it } from 'vitest';
import { parsePacket } from '../../../src/git/pkt-line.js';
import type { CommandList } from '../../../src/git/receive-pack.js';
import { writeRefusedPush } from '../../../src/git/report-status.js';

const NONE = '0'.repeat(40);
const ONE = 'c29b3412b24ec135f9768f86f67e8fec1e3fa62e';

/** Packets of a body, undone from their side band if they have one. */
function packets(bytes: Buffer): (string | null)[] {
  const found: (string | null)[] = [];
  for (let at = 0; at < bytes.length;) {
    const read = parsePacket(bytes, at);
    if (read === undefined) throw new Error(`not whole at ${at}`);
    found.push(read.packet.kind === 'data' ? read.packet.payload.toString('latin1') : null);
    at = read.next;
  }
  return found;
}

function listWith(capabilities: readonly string[], refs: readonly string[] = ['refs/heads/main', 'refs/tags/v1']): CommandList {
  return { commands: refs.map((ref) => ({ oldOid: NONE, newOid: ONE, ref })), capabilities: new Set(capabilities) };
}

const REPORT = ['unpack ok\n', 'ng refs/heads/main no\n', 'ng refs/tags/v1 not either\n', null];

describe('writeRefusedPush()', () => {
  it.each([[['report-status']], [['report-status-v2']], [['report-status', 'report-status-v2']]])(
    'is a bare report for a client with %s',
    (capabilities) => {
      const body = writeRefusedPush(listWith(capabilities), ['no', 'not either'], ['a', 'b']);
      expect(body === undefined ? body : packets(body)).toEqual(REPORT);
    },
  );

  it.each([
    ['side-band-64k', 65_520],
    ['side-band', 1000],
  ])('goes through %s: progress for a person, then the report', (band, most) => {
    const body = writeRefusedPush(listWith(['report-status', band]), ['no', 'not either'], ['one', 'two']) ?? Buffer.alloc(0);
    const [first, second, ...rest] = packets(body);
    expect([first, second, rest.at(-1)]).toEqual(['\u0002one\n', '\u0002two\n', null]);
    const report = rest.slice(0, -1).map((payload) => {
      expect(payload?.[0]).toBe('\u0001');
      return payload?.slice(1) ?? '';
    });
    expect(packets(Buffer.from(report.join(''), 'latin1'))).toEqual(REPORT);
    expect(Math.max(...[first, second, ...rest].map((payload) => (payload?.length ?? 0) + 4))).toBeLessThanOrEqual(most);
  });

  it.each([
    ['side-band-64k', 65_520],
    ['side-band', 1000],
  ])('keeps to the packets of %s, whatever it has to say', (band, most) => {
    const refs = Array.from({ length: 3000 }, (_, index) => `refs/heads/${'x'.repeat(40)}${index}`);
    const lines = ['x'.repeat(5000), '€'.repeat(5000), '\u{1f600}'.repeat(5000)];
    const body =
      writeRefusedPush(
        listWith(['report-status', band], refs),
        refs.map(() => 'no'),
        lines,
      ) ?? Buffer.alloc(0);
    const sent = packets(body);
    expect(Math.max(...sent.map((payload) => (payload?.length ?? 0) + 4))).toBeLessThanOrEqual(most);
    for (const payload of sent.slice(0, 3)) expect(Buffer.from(payload ?? '', 'latin1').toString('utf8')).not.toContain('\ufffd');
    const report = sent
      .slice(3, -1)
      .map((payload) => payload?.slice(1) ?? '')
      .join('');
    expect(packets(Buffer.from(report, 'latin1'))).toHaveLength(refs.length + 2);
  });

  it.each([[[]], [['side-band-64k']], [['atomic', 'ofs-delta']]])('cannot be said to a client with %j only', (capabilities) => {
    expect(writeRefusedPush(listWith(capabilities), ['no', 'not either'], ['a'])).toBeUndefined();
  });

  it('has one line for each ref, whatever the reason holds', () => {
    const body = writeRefusedPush(listWith(['report-status']), ['first\nng refs/heads/other yes\r\n\tsecond'], []);
    expect(body === undefined ? body : packets(body)[1]).toBe('ng refs/heads/main first ng refs/heads/other yes second\n');
  });

  it('keeps a ref whole and cuts the reason', () => {
    const ref = `refs/heads/${'é'.repeat(30_000)}`;
    const body = writeRefusedPush(listWith(['report-status'], [ref]), ['€'.repeat(30_000)], []) ?? Buffer.alloc(0);
    const line = Buffer.from(packets(body)[1] ?? '', 'latin1').toString('utf8');
    expect(line).toMatch(new RegExp(`^ng ${ref} €+\n$`));
  });
});
