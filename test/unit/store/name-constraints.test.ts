import { expect, it } from 'vitest';
import { writeNameConstraints } from '../../../src/store/name-constraints.js';

it.each([
  [['a.b'], '3009a00730058203612e62'],
  [['127.0.0.1'], '300ea00c300a87087f000001ffffffff'],
  [['::1'], `3026a02430228720${'0'.repeat(31)}1${'f'.repeat(32)}`],
  [['2001:db8:0:1::5'], `3026a0243022872020010db8000000010000000000000005${'f'.repeat(32)}`],
  [['::ffff:1.2.3.4'], `3026a0243022872000000000000000000000ffff01020304${'f'.repeat(32)}`],
  [['a', '1.2.3.4'], '3013a01130038201' + '61' + '300a870801020304ffffffff'],
])('writeNameConstraints() writes %j as RFC 5280 has it', (names, hex) => {
  expect(writeNameConstraints(names).toString('hex')).toBe(hex);
});

it('writeNameConstraints() says lengths above 127 and 255 in more bytes', () => {
  const long = writeNameConstraints(['a'.repeat(150)]);
  expect(long.subarray(0, 12).toString('hex')).toBe('30819fa0819c308199828196'.slice(0, 24));
  const many = writeNameConstraints(Array.from({ length: 40 }, (_, index) => `10.0.0.${index}`));
  expect(many[1]).toBe(0x82);
  expect(many.readUInt16BE(2)).toBe(many.length - 4);
});
