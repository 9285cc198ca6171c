import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { includeBlock, insertionFor, removeInsertion } from '../../../../src/cli/gitconfig/insertion.js';

const OWNED = '/home/jane/.config/postern/gitconfig';
const BLOCK = includeBlock(OWNED);

function removed(text: string, inserted = BLOCK, offset = 0): string {
  const removal = removeInsertion(Buffer.from(text), inserted, offset);
  return removal.kind === 'removed' ? removal.content.toString() : removal.kind;
}

describe('removeInsertion()', () => {
  it('undoes insertionFor() for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const content = Buffer.from(bytes);
        const inserted = insertionFor(content, includeBlock(OWNED));
        const removal = removeInsertion(Buffer.concat([content, Buffer.from(inserted)]), inserted, content.length);
        expect(removal.kind === 'removed' && removal.content.equals(content)).toBe(true);
      }),
    );
  });

  it.each([
    ['moved down', `[a]\n${BLOCK}[b]\n`, BLOCK, '[a]\n[b]\n'],
    ['at the end, with its newline', `[a]\n${BLOCK}`, `\n${BLOCK}`, '[a]'],
    ['with something after it: its newline stays', `[a]\n${BLOCK}[b]\n`, `\n${BLOCK}`, '[a]\n[b]\n'],
    ['with a setting after it: the heading stays', `[a]\n${BLOCK}\n# x\n\tpath = /y\n`, BLOCK, '[a]\n[include]\n\n# x\n\tpath = /y\n'],
    ['with only comments after it', `[a]\n${BLOCK}; x\n\n`, BLOCK, '[a]\n; x\n\n'],
    ['gone', '[a]\n', BLOCK, 'absent'],
    ['never there', BLOCK, '', 'absent'],
    ['inside a line', `[a] x = ${BLOCK}`, BLOCK, 'absent'],
    ['twice', `[a]\n${BLOCK}${BLOCK}`, BLOCK, 'many'],
    ['with other line ends', `[a]\n${BLOCK.replaceAll('\n', '\r\n')}`, BLOCK, 'absent'],
  ])('finds the lines %s', (_, text, inserted, expected) => {
    expect(removed(text, inserted, 3)).toBe(expected);
  });

  it('goes by the recorded place when the lines stand there twice', () => {
    expect(removed(`${BLOCK}[a]\n${BLOCK}`, BLOCK, 0)).toBe(`[a]\n${BLOCK}`);
  });
});
