import { describe, expect, it } from 'vitest';
import { isGuidLike } from '../../../src/model/guid.js';

const GUID = '6ce954b1-ce1f-45d1-b94d-e6bf2464ba2c';

describe('isGuidLike()', () => {
  it.each([
    GUID,
    GUID.toUpperCase(),
    GUID.replaceAll('-', ''),
    `{${GUID}}`,
    `(${GUID})`,
    ` ${GUID} `,
    '{0x6ce954b1,0xce1f,0x45d1,{0xb9,0x4d,0xe6,0xbf,0x24,0x64,0xba,0x2c}}',
    GUID.replace('6', '\uff16'),
  ])('takes %s for one', (name) => {
    expect(isGuidLike(name)).toBe(true);
  });

  it.each(['web', GUID.slice(1), `${GUID}0`, `x${GUID}`, `${GUID}.git`, 'deadbeef', '{0x}y'])('does not take %s for one', (name) => {
    expect(isGuidLike(name)).toBe(false);
  });
});
