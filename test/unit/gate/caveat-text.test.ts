/** Promise: a caveat has one form, and what is not understood in it is refused, never passed over. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  isAddressBlock,
  isLabel,
  isRefGlob,
  LONGEST_CAVEAT_BYTES,
  MOST_ENTRIES,
  parseCaveat,
  writeCaveat,
} from '../../../src/gate/caveat-text.js';
import { anyText } from '../any-text.js';
import { anyGrant, narrowing } from './lease-world.js';

const ID = '"id":"0123456789abcdef"';

function parse(text: string): ReturnType<typeof parseCaveat> {
  return parseCaveat(Buffer.from(text, 'utf8'));
}

describe('parseCaveat()', () => {
  it('reads every key', () => {
    expect(
      parse(
        `{${ID},"label":"nightly","repos":[["azure-services","dev.azure.com","contoso","**"]],"allow":["fetch","push"],` +
          '"refs":["refs/heads/agent/*"],"protect":["refs/heads/main"],"changes":["create","tag"],"exp":1893456000,"from":["10.0.0.0/8","::1"],"uids":[0]}',
      ),
    ).toEqual({
      id: '0123456789abcdef',
      label: 'nightly',
      repos: [{ hostKind: 'azure-services', parts: ['dev.azure.com', 'contoso', '**'] }],
      allow: ['fetch', 'push'],
      refs: ['refs/heads/agent/*'],
      protect: ['refs/heads/main'],
      changes: ['create', 'tag'],
      expiresAt: new Date('2030-01-01T00:00:00Z'),
      from: ['10.0.0.0/8', '::1'],
      uids: [0],
    });
  });

  it.each<[text: string, what: string]>([
    ['', 'no JSON'],
    ['[]', 'no map'],
    ['null', 'no map'],
    ['"x"', 'no map'],
    ['{}', 'without an id'],
    ['{"id":"0123456789ABCDEF"}', 'whose `id` cannot be used'],
    ['{"id":"0123456789abcde"}', 'whose `id` cannot be used'],
    ['{"id":1}', 'whose `id` cannot be used'],
    [`{${ID},"force":false}`, 'does not know'],
    [`{${ID},"__proto__":{}}`, 'does not know'],
    [`{${ID},"constructor":1}`, 'does not know'],
    [`{${ID},"ID":1}`, 'does not know'],
    [`{${ID},${ID}}`, 'one form'],
    [`{${ID},"exp":1,"exp":2}`, 'one form'],
    [`{ ${ID}}`, 'one form'],
    [`{${ID}}\n`, 'one form'],
    [`{"exp":1,${ID}}`, 'one form'],
    ['{"id":"\\u0030123456789abcdef"}', 'one form'],
    [`\ufeff{${ID}}`, 'no JSON'],
    [`{${ID},"exp":1.0}`, 'one form'],
    [`{${ID},"exp":1e9}`, 'one form'],
    [`{${ID},"exp":-0}`, 'one form'],
    [`{${ID},"exp":-1}`, 'whose `exp`'],
    [`{${ID},"exp":1.5}`, 'whose `exp`'],
    [`{${ID},"exp":"1"}`, 'whose `exp`'],
    [`{${ID},"exp":null}`, 'whose `exp`'],
    [`{${ID},"exp":253402300800}`, 'whose `exp`'],
    [`{${ID},"label":""}`, 'whose `label`'],
    [`{${ID},"label":"a\\nb"}`, 'whose `label`'],
    [`{${ID},"label":"\u202ex"}`, 'whose `label`'],
    [`{${ID},"label":" x"}`, 'whose `label`'],
    [`{${ID},"allow":[]}`, 'whose `allow`'],
    [`{${ID},"allow":["push","fetch"]}`, 'whose `allow`'],
    [`{${ID},"allow":["fetch","fetch"]}`, 'whose `allow`'],
    [`{${ID},"allow":["read"]}`, 'whose `allow`'],
    [`{${ID},"allow":"fetch"}`, 'whose `allow`'],
    [`{${ID},"allow":{"0":"fetch"}}`, 'whose `allow`'],
    [`{${ID},"changes":["force"]}`, 'whose `changes`'],
    [`{${ID},"refs":["main"]}`, 'whose `refs`'],
    [`{${ID},"refs":["refs/heads/a","refs/heads/a"]}`, 'whose `refs`'],
    [`{${ID},"refs":[]}`, 'whose `refs`'],
    [`{${ID},"protect":[1]}`, 'whose `protect`'],
    [`{${ID},"repos":[["azure-services","dev.azure.com"]]}`, 'whose `repos`'],
    [`{${ID},"repos":[["azure","dev.azure.com","x"]]}`, 'whose `repos`'],
    [`{${ID},"repos":["dev.azure.com/x"]}`, 'whose `repos`'],
    [`{${ID},"repos":[["azure-services","dev.azure.com","Contoso"]]}`, 'whose `repos`'],
    [`{${ID},"repos":[["azure-services","dev.azure.com","**","x"]]}`, 'whose `repos`'],
    [`{${ID},"repos":[["azure-services","dev.azure.com","co*"]]}`, 'whose `repos`'],
    [`{${ID},"repos":[["azure-services","*","x"]]}`, 'whose `repos`'],
    [`{${ID},"repos":[["azure-services","dev.azure.com","a/b"]]}`, 'whose `repos`'],
    [`{${ID},"repos":[["azure-services","dev.azure.com",""]]}`, 'whose `repos`'],
    [`{${ID},"from":["10.0.0.0/33"]}`, 'whose `from`'],
    [`{${ID},"from":["::ffff:10.0.0.1"]}`, 'whose `from`'],
    [`{${ID},"uids":[-1]}`, 'whose `uids`'],
    [`{${ID},"uids":[4294967295]}`, 'whose `uids`'],
    [`{${ID},"uids":["0"]}`, 'whose `uids`'],
    [`{${ID},"uids":[${Array.from({ length: MOST_ENTRIES + 1 }, (_, n) => n).join(',')}]}`, 'whose `uids`'],
    [`{${ID},"label":"${'x'.repeat(LONGEST_CAVEAT_BYTES)}"}`, 'more than 4096 bytes'],
  ])('refuses %s', (text, what) => {
    expect(() => parse(text)).toThrow(what);
    expect(() => parse(text)).toThrow(SyntaxError);
  });

  it('refuses what is not UTF-8', () => {
    expect(() => parseCaveat(Buffer.from(`{${ID},"label":"\u00ff"}`, 'latin1'))).toThrow('no JSON');
  });

  it('reads back what was written, and only those bytes', () => {
    fc.assert(
      fc.property(fc.oneof(anyGrant, narrowing), (caveat) => {
        const bytes = writeCaveat(caveat);
        expect(writeCaveat(parseCaveat(bytes))).toEqual(bytes);
      }),
    );
  });

  it('takes nothing that was written otherwise', () => {
    fc.assert(
      fc.property(anyGrant, fc.nat(), fc.nat(255), (caveat, at, byte) => {
        const bytes = Buffer.from(writeCaveat(caveat));
        bytes[at % bytes.length] = byte;
        let read: ReturnType<typeof parseCaveat>;
        try {
          read = parseCaveat(bytes);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(SyntaxError);
          return;
        }
        expect(Buffer.from(writeCaveat(read))).toEqual(bytes);
      }),
      { numRuns: 2_000 },
    );
  });

  it('says nothing of what it was given, whatever that is', () => {
    fc.assert(
      fc.property(anyText(40), (text) => {
        let message = '';
        try {
          parse(text);
        } catch (thrown) {
          message = (thrown as Error).message;
        }
        expect(message).toMatch(/^has a caveat [A-Za-z0-9 `,]+$/);
      }),
    );
  });
});

describe('the parts of a caveat', () => {
  it.each(['10.0.0.0/8', '10.1.2.3', '0.0.0.0/0', '::1', 'fd00::/8', '::/0', '2001:db8::1/128'])('%s is an address block', (text) => {
    expect(isAddressBlock(text)).toBe(true);
  });
  it.each([
    '',
    '10',
    '10.0.0.0/',
    '10.0.0.0/08',
    '10.0.0.0/33',
    '10.0.0.0/8/8',
    '010.0.0.1',
    'fe80::1%eth0',
    'FD00::/8',
    '0:0:0:0:0:0:0:1',
    '::1/129',
    'localhost',
  ])('%j is none', (text) => {
    expect(isAddressBlock(text)).toBe(false);
  });
  it.each(['refs/heads/main', 'refs/**', 'refs/heads/agent/*', 'refs/tags/v1.*', 'refs/heads/f\u00fcr'])('%s is a glob of refs', (text) => {
    expect(isRefGlob(text)).toBe(true);
  });
  it.each([
    '',
    'main',
    'heads/main',
    'refs',
    'refs/',
    'refs//x',
    'refs/heads/a b',
    'refs/heads/a..b',
    'refs/heads/***',
    'refs/heads/[ab]',
    'refs/heads/a\u0000',
    `refs/${'x'.repeat(256)}`,
  ])('%j is none', (text) => {
    expect(isRefGlob(text)).toBe(false);
  });
  it.each(['nightly', 'agent 7 (web)', 'J\u00fcrgen', '\u{1f916}'])('%s is a label', (text) => {
    expect(isLabel(text)).toBe(true);
  });
});
