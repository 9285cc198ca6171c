/**
 * Texts of any characters. (fast-check's own `unit: 'binary'` is the same, but takes seconds to get ready in each file.)
 */
import fc from 'fast-check';

const POINT = fc.oneof(
  fc.integer({ min: 0, max: 0xff }),
  fc.integer({ min: 0x100, max: 0xd7ff }),
  fc.integer({ min: 0xe000, max: 0xffff }),
  fc.integer({ min: 0x10000, max: 0x10ffff }),
);

/** Texts of at most `maxLength` code points, none of them half a surrogate pair. */
export function anyText(maxLength = 10): fc.Arbitrary<string> {
  return fc.array(POINT, { maxLength }).map((points) => String.fromCodePoint(...points));
}
