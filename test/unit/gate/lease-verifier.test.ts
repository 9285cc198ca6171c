/**
 * Promise: only what was issued, or narrowed from it, is a lease. The attacks: a bit changed, a caveat changed, put in, taken out,
 * moved or cut, a seal that is another's, a key that was given up, an id that was revoked.
 */
import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { writeCaveat } from '../../../src/gate/caveat-text.js';
import { mintLease, narrowLease, newLeaseId } from '../../../src/gate/lease-seal.js';
import { type LeasePieces, LONGEST_LEASE_TEXT, MOST_CAVEATS, parseLeaseText, writeLeaseText } from '../../../src/gate/lease-text.js';
import { createLeaseVerifier, readLease } from '../../../src/gate/lease-verifier.js';
import type { Caveat } from '../../../src/model/lease.js';
import { Secret } from '../../../src/model/secret.js';
import { anyGrant, grant, KEY_ID, narrowing, REGISTER, ROOT_KEY } from './lease-world.js';

const verifier = createLeaseVerifier(REGISTER);

function chain(first: Caveat, more: readonly Caveat[] = []): Secret {
  return more.reduce((lease, caveat) => narrowLease(lease, caveat), mintLease(KEY_ID, ROOT_KEY, first));
}

function whatOf(text: string): string {
  const verified = verifier.verify(new Secret(text));
  return verified.kind === 'fault' ? verified.what : 'a lease';
}

describe('verify()', () => {
  it('makes a lease of what was issued and narrowed', () => {
    fc.assert(
      fc.property(anyGrant, fc.array(narrowing, { maxLength: 3 }), (first, more) => {
        const text = chain(first, more);
        const verified = verifier.verify(text);
        if (verified.kind === 'fault') throw new Error(verified.what);
        expect(verified.lease.caveats).toEqual([{ ...first }, ...more.map((caveat) => ({ ...caveat, label: undefined }))]);
        expect(readLease(text)).toEqual(verified.lease);
      }),
    );
  });

  it('is the construction of its description, byte for byte', () => {
    const caveat = Buffer.from('{"id":"1111111111111111","exp":1893456000}');
    const key = Buffer.from(ROOT_KEY.reveal(), 'base64');
    const seal0 = createHmac('sha256', key)
      .update(Buffer.concat([Buffer.from('postern lease 1\0'), Buffer.from(KEY_ID)]))
      .digest();
    const seal = createHmac('sha256', seal0).update(caveat).digest();
    const bytes = Buffer.concat([Buffer.from([1, 0, 16]), Buffer.from(KEY_ID), Buffer.from([0, caveat.length]), caveat, seal]);
    const text = `ptl1_${bytes.toString('base64url')}`;
    expect(mintLease(KEY_ID, ROOT_KEY, { id: '1111111111111111', expiresAt: new Date('2030-01-01T00:00:00Z') }).reveal()).toBe(text);
    expect(whatOf(text)).toBe('a lease');
  });

  it('refuses a lease of which any bit is another', () => {
    const text = chain(grant({ label: 'nightly' }), [{ id: '2222222222222222', allow: ['fetch'] }]).reveal();
    const bytes = Buffer.from(text.slice('ptl1_'.length), 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const other = Buffer.from(bytes);
      other[bit >> 3] = (other[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(whatOf(`ptl1_${other.toString('base64url')}`), `bit ${bit}`).not.toBe('a lease');
    }
  });

  it('refuses a lease that is cut anywhere, or has something behind it', () => {
    const text = chain(grant(), [{ id: '2222222222222222', allow: ['fetch'] }]).reveal();
    for (let length = 0; length < text.length; length++) expect(whatOf(text.slice(0, length)), `${length}`).not.toBe('a lease');
    for (const more of ['A', 'AAAA', '=', ' ', '\n', ':', ',', '%']) expect(whatOf(text + more)).not.toBe('a lease');
  });

  it.each<[what: string, change: (pieces: LeasePieces) => LeasePieces]>([
    ['its last caveat taken out', ({ caveats, ...rest }) => ({ ...rest, caveats: caveats.slice(0, -1) })],
    ['a middle caveat taken out', ({ caveats, ...rest }) => ({ ...rest, caveats: [caveats[0]!, caveats[2]!] })],
    ['its grant taken out', ({ caveats, ...rest }) => ({ ...rest, caveats: caveats.slice(1) })],
    ['two caveats changed about', ({ caveats, ...rest }) => ({ ...rest, caveats: [caveats[0]!, caveats[2]!, caveats[1]!] })],
    ['the grant last', ({ caveats, ...rest }) => ({ ...rest, caveats: [caveats[1]!, caveats[2]!, caveats[0]!] })],
    ['a caveat twice', ({ caveats, ...rest }) => ({ ...rest, caveats: [...caveats, caveats[2]!] })],
    [
      'a wider grant',
      ({ caveats, ...rest }) => ({
        ...rest,
        caveats: [Buffer.from(writeCaveat(grant({ allow: ['fetch', 'push', 'api'] }))), ...caveats.slice(1)],
      }),
    ],
    ['two caveats as one', ({ caveats, ...rest }) => ({ ...rest, caveats: [caveats[0]!, Buffer.concat([caveats[1]!, caveats[2]!])] })],
    ['the seal of the grant alone', ({ caveats, keyId }) => ({ keyId, caveats, seal: parseLeaseText(chain(grant()).reveal()).seal })],
    ['a seal of zeros', (pieces) => ({ ...pieces, seal: Buffer.alloc(32) })],
  ])('refuses a lease with %s', (_what, change) => {
    const text = chain(grant(), [
      { id: '2222222222222222', allow: ['fetch'] },
      { id: '3333333333333333', uids: [1000] },
    ]).reveal();
    const changed = writeLeaseText(change(parseLeaseText(text)));
    expect(changed).not.toBe(text);
    expect(whatOf(changed)).toBe('The lease was changed, or is not one of this daemon: its seal is wrong');
  });

  it('refuses any chain that the holder of a narrowed lease can put together of its pieces', () => {
    const parent = chain(grant(), [{ id: '2222222222222222', allow: ['fetch'] }]);
    const { seal, caveats } = parseLeaseText(parent.reveal());
    // The holder knows this seal and every caveat; they want the grant without the narrowing.
    for (const key of [
      seal,
      createHmac('sha256', seal).update(caveats[0]!).digest(),
      createHmac('sha256', caveats[1]!).update(seal).digest(),
    ])
      expect(whatOf(writeLeaseText({ keyId: KEY_ID, caveats: [caveats[0]!], seal: key }))).not.toBe('a lease');
  });

  it('refuses a lease of another key, and one whose key was given up', () => {
    const other = mintLease(KEY_ID, new Secret(Buffer.alloc(32, 8).toString('base64')), grant());
    expect(whatOf(other.reveal())).toContain('its seal is wrong');
    expect(whatOf(mintLease('00000000000000bb', ROOT_KEY, grant()).reveal())).toContain('a key that this daemon does not have');
    // The id of the key is under the seal too.
    const moved = { ...parseLeaseText(chain(grant()).reveal()), keyId: '00000000000000bb' };
    const both = createLeaseVerifier({ keyOf: () => ROOT_KEY, isRevoked: () => false });
    expect(both.verify(new Secret(writeLeaseText(moved)))).toMatchObject({ kind: 'fault' });
  });

  it('refuses what it does not know, though the seal is right', () => {
    const sealed = (json: string): string => {
      const { keyId, caveats, seal } = parseLeaseText(chain(grant()).reveal());
      const added = Buffer.from(json);
      return writeLeaseText({ keyId, caveats: [...caveats, added], seal: createHmac('sha256', seal).update(added).digest() });
    };
    expect(whatOf(sealed('{"id":"2222222222222222"}'))).toBe('a lease');
    expect(whatOf(sealed('{"id":"2222222222222222","branch":"x"}'))).toBe(
      'The lease has a caveat that this version does not know, so it cannot be judged',
    );
    expect(whatOf(sealed('{"id":"2222222222222222","label":"root"}'))).toBe('The lease has a label that its issuer did not give');
    expect(whatOf(sealed('{"id":"2222222222222222","exp":1,"exp":9}'))).toContain('not written in its one form');
    expect(whatOf(sealed('not json'))).toContain('no JSON');
  });

  it('refuses a lease when any link of it is revoked, and no other', () => {
    const ids = ['1111111111111111', '2222222222222222', '3333333333333333'] as const;
    const parent = chain(grant({ label: 'nightly' }));
    const child = narrowLease(parent, { id: ids[1], allow: ['fetch'] });
    const grandchild = narrowLease(child, { id: ids[2] });
    const sibling = narrowLease(parent, { id: '4444444444444444' });
    const judged = (revoked: string): boolean[] => {
      const some = createLeaseVerifier({ ...REGISTER, isRevoked: (id) => id === revoked });
      return [parent, child, grandchild, sibling].map((text) => some.verify(text).kind === 'lease');
    };
    expect(judged(ids[0])).toEqual([false, false, false, false]);
    expect(judged(ids[1])).toEqual([true, false, false, true]);
    expect(judged(ids[2])).toEqual([true, true, false, true]);
    expect(judged('5555555555555555')).toEqual([true, true, true, true]);
    const some = createLeaseVerifier({ ...REGISTER, isRevoked: (id) => id === ids[1] });
    expect(some.verify(grandchild)).toMatchObject({
      what: 'The lease 3333333333333333 (nightly) was revoked, with all that come from 2222222222222222',
    });
    expect(some.verify(child)).toMatchObject({ what: 'The lease 2222222222222222 (nightly) was revoked' });
  });

  it.each(['', 'ptl1_', 'ptl2_AAAA', 'ptl1_AAAA', `ptl1_${'A'.repeat(LONGEST_LEASE_TEXT)}`, 'Ptl1_AQ', 'ptl1_\u00e9', 'ptl1_AQ AQ'])(
    'refuses %j as no lease',
    (text) => {
      expect(whatOf(text)).toMatch(/^The lease (?!.*seal)/);
    },
  );

  it('refuses another version', () => {
    const text = chain(grant()).reveal();
    const bytes = Buffer.from(text.slice(5), 'base64url');
    bytes[0] = 2;
    expect(whatOf(`ptl1_${bytes.toString('base64url')}`)).toBe('The lease is of a version that this one does not know');
  });

  it('refuses a second way of writing the same bytes', () => {
    // Four spellings of the last character decode alike when its low bits are not used.
    const all = Array.from({ length: 3 }, (_, n) => chain(grant({ label: 'x'.repeat(n + 1) })).reveal());
    const loose = all.find((text) => (text.length - 5) % 4 !== 0);
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const last = alphabet.indexOf(loose?.at(-1) ?? '');
    const other = `${loose?.slice(0, -1) ?? ''}${alphabet[last + 1] ?? ''}`;
    expect(Buffer.from(other.slice(5), 'base64url')).toEqual(Buffer.from(loose?.slice(5) ?? '', 'base64url'));
    expect(whatOf(other)).toContain('is not whole');
    expect(whatOf(`${loose ?? ''}=`)).toContain('is not whole');
    expect(whatOf(all[0]!.replace('-', '+').replace('_', '/'))).not.toBe('a lease');
  });
});

describe('narrowLease()', () => {
  it('narrows as often as there is room, and then says so', () => {
    let lease = chain(grant());
    for (let n = 1; n < MOST_CAVEATS; n++) lease = narrowLease(lease, { id: newLeaseId() });
    expect(whatOf(lease.reveal())).toBe('a lease');
    expect(() => narrowLease(lease, { id: newLeaseId() })).toThrow('A lease can have 16 caveats, this one would have 17');
  });

  it('does not make a lease that is too long for the door', () => {
    const refs = Array.from({ length: 15 }, (_, n) => `refs/heads/${String(n).padEnd(240, 'x')}`);
    const wide = narrowLease(chain(grant()), { id: newLeaseId(), refs });
    expect(() => narrowLease(wide, { id: newLeaseId(), refs })).toThrow(RangeError);
    expect(() => narrowLease(wide, { id: newLeaseId(), refs: [...refs, ...refs.map((ref) => `${ref}y`)] })).toThrow('more than 4096 bytes');
  });

  it('does not narrow what is no lease', () => {
    expect(() => narrowLease(new Secret('ptl1_AAAA'), { id: newLeaseId() })).toThrow(SyntaxError);
    expect(() => narrowLease(new Secret('hello'), { id: newLeaseId() })).toThrow('does not begin with ptl1_');
  });
});
