import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FetchEnd } from '../../../src/git/fetch-end.js';
import { writePacket } from '../../../src/git/pkt-line.js';

const V2 = Buffer.concat([writePacket('version 2\n'), writePacket('ls-refs\n'), Buffer.from('0000')]);
const V0 = Buffer.concat([writePacket(`${'1'.repeat(40)} HEAD\0multi_ack\n`), Buffer.from('0000')]);
const REQUEST = Buffer.concat([writePacket('command=ls-refs\n'), Buffer.from('0001'), writePacket('peel\n'), Buffer.from('0000')]);
const ANSWER = Buffer.concat([writePacket(`${'1'.repeat(40)} HEAD\n`), Buffer.from('0000')]);
const FLUSH = Buffer.from('0000');

type Said = readonly ['up' | 'down', Buffer];

function isOver(...said: readonly Said[]): boolean {
  const end = new FetchEnd();
  for (const [way, bytes] of said) end[way](bytes);
  return end.isOver;
}

describe('FetchEnd', () => {
  it.each<[string, Said[], boolean]>([
    [
      'version 2, a lone flush at once',
      [
        ['down', V2],
        ['up', FLUSH],
      ],
      true,
    ],
    [
      'version 2, behind a request and its answer',
      [
        ['down', V2],
        ['up', REQUEST],
        ['down', ANSWER],
        ['up', FLUSH],
      ],
      true,
    ],
    [
      'version 2, before the answer has come',
      [
        ['down', V2],
        ['up', REQUEST],
        ['up', FLUSH],
        ['down', ANSWER.subarray(0, 10)],
      ],
      false,
    ],
    [
      'version 2, when the answer is whole after all',
      [
        ['down', V2],
        ['up', REQUEST],
        ['up', FLUSH],
        ['down', ANSWER],
      ],
      true,
    ],
    [
      'version 2, a request alone',
      [
        ['down', V2],
        ['up', REQUEST],
        ['down', ANSWER],
      ],
      false,
    ],
    [
      'version 2, something behind the flush',
      [
        ['down', V2],
        ['up', Buffer.concat([FLUSH, REQUEST])],
      ],
      false,
    ],
    [
      'version 0, nothing wanted',
      [
        ['down', V0],
        ['up', FLUSH],
      ],
      true,
    ],
    [
      'version 0, a flush between rounds',
      [
        ['down', V0],
        ['up', Buffer.concat([writePacket('want x\n'), FLUSH])],
        ['up', FLUSH],
      ],
      false,
    ],
    ['before the server has said anything', [['up', FLUSH]], false],
    [
      'what is no packet',
      [
        ['down', Buffer.from('hello')],
        ['up', FLUSH],
      ],
      false,
    ],
    [
      'a client that speaks no packets',
      [
        ['down', V2],
        ['up', Buffer.from('quit')],
      ],
      false,
    ],
  ])('%s', (_, said, expected) => {
    expect(isOver(...said)).toBe(expected);
  });

  it('sees the same however the bytes are cut', () => {
    const whole: Said[] = [
      ['down', V2],
      ['up', REQUEST],
      ['down', ANSWER],
      ['up', FLUSH],
    ];
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 12 }), { minLength: 4, maxLength: 60 }), (cuts) => {
        let next = 0;
        const end = new FetchEnd();
        for (const [way, bytes] of whole) {
          for (let at = 0; at < bytes.length;) {
            expect(end.isOver).toBe(false);
            const size = 1 + (cuts[next++ % cuts.length] ?? 0);
            end[way](bytes.subarray(at, at + size));
            at += size;
          }
        }
        expect(end.isOver).toBe(true);
      }),
    );
  });
});
